//! The look at CloudTrail, by the program of AWS itself.

use std::process::Stdio;

use serde_json::Value;

use crate::support::clouds::{Aws, aws_program};
use crate::support::desk::{Desk, PROGRAM};

#[test]
fn cloudtrail_is_asked_by_the_responders_own_program_and_settings() {
    let (Some(desk), Some(program), Some(aws)) = (Desk::new(), aws_program(), Aws::ministack()) else {
        return;
    };
    aws.as_root("b.client('iam').create_user(UserName='deploy-bot')");
    aws.as_root("b.client('iam').create_access_key(UserName='deploy-bot')");
    desk.file("bin/placeholder", "");
    std::os::unix::fs::symlink(program, desk.home().join("bin/aws")).unwrap();
    let (key, secret) = aws.root;
    let script = format!(
        "export PATH=$HOME/bin:$PATH AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret} AWS_REGION=us-east-1 AWS_ENDPOINT_URL={}\n\
         \"$1\" stop > /dev/null; \"$1\" capture cloudtrail since=1h user=nobody-of-that-name region=us-east-1; echo took $?\n\
         unset AWS_ENDPOINT_URL; AWS_ENDPOINT_URL=http://127.0.0.1:1 \"$1\" capture cloudtrail region=us-east-1; echo took $?",
        aws.endpoint
    );
    let mut command = desk.jailed("sh");
    command.args(["-c", &script, "sh", PROGRAM]);
    let out = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&[&out.stdout[..], &out.stderr].concat()).into_owned();
    assert!(text.contains("took 0\n"), "{text}");
    let case = desk.home().join(".local/share/incident").join(desk.id());
    let journal = desk.journal();
    let ended: Vec<Value> = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|r| r["type"] == "capture.ended")
        .map(|r| r["what"].clone())
        .collect();
    let item = |n: usize, name: &str| {
        let items = ended[n]["items"].as_array().unwrap();
        let found = items.iter().find(|i| i["name"] == name);
        found.unwrap_or_else(|| panic!("no {name}: {items:#?}")).clone()
    };
    let kept = |name: &str| -> Value {
        let file = case
            .join("data")
            .join(ended[0]["exhibit"].as_str().unwrap())
            .join(name);
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    };
    for name in [
        "who.json",
        "events.json",
        "events-of-user-nobody-of-that-name.json",
    ] {
        assert_eq!(item(0, name)["status"], "collected", "{text}");
    }
    assert!(kept("who.json")["Account"].is_string());
    let events = kept("events.json");
    let names: Vec<&str> = events["Events"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|e| e["EventName"].as_str())
        .collect();
    // This one names a call by its method and service.
    assert!(
        names.iter().filter(|name| name.contains("iam")).count() >= 2,
        "{names:?}"
    );
    assert_eq!(
        kept("events-of-user-nobody-of-that-name.json")["Events"],
        Value::Array(Vec::new())
    );
    // An account that cannot be reached is a hole with the words of the program, and no empty list.
    // Its tries may take longer than a look may.
    let status = item(1, "events.json")["status"].clone();
    assert!(status == "failed" || status == "timed-out", "{text}");
    assert_eq!(item(1, "events.json")["bytes"], 0);
    assert!(!journal.contains(&format!("\"{secret}\"")), "{journal}");
}

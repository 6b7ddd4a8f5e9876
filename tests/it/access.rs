//! Day 0: nothing was configured. The scan, `cut`, and `stop --on`, with made-up homes and a real OpenBao.

use std::io::Write;
use std::process::{Output, Stdio};

use crate::support::desk::{Desk, PROGRAM};
use crate::support::network_world;
use crate::support::servers::Bao;

#[path = "access/remote.rs"]
mod remote;

macro_rules! desk {
    () => {
        match Desk::new() {
            Some(desk) => desk,
            None => return,
        }
    };
}

/// A token of the server that may do nothing.
fn token(bao: &Bao) -> String {
    let made = bao.set(
        &network_world(),
        "POST",
        "auth/token/create",
        r#"{"policies": ["default"], "ttl": "1h"}"#,
    );
    made["auth"]["client_token"].as_str().unwrap().to_owned()
}

fn lives(bao: &Bao, token: &str) -> bool {
    bao.ask(&network_world(), "GET", "auth/token/lookup-self", token, "")
        .0
        == 200
}

/// Runs the program in the jail with this on its standard input.
fn piped(desk: &Desk, args: &[&str], input: &str) -> Output {
    let mut child = desk
        .jailed(PROGRAM)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Runs the program, with `own` in its environment, beside an agent that carries these variables and works
/// in `proj` of the home.
fn beside_an_agent(desk: &Desk, own: &str, variables: &[(&str, &str)], args: &[&str]) -> Output {
    std::fs::create_dir_all(desk.home().join("bin")).unwrap();
    std::fs::create_dir_all(desk.home().join("proj/sub")).unwrap();
    std::fs::copy("/bin/sleep", desk.home().join("bin/claude")).unwrap();
    desk.file(
        "run",
        "cd proj/sub; env CLAUDECODE=1 $(cat $HOME/agent-env) $HOME/bin/claude 300 & \
         until grep -q CLAUDECODE /proc/$!/environ; do sleep 0.05; done; cd; env $OWN \"$@\"; code=$?; \
         kill -9 $! 2>/dev/null; exit $code\n",
    );
    let words: Vec<String> = variables.iter().map(|(k, v)| format!("{k}={v}")).collect();
    desk.file("agent-env", &words.join("\n"));
    let mut command = desk.jailed("sh");
    command
        .args(["-c", "OWN=$1; shift; . \"$HOME/run\"", "sh", own, PROGRAM])
        .args(args);
    command.stdin(Stdio::null()).output().unwrap()
}

fn said(out: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&out.stdout), text(&out.stderr))
}

/// Words of one target in the newest status.
fn proof(desk: &Desk, id_begins: &str) -> String {
    let out = desk.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let targets = status["targets"].as_array().unwrap();
    let found = targets
        .iter()
        .find(|t| t["id"].as_str().unwrap().starts_with(id_begins));
    match found {
        Some(target) => target["proof"].as_str().unwrap().to_owned(),
        None => format!("no {id_begins} in {status}"),
    }
}

/// No part of the home but what was put there by the test holds any of these.
fn nowhere(desk: &Desk, secrets: &[&str], outputs: &[&Output]) {
    let case = desk.home().join(".local/share/incident").join(desk.id());
    let journal = std::fs::read(case.join("journal.jsonl")).unwrap();
    for secret in secrets {
        let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
        assert!(!holds(&journal), "the journal holds a secret");
        for out in outputs {
            assert!(!holds(&out.stdout) && !holds(&out.stderr), "it was printed");
        }
    }
}

#[test]
fn a_piped_token_is_revoked_with_itself_tried_and_forgotten() {
    let (Some(bao), desk) = (Bao::start(&network_world()), desk!()) else {
        return;
    };
    let (first, second) = (token(&bao), token(&bao));
    let with = format!("address={}", bao.address);
    let out = piped(
        &desk,
        &["cut", "--with", &with],
        &format!("{first}\n\n{second}\n"),
    );
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    assert!(!lives(&bao, &first) && !lives(&bao, &second));
    assert_eq!(proof(&desk, "vault-self-"), "refused");
    // Again: it is dead already, and the record does not forget how it died.
    let again = piped(&desk, &["cut", "--with", &with, "--json"], &first);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    let last = |out: &Output| -> serde_json::Value {
        let text = String::from_utf8(out.stdout.clone()).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    };
    assert_eq!(last(&again)["exit"], 0);
    assert_eq!(desk.kinds().iter().filter(|k| *k == "incident.opened").count(), 1);
    nowhere(&desk, &[&first, &second], &[&out, &again]);
}

#[test]
fn what_is_not_recognised_is_said_so_and_nothing_is_sent_anywhere() {
    let desk = desk!();
    let secrets = [
        "correct-horse-battery-staple",
        "AKIAQ3EGWJ5K2M7N4P6R",
        "hvs.CAESIJ0000000000000000000000000000000000000000",
    ];
    let out = piped(&desk, &["cut"], &secrets.join("\n"));
    assert_eq!(out.status.code(), Some(4), "{}", said(&out));
    let text = said(&out).split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "no known shape fits it",
        "incident cut --provider NAME",
        "`with` has no `address`",
        "vault token revoke -self",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(
        !text.contains("aws-key"),
        "an id alone is no secret to cut with: {text}"
    );
    nowhere(&desk, &secrets, &[&out]);
    let none = piped(&desk, &["cut"], "\n");
    assert_eq!(none.status.code(), Some(2));
    assert!(said(&none).contains("no secret was given"));
}

#[test]
fn a_pasted_token_is_not_shown() {
    let (Some(bao), desk) = (Bao::start(&network_world()), desk!()) else {
        return;
    };
    let secret = token(&bao);
    let mut pty = desk.terminal(&format!("cut --with address={}", bao.address));
    pty.exp_string("not shown").unwrap();
    pty.send_line(&secret).unwrap();
    let before = pty.exp_string("refused").unwrap();
    let rest = pty.exp_eof().unwrap();
    assert!(
        !before.contains(&secret) && !rest.contains(&secret),
        "{before}{rest}"
    );
    assert!(!lives(&bao, &secret));
}

#[test]
fn with_nothing_configured_stop_cuts_what_the_agent_alone_holds_and_leaves_what_is_shared() {
    let (Some(bao), desk) = (Bao::start(&network_world()), desk!()) else {
        return;
    };
    let all: Vec<String> = (0..5).map(|_| token(&bao)).collect();
    let [carried, in_mcp, own, project, inherited] = all.as_slice() else {
        panic!()
    };
    // The agent's own: what its process carries, and what its MCP configuration holds.
    let mcp = serde_json::json!({"mcpServers": {"bao": {"env": {"TOKEN": in_mcp}}}});
    desk.file(".claude.json", &mcp.to_string());
    // The responder's own, whose home this is, and the project's.
    desk.file(".vault-token", own);
    desk.file("proj/.env", &format!("APP_TOKEN={project}\n"));
    let variables = [
        ("VAULT_ADDR", bao.address.as_str()),
        ("VAULT_TOKEN", carried),
        ("OPS_TOKEN", inherited),
    ];
    // What the agent inherited from the responder's shell is the responder's.
    let here = format!("VAULT_ADDR={} OPS_TOKEN={inherited}", bao.address);
    let listed = beside_an_agent(&desk, &here, &variables, &["access", "scan", "--json"]);
    let scan: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let alone = scan["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["agents_alone"]);
    assert_eq!(alone.filter(|a| **a == true).count(), 2, "{scan}");
    assert!(all.iter().all(|t| lives(&bao, t)), "a scan cuts nothing");

    let stop = beside_an_agent(&desk, &here, &variables, &["stop"]);
    assert_eq!(stop.status.code(), Some(4), "{}", said(&stop));
    assert!(!lives(&bao, carried), "{}", said(&stop));
    assert!(
        lives(&bao, own) && lives(&bao, project) && lives(&bao, inherited),
        "what others use is never cut silently"
    );
    let status = String::from_utf8(desk.run(&["status"]).stdout).unwrap();
    assert!(
        status.contains("still-live") && status.contains("you use it too"),
        "{status}"
    );
    nowhere(
        &desk,
        &all.iter().map(String::as_str).collect::<Vec<_>>(),
        &[&listed, &stop],
    );

    // One line cuts what was left.
    let line = status.split_whitespace().skip_while(|w| *w != "--full").nth(1);
    let id = line.unwrap().trim_end_matches([';', ',', '.']);
    let full = beside_an_agent(&desk, &here, &variables, &["stop", "--full", id]);
    assert_eq!(
        [own, project, inherited]
            .iter()
            .filter(|t| lives(&bao, t))
            .count(),
        2,
        "exactly the one that was named: {}",
        said(&full)
    );
}

#[test]
fn what_the_scan_may_not_follow_it_names() {
    let desk = desk!();
    std::os::unix::fs::symlink("/etc/shadow", desk.home().join(".netrc")).unwrap();
    let out = std::process::Command::new("mkfifo")
        .arg(desk.home().join(".npmrc"))
        .status();
    assert!(out.unwrap().success());
    std::fs::create_dir(desk.home().join("elsewhere")).unwrap();
    desk.file(
        "elsewhere/credentials",
        "aws_access_key_id = AKIAQ3EGWJ5K2M7N4P6R\n",
    );
    std::os::unix::fs::symlink("elsewhere", desk.home().join(".aws")).unwrap();
    let out = desk.run(&["access", "scan", "--json"]);
    let scan: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(scan["findings"], serde_json::json!([]));
    let holes = scan["not_looked_at"].to_string();
    for (file, why) in [
        (".netrc", "a symbolic link, not followed"),
        (".npmrc", "not a regular file"),
        (".aws/credentials", "a symbolic link, not followed"),
    ] {
        assert!(holes.contains(file) && holes.contains(why), "{file}: {holes}");
    }
    assert_eq!(
        out.status.code(),
        Some(4),
        "what was not looked at may hold anything"
    );
}

#[test]
fn a_grant_is_written_down_and_its_credential_is_said_to_be_open_to_the_agent() {
    let desk = desk!();
    desk.file(
        "incident/access.yaml",
        "# ours\nversion: 1\nagents:\n  - name: bot # nights\n    processes: {argv: [bot], user: [root]}\n",
    );
    let add = [
        "access",
        "add",
        "ci",
        "--agent",
        "bot",
        "--provider",
        "vault-token",
        "--with",
        "address=http://127.0.0.1:1",
        "--with",
        "accessor=abc",
        "--auth",
        "env:VAULT_ADMIN",
    ];
    let out = desk.run(&add);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let text = std::fs::read_to_string(desk.home().join("incident/access.yaml")).unwrap();
    assert!(
        text.starts_with("# ours\nversion: 1\nagents:\n  - name: bot # nights\n"),
        "{text}"
    );
    assert!(
        text.ends_with("auth: {env: \"VAULT_ADMIN\"}\n") || text.contains("auth: {env: VAULT_ADMIN}"),
        "{text}"
    );
    let again = desk.run(&add);
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("names `ci` already"));
    let secret = desk.run(&[
        "access",
        "add",
        "x",
        "--provider",
        "github",
        "--auth",
        "hunter2hunter2",
    ]);
    assert_eq!(secret.status.code(), Some(2));
    let check = desk.run(&["access", "check", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(told["credentials"][0]["readable_by_agents"], true, "{told}");
    assert_eq!(check.status.code(), Some(1));
}

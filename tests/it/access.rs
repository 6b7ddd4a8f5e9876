//! Day 0: nothing was configured. The scan, `cut`, and `stop --on`, with made-up homes and a real OpenBao.

use std::io::Write;
use std::process::{Output, Stdio};

use crate::support::desk::{Desk, PROGRAM};
use crate::support::network_world;
use crate::support::servers::Bao;

#[path = "access/remote.rs"]
pub(crate) mod remote;

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

/// The part of a table that speaks to a server of OpenBao's kind, with a window nobody waits for.
const SLOW: &str = "    title: a platform that takes its time
    base: ADDRESS
    hosts: [ADDRESS]
    agent: {header: X-Vault-Token, value: \"{secret}\"}
    window: 10m
    manual: revoke it there
    cut:
      - call: {method: POST, path: /v1/auth/token/revoke-self, as: agent, repeatable: true}
        ok: [{status: [204]}]
    use:
      call: {method: GET, path: /v1/auth/token/lookup-self, as: agent}
      alive: [{status: [200], at: /data/id}]
      gone: [{status: [403]}]
";

#[test]
fn where_a_window_outlasts_the_secret_the_line_says_when_to_paste_it_again() {
    let (Some(bao), desk) = (Bao::start(&network_world()), desk!()) else {
        return;
    };
    let secret = token(&bao);
    let table = SLOW.replace("ADDRESS", &bao.address);
    desk.file(
        "incident/access.yaml",
        &format!("version: 1\nproviders:\n  slow:\n{table}"),
    );
    let out = piped(&desk, &["cut", "--provider", "slow"], &secret);
    assert_eq!(out.status.code(), Some(4), "{}", said(&out));
    let text = said(&out).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!lives(&bao, &secret), "{text}");
    assert!(
        text.contains("may take until 20")
            && text.contains("paste it once more after that: incident cut --provider slow"),
        "{text}"
    );
    assert_eq!(proof(&desk, "slow-"), "accepted");
    let status = String::from_utf8(desk.run(&["status", "--json"]).stdout).unwrap();
    assert!(status.contains("incident cut --provider slow"), "{status}");
    let again = piped(&desk, &["cut", "--provider", "slow", "--json"], &secret);
    let told = String::from_utf8(again.stdout.clone()).unwrap();
    let told = told
        .lines()
        .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok());
    let next: Vec<_> = told
        .map(|v| v["paste_again"][0]["next"].clone())
        .filter(|n| !n.is_null())
        .collect();
    assert_eq!(next, ["incident cut --provider slow"], "{}", said(&again));
    nowhere(&desk, &[&secret], &[&out, &again]);
}

#[test]
fn what_a_process_carries_that_was_forked_after_the_look_is_cut_too() {
    let (Some(bao), desk) = (Bao::start(&network_world()), desk!()) else {
        return;
    };
    let late = token(&bao);
    desk.file(
        "agent.sh",
        &format!(
            "until [ -e ~/go ]; do sleep 0.05; done\nVAULT_ADDR={} LATE_TOKEN={late} sleep 300 &\ntouch ~/gone; wait\n",
            bao.address
        ),
    );
    let run = format!(
        "stty cols 80 rows 40; mkdir -p bin; cp /bin/bash bin/claude; $HOME/bin/claude agent.sh & sleep 0.3; {PROGRAM} start; exit $?"
    );
    let mut command = desk.jailed("sh");
    command.args(["-c", &run]);
    let mut pty = rexpect::session::spawn_command(command, Some(30_000)).unwrap();
    pty.exp_string("Enter cuts it now").unwrap();
    assert!(lives(&bao, &late));
    desk.file("go", "");
    crate::local::yard::appears(&desk.home().join("gone"));
    pty.send_line("").unwrap();
    let text = pty.exp_string("Stop took").unwrap();
    let status = said(&desk.run(&["status"]));
    assert!(!lives(&bao, &late), "{text} {status} {}", desk.journal());
    assert!(!text.contains(&late));
    assert_eq!(proof(&desk, "vault-self-"), "refused");
}

/// A token of a known shape that nobody gave out.
fn made_up(n: u32) -> String {
    format!("ghp_{}{n:06}", "Zk3".repeat(10))
}

#[test]
fn transcripts_databases_and_states_are_read_by_shape_and_keyrings_are_named() {
    let desk = desk!();
    let [passed, editor, both] = [made_up(1), made_up(2), made_up(3)];
    let line = |text: &str| serde_json::json!({"type": "user", "message": {"content": text}}).to_string();
    desk.file(
        ".claude/projects/-proj/one/subagents/agent-1.jsonl",
        &format!(
            "{}\n{}\n",
            line(&format!("$ cat .env\nexport A=1\n{passed}\n")),
            line(&both)
        ),
    );
    desk.file(".codex/sessions/2026/11/22/rollout-1.jsonl", &line(&made_up(4)));
    desk.file(
        "proj/terraform.tfstate",
        "{\"resources\": [{\"instances\": [{\"attributes\": {\"password\": \"hunter2-of-the-db\"}}]}]}",
    );
    desk.file(".local/share/keyrings/login.keyring", "closed");
    let store = ".config/Cursor/User/globalStorage/state.vscdb";
    desk.file(store, "");
    let made = std::process::Command::new("python3")
        .args(["-c", "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('create table ItemTable (key text, value blob)'); db.execute('insert into ItemTable values (?, ?)', ('github.auth', sys.argv[2])); db.commit()"])
        .arg(desk.home().join(store))
        .arg(&editor)
        .status();
    assert!(made.unwrap().success());
    let variables = [("GH_TOKEN", both.as_str())];
    let out = beside_an_agent(&desk, "", &variables, &["access", "scan", "--json"]);
    let scan: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let all = scan["findings"].as_array().unwrap();
    let places: Vec<String> = all
        .iter()
        .map(|f| {
            let place = |p: &serde_json::Value| {
                let at = p["at"].as_str().unwrap().rsplit('/').next().unwrap();
                let at = at.split(" (pid").next().unwrap();
                format!(
                    "{} {at}: {}",
                    p["whose"].as_str().unwrap(),
                    p["key"].as_str().unwrap()
                )
            };
            let all: Vec<String> = f["places"].as_array().unwrap().iter().map(place).collect();
            format!("{} {}", f["agents_alone"], all.join(" + "))
        })
        .collect();
    for wanted in [
        "true process claude-code: GH_TOKEN + transcript agent-1.jsonl: passed through the transcript",
        "false transcript agent-1.jsonl: passed through the transcript",
        "false other-agent state.vscdb: a record",
        "false project terraform.tfstate: resources.0.instances.0.attributes.password",
    ] {
        assert!(places.iter().any(|p| p == wanted), "{wanted}: {places:#?}");
    }
    assert!(
        !places.iter().any(|p| p.contains("rollout-1")),
        "codex does not run here"
    );
    let holes = scan["not_looked_at"].to_string();
    assert!(
        holes.contains("login.keyring is a GNOME keyring") && holes.contains("secret-tool lock"),
        "{holes}"
    );
    for secret in [&passed, &editor, &both, &"hunter2-of-the-db".to_owned()] {
        assert!(!said(&out).contains(secret.as_str()));
    }
}

#[test]
fn real_transcripts_are_read_to_their_end_in_time() {
    let desk = desk!();
    let Some(fixtures) = std::env::var_os("INCIDENT_FIXTURES") else {
        crate::support::not_built("real transcripts");
        return;
    };
    let from = std::path::Path::new(&fixtures).join("transcripts");
    desk.file("bin/claude", "");
    std::fs::copy("/bin/sleep", desk.home().join("bin/claude")).unwrap();
    let run = "mkdir -p .claude/projects && mount --bind \"$1\" .claude/projects || exit 99; shift; \
               CLAUDECODE=1 $HOME/bin/claude 300 & \"$@\"; code=$?; kill -9 $!; exit $code";
    let began = std::time::Instant::now();
    let out = desk
        .jailed("sh")
        .args(["-c", run, "sh"])
        .arg(&from)
        .args([PROGRAM, "access", "scan", "--json"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let scan: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    eprintln!("{:?}: {scan}", began.elapsed());
    let holes = scan["not_looked_at"].to_string();
    assert!(scan["findings"].is_array(), "{}", said(&out));
    assert!(
        !holes.contains("were looked at") && !holes.contains("ended early"),
        "{holes}"
    );
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

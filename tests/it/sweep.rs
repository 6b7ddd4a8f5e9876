//! A whole sweep against real servers and with real processes: does the record agree with what others saw,
//! and does no secret show anywhere while it runs?

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use incident::engine::{Desk, Written};
use incident::model::fact::{Fact, Proof};
use incident::model::ids::TargetId;
use incident::store::Store;
use serde_json::Value;

use crate::support::servers::Bao;
use crate::support::stub::{Stub, say};
use crate::support::{desk, network_world};

/// The clock that the record is written by, in microseconds.
fn boot_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

/// One use of the token, over a connection of its own; the status.
fn used(address: &str, token: &str) -> Option<u16> {
    let host = address.strip_prefix("http://")?;
    let mut stream = TcpStream::connect(host).ok()?;
    let head = format!(
        "GET /v1/auth/token/lookup-self HTTP/1.1\r\nHost: {host}\r\nX-Vault-Token: {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_whitespace().nth(1)?.parse().ok()
}

#[test]
#[ignore = "the second process of a_token_used_in_a_tight_loop_is_refused_when_the_record_says_so"]
fn uses_a_token_in_a_tight_loop() {
    let [address, file, log] = ["LOOP_ADDRESS", "LOOP_TOKEN", "LOOP_LOG"].map(|n| std::env::var(n).unwrap());
    let token = std::fs::read_to_string(file).unwrap();
    let mut log = std::fs::File::create(log).unwrap();
    loop {
        let sent = boot_us();
        let status = used(&address, &token).unwrap_or(0);
        writeln!(log, "{sent} {} {status}", boot_us()).unwrap();
    }
}

#[test]
fn a_token_used_in_a_tight_loop_is_refused_when_the_record_says_so() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    let made = bao.set(&world, "POST", "auth/token/create", "{}");
    let text = |at: &str| made.pointer(at).and_then(Value::as_str).unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let token = file("token", &text("/auth/client_token"));
    let access = format!(
        "version: 1\nagents:\n  - name: bot\n    grants:\n      - id: bot-token\n        provider: vault-token\n        \
         with: {{address: \"{}\", accessor: {}}}\n        auth: {{file: {}}}\n        secret: {{file: {token}}}\n",
        bao.address,
        text("/auth/accessor"),
        file("root", "root"),
    );
    let log = folder.path().join("log");
    let mut looping = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "sweep::uses_a_token_in_a_tight_loop"])
        .env("LOOP_ADDRESS", &bao.address)
        .env("LOOP_TOKEN", &token)
        .env("LOOP_LOG", &log)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = || std::fs::read_to_string(&log).unwrap_or_default().lines().count();
    for _ in 0..500 {
        if lines() > 50 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let store = Store::open(folder.path().join("cases"));
    let desk = Desk {
        world: &world,
        store: &store,
        spool_folders: Vec::new(),
        who: "ana@example.com".to_owned(),
    };
    let written = Written {
        access: Some(("access.yaml".to_owned(), access.into_bytes())),
        ..Written::default()
    };
    let engine = desk.open("a token in a loop", &written).unwrap();
    let began = boot_us();
    engine.stop(&[]).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    looping.kill().unwrap();
    looping.wait().unwrap();

    let incident = engine.incident().unwrap();
    let state = &incident.stop.targets[&TargetId::new("bot-token").unwrap()];
    assert_eq!(state.proof(), Proof::Refused, "{:?}", state.facts);
    let at = |wanted: &dyn Fn(&Fact) -> bool| state.facts.iter().find(|o| wanted(&o.fact)).unwrap().at_us;
    let taken = at(&|f| matches!(f, Fact::Accepted { .. }));
    let refused = at(&|f| matches!(f, Fact::TriedNew { refused: true }));
    // The process's own log: when each use was sent, when it was answered, and how.
    let log = std::fs::read_to_string(&log).unwrap();
    let uses: Vec<Vec<u64>> = log
        .lines()
        .map(|l| {
            l.split_whitespace()
                .filter_map(|n| n.parse().ok())
                .collect::<Vec<u64>>()
        })
        .filter(|l| l.len() == 3)
        .collect();
    let good = |u: &&Vec<u64>| u[2] == 200;
    let (last_good, first_refused) = (
        uses.iter().rfind(good).unwrap(),
        uses.iter().find(|u| u[2] == 403).unwrap(),
    );
    assert!(uses.iter().filter(good).count() > 20, "it worked before");
    assert!(
        last_good[0] < taken,
        "no use that was sent after the record said `taken` worked"
    );
    assert!(
        last_good[1] < refused,
        "none was answered well after the record said `refused`"
    );
    assert!(
        (began..refused + 250_000).contains(&first_refused[1]),
        "the process saw its first refusal {} ms after the record's own",
        (first_refused[1] as i64 - refused as i64) / 1000
    );
    assert!(uses.iter().filter(|u| u[0] > taken).all(|u| u[2] == 403));
}

/// Secrets that pass through the sweep below; each made up, none like a word.
const SECRETS: [&str; 4] = [
    "q7Xv-responder-8Kd2mZ4t",
    "w3Bn-agentheld-5Rf9pL1c",
    "e6Ty-fromfile-2Hs7vN8x",
    "r9Um-crontab-4Jg3kW6b",
];

const AGENT: &str = "export SHOP_TOKEN=w3Bn-agentheld-5Rf9pL1c\ntouch $0.up\nwhile :; do sleep 1; done\n";

fn access(address: &str) -> String {
    format!(
        "version: 1
agents:
  - name: claude-code
    processes: {{exe: [claude]}}
    grants:
      - id: held
        provider: shop
        with: {{address: \"{address}\", token: one}}
        auth: {{command: [./vault-helper]}}
        secret: {{process: SHOP_TOKEN}}
      - id: filed
        provider: shop
        with: {{address: \"{address}\", token: two}}
        auth: {{env: SHOP_ADMIN}}
        secret: {{file: token}}
providers:
  shop:
    title: Token of a shop
    needs: {{address: address of the server, token: id of the token}}
    base: \"{{address}}\"
    hosts: [\"{{address}}\"]
    responder: {{header: Authorization, value: \"Bearer {{auth}}\"}}
    agent: {{header: Authorization, value: \"Bearer {{secret}}\"}}
    window: 0s
    manual: revoke it in the shop
    cut:
      - call: {{method: DELETE, path: \"/tokens/{{token}}\", as: responder}}
        ok: [{{status: [204]}}]
    use:
      call: {{method: GET, path: /me, as: agent}}
      alive: [{{status: [200]}}]
      dead: [{{status: [401]}}]
"
    )
}

/// Command lines of every process, now.
fn command_lines(into: &mut BTreeSet<Vec<u8>>) {
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        if let Ok(line) = std::fs::read(entry.path().join("cmdline")) {
            into.insert(line);
        }
    }
}

fn files_below(folder: &Path, all: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files_below(&path, all),
            false => all.push(path),
        }
    }
}

#[test]
fn no_secret_shows_in_any_output_record_bundle_or_command_line_of_a_sweep() {
    let Some(desk) = desk::Desk::new() else { return };
    // An answer that quotes what it was sent, as careless servers do.
    let stub = Stub::start(|_, seen| match seen.method.as_str() {
        "DELETE" if seen.path.ends_with("two") => say(500, &format!("cannot: {:?}", seen.headers)),
        "DELETE" => say(204, ""),
        _ => say(200, &format!("{:?}", seen.headers)),
    });
    desk.file("incident/access.yaml", &access(&stub.address()));
    desk.file("token", SECRETS[2]);
    desk.file(
        "vault-helper",
        &format!("#!/bin/sh\nsleep 0.2\necho {}\n", SECRETS[0]),
    );
    desk.file("node_modules/@anthropic-ai/claude-code/cli.js", AGENT);
    let script = format!(
        "chmod 755 vault-helper; mkdir -p /var/spool/cron/crontabs; chgrp crontab /var/spool/cron/crontabs; chmod 1730 /var/spool/cron/crontabs
         echo '* * * * * TOKEN={} claude -p tidy' | crontab -
         cli=$HOME/node_modules/@anthropic-ai/claude-code/cli.js
         setsid -f bash $cli >/dev/null 2>&1; until [ -e $cli.up ]; do sleep 0.05; done
         export SHOP_ADMIN=q7Xv-responder-8Kd2mZ4t
         {program} stop; {program} status --all; {program} --json status; {program} watch --every 1s --for 1s; {program} brief
         {program} bundle -o out.tar; {program} report --format json; exit 0",
        SECRETS[3],
        program = desk::PROGRAM,
    );
    let (lines, over) = (
        Arc::new(Mutex::new(BTreeSet::new())),
        Arc::new(AtomicBool::new(false)),
    );
    let looker = std::thread::spawn({
        let (lines, over) = (Arc::clone(&lines), Arc::clone(&over));
        move || {
            while !over.load(Ordering::SeqCst) {
                command_lines(&mut lines.lock().unwrap());
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    });
    let out = desk
        .jailed("sh")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    over.store(true, Ordering::SeqCst);
    looker.join().unwrap();

    let says = |bytes: &[u8], secret: &str| bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
    let screen = [out.stdout, out.stderr].concat();
    let text = String::from_utf8_lossy(&screen);
    for word in ["held", "filed", "claude-code", "crontab of root"] {
        assert!(text.contains(word), "`{word}` is not on the screen:\n{text}");
    }
    assert!(
        stub.seen().iter().any(|s| s
            .headers
            .get("authorization")
            .is_some_and(|h| h.contains(SECRETS[1]))),
        "the agent's own secret was tried: {:?}",
        stub.lines()
    );
    let mut places = vec![("the screen".to_owned(), screen.clone())];
    let store = desk.home().join(".local/share/incident");
    let mut files = Vec::new();
    files_below(&store, &mut files);
    files.push(desk.home().join("out.tar"));
    for path in files {
        let is_undo = path.components().any(|c| c.as_os_str() == "undo");
        if !is_undo {
            places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    let lines = lines.lock().unwrap();
    let seen = |part: &str| lines.iter().any(|l| says(l, part));
    // The shell that sets the scene names them itself; nothing that the program starts may.
    for helper in ["vault-helper", "crontab", "incident\0stop"] {
        assert!(seen(helper), "`{helper}` was never looked at while it ran");
    }
    for (n, line) in lines.iter().filter(|l| !says(l, "setsid -f bash")).enumerate() {
        places.push((
            format!("command line {n}: {}", String::from_utf8_lossy(line)),
            line.clone(),
        ));
    }
    for (place, bytes) in &places {
        for secret in SECRETS {
            assert!(!says(bytes, secret), "{} is in {place}\n{text}", &secret[..11]);
        }
    }
}

#[test]
fn many_proved_targets_do_not_bury_the_dangerous_one() {
    let Some(desk) = desk::Desk::new() else { return };
    let mut triggers = String::from("      - {id: by-hand, manual: Settings / Agents / Off}\n");
    for n in 0..12 {
        let path = desk.home().join(format!("tab-{n}"));
        desk.file(&format!("tab-{n}"), "0 3 * * * root nightly-bot\n");
        triggers += &format!(
            "      - {{id: tab-{n}, cron: {{file: {}, contains: nightly-bot}}}}\n",
            path.display()
        );
    }
    let access = format!("version: 1\nagents:\n  - name: bot\n    triggers:\n{triggers}");
    desk.file("incident/access.yaml", &access);
    let told = desk.incident(&["stop"]);
    // What hangs would otherwise not be on the screen before it failed.
    let (told, beside) = told.split_once("[stderr]").unwrap();
    let at_once = beside.split_once("at once").unwrap().1.replace('\n', " ");
    assert!(
        at_once.contains("by-hand") && at_once.contains("tab-7"),
        "{beside}"
    );
    let row = |text: &str, name: &str| text.lines().position(|l| l.split_whitespace().any(|w| w == name));
    assert!(
        row(told, "by-hand").is_some() && row(told, "tab-7").is_none(),
        "{told}"
    );
    assert!(
        told.contains("confirmed") && told.contains("12 targets"),
        "{told}"
    );
    assert!(told.contains("incident status --all"), "{told}");
    assert!(
        row(told, "by-hand") < told.lines().position(|l| l.contains("12 targets")),
        "{told}"
    );
    let all = desk.incident(&["status", "--all"]);
    assert!(row(&all, "by-hand") < row(&all, "tab-7"), "{all}");
    assert!(
        all.contains("· by-hand unproved ·"),
        "the line of truth names it:\n{all}"
    );
    let json = desk.incident(&["--json", "status"]);
    assert_eq!(json.matches("\"id\":\"tab-").count(), 12, "{json}");
}

//! Every collector over a host full of secrets, and every other way for words into the record, with originals
//! sealed beside: none of the secrets is in the record, a copy of it, the bundle or on the screen.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use aho_corasick::AhoCorasick;
use incident::collectors::{Table, by_name, names};
use serde_json::Value;

use crate::providers::mysql::Maria;
use crate::providers::redis::Redis;
use crate::redact::{in_base64, leaks, lookalikes, planted, utf16};
use crate::support::desk::{Desk, PROGRAM};
use crate::support::network_world;
use crate::support::servers::Pg;
use crate::support::stub::{Stub, say};

fn below(folder: &Path) -> Vec<PathBuf> {
    let (mut all, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(path) = open.pop() {
        match path.is_dir() {
            true => open.extend(std::fs::read_dir(&path).unwrap().flatten().map(|e| e.path())),
            false => all.push(path),
        }
    }
    all
}

/// Who could open the originals. The private half was thrown away.
const KEY: &str = "age16wyr9w4wccswf8fckhn2npt084w8wpz5ad6syqydprxm5aafcyqsr2dtvv";

const RUNBOOK: &str = "\
version: 1
name: shop
boundary: { inside: [read], at: [config-change] }
evidence: { seal-originals-to: [{person: kim@vendor.example, key: KEY}] }
stages:
  stop: [ {revoke: all} ]
  assess:
    - { id: host, capture: host }
    - { id: damage, ask: What is gone? }
  contain:
    - { id: page, manual: Put the page up., effects: [read] }
";

/// Runs the program beside a process and a container whose words hold secrets.
fn incident(desk: &Desk, args: &[&str]) -> Output {
    let mut command = desk.jailed("sh");
    let script = "mount -t tmpfs none /usr/local/bin && cp bin/docker bin/aws /usr/local/bin/ && \
                  (exec bash -c \'exec -a \"agent --token=$(cat one-token)\" sleep 60\' > /dev/null 2>&1) & sleep 0.1; \"$@\"";
    command.args(["-c", script, "sh", PROGRAM]).args(args);
    command.stdin(Stdio::null()).output().unwrap()
}

/// Each collector of a profile kept something here, under its own name.
fn whole(desk: &Desk, profile: &Table, absent: impl Fn(&str) -> bool) {
    let journal = desk.journal();
    let records: Vec<Value> = journal
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let begun = records.iter().find(|r| {
        r["type"] == "capture.started" && r["what"]["spec"]["collector"]["name"] == profile.name.as_str()
    });
    let seq = &begun.unwrap_or_else(|| panic!("{} was not taken", profile.name))["seq"];
    let of_it = |r: &&Value| r["what"]["capture"] == *seq || r["what"]["of"] == *seq;
    let items: Vec<&Value> = records
        .iter()
        .filter(of_it)
        .filter_map(|r| r["what"]["items"].as_array())
        .flatten()
        .collect();
    for part in profile.parts.iter().filter(|part| !absent(part)) {
        let name = format!("{part}-");
        let kept = items
            .iter()
            .filter(|i| i["status"] == "collected" && i["name"].as_str().unwrap().contains(&name));
        assert!(
            kept.count() > 0,
            "{} keeps nothing of {part}: {items:#?}",
            profile.name
        );
    }
}

#[test]
fn nothing_planted_comes_through_any_collector() {
    let Some(desk) = Desk::new() else { return };
    let world = network_world();
    let mut all = planted();
    all.extend(in_base64());
    let text: String = all.iter().map(|(text, _)| format!("{text}\n")).collect();
    let one = all[0].1.clone();
    let (json, sql) = (serde_json::to_string(&text).unwrap(), one.replace('\'', "''"));

    assert!(all.len() >= 360, "{}", all.len());
    desk.file("incident/runbook.yaml", &RUNBOOK.replace("KEY", KEY));
    desk.file("one-token", &one);
    let wide = desk.home().join("wide.log");
    std::fs::write(&wide, utf16(&text, false, true)).unwrap();
    // Some of them are made of the same signs as a secret.
    let mut plain = lookalikes();
    plain.retain(|text| !all.iter().any(|(_, secret)| leaks(text.as_bytes(), secret)));
    assert!(plain.len() > 50, "{}", plain.len());
    let plain = plain.join("\n");
    desk.file("plain.log", &plain);
    for place in [
        "folder/a.log",
        "logs/app.log",
        ".claude/projects/p/s.jsonl",
        "repo/.env",
        "shop/runner",
    ] {
        desk.file(place, &text);
    }
    let echo = format!(
        "#!/bin/sh\ncase \"$*\" in *quiet*) echo c0ffee;; *) cat {}/folder/a.log;; esac\n",
        desk.home().display()
    );
    desk.file("bin/docker", &echo);
    desk.file("bin/aws", &echo);
    for program in ["bin/docker", "bin/aws"] {
        let chmod = Command::new("chmod")
            .arg("755")
            .arg(desk.home().join(program))
            .status();
        assert!(chmod.unwrap().success());
    }
    desk.file(
        "shop/terraform.tfstate",
        &format!("{{\"version\":4,\"serial\":1,\"lineage\":\"l\",\"outputs\":{{}},\"resources\":[{{\"type\":\"t\",\"name\":\"n\",\"instances\":[{{\"attributes\":{{\"id\":{json},\"token\":{json}}}}}]}}]}}"),
    );
    let repo = desk.home().join("repo");
    for args in [
        &["init", "-q"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "commit",
            "-qm",
            &one,
        ],
    ] {
        let git = Command::new("git").args(args).current_dir(&repo).status();
        assert!(git.unwrap().success());
    }
    let body = text.clone();
    let pods = format!(
        "{{\"metadata\":{{}},\"items\":[{{\"metadata\":{{\"namespace\":\"n\",\"name\":\"p\"}},\"spec\":{{\"containers\":[{{\"name\":\"c\",\"env\":{json}}}]}}}}]}}"
    );
    let stub = Stub::start(move |_, seen| match seen.path.contains("/api/v1/pods?") {
        true => say(200, &pods),
        false => say(200, &body),
    });
    let address = stub.address();
    let address = address.trim_end_matches('/');
    desk.file("kube-token", "made-up-token-of-the-cluster");

    let mut runs: Vec<Vec<String>> = vec![vec!["host".into()]];
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<String>>();
    let home = desk.home().display().to_string();
    runs.push(words(&format!("agents of={home}")));
    runs.push(words(&format!("logs folder={home}/logs")));
    runs.push(words("containers"));
    runs.push(words("cloudtrail user=deploy-bot"));
    runs.push(words(&format!("backups paths={home}/folder")));
    runs.push(words(&format!("terraform state={home}/shop/terraform.tfstate")));
    runs.push(words(&format!("http url={address}/status")));
    runs.push(words(&format!(
        "kubernetes api={address} token=file:{home}/kube-token"
    )));
    runs.push(words(&format!("repository repo={home}/repo")));
    runs.push(words(&format!("--file {home}/folder")));
    runs.push(words(&format!("--git {home}/repo")));
    let pg = Pg::start(&world);
    if let Some(pg) = &pg {
        pg.run(&world, &format!("create table t (a text default '{sql}'); create role secretive login password 'tr0ub4dor-and-3-more'"));
        desk.file("pg-url", &pg.admin());
        runs.push(words(&format!("postgres url=file:{home}/pg-url")));
    }
    let maria = Maria::start(&world, &[]);
    if let Some(maria) = &maria {
        maria.run(
            &world,
            &format!("create database shop; create table shop.t (a varchar(200) default '{sql}')"),
        );
        desk.file("my-url", &maria.root());
        runs.push(words(&format!("mysql url=file:{home}/my-url")));
    }
    let redis = Redis::start(&world);
    if let Some(redis) = &redis {
        desk.file("redis-url", &redis.url("desk", "desk"));
        runs.push(words(&format!("redis url=file:{home}/redis-url")));
    }
    let absent = [
        ("postgres", pg.is_none()),
        ("mysql", maria.is_none()),
        ("redis", redis.is_none()),
    ];
    // A profile is given all that its collectors were given alone.
    let alone = runs.clone();
    let profiles: Vec<Table> = names()
        .filter_map(by_name)
        .filter(|t| !t.parts.is_empty())
        .collect();
    for profile in &profiles {
        let mut run = vec![profile.name.clone()];
        for part in &profile.parts {
            let given = alone.iter().find(|run| run[0] == *part).into_iter();
            run.extend(given.flat_map(|run| run[1..].iter().map(|g| format!("{part}.{g}"))));
        }
        runs.push(run);
    }
    // A collector that is added later is tried, too, or this fails.
    let tried: BTreeSet<&str> = runs.iter().map(|run| run[0].as_str()).collect();
    let missing: Vec<&str> = names().filter(|n| !tried.contains(n)).collect();
    assert!(missing.iter().all(|m| absent.contains(&(m, true))), "{missing:?}");

    let mut said = Vec::new();
    let opened = incident(&desk, &["start", "--yes"]);
    assert!(
        opened.status.code().is_some_and(|c| c == 3 || c == 4),
        "{opened:?}"
    );
    said.push(opened);
    for run in &runs {
        let mut args = vec!["capture"];
        args.extend(run.iter().map(String::as_str));
        let out = incident(&desk, &args);
        assert_eq!(
            out.status.code(),
            Some(0),
            "{run:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        let plan = incident(&desk, &[&args[..], &["--plan"]].concat());
        assert_eq!(plan.status.code(), Some(0), "{run:?}");
        said.extend([out, plan]);
    }
    for profile in &profiles {
        whole(&desk, profile, |part| absent.contains(&(part, true)));
    }
    // Other ways into the record: words of people, acts, what is refused, files, what changed.
    let delete = ["curl", "-X", "DELETE", "http://127.0.0.1:9/"];
    // One word of a command line holds 128 KiB.
    for texts in all.chunks(all.len().div_ceil(4)) {
        let text: String = texts.iter().map(|(text, _)| format!("{text}\n")).collect();
        for args in [
            &["note", &text][..],
            &["did", &text],
            &["answer", "damage", &text],
            &["window", &text, "--until", "48h", "--hold", &text],
            &["skip", "page", &text],
            &["do", "--why", &text, "--", "cat", "folder/a.log"],
            &[&["do", "--why", &text, "--"][..], &delete].concat(),
        ] {
            let out = incident(&desk, args);
            assert!(out.status.code().is_some_and(|c| c != 101), "{args:?}: {out:?}");
            said.push(out);
        }
    }
    for args in [
        &["attach", "folder/a.log"][..],
        &["attach", "wide.log"],
        &["attach", "plain.log"],
        &["do", "--", "cat", &one],
        &[
            "capture",
            "postgres",
            &format!("url=postgres://u:{one}@127.0.0.1/x"),
        ],
        &["capture", "postgres", "url=file:one-token"],
        &["watch", "--every", "1s", "--for", "1s"],
    ] {
        let out = incident(&desk, args);
        assert!(out.status.code().is_some_and(|c| c != 101), "{args:?}: {out:?}");
        said.push(out);
    }
    let mut looks = Vec::new();
    for texts in [&all[..all.len() / 2], &all[all.len() / 2..]] {
        let half: String = texts.iter().map(|(text, _)| format!("{text}\n")).collect();
        desk.file("changing.log", &half);
        said.push(incident(&desk, &["capture", "--file", "changing.log"]));
        let journal = desk.journal();
        let begun = journal
            .lines()
            .rfind(|line| line.contains("\"type\":\"capture.started\""));
        let record: Value = serde_json::from_str(begun.unwrap()).unwrap();
        looks.push(record["seq"].to_string());
    }
    let compared = incident(&desk, &["compare", &looks[0], &looks[1], "--lines"]);
    assert!(
        String::from_utf8_lossy(&compared.stdout).contains("REDACTED"),
        "{compared:?}"
    );
    said.push(compared);
    said.push(incident(&desk, &["seal"]));
    let bundle = desk.home().join("incident.tar");
    said.push(incident(&desk, &["bundle", "-o", bundle.to_str().unwrap()]));
    assert!(bundle.exists(), "{:?}", said.last());
    for args in [
        &["report"][..],
        &["report", "--format", "json"],
        &["status", "--json"],
        &["timeline"],
        &["brief"],
        &["handoff"],
        &["verify", bundle.to_str().unwrap()],
        &["evidence", "show", "--in", bundle.to_str().unwrap()],
        &[
            "evidence",
            "grep",
            "(?i)passw|token",
            "--in",
            bundle.to_str().unwrap(),
        ],
    ] {
        said.push(incident(&desk, args));
    }
    // The copy of the record elsewhere.
    let records = desk.home().join("records.git");
    let made = Command::new("git")
        .args(["init", "-q", "--bare"])
        .arg(&records)
        .status();
    assert!(made.unwrap().success());
    let script = "\"$1\" mirror git:$HOME/records.git; n=0; \
                  until \"$1\" mirror > /dev/null; do n=$((n+1)); [ $n -lt 100 ] || exit 9; sleep 0.1; done";
    let mirrored = desk
        .jailed("sh")
        .args(["-c", script, "sh", PROGRAM])
        .output()
        .unwrap();
    assert!(mirrored.status.success(), "{mirrored:?}");
    said.push(mirrored);
    let copy = desk.home().join("copy");
    let clone = Command::new("git")
        .args(["clone", "-q", "--branch", &desk.id()])
        .args([&records, &copy])
        .status();
    assert!(clone.unwrap().success());

    let mut secrets: BTreeSet<String> = all.into_iter().map(|(_, secret)| secret).collect();
    secrets.extend([
        "tr0ub4dor-and-3-more".to_owned(),
        "made-up-token-of-the-cluster".to_owned(),
    ]);
    assert!(secrets.len() > 60);
    // Short words that stand for passwords also stand elsewhere.
    secrets.retain(|secret| secret.len() >= 12);
    let store = desk.home().join(".local/share/incident");
    let mut places: Vec<(String, Vec<u8>)> = below(&store)
        .into_iter()
        .filter(|path| !path.components().any(|c| c.as_os_str() == "undo") && !path.ends_with("case.key"))
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        // What is reserved for the journal is long, and nothing yet.
        .filter(|(_, bytes)| bytes.iter().any(|b| *b != 0))
        .collect();
    let journal = copy.join(desk.id());
    let copied: Vec<u8> = below(&journal)
        .iter()
        .flat_map(|f| std::fs::read(f).unwrap())
        .collect();
    assert!(copied.len() > 100_000, "{}", copied.len());
    places.push(("the mirror".to_owned(), copied));
    places.push(("the bundle".to_owned(), std::fs::read(&bundle).unwrap()));
    for out in &said {
        places.push(("the screen".to_owned(), [&out.stdout[..], &out.stderr].concat()));
    }
    // As it is, its end, and in UTF-16; all of them in one look.
    let mut spelt: Vec<(Vec<u8>, &String)> = Vec::new();
    for secret in &secrets {
        spelt.push((secret.as_bytes().to_vec(), secret));
        spelt.push((utf16(secret, false, false), secret));
        if secret.len() >= 24 {
            spelt.push((secret.as_bytes()[secret.len() - 12..].to_vec(), secret));
        }
    }
    let search = AhoCorasick::new(spelt.iter().map(|(spelling, _)| spelling)).unwrap();
    let mut leaked = BTreeSet::new();
    for (place, bytes) in &places {
        let found = search.find_overlapping_iter(bytes);
        leaked.extend(found.map(|m| format!("{} is in {place}", spelt[m.pattern().as_usize()].1)));
    }
    assert!(leaked.is_empty(), "{} leaked:\n{leaked:#?}", leaked.len());
    assert!(
        places
            .iter()
            .any(|(p, bytes)| p.ends_with("file-plain.log") && *bytes == plain.as_bytes()),
        "what only looks like a secret stays"
    );
    let sealed = places.iter().filter(|(p, _)| p.ends_with(".age")).count();
    assert!(sealed > 20, "{sealed} originals");
    let receipts: usize = places
        .iter()
        .filter(|(p, _)| p.ends_with("redactions.json"))
        .map(|(_, b)| String::from_utf8_lossy(b).matches("\"fingerprint\"").count())
        .sum();
    assert!(receipts > 1_000, "{receipts} receipts");
}

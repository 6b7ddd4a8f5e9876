//! `incident drill`, the built program: in a jail, with and without a terminal.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use rexpect::session::PtySession;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_incident");
const SYSTEM: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command in a PID namespace of its own, with an empty environment and a made-up home; `None`, loudly,
/// where no such place can be made.
fn jailed(home: &Path) -> Option<Command> {
    let mut namespaces = vec!["--pid", "--fork", "--kill-child", "--mount-proc"];
    if !rustix::process::geteuid().is_root() {
        namespaces.extend(["--user", "--map-root-user"]);
    }
    let mut can = Command::new("unshare");
    if !can
        .args(&namespaces)
        .arg("true")
        .status()
        .is_ok_and(|s| s.success())
    {
        crate::support::not_tested("a PID namespace");
        return None;
    }
    let mut command = Command::new("unshare");
    command
        .args(namespaces)
        .args(["env", "-i", SYSTEM, "TERM=xterm", "NO_COLOR=1"]);
    command.arg(format!("HOME={}", home.display()));
    Some(command)
}

/// `incident` with these arguments, without a terminal, its store in `home/cases`.
fn incident(home: &Path, args: &[&str]) -> Option<Output> {
    let mut command = jailed(home)?;
    command.args([PROGRAM, "--store", "cases"]).args(args);
    Some(command.current_dir(home).stdin(Stdio::null()).output().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The only record below `home/cases`: its name and its journal.
fn record(home: &Path) -> (String, String) {
    let cases: Vec<_> = std::fs::read_dir(home.join("cases"))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let [case] = cases.as_slice() else {
        panic!("{cases:?}")
    };
    let journal = std::fs::read_to_string(case.path().join("journal.jsonl")).unwrap();
    (case.file_name().into_string().unwrap(), journal)
}

#[test]
fn without_a_terminal_the_careful_player_plays_and_the_screen_shows_why_to_believe_it() {
    let home = tempfile::tempdir().unwrap();
    let Some(out) = incident(home.path(), &["drill", "--seed", "1"]) else {
        return;
    };
    let (screen, aside) = (text(&out.stdout), text(&out.stderr));
    assert_eq!(out.status.code(), Some(0), "{screen}\n{aside}");
    assert_eq!(
        aside,
        "There is no terminal to ask at, so the scripted player `careful` plays this drill.\n"
    );
    let (id, journal) = record(home.path());
    assert!(id.starts_with("DRILL-"), "{id}");
    for words in [
        "DRILL · Nine seconds · seed 1 · nothing real is touched",
        "48211",
        " refused (new use)  dns-cli",
        " unknown            access nobody listed",
        "the time in which Harbor can bring back vol-bookings",
        "outside the boundary (script.not-text): 2 other people",
        "signs        ben@example.com",
        "signs        kim@vendor.example",
        "boundary, signed for in request",
        "recovered    the probe passed",
        "Score 100 of 100",
        &format!(
            "incident verify {}",
            home.path().join("cases").join(&id).display()
        ),
    ] {
        assert!(screen.contains(words), "`{words}` is missing:\n{screen}");
    }
    let truth: Vec<_> = screen
        .lines()
        .skip(1)
        .filter(|l| l.starts_with("DRILL-…-"))
        .collect();
    assert_eq!(truth.len(), 4, "one a stage:\n{screen}");
    assert!(
        screen
            .lines()
            .all(|line| line.chars().count() <= 100 || line.contains("/cases/")),
        "{screen}"
    );
    assert!(journal.lines().count() > 50);
}

#[test]
fn one_seed_is_one_journal_and_is_never_written_over() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let drill = ["drill", "--auto", "careful", "--seed", "42"];
    let Some(first) = incident(one.path(), &drill) else {
        return;
    };
    assert_eq!(first.status.code(), Some(0));
    incident(two.path(), &drill).unwrap();
    assert!(record(one.path()) == record(two.path()), "the journals differ");
    let again = incident(one.path(), &drill).unwrap();
    assert_eq!(again.status.code(), Some(2));
    assert!(
        text(&again.stderr).contains("was played with this seed before"),
        "{}",
        text(&again.stderr)
    );
    assert!(
        again.stdout.is_empty(),
        "nothing is played: {}",
        text(&again.stdout)
    );
    assert!(record(one.path()) == record(two.path()), "the record changed");
}

#[test]
fn a_drill_is_no_incident() {
    let home = tempfile::tempdir().unwrap();
    let hasty = ["drill", "--auto", "hasty", "--seed", "3"];
    let Some(out) = incident(home.path(), &hasty) else {
        return;
    };
    assert_eq!(
        out.status.code(),
        Some(0),
        "a poor score is no failure of the tool"
    );
    let (id, journal) = record(home.path());
    assert!(!journal.contains("incident.closed"), "it was left open");
    let bare = incident(home.path(), &[]).unwrap();
    assert_eq!(
        (bare.status.code(), text(&bare.stdout).lines().next()),
        (Some(0), Some("No incident is open."))
    );
    for command in [
        vec!["resume"],
        vec!["run", "bring-bookings-back"],
        vec!["close", "over"],
    ] {
        let out = incident(home.path(), &[vec!["--incident", &id], command.clone()].concat()).unwrap();
        assert_eq!(out.status.code(), Some(2), "{command:?}: {}", text(&out.stderr));
        assert!(
            text(&out.stderr).contains("is the record of a drill"),
            "{}",
            text(&out.stderr)
        );
    }
    assert!(record(home.path()).1 == journal);
}

#[test]
fn the_record_of_a_drill_verifies_and_is_never_continued_by_the_real_world() {
    let home = tempfile::tempdir().unwrap();
    let Some(_) = incident(home.path(), &["drill", "--auto", "careful"]) else {
        return;
    };
    let (id, journal) = record(home.path());
    let out = incident(home.path(), &["verify", &format!("cases/{id}")]).unwrap();
    let said = text(&out.stdout);
    assert_eq!(
        out.status.code(),
        Some(11),
        "nobody outside vouches for it:\n{said}"
    );
    for words in ["unchanged: yes", "complete: yes", "ben@example.com"] {
        assert!(said.contains(words), "`{words}` is missing:\n{said}");
    }
    let report = incident(home.path(), &["report", "--incident", &id]).unwrap();
    assert!(text(&report.stdout).contains("This is the record of a drill."));
    // Nobody takes the newest record for an incident that is going on.
    let status = text(&incident(home.path(), &["status"]).unwrap().stdout);
    assert!(
        status.starts_with("No incident is open. What follows is the newest drill"),
        "{status}"
    );
    // A bundle begins with a record of its sealing, and that would be written by this machine.
    let bundled = incident(home.path(), &["bundle", "--incident", &id, "-o", "drill.tar"]).unwrap();
    assert_eq!(bundled.status.code(), Some(2), "{}", text(&bundled.stderr));
    assert!(!home.path().join("drill.tar").exists());
    assert!(record(home.path()).1 == journal);
}

#[test]
fn json_is_the_events_as_lines_and_the_score_last() {
    let home = tempfile::tempdir().unwrap();
    let Some(out) = incident(home.path(), &["drill", "--seed", "5", "--json"]) else {
        return;
    };
    assert_eq!(out.status.code(), Some(0));
    let lines: Vec<Value> = text(&out.stdout)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let (last, events) = lines.split_last().unwrap();
    let (id, journal) = record(home.path());
    let written: Vec<Value> = journal
        .lines()
        .skip(1)
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let kinds = |values: &[Value]| values.iter().map(|v| v["type"].clone()).collect::<Vec<_>>();
    assert_eq!(
        kinds(events),
        kinds(&written),
        "every record after the first is told"
    );
    let result = &last["result"];
    assert_eq!(
        (&last["exit"], &result["incident"]),
        (&Value::from(0), &Value::from(id))
    );
    assert_eq!(
        (&result["player"], &result["seed"]),
        (&Value::from("careful"), &Value::from(5))
    );
    assert_eq!(result["sheet"]["total"], 100, "{result}");
    assert_eq!(result["sheet"]["parts"].as_array().unwrap().len(), 5);
    assert!(
        Path::new(result["case"].as_str().unwrap())
            .join("journal.jsonl")
            .is_file()
    );
}

#[test]
fn what_cannot_be_played_is_said_with_its_exit_code() {
    let home = tempfile::tempdir().unwrap();
    for (args, code, words) in [
        (
            ["drill", "ten-seconds"].as_slice(),
            2,
            "there is no drill `ten-seconds`; there are: nine-seconds, nobody-answers",
        ),
        (
            &["drill", "--auto", "asleep"],
            2,
            "`asleep` is no player; there are: careful, hasty",
        ),
        (
            &["--store", "/proc/nothing", "drill"],
            1,
            "the drill's record cannot be kept",
        ),
    ] {
        let Some(mut command) = jailed(home.path()) else {
            return;
        };
        let out = command
            .arg(PROGRAM)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(code), "{args:?}: {}", text(&out.stderr));
        assert!(
            text(&out.stderr).contains(words),
            "{args:?}: {}",
            text(&out.stderr)
        );
    }
}

/// The program at a terminal of 100 columns.
fn at_a_terminal(home: &Path, args: &str) -> Option<PtySession> {
    let mut command = jailed(home)?;
    let script = format!("stty cols 100 rows 40; exec {PROGRAM} --store cases {args}");
    command.args(["sh", "-c", &script]).current_dir(home);
    Some(rexpect::session::spawn_command(command, Some(30_000)).unwrap())
}

/// Waits for the end of the program and checks its exit code.
fn ended(p: &PtySession, code: i32) {
    // The type of a status is not exported by rexpect; its words are.
    let status = format!("{:?}", p.process().wait().unwrap());
    assert!(
        status.starts_with("Exited") && status.ends_with(&format!(", {code})")),
        "{status}"
    );
}

/// Chooses the nth of a menu that ends with leaving.
fn choose(p: &mut PtySession, question: &str, nth: usize) {
    p.exp_string(question).unwrap();
    p.exp_string("Leave the drill").unwrap();
    p.send(&format!("{}\r", "\x1b[B".repeat(nth))).unwrap();
    p.flush().unwrap();
}

fn say(p: &mut PtySession, question: &str, words: &str) {
    p.exp_string(question).unwrap();
    p.send(&format!("{words}\r")).unwrap();
    p.flush().unwrap();
}

#[test]
fn a_person_who_reads_before_answering_plays_to_the_end() {
    let home = tempfile::tempdir().unwrap();
    let Some(mut p) = at_a_terminal(home.path(), "drill --seed 1") else {
        return;
    };
    p.exp_string("You are ana@example.com").unwrap();
    p.exp_string("0 rows in bookings").unwrap();
    say(&mut p, "Enter cuts it now", "");
    p.exp_string("Stop took").unwrap();
    p.exp_string("refused (new use)").unwrap();
    p.exp_string("harbor-audit says:").unwrap();
    p.exp_string("action=volume-deleted").unwrap();
    for (claim, answer) in [
        (
            "Only staging was touched",
            "refuted: the audit log shows vol-bookings of production",
        ),
        (
            "A backup from tonight exists",
            "refuted: no backup of bookings is listed",
        ),
        (
            "No other volume is affected",
            "refuted: an operation on vol-photos was asked for",
        ),
        (
            "I did not change the payment key",
            "supported: the audit log holds no rotation",
        ),
    ] {
        p.exp_string(claim).unwrap();
        say(&mut p, "Answer (empty", answer);
    }
    say(&mut p, "Seal the baseline now?", "y");
    say(&mut p, "What is not known yet?", "");
    choose(&mut p, "Run it now?", 0);
    choose(&mut p, "Nothing of it may change", 1);
    p.exp_string("Which step is skipped?").unwrap();
    p.exp_string("rotate-payment-key").unwrap();
    p.send("\x1b[B\r").unwrap();
    p.flush().unwrap();
    say(&mut p, "Why is it skipped?", "nothing shows that this is needed");
    choose(&mut p, "Nothing of it may change", 0);
    choose(&mut p, "Other people must sign", 0);
    say(&mut p, "Your own signing key", "");
    p.exp_string("ben@example.com read it and signs").unwrap();
    p.exp_string("kim@vendor.example read it and signs").unwrap();
    choose(&mut p, "Run it now?", 0);
    choose(&mut p, "Take `pause-booking-desk` back", 0);
    choose(&mut p, "Prove it?", 0);
    p.exp_string("Recovered: every probe passed").unwrap();
    say(&mut p, "Last words", "handed over to the day shift");
    p.exp_string("Score 100 of 100").unwrap();
    p.exp_string("DRILL over").unwrap();
    p.exp_eof().unwrap();
    ended(&p, 0);
    let (_, journal) = record(home.path());
    assert!(
        journal.contains("\"type\":\"incident.recovered\"")
            && journal.contains("\"type\":\"incident.closed\"")
    );
}

#[test]
fn ctrl_c_leaves_a_drill_with_its_record_and_nothing_to_resume() {
    let home = tempfile::tempdir().unwrap();
    let Some(mut p) = at_a_terminal(home.path(), "drill") else {
        return;
    };
    say(&mut p, "Enter cuts it now", "");
    p.exp_string("Answer (empty").unwrap();
    p.send_control('c').unwrap();
    p.exp_string("you left the drill").unwrap();
    p.exp_string("Nothing is to be taken up").unwrap();
    p.exp_eof().unwrap();
    ended(&p, 130);
    let (id, journal) = record(home.path());
    assert!(id.starts_with("DRILL-") && journal.contains("\"type\":\"stop.ended\""));
}

#[test]
fn promise_11_a_traced_drill_opens_no_socket_sends_no_signal_and_writes_only_its_record() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("trace");
    let calls = "trace=%network,%file,kill,tkill,tgkill,pidfd_send_signal,process_vm_readv";
    let Some(mut command) = jailed(home.path()) else {
        return;
    };
    command.args(["strace", "-f", "-qq", "-e", calls, "-o"]).arg(&log);
    command.args([PROGRAM, "--store", "cases", "drill", "--auto", "careful"]);
    let traced = command
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if traced.status.code() == Some(127) {
        crate::support::not_tested("strace");
        return;
    }
    assert!(traced.status.success(), "{}", text(&traced.stderr));
    let trace = std::fs::read_to_string(&log).unwrap();
    let cases = home.path().join("cases");
    let (mut ours, mut execs) = (0, 0);
    let calls = trace
        .lines()
        .filter_map(|l| l.split_once(' '))
        .map(|(_, call)| call.trim_start());
    for call in calls.filter(|c| !c.starts_with(['<', '+', '-'])) {
        let name = call.split('(').next().unwrap();
        match name {
            "execve" => execs += 1,
            // How Ctrl-C wakes this very process: a pair of pipe ends with no name and no address.
            "socketpair" => assert!(call.starts_with("socketpair(AF_UNIX,"), "{call}"),
            "recvfrom" => assert!(
                call.contains("NULL, NULL") || call.contains("unfinished"),
                "{call}"
            ),
            "stat" | "lstat" | "newfstatat" | "statx" | "access" | "faccessat2" | "readlink"
            | "readlinkat" | "getcwd" | "statfs" => {}
            "open" | "openat"
                if !["O_WRONLY", "O_RDWR", "O_CREAT"]
                    .iter()
                    .any(|flag| call.contains(flag)) => {}
            // A name below a folder that was opened before, or an absolute path below the cases.
            "open" | "openat" | "mkdir" | "mkdirat" | "rename" | "renameat" | "renameat2" | "link"
            | "linkat" | "unlink" | "unlinkat" | "chmod" | "fchmodat" => {
                let path = Path::new(call.split('"').nth(1).unwrap_or_default());
                let first = call.split('(').nth(1).unwrap_or_default();
                let by_folder = first.starts_with(|c: char| c.is_ascii_digit());
                assert!(
                    path.starts_with(&cases) || (by_folder && path.is_relative()),
                    "{call}"
                );
                ours += 1;
            }
            _ => panic!("a drill has no business with {call}"),
        }
    }
    assert_eq!(execs, 1, "the drill itself and nothing else");
    assert!(
        ours > 100,
        "only {ours} calls wrote anything: was a drill played?"
    );
}

/// The agent deleted a volume, a responder brought it back, and the platform did the rest by itself: three kinds of
/// lines, each only where the record shows it.
#[test]
fn what_the_agent_did_and_what_responders_did_are_told_apart() {
    let home = tempfile::tempdir().unwrap();
    let Some(out) = incident(home.path(), &["drill", "--seed", "1"]) else {
        return;
    };
    assert_eq!(out.status.code(), Some(0));
    let json = |args: &[&str]| -> Value {
        let out = incident(home.path(), args).unwrap();
        serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out:?}"))
    };
    let (_, journal) = record(home.path());
    let records: Vec<Value> = journal
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let began = |step: &str| {
        let is_it = |r: &&Value| r["type"] == "act.started" && r["what"]["step"] == step;
        records.iter().find(is_it).unwrap()["seq"].clone()
    };
    let stop = records.iter().find(|r| r["type"] == "stop.started").unwrap();
    let compared = json(&["compare", "--json"]);
    let look = |name: &str| {
        let all = compared["compared"].as_array().unwrap();
        let is_it = |c: &&Value| c["name"].as_str().unwrap().ends_with(name);
        all.iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("{name}: {compared}"))
    };
    let of = |look: &Value, whose: &str| -> Vec<Value> {
        let lines = look["lines"].as_array().unwrap().iter();
        lines.filter(|l| l["whose"] == whose).cloned().collect()
    };

    // The platform's own log says who did what with whose token, and when.
    let audit = look("/v1/audit");
    let agents = of(audit, "agent");
    assert!(!agents.is_empty(), "{audit}");
    assert!(
        agents
            .iter()
            .any(|l| l["text"].as_str().unwrap().contains("vol-bookings"))
    );
    for line in &agents {
        let text = line["text"].as_str().unwrap();
        let row: Value = serde_json::from_str(text.split_once(": ").unwrap().1).unwrap();
        assert!(
            ["tok-dns", "tok-staging"].contains(&row["by"].as_str().unwrap()),
            "{text}"
        );
        assert_eq!(row["by"], line["names"], "{text}");
        assert!(row["at"].as_str() < stop["ts"].as_str(), "{text}");
    }
    let volumes = look("/v1/volumes");
    let responders = of(volumes, "responders");
    let ways: Vec<&str> = responders.iter().map(|l| l["way"].as_str().unwrap()).collect();
    assert_eq!(ways, ["-", "+"], "{volumes}");
    for line in &responders {
        assert_eq!(
            line["acts"],
            serde_json::json!([began("bring-bookings-back")]),
            "{line}"
        );
        assert!(
            line["text"].as_str().unwrap().contains("\"id\":\"vol-bookings\""),
            "{line}"
        );
    }
    // The copies came back with their volume: no act names them, and so nobody is named.
    let backups = look("/v1/backups");
    assert!(
        of(backups, "agent").is_empty() && of(backups, "responders").is_empty(),
        "{backups}"
    );
    assert!(backups["apart"]["unknown"].as_u64() > Some(0), "{backups}");
    // What the agent wrote down about itself is no proof of what it did.
    let transcript = look(".claude/projects");
    assert_eq!(transcript["apart"]["agent"], 0, "{transcript}");

    // The record kept it when the incident was recovered, and the report says the same without the exhibits.
    let report = json(&["report", "--format", "json"]);
    let kept = report["captures"].as_array().unwrap().iter();
    let kept: Vec<Value> = kept.filter_map(|c| c["against"].get("apart").cloned()).collect();
    let all = compared["compared"].as_array().unwrap().iter();
    let now: Vec<Value> = all.map(|c| c["apart"].clone()).collect();
    assert_eq!(kept, now);
    let report = text(&incident(home.path(), &["report"]).unwrap().stdout);
    assert!(report.contains("; lines by the agent: "), "{report}");
    let page = text(
        &incident(home.path(), &["report", "--format", "html"])
            .unwrap()
            .stdout,
    );
    assert!(page.starts_with("<!doctype html>"), "{page}");
    assert!(page.contains("; lines by the agent: "), "{page}");
    let headings = |text: &str, begin: &str| text.lines().filter(|l| l.starts_with(begin)).count();
    assert_eq!(headings(&page, "<h2>"), headings(&report, "## "), "{page}");
}

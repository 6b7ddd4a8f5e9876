//! The walk at a real terminal: questions, Ctrl-C, a crash, two terminals.

use std::time::Duration;

use rexpect::session::PtySession;

use crate::cli::{in_contain, prepared};
use crate::support::desk::Desk;

/// A step that runs for longer than any test waits.
const SLOW: &str = "    - id: page-on
      why: Nobody may write to the damaged shop.
      run: [sleep, \"60\"]
      effects: [traffic]
      undo: {run: [sleep, \"0\"]}
";
/// The same step as the plan has it.
const QUICK: &str = "    - id: page-on
      why: Nobody may write to the damaged shop.
      run: [sleep, \"0\"]
      effects: [traffic]
      undo: {run: [sleep, \"0\"]}
";

fn say(p: &mut PtySession, question: &str, words: &str) {
    p.exp_string(question).unwrap();
    p.send(&format!("{words}\r")).unwrap();
    p.flush().unwrap();
}

/// Chooses the nth of a menu that ends with leaving, or begins with it.
fn choose(p: &mut PtySession, question: &str, nth: usize) {
    p.exp_string(question).unwrap();
    p.exp_string("Leave here").unwrap();
    p.send(&format!("{}\r", "\x1b[B".repeat(nth))).unwrap();
    p.flush().unwrap();
}

/// Waits for the end and checks the exit code.
fn ended(p: &mut PtySession, code: i32) -> String {
    let rest = p.exp_eof().unwrap();
    // The type of a status is not exported by rexpect; its words are.
    let status = format!("{:?}", p.process().wait().unwrap());
    assert!(
        status.starts_with("Exited") && status.ends_with(&format!(", {code})")),
        "{status}: {rest}"
    );
    rest
}

/// A prepared desk whose containment takes its time, walked to contain.
fn with_a_slow_step() -> Option<Desk> {
    let desk = prepared()?;
    desk.file("incident/runbook.yaml", &crate::cli::RUNBOOK.replace(QUICK, SLOW));
    for args in [
        ["start", "--yes"].as_slice(),
        &["answer", "damage", "the orders are gone"],
        &["seal"],
        &["enter", "contain"],
    ] {
        desk.run(args);
    }
    assert_eq!(desk.kinds().last().unwrap(), "stage.entered");
    Some(desk)
}

/// Waits until the record holds this kind.
fn until(desk: &Desk, kind: &str) {
    for _ in 0..600 {
        if desk.kinds().iter().any(|k| k == kind) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no {kind} in {:?}", desk.kinds());
}

#[test]
fn a_person_walks_from_enter_to_contain() {
    let Some(desk) = prepared() else { return };
    let mut p = desk.terminal("start");
    p.exp_string("Nothing is listed and nothing was found here")
        .unwrap();
    say(&mut p, "Enter goes on; Ctrl-C leaves", "");
    p.exp_string("Stop took").unwrap();
    p.exp_string("look, change nothing").unwrap();
    p.exp_string("captured 0005-log").unwrap();
    say(&mut p, "Answer (empty: not known yet)", "the orders are gone");
    // The Enter belongs to the yes: it does not answer what is asked next.
    say(&mut p, "Seal the baseline now?", "y");
    say(&mut p, "What is not known yet?", "which customers");
    p.exp_string("limit the damage").unwrap();
    p.exp_string("inside").unwrap();
    choose(&mut p, "Run it now?", 0);
    p.exp_string("the program ended well").unwrap();
    p.exp_string("at config-change").unwrap();
    choose(&mut p, "Other people must sign.", 2);
    ended(&mut p, 4);
    let kinds = desk.kinds();
    for kind in ["stop.ended", "question.answered", "baseline.sealed", "act.ended"] {
        assert!(kinds.iter().any(|k| k == kind), "{kind}: {kinds:?}");
    }
    assert!(desk.journal().contains("which customers"));
}

#[test]
fn whoever_leaves_before_the_cut_is_told_that_nothing_was_cut_and_start_goes_on_with_it() {
    let Some(desk) = prepared() else { return };
    let mut p = desk.terminal("start");
    p.exp_string("Enter goes on; Ctrl-C leaves").unwrap();
    p.send_control('c').unwrap();
    let said = ended(&mut p, 130);
    assert!(said.contains("nothing was cut"), "{said}");
    assert!(said.contains("incident stop"), "{said}");

    // The same night is not opened twice, and the list is shown again before anything is cut.
    let mut p = desk.terminal("start");
    p.exp_string("is open already").unwrap();
    p.exp_string("Open another").unwrap();
    p.send("\r").unwrap();
    p.flush().unwrap();
    say(&mut p, "Enter goes on; Ctrl-C leaves", "");
    p.exp_string("Answer (empty").unwrap();
    p.send_control('c').unwrap();
    ended(&mut p, 130);
    let kinds = desk.kinds();
    assert_eq!(
        kinds.iter().filter(|k| *k == "stop.started").count(),
        1,
        "{kinds:?}"
    );
}

#[test]
fn a_word_typed_where_a_choice_stands_chooses_nothing() {
    let Some(desk) = prepared() else { return };
    for args in [
        ["start", "--yes"].as_slice(),
        &["answer", "damage", "the orders are gone"],
        &["seal"],
        &["enter", "contain"],
    ] {
        desk.run(args);
    }
    let mut p = desk.terminal("resume");
    p.exp_string("Run it now?").unwrap();
    p.exp_string("Leave here").unwrap();
    p.send("no, not this one\r").unwrap();
    p.flush().unwrap();
    p.exp_string("what was typed took nothing").unwrap();
    p.send_control('c').unwrap();
    ended(&mut p, 130);
    assert!(!desk.journal().contains("act.started"), "it ran");
}

#[test]
fn lines_that_are_pasted_are_one_answer_and_answer_nothing_else() {
    let Some(desk) = prepared() else { return };
    let mut p = desk.terminal("start");
    say(&mut p, "Enter goes on", "");
    say(
        &mut p,
        "Answer (empty: not known yet)",
        "orders: 0 rows\rcustomers: 48211 rows\ry",
    );
    p.exp_string("and 2 more pasted lines").unwrap();
    p.exp_string("Seal the baseline now?").unwrap();
    p.send_control('c').unwrap();
    ended(&mut p, 130);
    let record = desk.journal();
    assert!(
        record.contains("orders: 0 rows customers: 48211 rows y"),
        "{record}"
    );
    assert!(!record.contains("baseline.sealed"));
}

#[test]
fn ctrl_c_at_a_question_ends_130_and_resume_asks_it_again() {
    let Some(desk) = prepared() else { return };
    let mut p = desk.terminal("start");
    say(&mut p, "Enter goes on", "");
    p.exp_string("Answer (empty").unwrap();
    p.send_control('c').unwrap();
    let said = ended(&mut p, 130);
    assert!(said.contains("interrupted at a question"), "{said}");
    assert!(said.contains("incident resume"), "{said}");
    let hidden = said.rfind("\x1b[?25l");
    assert!(
        hidden.is_none_or(|at| said[at..].contains("\x1b[?25h")),
        "the cursor is left hidden: {said:?}"
    );
    assert!(!desk.journal().contains("question.answered"));

    let mut p = desk.terminal("resume");
    p.exp_string("What is broken?").unwrap();
    say(&mut p, "Answer (empty", "the orders are gone");
    p.exp_string("Seal the baseline now?").unwrap();
    p.send_control('c').unwrap();
    ended(&mut p, 130);
    assert!(desk.journal().contains("the orders are gone"));
}

#[test]
fn ctrl_c_during_an_act_records_it_in_doubt_and_settle_resolves_it() {
    let Some(desk) = with_a_slow_step() else { return };
    let mut p = desk.terminal("run page-on");
    until(&desk, "act.child");
    p.send_control('c').unwrap();
    let said = ended(&mut p, 4);
    assert!(desk.journal().contains("in-doubt"), "{said}\n{}", desk.journal());
    let act = desk
        .kinds()
        .iter()
        .position(|k| k == "act.started")
        .unwrap()
        .to_string();

    // Nothing else changes while it is open; the walk asks about it first.
    let blocked = desk.incident(&["run", "swap"]);
    let done = desk.run(&["done", "swap", "it reads the copy"]);
    assert_eq!(done.status.code(), Some(5), "{blocked}");
    let mut p = desk.terminal("resume");
    p.exp_string("is in doubt").unwrap();
    choose(&mut p, "What did you see?", 2);
    ended(&mut p, 4);

    let settled = desk.run(&["settle", &act, "--did-not", "the page is still off"]);
    assert_eq!(settled.status.code(), Some(0), "{}", desk.told(&settled));
    let status = desk.incident(&["status"]);
    assert!(!status.contains("in doubt"), "{status}");
}

#[test]
fn a_crash_during_an_act_is_a_question_afterwards() {
    let Some(desk) = with_a_slow_step() else { return };
    let mut command = desk.jailed(crate::support::desk::PROGRAM);
    command
        .args(["run", "page-on"])
        .stdin(std::process::Stdio::null());
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    until(&desk, "act.child");
    // With the first process of its namespace everything in it is killed: nobody could say goodbye.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!desk.kinds().iter().any(|k| k == "act.ended"));
    let resumed = desk.incident(&["resume"]);
    assert!(resumed.contains("is in doubt: did it happen?"), "{resumed}");
    assert!(resumed.ends_with("[exit 4]"), "{resumed}");
}

#[test]
fn two_terminals_cannot_run_one_act_twice() {
    let Some(desk) = with_a_slow_step() else { return };
    let mut command = desk.jailed(crate::support::desk::PROGRAM);
    command
        .args(["run", "page-on"])
        .stdin(std::process::Stdio::null());
    let mut first = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    until(&desk, "act.child");
    let second = desk.run(&["run", "page-on"]);
    let said = desk.told(&second);
    assert_eq!(second.status.code(), Some(3), "{said}");
    assert!(
        said.contains("another terminal is running an act of this incident right now"),
        "{said}"
    );
    assert_eq!(desk.kinds().iter().filter(|k| *k == "act.started").count(), 1);
    first.kill().unwrap();
    first.wait().unwrap();
}

/// What is written about the agent of this shop.
const ACCESS: &str = "version: 1
agents:
  - {name: shop-agent, host: local, processes: {env: [SHOP_AGENT=1]}}
";

#[test]
fn watch_says_that_an_agent_is_back_and_cuts_nothing() {
    let Some(desk) = prepared() else { return };
    desk.file("incident/access.yaml", ACCESS);
    let stopped = desk.incident(&["stop"]);
    assert!(stopped.contains("not-seen-here  tree:shop-agent"), "{stopped}");
    let mut command = desk.jailed("sh");
    command.args([
        "-c",
        "\"$0\" watch --every 200ms --for 4s & sleep 1; SHOP_AGENT=1 setsid sleep 30 & \
         wait %1; ended=$?; kill -0 $! && echo it is alive; exit $ended",
        crate::support::desk::PROGRAM,
    ]);
    let said = desk.told(&command.stdin(std::process::Stdio::null()).output().unwrap());
    assert!(
        said.contains("tree:shop-agent: was not-seen-here, now still-live; 1 found alive"),
        "{said}"
    );
    assert!(
        said.contains("it is alive") && said.ends_with("[exit 4]"),
        "{said}"
    );
    assert_eq!(
        said.matches("still-live").count(),
        1,
        "only changes are shown: {said}"
    );
}

#[test]
fn ctrl_c_ends_a_watch_with_130() {
    let Some(desk) = prepared() else { return };
    desk.file("incident/access.yaml", ACCESS);
    desk.run(&["stop"]);
    let mut p = desk.terminal("watch --every 1s");
    p.exp_string("Ctrl-C ends it").unwrap();
    p.send_control('c').unwrap();
    assert!(ended(&mut p, 130).contains("Nobody watches any more"));
}

#[test]
fn eighty_columns_are_enough() {
    let Some(desk) = in_contain() else { return };
    for args in [
        "status",
        "list",
        "plan",
        "plan --long",
        "timeline",
        "runbook show",
        "boundary explain swap",
        "verify",
        "access list",
        "watch --for 1ms",
    ] {
        let mut p = desk.terminal(args);
        // rexpect hands out one character a byte.
        let bytes: Vec<u8> = p.exp_eof().unwrap().chars().map(|c| c as u8).collect();
        let said = String::from_utf8(bytes).unwrap();
        assert!(!said.trim().is_empty(), "{args}");
        for line in said.lines() {
            // Commands, paths and hashes are never broken: they are there to be copied.
            let copied = line.contains("/tmp/") || line.contains("incident ") || line.contains("head ");
            let width = console::measure_text_width(line.trim_end());
            assert!(width <= 80 || copied, "{args}: {width} columns: {line}");
        }
    }
}

//! The plan of recover at the built program: changed, given up, taken back, and what it says each time.

use insta::assert_snapshot;

use crate::support::desk::Desk;

const RECOVER: &str = r#"
  recover:
    - id: copy
      run: [sleep, "0"]
      effects: [traffic]
      undo: {run: [sleep, "0"]}
    - id: broken
      run: [sleep, nonsense]
      effects: [traffic]
      undo: {run: [sleep, "0"]}
    - id: page-off
      manual: {what: Take the page down., see: The shop takes orders.}
      effects: [traffic]
      undo: {manual: Put it up again.}
"#;

/// A desk whose walk has come to recover.
fn in_recover() -> Option<Desk> {
    let desk = Desk::new()?;
    desk.file(
        "incident/runbook.yaml",
        &(crate::cli::RUNBOOK.to_owned() + RECOVER),
    );
    desk.file("shop.log", "DROP TABLE orders\n");
    for args in [
        ["start", "--yes"].as_slice(),
        &["answer", "damage", "the orders are gone"],
        &["seal"],
        &["enter", "contain"],
        &["enter", "recover"],
    ] {
        let out = desk.run(args);
        assert!(matches!(out.status.code(), Some(0 | 4)), "{}", desk.told(&out));
    }
    Some(desk)
}

#[test]
fn a_failed_step_a_changed_plan_and_the_way_back_are_said_with_their_next_commands() {
    let Some(desk) = in_recover() else { return };
    assert_snapshot!(desk.incident(&["plan", "--amend", "why"]), @r#"
    [stderr]
    Error: no plan is in force
      so far: nothing was changed
      next: `incident plan --freeze` shows the plan and fixes it
    [exit 5]
    "#);
    assert_snapshot!(desk.incident(&["plan", "--freeze"]), @r#"
    [stdout]
    The plan is frozen: 3 steps.
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["plan", "--freeze"]), @r#"
    [stderr]
    Error: a plan is in force already, since record 11
      so far: it is as it was
      next: `incident plan --amend "WHY" [STEP]…` changes it, `incident plan --abort "WHY"` gives it up
    [exit 5]
    "#);
    desk.run(&["run", "copy"]);
    desk.run(&["run", "broken"]);
    assert_snapshot!(desk.incident(&["done", "page-off", "it is down"]), @r#"
    [stderr]
    Error: step `page-off` is blocked: the plan has `broken` next
      next: `incident run broken`, or leave it out: `incident skip broken "WHY"`
    [exit 5]
    "#);
    assert_snapshot!(desk.incident(&["run", "broken"]), @r#"
    [stdout]
      runs     /usr/bin/sleep nonsense
      in       /home/ana/shift
      undo     /usr/bin/sleep 0
    [stderr]
    Error: step `broken` is blocked: it was tried once, which is all its plan allows
      next: `incident undo broken`, `incident skip broken "WHY"`, or `incident plan --amend "WHY"`, under which it may be tried again
    [exit 5]
    "#);
    let status = desk.incident(&["status"]);
    assert!(status.contains("1 of 3 steps done, `broken` is next"), "{status}");
    assert!(
        status.contains("`broken` failed and may have half happened"),
        "{status}"
    );
    assert!(
        status.contains("incident plan --amend \"WHY\", incident undo broken"),
        "{status}"
    );
    assert_snapshot!(desk.incident(&["plan", "--amend", "the disk has room"]), @r#"
    [stdout]
    The plan is changed: 3 steps.
      the same steps; each may be tried again
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["skip", "broken", "not needed"]), @r#"
    [stdout]
    `broken` is skipped; it satisfies no gate.
    [exit 0]
    "#);
    desk.run(&["done", "page-off", "the shop takes orders"]);
    assert_snapshot!(desk.incident(&["undo", "copy"]), @r#"
    [stderr]
    Error: taking back step `copy` is blocked: `page-off` came after it and is in force: it is taken back first
      next: `incident undo page-off`, or all of it in order: `incident undo --plan`
    [exit 5]
    "#);
    assert_snapshot!(desk.incident(&["plan", "--abort", "the copy is not good"]), @r#"
    [stdout]
    The plan is given up: nothing more of it runs. What was done stays on record.
    In force, the newest first: `page-off` (done), `broken` (skipped after it failed), `copy` (done)
      next: incident undo --plan takes it back in this order; incident plan --freeze fixes another plan
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["undo", "--plan"]), @r#"
    [stdout]
    Taking back page-off
      by hand
        Put it up again.
      undo     never: it is an undo itself
    A person does this.
      next: incident undo page-off --why "WHAT YOU SAW", then incident undo --plan goes on
    [exit 3]
    "#);
    desk.run(&["undo", "page-off", "--why", "it is up again"]);
    assert_snapshot!(desk.incident(&["undo", "--plan", "--why", "the copy is not good"]), @r#"
    [stdout]
    Taking back broken
      runs     /usr/bin/sleep 0
      in       /home/ana/shift
      undo     never: it is an undo itself
    the program ended well
      its output: data/0029-act-broken
    Taking back copy
      runs     /usr/bin/sleep 0
      in       /home/ana/shift
      undo     never: it is an undo itself
    the program ended well
      its output: data/0033-act-copy
    Nothing of recover is in force any more.
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["undo", "--plan"]), @r#"
    [stdout]
    Nothing of recover is in force any more.
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["undo"]), @r#"
    [stderr]
    error: the following required arguments were not provided:
      <STEP>

    Usage: incident undo --as <PRINCIPAL> <STEP>

    For more information, try '--help'.
    [exit 2]
    "#);
    assert_snapshot!(desk.incident(&["plan", "--abort", "again"]), @r#"
    [stderr]
    Error: no plan is in force
      so far: nothing was changed
      next: `incident plan --freeze` shows the plan and fixes it
    [exit 5]
    "#);
    let report = desk.incident(&["report"]);
    assert!(
        report.contains("changed the plan: the same steps, to be tried again: the disk has room"),
        "{report}"
    );
    assert!(
        report.contains("gave the plan up; in force all the same: page-off, broken, copy"),
        "{report}"
    );
}

//! The built program, whole: what it says, on which stream, and how it ends.

use std::process::Stdio;

use insta::assert_snapshot;

use crate::support::desk::{Desk, PROGRAM};

/// A plan of which every part runs anywhere.
pub const RUNBOOK: &str = r#"version: 1
name: shop
people:
  ana@example.com: {roles: [on-call]}
  ben@example.com: {roles: [on-call]}
boundary:
  inside: [read, protect, service-restart, traffic]
  at: [config-change, one-way]
escalation: {at: {people: 1}, outside: {people: 2}, valid: 30m}
stages:
  stop: [{revoke: all}, {kill: agents}, {disable: triggers}]
  assess:
    - {id: log, capture: {file: shop.log}}
    - {id: damage, ask: What is broken?}
  contain:
    - id: page-on
      why: Nobody may write to the damaged shop.
      run: [sleep, "0"]
      effects: [traffic]
      undo: {run: [sleep, "0"]}
    - id: swap
      manual: {what: Point the shop at the copy., see: The shop reads the copy.}
      effects: [config-change]
      undo: {manual: Point it back.}
"#;

macro_rules! desk {
    () => {
        match Desk::new() {
            Some(desk) => desk,
            None => return,
        }
    };
}

/// A desk whose team wrote a plan in advance.
pub fn prepared() -> Option<Desk> {
    let desk = Desk::new()?;
    desk.file("incident/runbook.yaml", RUNBOOK);
    desk.file("shop.log", "DROP TABLE orders\n");
    Some(desk)
}

/// The incident of a prepared desk, walked to contain.
pub fn in_contain() -> Option<Desk> {
    let desk = prepared()?;
    for args in [
        ["start", "--yes"].as_slice(),
        &["answer", "damage", "the orders are gone"],
        &["seal", "--unknown", "which customers"],
        &["enter", "contain"],
    ] {
        let code = desk.run(args).status.code();
        assert!(matches!(code, Some(0 | 4)), "{}", desk.incident(args));
    }
    Some(desk)
}

#[test]
fn alone_it_says_how_to_begin() {
    let desk = desk!();
    assert_snapshot!(desk.incident(&[]), @r#"
    [stdout]
    No incident is open.
      incident start    an agent has broken something: stop it, then be walked through the rest
      incident stop     only stop it, no question asked
      incident cut      a token in your hand: paste it, it is revoked
      incident drill    practise, on a simulated platform
      incident init     write the plan in advance
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["list"]), @r#"
    [stdout]
    No incident is kept in /home/ana/shift/.local/share/incident.
      next: incident start, or incident drill to practise
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["status"]), @r#"
    [stderr]
    Error: there is no open incident
      next: Run `incident start`; `incident list` shows what there is
    [exit 2]
    "#);
}

#[test]
fn wrong_words_end_2_and_change_nothing() {
    let desk = desk!();
    assert_snapshot!(desk.incident(&["statr"]), @r#"
    [stderr]
    error: unrecognized subcommand 'statr'

      tip: some similar subcommands exist: 'settle', 'store', 'status', 'start'

    Usage: incident [OPTIONS] [COMMAND]

    For more information, try '--help'.
    [exit 2]
    "#);
    assert_snapshot!(desk.incident(&["run", "Not A Step"]), @r#"
    [stderr]
    error: invalid value 'Not A Step' for '<STEP>': `Not A Step` is not a step name: use letters, digits, `.`, `_`, `-` and `:`, start with a letter or digit, 64 characters at most

    For more information, try '--help'.
    [exit 2]
    "#);
    assert_snapshot!(desk.incident(&["status", "--incident", "INC-20261122-0314-aaaa"]), @r#"
    [stderr]
    Error: there is no case INC-20261122-0314-k7qf in /home/ana/shift/.local/share/incident
      next: `incident list` shows what there is
    [exit 2]
    "#);
    assert_snapshot!(desk.incident(&["access", "providers", "nope"]), @r#"
    [stderr]
    Error: no provider is named `nope`
      next: did you mean npm?
    [exit 2]
    "#);
    assert_snapshot!(desk.incident(&["verify", "nothing-here.tar"]), @r#"
    [stderr]
    Error: cannot read /home/ana/shift/nothing-here.tar: No such file or directory (os error 2)
      next: Name a bundle, its unpacked folder, or a case folder; `incident list` shows what is kept here
    [exit 2]
    "#);
    assert!(!desk.home().join(".local").exists());
}

#[test]
fn on_day_0_start_proves_nothing_and_says_so() {
    let desk = desk!();
    assert_snapshot!(desk.incident(&["start", "--yes"]), @r#"
    [stdout]
    INC-20261122-0314-k7qf is open.
      record   /home/ana/shift/.local/share/incident/INC-20261122-0314-k7qf
      plan     the runbook that ships with incident
               no incident/runbook.yaml from /home/ana/shift upward; --config FOLDER names another
    Nothing is listed and nothing was found here. That proves nothing:
      an agent elsewhere, or one nobody listed, is not seen from this host. A token you can paste is cut
      by `incident cut`; what it holds is named in access.yaml (`incident init`).

    INC-…-k7qf · stop · 0 s · nothing stopped yet · next: incident stop
    Stop took 0 s; there was nothing to cut.
     unknown  access nobody listed  nothing can prove that there is none
    — assess — look, change nothing; a repair now would destroy the picture of what happened
    Paste into the chat: INC-20261122-0314-k7qf record 3 head 0123-4567

    INC-…-k7qf · assess · 0 s · no target seen · unlisted access unknown
    A question waits: Which services are up, degraded, down? Look at the status page and from outside; paste what you see.
      next: incident answer services "…"
    [exit 4]
    "#);
    assert_snapshot!(desk.incident(&[]), @r#"
    [stdout]
    INC-…-k7qf · assess · 0 s · no target seen · unlisted access unknown
      next: incident resume
    [exit 3]
    "#);
    assert_snapshot!(desk.incident(&["list"]), @r#"
    [stdout]
    open    INC-20261122-0314-k7qf    2026-11-22 03:14Z
    [exit 0]
    "#);
}

#[test]
fn without_a_terminal_start_opens_nothing() {
    let desk = desk!();
    assert_snapshot!(desk.incident(&["start"]), @r#"
    [stderr]
    Error: there is no terminal to ask at, so nothing was opened
      next: `incident start --yes` cuts without asking; `incident stop` only stops
    [exit 3]
    "#);
    assert!(!desk.home().join(".local").exists());
}

#[test]
fn single_commands_walk_as_far_as_the_walk_does() {
    let Some(desk) = prepared() else { return };
    assert_snapshot!(desk.incident(&["start", "--yes", "--title", "the agent dropped a table"]), @r#"
    [stdout]
    INC-20261122-0314-k7qf is open.
      record   /home/ana/shift/.local/share/incident/INC-20261122-0314-k7qf
      plan     /home/ana/shift/incident/runbook.yaml
      trust    Nobody trusted these files in peacetime: they count as they stand, whoever wrote them
               last.
               in peacetime: incident runbook trust --key FILE
    Nothing is listed and nothing was found here. That proves nothing:
      an agent elsewhere, or one nobody listed, is not seen from this host. A token you can paste is cut
      by `incident cut`; what it holds is named in access.yaml (`incident init`).

    INC-…-k7qf · stop · 0 s · nothing stopped yet · next: incident stop
    Stop took 0 s; there was nothing to cut.
     unknown  access nobody listed  nothing can prove that there is none
    — assess — look, change nothing; a repair now would destroy the picture of what happened
    Paste into the chat: INC-20261122-0314-k7qf record 3 head 0123-4567
    captured 0005-log: 3 collected; 509 bytes, 0 secrets taken out

    INC-…-k7qf · assess · 0 s · no target seen · unlisted access unknown
    A question waits: What is broken?
      next: incident answer damage "…"
    [exit 4]
    "#);
    assert_snapshot!(desk.incident(&["enter", "contain"]), @r#"
    [stderr]
    Error: contain cannot begin before the baseline is sealed
      so far: nothing was changed
      next: `incident status` says what comes next
    [exit 5]
    "#);
    assert_snapshot!(desk.incident(&["run", "page-on"]), @r#"
    [stdout]
      runs     /usr/bin/sleep 0
      in       /home/ana/shift
      undo     /usr/bin/sleep 0
    [stderr]
    Error: step `page-on` is blocked: before the baseline is sealed only reads run
      next: Seal a baseline first: `incident seal`. Only `lane: protect` and `lane: first` steps run before it
    [exit 5]
    "#);
    assert_snapshot!(desk.incident(&["answer", "damage", "the orders are gone"]), @r#"
    [stdout]
    It is on record.
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["capture", "--file", "shop.log"]), @r#"
    [stdout]
    captured 0008-file: 3 collected; 557 bytes, 0 secrets taken out
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["seal", "--unknown", "which customers"]), @r#"
    [stdout]
    The baseline is sealed.
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["seal"]), @r#"
    [stderr]
    Error: the baseline is sealed; what comes later is an addendum
      so far: nothing was changed
      next: `incident status` says what comes next
    [exit 5]
    "#);
    assert_snapshot!(desk.incident(&["enter", "contain"]), @r#"
    [stdout]
    — contain — limit the damage with steps that can be undone
    Paste into the chat: INC-20261122-0314-k7qf record 11 head 0123-4567
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["run", "page-on"]), @r#"
    [stdout]
      runs     /usr/bin/sleep 0
      in       /home/ana/shift
      undo     /usr/bin/sleep 0
    the program ended well
      its output: data/0012-act-page-on
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["run", "page-on"]), @r#"
    [stdout]
      runs     /usr/bin/sleep 0
      in       /home/ana/shift
      undo     /usr/bin/sleep 0
    [stderr]
    Error: step `page-on` is blocked: it is done already
      next: `incident plan` shows what is left
    [exit 5]
    "#);
    assert_snapshot!(desk.incident(&["done", "swap", "it reads the copy"]), @r#"
    [stderr]
    Error: step `swap` is blocked: it is at the boundary and needs 1 other person's signature
      because config-change: declared in the runbook (boundary.at)
      next: `incident escalate swap` writes what the other person signs
    [exit 5]
    "#);
    assert_snapshot!(desk.incident(&["escalate", "swap"]), @r#"
    [stderr]
    Error: no signers are configured: at and outside the boundary stay blocked
      next: Beforehand, `incident init` writes the roster: allowed_signers, and `people:` in the runbook
      next: Today, what is done by hand elsewhere is recorded with `incident did "…"`
    [exit 5]
    "#);
    assert_snapshot!(desk.incident(&["do", "--", "sleep", "0"]), @r#"
    [stdout]
      runs     /usr/bin/sleep 0
      in       /home/ana/shift
      undo     nobody wrote down how
    the program ended well
      its output: data/0016-act-do-16
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["status"]), @r#"
    [stdout]
    INC-…-k7qf · contain · 0 s · no target seen · unlisted access unknown
    INC-20261122-0314-k7qf: the agent dropped a table
      trust    Nobody trusted these files in peacetime: they count as they stand, whoever wrote them
               last.
               in peacetime: incident runbook trust --key FILE

    Proofs
     unknown  access nobody listed  nothing can prove that there is none

    Still dangerous
      access nobody listed: unknown
        next: incident stop

    Evidence: 2 captures, no hole, baseline sealed by record 10.
    Next: step `swap` is blocked: it is at the boundary and needs 1 other person's signature
      incident escalate swap
    [exit 4]
    "#);
    assert_snapshot!(desk.incident(&["timeline"]), @r#"
    [stdout]
    2026-11-22 (UTC)
      03:14:07 #0    ana@example.com: opened the incident: the agent dropped a table
      03:14:07 #1    ana@example.com: began to stop no target
      03:14:07 #2    ana@example.com: the stop ended; nothing was there to cut
      03:14:07 #3    ana@example.com: went on to assess
      03:14:07 #5    ana@example.com: began to capture log (baseline)
      03:14:07 #6    ana@example.com: capture #5 ended after 0 s: 3 things, no hole
      03:14:07 #7    ana@example.com: answered damage: the orders are gone
      03:14:07 #8    ana@example.com: began to capture file (baseline)
      03:14:07 #9    ana@example.com: capture #8 ended after 0 s: 3 things, no hole
      03:14:07 #10   ana@example.com: sealed the baseline over captures #5, #8; not known yet: which
                     customers
      03:14:07 #11   ana@example.com: went on to contain
      03:14:07 #12   ana@example.com: began page-on (inside the boundary: traffic): sleep 0
      03:14:07 #15   ana@example.com: act #12 is done after 0 s, exit 0: the program ended well
      03:14:07 #16   ana@example.com: began do-16 (inside the boundary: read): /usr/bin/sleep 0
      03:14:07 #19   ana@example.com: act #16 is done after 0 s, exit 0: the program ended well
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["brief"]), @r#"
    [stdout]
    INC-20261122-0314-k7qf: the agent dropped a table
    stage contain, 0 s since the start, no target seen
    proved dead: nothing
    not proved: access nobody listed
    most dangerous now: access nobody listed: unknown
    next deadline: none known
    services: nobody has said yet
    next decision: step `swap` is blocked: it is at the boundary and needs 1 other person's signature (incident escalate swap)
    waiting for: nobody
    record: #19, head 0123-4567
    [exit 0]
    "#);
}

#[test]
fn one_json_object_answers_a_query() {
    let Some(desk) = in_contain() else { return };
    for args in [
        ["list", "--json"].as_slice(),
        &["status", "--json"],
        &["timeline", "--json"],
        &["brief", "--json"],
        &["handoff", "--json"],
        &["report", "--json"],
        &["report", "--format", "json"],
        &["plan", "--json"],
        &["verify", "--json"],
        &["access", "list", "--json"],
        &["access", "providers", "--json"],
        &["access", "check", "--json"],
        &["runbook", "list", "--json"],
        &["runbook", "show", "--json"],
        &["runbook", "lint", "--json"],
        &["boundary", "explain", "--json", "swap"],
    ] {
        let out = desk.run(args);
        let value: serde_json::Value = serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|e| panic!("{args:?}: {e}: {}", desk.told(&out)));
        assert!(value.is_object(), "{args:?}");
        assert!(out.stderr.is_empty(), "{args:?}: {}", desk.told(&out));
    }
    let out = desk.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        (status["stage"].as_str(), out.status.code()),
        (Some("contain"), Some(4))
    );
    assert_eq!(status["next"]["command"], "incident run page-on");
    assert_eq!(status["unlisted_access"], "unknown");
}

#[test]
fn an_acting_command_tells_its_events_as_lines_and_its_result_last() {
    let Some(desk) = in_contain() else { return };
    let out = desk.run(&["run", "page-on", "--json"]);
    let text = String::from_utf8(out.stdout).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().filter_map(|l| l["type"].as_str()).collect();
    assert!(
        kinds.starts_with(&["act.started"]) && kinds.contains(&"act.ended"),
        "{kinds:?}"
    );
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["exit"], &last["result"]["stage"]),
        (&0.into(), &"contain".into())
    );
    let refused = desk.run(&["done", "swap", "it reads the copy", "--json"]);
    let error: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!((&error["exit"], refused.status.code()), (&5.into(), Some(5)));
}

#[test]
fn the_boundary_explains_without_an_incident() {
    let Some(desk) = prepared() else { return };
    desk.file("clean.sh", "#!/bin/sh\npsql -c 'drop table orders'\n");
    assert_snapshot!(desk.incident(&["boundary", "explain", "swap"]), @r#"
    [stdout]
      by hand
        Point the shop at the copy.
        worked, if: The shop reads the copy.
      undo     by hand: Point it back.
      zone     at the boundary
               at config-change (boundary.at): declared in the runbook
      needs    the signature of 1 person who did not act
      plan     /home/ana/shift/incident/runbook.yaml
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["boundary", "explain", "--", "cat", "shop.log"]), @r#"
    [stdout]
      runs     /usr/bin/cat shop.log
      in       /home/ana/shift
      undo     nobody wrote down how
      zone     inside the boundary
               inside read (read.known-program): /usr/bin/cat shop.log
      needs    nobody's signature
      plan     /home/ana/shift/incident/runbook.yaml
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["boundary", "explain", "--", "sh", "clean.sh"]), @r#"
    [stdout]
      runs     /usr/bin/sh clean.sh
      in       /home/ana/shift
      undo     nobody wrote down how
      zone     outside the boundary
               outside bulk-data (sql.drop-table): drop table orders
               outside schema-change (sql.drop-table): drop table orders
                 sh › psql -c · clean.sh:2
                   psql -c 'drop table orders'
                            ^^^^^^^^^^^^^^^^^
               outside unknown (boundary.unclassified): nobody wrote down what it changes
               at one-way (sql.drop-table): drop table orders
      needs    the signatures of 2 people who did not act
      plan     /home/ana/shift/incident/runbook.yaml
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["boundary", "explain", "--", "no-such-program", "--all"]), @r#"
    [stdout]
      runs     no-such-program --all
      in       /home/ana/shift
      undo     nobody wrote down how
      zone     outside the boundary
               outside unknown (program.not-known): no-such-program --all
               at one-way (boundary.no-undo): nothing takes this step back
      needs    the signatures of 2 people who did not act
      plan     /home/ana/shift/incident/runbook.yaml
      The program is not on this host: judged by its words alone, no script was read.
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["boundary", "explain", "--json", "--", "rm", "-rf", "/srv/shop"]), @r#"
    [stdout]
    {"approved":null,"because":[{"effect":"data-write","rule":"files.rm","seen":[{"exact":true,"place":{"argument":0,"from":0,"in":"command","last":2,"line":1,"to":9},"rule":"files.rm","text":"/usr/bin/rm -rf /srv/shop","through":["rm"]}],"text":"/usr/bin/rm -rf /srv/shop","zone":"outside"},{"effect":"bulk-data","rule":"files.rm-recursive","seen":[{"exact":true,"place":{"argument":0,"from":0,"in":"command","last":2,"line":1,"to":9},"rule":"files.rm-recursive","text":"/usr/bin/rm -rf /srv/shop","through":["rm"]}],"text":"/usr/bin/rm -rf /srv/shop","zone":"outside"},{"effect":"unknown","rule":"boundary.unclassified","seen":[],"text":"nobody wrote down what it changes","zone":"outside"},{"effect":"one-way","rule":"files.rm-recursive","seen":[{"exact":true,"place":{"argument":0,"from":0,"in":"command","last":2,"line":1,"to":9},"rule":"files.rm-recursive","text":"/usr/bin/rm -rf /srv/shop","through":["rm"]}],"text":"/usr/bin/rm -rf /srv/shop","zone":"at"}],"effects":["data-write","bulk-data","one-way","unknown"],"not_approved":[],"program_found":true,"runbook":"/home/ana/shift/incident/runbook.yaml","zone":"outside"}
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["boundary", "explain", "no-such-step"]), @r#"
    [stderr]
    Error: there is no step `no-such-step`
      next: `incident runbook show` lists every step
    [exit 2]
    "#);
    assert!(!desk.home().join(".local").exists());
}

#[test]
fn every_mistake_of_a_plan_is_shown_at_once() {
    let desk = desk!();
    desk.file(
        "incident/runbook.yaml",
        "version: 1\nname: broken\nboundary: {inside: [read, flying], at: [deploy]}\n\
         stages:\n  contain:\n    - {id: a, run: systemctl restart shop}\n    - {run: [\"true\"], efects: [read]}\n",
    );
    desk.file(
        "incident/access.yaml",
        "version: 1\nagents:\n  - {host: elsewhere}\n",
    );
    assert_snapshot!(desk.incident(&["runbook", "lint"]), @r#"
    [stdout]
    error: `flying` is not an effect
     --> /home/ana/shift/incident/runbook.yaml:3:27
      |
    3 | boundary: {inside: [read, flying], at: [deploy]}
      |                           ^^^^^^
      |
    help: the effects are: read protect service-restart traffic deploy config-rollback config-change data-restore data-write bulk-data schema-change credential-new credential-change security-config backup-change infra-change one-way unknown

    error: `run` takes a list, never a line for a shell
     --> /home/ana/shift/incident/runbook.yaml:6:20
      |
    6 |     - {id: a, run: systemctl restart shop}
      |                    ^^^^^^^^^
      |
    help: write the arguments as a list: `run: [systemctl, restart, shop]`

    error: a step has no field `efects`
     --> /home/ana/shift/incident/runbook.yaml:7:23
      |
    7 |     - {run: ["true"], efects: [read]}
      |                       ^^^^^^
      |
    help: did you mean `effects`?

    error: an agent has no `name`
     --> /home/ana/shift/incident/access.yaml:3:5
      |
    3 |   - {host: elsewhere}
      |     ^^^^^
      |
    help: give the agent a name

    error: only `host: local` can be reached from here
     --> /home/ana/shift/incident/access.yaml:3:12
      |
    3 |   - {host: elsewhere}
      |            ^^^^^^^^^
      |
    help: run `incident stop` on that host; its grants below are still cut from here

    /home/ana/shift/incident/runbook.yaml: 3 mistakes in it
    /home/ana/shift/incident/access.yaml: 2 mistakes in it
    [exit 2]
    "#);
    assert_snapshot!(desk.incident(&["runbook", "show"]), @r#"
    [stderr]
    Error: /home/ana/shift/incident/runbook.yaml has 3 mistakes
      because /home/ana/shift/incident/runbook.yaml:3:27: `flying` is not an effect (the effects are: read protect service-restart traffic deploy config-rollback config-change data-restore data-write bulk-data schema-change credential-new credential-change security-config backup-change infra-change one-way unknown)
      because /home/ana/shift/incident/runbook.yaml:6:20: `run` takes a list, never a line for a shell (write the arguments as a list: `run: [systemctl, restart, shop]`)
      because /home/ana/shift/incident/runbook.yaml:7:23: a step has no field `efects` (did you mean `effects`?)
      next: incident runbook lint /home/ana/shift/incident/runbook.yaml
    [exit 2]
    "#);
}

#[test]
fn a_plan_that_will_hurt_on_the_day_is_warned_of() {
    let Some(desk) = prepared() else { return };
    desk.file(
        "odd.yaml",
        &RUNBOOK
            .replace("      undo: {run: [sleep, \"0\"]}\n", "")
            .replace(
                "      run: [sleep, \"0\"]\n      effects: [traffic]\n",
                "      run: [no-such-program]\n",
            ),
    );
    assert_snapshot!(desk.incident(&["runbook", "lint"]), @r#"
    [stdout]
    warning: nobody wrote down where deploy, config-rollback, data-restore, data-write, bulk-data,
             schema-change, credential-new, credential-change, security-config, backup-change,
             infra-change belong, so they are outside: write them under `inside`, `at` or `outside` of
             `boundary:`
    warning: ana@example.com stands under `people:` and has no key in allowed_signers
    warning: ben@example.com stands under `people:` and has no key in allowed_signers
    warning: steps at the boundary need 1 person, and nobody can sign: they stay blocked
    warning: there are no `probes:`, so nothing can ever be called recovered
    warning: Nobody trusted these files in peacetime: they count as they stand, whoever wrote them last.
             In peacetime: incident runbook trust --key FILE
    /home/ana/shift/incident/runbook.yaml: can be used
    6 warnings
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["runbook", "lint", "odd.yaml"]), @r#"
    [stdout]
    warning: step `page-on` cannot be resolved: there is no program `no-such-program` (looked in PATH
             and from /tmp): it cannot run from this host
    warning: nobody wrote down where deploy, config-rollback, data-restore, data-write, bulk-data,
             schema-change, credential-new, credential-change, security-config, backup-change,
             infra-change belong, so they are outside: write them under `inside`, `at` or `outside` of
             `boundary:`
    warning: ana@example.com stands under `people:` and has no key in allowed_signers
    warning: ben@example.com stands under `people:` and has no key in allowed_signers
    warning: steps at the boundary need 1 person, and nobody can sign: they stay blocked
    warning: there are no `probes:`, so nothing can ever be called recovered
    odd.yaml: can be used
    6 warnings
    [exit 0]
    "#);
}

#[test]
fn what_init_writes_can_be_used_and_is_never_replaced() {
    let desk = desk!();
    assert_snapshot!(desk.incident(&["init"]), @r#"
    [stdout]
    written  incident/runbook.yaml
    written  incident/access.yaml
    written  incident/boundary-tests.yaml
    written  incident/allowed_signers
    Fill them in, then:
      next: incident runbook lint incident
      next: incident access check
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["runbook", "lint"]), @r#"
    [stdout]
    warning: steps at the boundary need 1 person, and nobody can sign: they stay blocked
    warning: there are no `probes:`, so nothing can ever be called recovered
    warning: Nobody trusted these files in peacetime: they count as they stand, whoever wrote them last.
             In peacetime: incident runbook trust --key FILE
    /home/ana/shift/incident/runbook.yaml: can be used
    /home/ana/shift/incident/access.yaml: can be used
    /home/ana/shift/incident/allowed_signers: can be used
    3 warnings
    [exit 0]
    "#);
    desk.file("incident/runbook.yaml", "mine");
    assert_snapshot!(desk.incident(&["init"]), @r#"
    [stdout]
    kept     incident/runbook.yaml: it was there already
    kept     incident/access.yaml: it was there already
    kept     incident/boundary-tests.yaml: it was there already
    kept     incident/allowed_signers: it was there already
    Fill them in, then:
      next: incident runbook lint incident
      next: incident access check
    [exit 0]
    "#);
    let kept = std::fs::read_to_string(desk.home().join("incident/runbook.yaml")).unwrap();
    assert_eq!(kept, "mine");
}

#[test]
fn a_bundle_nobody_signed_is_unchanged_and_vouched_for_by_nobody() {
    let Some(desk) = in_contain() else { return };
    assert_snapshot!(desk.incident(&["bundle", "-o", "shop.tar"]), @r#"
    [stdout]
    INC-20261122-0314-k7qf is sealed and written to shop.tar.
      in it     11 records, 3 evidence files (509 bytes), the files pinned at the start, sign-offs
      head      0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
      withheld  act.lock, case.key, lock, reserve, tmp, undo; ledger.json in it says why of each
      holes     none
      signed    no: it shows that it is unchanged, and nobody vouches for it (--key)
    Anybody checks it without this program, with signers they trust:
      tar xf shop.tar && cd INC-20261122-0314-k7qf && sh VERIFY.txt SIGNERS
      next: incident verify shop.tar
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["verify", "shop.tar"]), @r#"
    [stdout]
    INC-20261122-0314-k7qf (bundle, 3 evidence files, 509 bytes)
      unchanged: yes
      vouched for: unknown: nobody signed it
      complete: yes
      no record is vouched for from outside: the journal stands on its own word
      next: incident verify shop.tar --signers FILE, with signers you got from elsewhere
    [exit 11]
    "#);
    assert_snapshot!(desk.incident(&["bundle", "-o", "shop.tar"]), @r#"
    [stderr]
    Error: /home/ana/shift/shop.tar is there already, and nothing is ever replaced
      next: Name another file
    [exit 2]
    "#);
    assert_snapshot!(desk.incident(&["bundle", "-o", "no/such/folder.tar"]), @r#"
    [stderr]
    Error: there is no folder /home/ana/shift/no/such
      so far: nothing was written
      next: Make it, or name a file in one that is there
    [exit 2]
    "#);
    // The same seal gives the same bytes.
    assert_eq!(desk.run(&["bundle", "-o", "again.tar"]).status.code(), Some(0));
    let read = |name: &str| std::fs::read(desk.home().join(name)).unwrap();
    assert!(read("shop.tar") == read("again.tar"));

    let mut bytes = read("shop.tar");
    let at = bytes.windows(17).position(|w| w == b"DROP TABLE orders").unwrap();
    bytes[at] = b'd';
    std::fs::write(desk.home().join("bent.tar"), bytes).unwrap();
    assert_snapshot!(desk.incident(&["verify", "bent.tar"]), @r#"
    [stdout]
    INC-20261122-0314-k7qf (bundle, 3 evidence files, 509 bytes)
      unchanged: NO: data/0005-log/shop.log: its hash is not the one listed
      vouched for: not as it is now
      complete: yes
      no record is vouched for from outside: the journal stands on its own word
      next: keep this one; verify another copy: the mirror's, another person's
    [exit 10]
    "#);
}

#[test]
fn a_signed_bundle_is_vouched_for_by_signers_from_elsewhere_only() {
    let Some(desk) = in_contain() else { return };
    for who in ["ana", "eve"] {
        let mut keygen = desk.jailed("ssh-keygen");
        let made = keygen
            .args(["-q", "-t", "ed25519", "-N", "", "-C", who, "-f", who])
            .output();
        assert!(made.unwrap().status.success());
        let public = std::fs::read_to_string(desk.home().join(who).with_extension("pub")).unwrap();
        desk.file(&format!("{who}.signers"), &format!("{who}@example.com {public}"));
    }
    let sealed = desk.run(&["bundle", "-o", "shop.tar", "--key", "ana"]);
    assert_eq!(sealed.status.code(), Some(0), "{}", desk.told(&sealed));
    let code = |args: &[&str]| desk.run(args).status.code();
    assert_eq!(code(&["verify", "shop.tar"]), Some(11));
    assert_eq!(
        code(&["verify", "shop.tar", "--signers", "eve.signers"]),
        Some(11)
    );
    let vouched = desk.run(&["verify", "shop.tar", "--signers", "ana.signers"]);
    assert_eq!(vouched.status.code(), Some(0), "{}", desk.told(&vouched));
    // The kept signature serves again, without the key.
    std::fs::remove_file(desk.home().join("ana")).unwrap();
    assert_eq!(code(&["bundle", "-o", "again.tar"]), Some(0));
    let read = |name: &str| std::fs::read(desk.home().join(name)).unwrap();
    assert!(read("shop.tar") == read("again.tar"));
    // A key that cannot sign leaves the seal on record and no file.
    desk.run(&["note", "one record more"]);
    assert_eq!(
        code(&["bundle", "-o", "third.tar", "--key", "no-such-key"]),
        Some(1)
    );
    assert!(!desk.home().join("third.tar").exists());
    assert_eq!(code(&["bundle", "-o", "third.tar", "--key", "eve"]), Some(0));
}

#[test]
fn a_damaged_record_is_refused_until_it_is_repaired() {
    let Some(desk) = in_contain() else { return };
    let path = desk
        .home()
        .join(".local/share/incident")
        .join(desk.id())
        .join("journal.jsonl");
    let text = desk
        .journal()
        .replace("the orders are gone", "the orders are good");
    std::fs::write(path, text).unwrap();
    assert_snapshot!(desk.incident(&["status"]), @r#"
    [stderr]
    Error: journal.jsonl is damaged at byte 2738, after 8 good records: record 8: it does not follow from the record before it: one of the two is not what was written
      so far: nothing was changed
      next: `incident repair` goes on in a new journal that names the damaged one
    [exit 10]
    "#);
    assert_snapshot!(desk.incident(&["note", "one more"]), @r#"
    [stderr]
    Error: journal.jsonl is damaged at byte 2738, after 8 good records: record 8: it does not follow from the record before it: one of the two is not what was written
      so far: nothing was changed
      next: `incident repair` goes on in a new journal that names the damaged one
    [exit 10]
    "#);
    assert_eq!(desk.run(&["verify"]).status.code(), Some(10));
    assert_snapshot!(desk.incident(&["repair"]), @r#"
    [stdout]
    INC-20261122-0314-k7qf goes on after record 7.
      What was wrong: record 8: it does not follow from the record before it: one of the two is not what
      was written, at byte 2738 of 3201.
      The damaged file is kept whole as journal.damaged-1.jsonl (SHA-256
      0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef); the new journal begins by
      naming it. What stood after the damage no longer counts: write down what you remember with
      `incident note`.
      Record 7 stays and may be the one that was changed: `incident timeline` shows it.
      next: incident status
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["repair"]), @r#"
    [stdout]
    INC-20261122-0314-k7qf: the journal is whole, all 9 records of it: nothing to repair.
    [exit 0]
    "#);
    assert_eq!(desk.run(&["status"]).status.code(), Some(4));
}

/// The record before the break is changed into one that nobody can read: the chain is whole again, the incident is not.
#[test]
fn a_repair_that_leaves_what_nobody_can_read_says_so() {
    let Some(desk) = in_contain() else { return };
    let path = desk.home().join(".local/share/incident").join(desk.id());
    let text = desk
        .journal()
        .replace("\"question.answered\"", "\"question.answerer\"");
    assert_ne!(text, desk.journal());
    std::fs::write(path.join("journal.jsonl"), text).unwrap();
    for _ in 0..2 {
        let told = desk.incident(&["repair"]);
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in [
            "`question.answerer` version 1 is not known",
            "`incident start` opens a new one",
            "[exit 10]",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        assert!(!told.contains("next: incident status"), "{told}");
    }
}

#[test]
fn a_closed_incident_still_tells_and_takes_no_act() {
    let Some(desk) = in_contain() else { return };
    for args in [
        ["skip", "page-on", "the shop is down anyway"].as_slice(),
        &["skip", "swap", "there is no copy"],
    ] {
        let out = desk.run(args);
        assert_eq!(out.status.code(), Some(0), "{args:?}: {}", desk.told(&out));
    }
    assert_snapshot!(desk.incident(&["close", "handed over"]), @r#"
    [stdout]
    The incident is closed.
      not proved: access that nobody listed: unknown
      not proved: recovery: not proved
      next: incident bundle -o FILE, incident report
    [exit 4]
    "#);
    assert_snapshot!(desk.incident(&["status"]), @r#"
    [stdout]
    INC-…-k7qf · closed · 0 s · no target seen · unlisted access unknown
    INC-20261122-0314-k7qf: an AI agent has broken something
      trust    Nobody trusted these files in peacetime: they count as they stand, whoever wrote them
               last.
               in peacetime: incident runbook trust --key FILE

    Proofs
     unknown  access nobody listed  nothing can prove that there is none

    Still dangerous
      access nobody listed: unknown
        next: incident stop

    Evidence: 1 capture, no hole, baseline sealed by record 8.
    closed with access that nobody listed: unknown
    closed with recovery: not proved
    It is closed; nothing is probed any more.
      next: incident report --incident INC-20261122-0314-k7qf
    [exit 4]
    "#);
    assert_snapshot!(desk.incident(&["run", "page-on"]), @r#"
    [stderr]
    Error: there is no open incident
      next: Run `incident start`; `incident list` shows what there is
    [exit 2]
    "#);
    assert_snapshot!(desk.incident(&["run", "page-on", "--incident", &desk.id()]), @r#"
    [stdout]
      runs     /usr/bin/sleep 0
      in       /home/ana/shift
      undo     /usr/bin/sleep 0
    [stderr]
    Error: step `page-on` is blocked: the incident is closed
      next: `incident start` opens a new one
    [exit 5]
    "#);
    for args in [["brief"], ["handoff"], ["timeline"], ["report"]] {
        assert_eq!(desk.run(&args).status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn stop_goes_on_where_no_record_can_be_kept() {
    let desk = desk!();
    assert_snapshot!(desk.incident(&["stop", "--store", "/proc/cases"]), @r#"
    [stdout]
    INC-20261122-0314-k7qf is open.
      plan     the runbook that ships with incident
               no incident/runbook.yaml from /home/ana/shift upward; --config FOLDER names another
    Stop took 0 s; there was nothing to cut.
     unknown  access nobody listed  nothing can prove that there is none
    [stderr]
    The record: the case folder cannot be written (cannot make /proc/cases: No such file or directory (os error 2)); the record goes on in /dev/shm/incident-spool-INC-20261122-0314-k7qf.1
    [exit 4]
    "#);
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let Some(desk) = in_contain() else { return };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = desk.jailed(PROGRAM);
    let out = command
        .args(["timeline"])
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(desk.told(&out), "[exit 0]");
}

#[test]
fn the_manual_and_the_completions_know_every_command() {
    let desk = desk!();
    let man = String::from_utf8(desk.run(&["man"]).stdout).unwrap();
    let bash = String::from_utf8(desk.run(&["completions", "bash"]).stdout).unwrap();
    for command in ["start", "watch", "bundle", "boundary", "drill"] {
        assert!(man.contains(&format!("incident\\-{command}")), "{command}");
        assert!(bash.contains(command), "{command}");
    }
    assert!(man.contains("130"), "the manual has the table of exit codes");
}

#[test]
fn a_window_somebody_saw_stands_on_the_list_until_it_is_dealt_with() {
    let Some(desk) = Desk::new() else { return };
    let said = |args: &[&str], code: i32| {
        let out = desk.run(args);
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        assert_eq!(out.status.code(), Some(code), "{args:?}: {text}");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    said(&["start", "--yes"], 4);
    let text = said(
        &[
            "window",
            "undelete of vol-7",
            "--until",
            "48h",
            "--hold",
            "hold-copies",
        ],
        0,
    );
    let record = text
        .split_once('#')
        .unwrap()
        .1
        .split(',')
        .next()
        .unwrap()
        .to_owned();
    for wrong in ["yesterday", "2020-01-01T00:00:00Z", "0h"] {
        assert!(said(&["window", "x", "--until", wrong], 2).contains("no moment to come"));
    }
    said(&["window", "x"], 2);
    for view in [&["status"][..], &["brief"]] {
        let text = said(view, if view == ["status"] { 4 } else { 0 });
        assert!(text.contains("undelete of vol-7 closes"), "{text}");
    }
    assert!(said(&["status"], 4).contains("incident run hold-copies; then: incident window --over"));
    said(&["window", "--over", "1", "held"], 5);
    said(&["window", "--over", &record, "the retention is off"], 0);
    assert!(!said(&["status"], 4).contains("undelete of vol-7"));
    assert!(said(&["timeline"], 0).contains("is dealt with: the retention is off"));
    said(&["window", "--over", &record, "again"], 5);
}

#[test]
fn long_words_stand_whole_on_record_or_not_at_all() {
    let desk = desk!();
    desk.run(&["stop"]);
    let long = "the orders of Tuesday are gone, ".repeat(200);
    assert_eq!(desk.run(&["note", &long]).status.code(), Some(0));
    let last = |desk: &Desk| -> serde_json::Value {
        let journal = desk.journal();
        serde_json::from_str(journal.lines().last().unwrap()).unwrap()
    };
    assert_eq!(last(&desk)["what"]["text"], long.as_str());
    let records = desk.kinds().len();
    let longer = long.repeat(10);
    let text = desk.incident(&["note", &longer]);
    assert!(
        text.contains("these words are 64000 characters long") && text.contains("incident attach FILE"),
        "{text}"
    );
    assert!(text.ends_with("[exit 2]"), "{text}");
    assert_eq!(desk.kinds().len(), records);
    // A secret in the middle of it is still taken out.
    let secret = format!("{long} password=correct-horse-battery-staple-9 {long}");
    desk.run(&["did", &secret]);
    let text = last(&desk)["what"]["text"].as_str().unwrap().to_owned();
    assert!(
        !text.contains("correct-horse") && text.len() > 2 * long.len() - 10,
        "{text}"
    );
}

#[test]
fn what_is_not_there_is_not_called_broken() {
    let desk = desk!();
    desk.run(&["stop"]);
    for (args, words) in [
        (
            &["disclose", "nowhere.tar", "--only", "x", "-o", "part.tar"][..],
            "nothing was written",
        ),
        (&["compare", "1", "2"], "record 1 is no capture that ended"),
        (
            &["capture", "--plan", "postgres"],
            "`incident capture --list` names",
        ),
    ] {
        let text = desk.incident(args);
        assert!(
            text.contains(words) && text.ends_with("[exit 2]"),
            "{args:?}: {text}"
        );
    }
    desk.run(&["bundle", "-o", "INC.tar"]);
    let text = desk.incident(&["verify", "INC.tar", "--mirror", "x"]);
    assert!(
        text.contains("is no case folder") && text.ends_with("[exit 2]"),
        "{text}"
    );
    // A folder that is no repository is named, and not the program that would have looked.
    let text = desk.incident(&["capture", "repository", "repo=/nonexistent"]);
    assert!(text.contains("/nonexistent: No such file or directory"), "{text}");
}

//! What people write in advance: every mistake at once with its place and remedy, and what ships parses.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use incident::model::diagnostic::{Diagnostic, Place, render};
use incident::model::inventory::Inventory;
use incident::model::runbook::Runbook;
use incident::model::yaml::{self, Node, Value};
use incident::redact::Redactor;
use incident::sshsig::Roster;
use insta::assert_snapshot;

fn shown(found: &[Diagnostic], source: &str) -> String {
    let redactor = Redactor::new([0; 32], &[]).unwrap();
    render(found, source, &|line| redactor.scrub(line))
}

/// All mistakes of a runbook, drawn.
fn broken(source: &str) -> String {
    shown(&Runbook::parse("runbook.yaml", source).unwrap_err(), source)
}

/// All mistakes of one step of recover.
fn step(step: &str) -> String {
    broken(&format!(
        "version: 1\nboundary: {{inside: [read], at: []}}\nstages:\n  recover:\n    - {step}\n"
    ))
}

fn access(source: &str) -> String {
    shown(&Inventory::parse("access.yaml", source).1, source)
}

#[test]
fn an_empty_file() {
    assert_snapshot!(broken(""), @r##"
    error: the runbook has no `version`
    --> runbook.yaml:1:1
     |
    help: write `version: 1` as the first line

    error: the runbook has no `boundary`
    --> runbook.yaml:1:1
     |
    help: write `boundary:` with `inside:` and `at:`

    error: the runbook has no `stages`
    --> runbook.yaml:1:1
     |
    help: write `stages:` with stop, assess, contain, recover
    "##);
}

#[test]
fn not_yaml() {
    assert_snapshot!(broken("version: 1\nstages: [\n"), @r##"
    error: unclosed bracket '['
     --> runbook.yaml:2:9
      |
    2 | stages: [
      |         ^
    "##);
}

#[test]
fn a_tab() {
    assert_snapshot!(broken("version: 1\nboundary:\n\tinside: [read]\n"), @r##"
    error: tabs disallowed within this context (block indentation)
     --> runbook.yaml:3:2
      |
    3 |  inside: [read]
      |  ^^^^^^
    "##);
}

#[test]
fn a_key_twice() {
    assert_snapshot!(broken("version: 1\nversion: 1\n"), @r##"
    error: duplicate mapping key: version
     --> runbook.yaml:2:1
      |
    2 | version: 1
      | ^^^^^^^
    "##);
}

#[test]
fn a_merge_key() {
    assert_snapshot!(broken("version: 1\nboundary: {inside: [read], at: []}\nbase: &b {x: 1}\nstages: {<<: *b}\n"), @r##"
    error: YAML merge keys are not allowed
     --> runbook.yaml:4:10
      |
    4 | stages: {<<: *b}
      |          ^^
    "##);
}

#[test]
fn another_version() {
    assert_snapshot!(broken("version: 2\nboundary: {inside: [read]}\nstages: {}\n"), @r##"
    error: version 2 is not known to this program
     --> runbook.yaml:1:10
      |
    1 | version: 2
      |          ^
      |
    help: this program reads `version: 1`
    "##);
}

#[test]
fn a_list_where_a_mapping_belongs() {
    assert_snapshot!(broken("- version: 1\n"), @r##"
    error: the runbook must be a mapping (`key: value`)
     --> runbook.yaml:1:1
      |
    1 | - version: 1
      | ^
    "##);
}

#[test]
fn an_effect_misspelt() {
    assert_snapshot!(broken("version: 1\nboundary: {inside: [read, trafic], at: [deploi, soup]}\nstages: {}\n"), @r##"
    error: `trafic` is not an effect
     --> runbook.yaml:2:27
      |
    2 | boundary: {inside: [read, trafic], at: [deploi, soup]}
      |                           ^^^^^^
      |
    help: did you mean `traffic`?

    error: `deploi` is not an effect
     --> runbook.yaml:2:41
      |
    2 | boundary: {inside: [read, trafic], at: [deploi, soup]}
      |                                         ^^^^^^
      |
    help: did you mean `deploy`?

    error: `soup` is not an effect
     --> runbook.yaml:2:49
      |
    2 | boundary: {inside: [read, trafic], at: [deploi, soup]}
      |                                                 ^^^^
      |
    help: the effects are: read protect service-restart traffic deploy config-rollback config-change data-restore data-write bulk-data schema-change credential-new credential-change security-config backup-change infra-change one-way unknown
    "##);
}

#[test]
fn one_effect_on_both_sides() {
    assert_snapshot!(broken("version: 1\nboundary: {inside: [read, deploy], at: [deploy]}\nstages: {}\n"), @r##"
    error: `deploy` is both inside and at the boundary
     --> runbook.yaml:2:11
      |
    2 | boundary: {inside: [read, deploy], at: [deploy]}
      |           ^^^^^^^
      |
    help: keep it in one of the two lists
    "##);
}

#[test]
fn unknown_one_way_and_bulk_inside() {
    assert_snapshot!(broken("version: 1\nboundary:\n  inside: [read, unknown, one-way, bulk-data]\n  at: [unknown]\nstages: {}\n"), @r##"
    error: `unknown` is both inside and at the boundary
     --> runbook.yaml:3:3
      |
    3 |   inside: [read, unknown, one-way, bulk-data]
      |   ^^^^^^
      |
    help: keep it in one of the two lists

    error: `unknown` can never be at the boundary
     --> runbook.yaml:3:3
      |
    3 |   inside: [read, unknown, one-way, bulk-data]
      |   ^^^^^^
      |
    help: take `unknown` out of `at`: what nobody understood is outside

    error: `unknown` can never be inside the boundary
     --> runbook.yaml:3:11
      |
    3 |   inside: [read, unknown, one-way, bulk-data]
      |           ^^^^^
      |
    help: take `unknown` out of `inside`

    error: `one-way` can never be inside the boundary
     --> runbook.yaml:3:11
      |
    3 |   inside: [read, unknown, one-way, bulk-data]
      |           ^^^^^
      |
    help: take `one-way` out of `inside`

    error: `bulk-data` can never be inside the boundary
     --> runbook.yaml:3:11
      |
    3 |   inside: [read, unknown, one-way, bulk-data]
      |           ^^^^^
      |
    help: take `bulk-data` out of `inside`
    "##);
}

#[test]
fn a_quorum_of_nobody() {
    assert_snapshot!(broken("version: 1\nboundary: {inside: [read], at: []}\nescalation: {at: {people: 0}, outside: {people: two, roles: [captain]}, valid: soon}\nstages: {}\n"), @r##"
    error: a quorum of nobody is no boundary
     --> runbook.yaml:3:18
      |
    3 | escalation: {at: {people: 0}, outside: {people: two, roles: [captain]}, valid
      |                  ^^^^^^^
      |
    help: ask at least one other person, or move the effects to `inside`

    error: `people: two` is not a whole number
     --> runbook.yaml:3:49
      |
    3 | escalation: {at: {people: 0}, outside: {people: two, roles: [captain]}, valid: soon}
      |                                                 ^^^

    error: nobody in `people` has the role `captain`
     --> runbook.yaml:3:61
      |
    3 | escalation: {at: {people: 0}, outside: {people: two, roles: [captain]}, valid: soon}
      |                                                             ^^^^^^^^

    error: `valid: soon` is not a span of time
     --> runbook.yaml:3:80
      |
    3 | escalation: {at: {people: 0}, outside: {people: two, roles: [captain]}, valid: soon}
      |                                                                                ^^^^
      |
    help: write a number and `ms`, `s`, `m`, `h` or `d`, as in `30m`
    "##);
}

#[test]
fn a_validity_longer_than_a_year() {
    assert_snapshot!(broken("version: 1\nboundary: {inside: [read], at: []}\nescalation: {valid: 99999999d}\nstages: {}\n"), @r##"
    error: `valid: 99999999d` is longer than a year
     --> runbook.yaml:3:21
      |
    3 | escalation: {valid: 99999999d}
      |                     ^^^^^^^^^
      |
    help: write at most `366d`
    "##);
}

#[test]
fn a_pattern_is_not_a_person() {
    assert_snapshot!(broken(r#"version: 1
boundary: {inside: [read], at: []}
people: {"*@example.com": {roles: [on-call]}, ana@example.com: {role: [x]}}
stages: {}
"#), @r##"
error: `*@example.com` is not one person
 --> runbook.yaml:3:10
  |
3 | people: {"*@example.com": {roles: [on-call]}, ana@example.com: {role:
  |          ^^^^^^^^^^^^^^^
  |
help: write one principal exactly as in allowed_signers

error: a person has no field `role`
 --> runbook.yaml:3:65
  |
3 | people: {"*@example.com": {roles: [on-call]}, ana@example.com: {role: [x]}}
  |                                                                 ^^^^
  |
help: did you mean `roles`?
"##);
}

#[test]
fn a_backup_without_proof() {
    assert_snapshot!(broken(r#"version: 1
boundary: {inside: [read], at: []}
backups:
  - {id: orders, path: /b/orders.dump, sha256: ABC, test-restore: never}
  - {path: /b/x, sha256: ""}
stages: {}
"#), @r##"
error: this is not a SHA-256
 --> runbook.yaml:4:48
  |
4 |   - {id: orders, path: /b/orders.dump, sha256: ABC, test-restore: never}
  |                                                ^^^
  |
help: write 64 lower-case hexadecimal digits, as `sha256sum FILE` prints them

error: `test-restore: never` is not a day
 --> runbook.yaml:4:67
  |
4 |   - {id: orders, path: /b/orders.dump, sha256: ABC, test-restore: never}
  |                                                                   ^^^^^
  |
help: write the day it was done, as in `2026-11-20`, or leave it out

error: a backup has no `id`
 --> runbook.yaml:5:5
  |
5 |   - {path: /b/x, sha256: ""}
  |     ^^^^^
  |
help: give it a name, as in `id: orders-0200`

error: this is not a SHA-256
 --> runbook.yaml:5:26
  |
5 |   - {path: /b/x, sha256: ""}
  |                          ^^
  |
help: write 64 lower-case hexadecimal digits, as `sha256sum FILE` prints them
"##);
}

#[test]
fn a_stage_that_does_not_exist() {
    assert_snapshot!(broken("version: 1\nboundary: {inside: [read], at: []}\nstages:\n  recovery: []\n"), @r##"
    error: `stages` has no field `recovery`
     --> runbook.yaml:4:3
      |
    4 |   recovery: []
      |   ^^^^^^^^
      |
    help: did you mean `recover`?
    "##);
}

#[test]
fn stop_that_waits() {
    assert_snapshot!(broken(r#"version: 1
boundary: {inside: [read], at: []}
stages:
  stop: [{run: [sleep, "1"]}, {revoke: some}]
  contain: [{kill: agents}]
"#), @r##"
error: `stop` holds only revoke, kill and disable: it must not wait for anything else
 --> runbook.yaml:4:10
  |
4 |   stop: [{run: [sleep, "1"]}, {revoke: some}]
  |          ^^^^

error: `revoke: some` is not known
 --> runbook.yaml:4:40
  |
4 |   stop: [{run: [sleep, "1"]}, {revoke: some}]
  |                                        ^^^^
  |
help: write `revoke: all`; leave something out by taking it out of access.yaml

error: `kill` belongs to `stop`, not to `contain`
 --> runbook.yaml:5:13
  |
5 |   contain: [{kill: agents}]
  |             ^^^^^
"##);
}

#[test]
fn two_steps_of_one_name() {
    assert_snapshot!(broken(r#"version: 1
boundary: {inside: [read], at: []}
stages:
  contain:
    - {id: page, run: ["true"]}
  recover:
    - {id: page, run: ["true"]}
"#), @r##"
error: two steps are named `page` (the first is on line 5)
 --> runbook.yaml:7:7
  |
7 |     - {id: page, run: ["true"]}
  |       ^^^
  |
help: give each step its own `id`
"##);
}

#[test]
fn a_line_for_a_shell() {
    assert_snapshot!(step("{id: x, run: psql -c 'drop table orders'}"), @r##"
    error: `run` takes a list, never a line for a shell
     --> runbook.yaml:5:20
      |
    5 |     - {id: x, run: psql -c 'drop table orders'}
      |                    ^^^^
      |
    help: write the arguments as a list: `run: [program, argument]`
    "##);
}

#[test]
fn no_act() {
    assert_snapshot!(step("{id: x, why: because}"), @r##"
    error: this step does nothing
     --> runbook.yaml:5:7
      |
    5 |     - {id: x, why: because}
      |       ^^^
      |
    help: write exactly one of: run, manual, ask, capture, revoke, kill, disable
    "##);
}

#[test]
fn two_acts() {
    assert_snapshot!(step("{id: x, run: [ls], manual: look}"), @r##"
    error: this step does 2 things: run, manual
     --> runbook.yaml:5:7
      |
    5 |     - {id: x, run: [ls], manual: look}
      |       ^^^
      |
    help: write exactly one of: run, manual, ask, capture, revoke, kill, disable
    "##);
}

#[test]
fn a_field_misspelt() {
    assert_snapshot!(step("{id: x, run: [ls], effcets: [read], colour: red}"), @r##"
    error: a step has no field `effcets`
     --> runbook.yaml:5:26
      |
    5 |     - {id: x, run: [ls], effcets: [read], colour: red}
      |                          ^^^^^^^
      |
    help: did you mean `effects`?

    error: a step has no field `colour`
     --> runbook.yaml:5:43
      |
    5 |     - {id: x, run: [ls], effcets: [read], colour: red}
      |                                           ^^^^^^
      |
    help: known here: id, run, manual, ask, capture, revoke, kill, disable, effects, lane, undo, needs, verify, env, environment, title, why, cwd, rollback-tested, timeout, tries
    "##);
}

#[test]
fn no_effects_said() {
    assert_snapshot!(step("{id: x, run: [ls], effects: []}"), @r##"
    error: `effects` is empty: nothing said is nothing proved
     --> runbook.yaml:5:35
      |
    5 |     - {id: x, run: [ls], effects: []}
      |                                   ^
      |
    help: write `effects: [read]` for what only looks, or leave the field out
    "##);
}

#[test]
fn a_backup_nobody_wrote_down() {
    assert_snapshot!(step(r#"{id: x, run: [pg_restore, "{{ backup.orders.path }}"], needs: {backup: orders}, effects: [data-restore]}"#), @r##"
    error: there is no variable `backup.orders.path`
     --> runbook.yaml:5:7
      |
    5 |     - {id: x, run: [pg_restore, "{{ backup.orders.path }}"], needs
      |       ^^^
      |
    help: known: {{ backup.ID.path }}, {{ backup.ID.sha256 }}, {{ incident.id }}

    error: there is no backup `orders`
     --> runbook.yaml:5:78
      |
    5 |     - {id: x, run: [pg_restore, "{{ backup.orders.path }}"], needs: {backup: orders}, effects: [data-restore]}
      |                                                                              ^^^^^^
      |
    help: write it down under `backups:`
    "##);
}

#[test]
fn a_variable_not_closed() {
    assert_snapshot!(step(r#"{id: x, run: [ls], undo: {run: [ls, "{{ incident.id"]}, verify: {run: [ls, "{{ env.HOME }}"]}}"#), @r##"
    error: `{{ incident.id` opens a variable and does not close it
     --> runbook.yaml:5:7
      |
    5 |     - {id: x, run: [ls], undo: {run: [ls, "{{ incident.id"]}, veri
      |       ^^^
      |
    help: known: {{ backup.ID.path }}, {{ backup.ID.sha256 }}, {{ incident.id }}

    error: there is no variable `env.HOME`
     --> runbook.yaml:5:71
      |
    5 |     - {id: x, run: [ls], undo: {run: [ls, "{{ incident.id"]}, verify: {run: [ls, "{{ env.HOME }}"]}}
      |                                                                       ^^^^
      |
    help: known: {{ backup.ID.path }}, {{ backup.ID.sha256 }}, {{ incident.id }}
    "##);
}

#[test]
fn names_and_numbers() {
    assert_snapshot!(step("{id: ../x, run: [ls], tries: 0, timeout: 5}"), @r##"
    error: `../x` is not a step name: use letters, digits, `.`, `_`, `-` and `:`, start with a letter or digit, 64 characters at most
     --> runbook.yaml:5:12
      |
    5 |     - {id: ../x, run: [ls], tries: 0, timeout: 5}
      |            ^^^^

    error: `tries: 0` is out of bounds
     --> runbook.yaml:5:36
      |
    5 |     - {id: ../x, run: [ls], tries: 0, timeout: 5}
      |                                    ^
      |
    help: write a number from 1 to 10

    error: `timeout: 5` is not a span of time
     --> runbook.yaml:5:48
      |
    5 |     - {id: ../x, run: [ls], tries: 0, timeout: 5}
      |                                                ^
      |
    help: write a number and `ms`, `s`, `m`, `h` or `d`, as in `30m`
    "##);
}

#[test]
fn a_name_that_ad_hoc_acts_have() {
    assert_snapshot!(step("{id: do-7, run: [ls]}"), @r##"
    error: `do-7` cannot name a step
     --> runbook.yaml:5:12
      |
    5 |     - {id: do-7, run: [ls]}
      |            ^^^^
      |
    help: `do-1`, `do-2`, … name acts that no runbook foresaw; choose another
    "##);
}

#[test]
fn a_lane_in_the_wrong_stage() {
    assert_snapshot!(step("{id: x, run: [ls], lane: first}"), @r##"
    error: `lane: first` does not exist here
     --> runbook.yaml:5:7
      |
    5 |     - {id: x, run: [ls], lane: first}
      |       ^^^
      |
    help: `lane: protect`, or in contain `lane: first`
    "##);
}

#[test]
fn an_undo_that_says_nothing() {
    assert_snapshot!(step(r#"{id: x, run: [ls], undo: {}, verify: {expect: "1"}}"#), @r##"
    error: `undo` does not say how
     --> runbook.yaml:5:32
      |
    5 |     - {id: x, run: [ls], undo: {}, verify: {expect: "1"}}
      |                                ^
      |
    help: write `run: [program, …]`, `manual: …` or `never: REASON`

    error: there is nothing to run here
     --> runbook.yaml:5:44
      |
    5 |     - {id: x, run: [ls], undo: {}, verify: {expect: "1"}}
      |                                            ^^^^^^^
      |
    help: write `run: [program, argument]`
    "##);
}

#[test]
fn a_collector_nobody_knows() {
    assert_snapshot!(step("{id: x, capture: memory}"), @r##"
    error: there is no collector `memory`
     --> runbook.yaml:5:24
      |
    5 |     - {id: x, capture: memory}
      |                        ^^^^^^
      |
    help: write `host`, `{file: PATH}`, `{git: PATH}`, `{command: [program, …]}` or a collector, as in `{postgres: {url: {env: NAME}}}`; `incident capture --list` names them
    "##);
}

#[test]
fn a_rollback_tested_on_no_day() {
    assert_snapshot!(step("{id: x, run: [ls], rollback-tested: last week, env: {A: [b]}}"), @r##"
    error: `rollback-tested: last week` is not a day
     --> runbook.yaml:5:43
      |
    5 |     - {id: x, run: [ls], rollback-tested: last week, env: {A: [b]}}
      |                                           ^^^^
      |
    help: write the day it was done, as in `2026-11-20`, or leave it out

    error: a secret's source must be a mapping (`key: value`)
    --> runbook.yaml:5:63
    "##);
}

#[test]
fn probes() {
    assert_snapshot!(broken(r#"version: 1
boundary: {inside: [read], at: []}
stages: {}
probes:
  - {id: a, get: "https://example.com", status: 99999}
  - {id: b}
  - {get: "https://example.com"}
"#), @r##"
error: `status: 99999` is out of bounds
 --> runbook.yaml:5:49
  |
5 |   - {id: a, get: "https://example.com", status: 99999}
  |                                                 ^^^^^
  |
help: write a number from 100 to 599

error: there is nothing to run here
 --> runbook.yaml:6:5
  |
6 |   - {id: b}
  |     ^^^
  |
help: write `run: [program, argument]`

error: a probe has no `id`
 --> runbook.yaml:7:5
  |
7 |   - {get: "https://example.com"}
  |     ^^^^
  |
help: give it a name
"##);
}

#[test]
fn a_secret_in_the_runbook() {
    assert_snapshot!(step("{id: x, run: [ls], env: {TOKEN: {value: hunter2-very-private}}}"), @r##"
    error: this does not say where the secret is read from
    --> runbook.yaml:5:39
     |
    help: write `{env: NAME}`, `{file: PATH}`, `{command: [program, …]}` or `{process: NAME}`; never the secret itself

    error: a secret's source has no field `value`
    --> runbook.yaml:5:40
     |
    help: known here: env, file, command, process
    "##);
}

#[test]
fn a_carriage_return_of_its_own() {
    assert_snapshot!(broken("version: 1\n# harmless\rboundary: {inside: []}\n"), @r##"
    error: a carriage return stands alone in this line
     --> runbook.yaml:2:11
      |
    2 | # harmless�boundary: {inside: []}
      |           ^^^^^^^^^
    "##);
}

#[test]
fn text_that_hides() {
    assert_snapshot!(broken("version: 1\nboundary: {inside: [read]}\nstages: {}\n\"evil\\e[2J\\u202e\": 1\n"), @r##"
    error: the runbook has no field `evil\u{1b}[2J\u{202e}`
     --> runbook.yaml:4:1
      |
    4 | "evil\e[2J\u202e": 1
      | ^^^^^^^^^^^^^^^^^
      |
    help: known here: version, name, people, boundary, environments, rules, escalation, backups, evidence, stages, probes
    "##);
}

#[test]
fn a_secret_where_its_source_belongs() {
    assert_snapshot!(access("version: 1\nagents:\n  - name: bot\n    grants:\n      - {id: a, provider: github, secret: hunter2}\n      - {id: b, provider: github, auth: ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n      - {id: c, provider: github, password: hunter2}\n"), @r##"
    error: a secret is never written here
    --> access.yaml:5:43
     |
    help: write `{env: NAME}`, `{file: PATH}`, `{command: [program, …]}` or `{process: NAME}`; never the secret itself

    error: a secret is never written here
    --> access.yaml:6:41
     |
    help: write `{env: NAME}`, `{file: PATH}`, `{command: [program, …]}` or `{process: NAME}`; never the secret itself

    error: a grant has no field `password`
    --> access.yaml:7:35
     |
    help: known here: id, provider, with, auth, secret, shared, reaches
    "##);
}

#[test]
fn an_agent_nobody_can_find() {
    assert_snapshot!(access("version: 1\nagents:\n  - host: db1\n    processes: {user: [deploy]}\n    grants: [{id: a, provider: github, shared: maybe}, {id: a, provider: github}, {provider: x}]\n    triggers: [{id: t}, {id: u, cron: {contains: x}}]\n"), @r##"
    error: two entries are named `a`
    --> access.yaml
     |
    help: give each grant and trigger its own `id`; the first one is used

    error: an agent has no `name`
     --> access.yaml:3:5
      |
    3 |   - host: db1
      |     ^^^^
      |
    help: give the agent a name

    error: only `host: local` can be reached from here
     --> access.yaml:3:11
      |
    3 |   - host: db1
      |           ^^^
      |
    help: run `incident stop` on that host; its grants below are still cut from here

    error: this rule would match nothing
     --> access.yaml:4:16
      |
    4 |     processes: {user: [deploy]}
      |                ^^^^^
      |
    help: name at least one of exe, argv, env, cwd

    error: `shared` is `no`, `production` or `responder`
     --> access.yaml:5:48
      |
    5 |     grants: [{id: a, provider: github, shared: maybe}, {id: a, provider: github}, {provider: x}]
      |                                                ^^^^^

    error: a grant has no `id`
     --> access.yaml:5:83
      |
    5 |     grants: [{id: a, provider: github, shared: maybe}, {id: a, provider: github}, {provider: x}]
      |                                                                                   ^^^^^^^^^
      |
    help: give it a name

    error: this trigger does not say what it is
     --> access.yaml:6:16
      |
    6 |     triggers: [{id: t}, {id: u, cron: {contains: x}}]
      |                ^^^
      |
    help: write one of cron, at, script, file, systemd, provider, manual

    error: `cron` names neither a `user` nor a `file`
     --> access.yaml:6:39
      |
    6 |     triggers: [{id: t}, {id: u, cron: {contains: x}}]
      |                                       ^^^^^^^^^
    "##);
}

#[test]
fn several_mistakes_are_all_shown_in_the_order_of_the_file() {
    let source = "version: 1\nboundary: {inside: [reed]}\nstages:\n  recover:\n    - {run: ls}\n    - {id: a b, ask: what}\nextra: 1\n";
    let found = Runbook::parse("runbook.yaml", source).unwrap_err();
    let lines: Vec<u32> = found.iter().map(|d| d.place.line).collect();
    assert_eq!(lines, [2, 5, 6, 7], "{found:?}");
}

#[test]
fn a_long_list_of_mistakes_is_cut_and_counted() {
    let source = format!(
        "version: 1\nboundary: {{inside: [{}]}}\nstages: {{}}\n",
        "soup, ".repeat(500)
    );
    let found = Runbook::parse("runbook.yaml", &source).unwrap_err();
    assert_eq!(found.len(), 500);
    let drawn = shown(&found, &source);
    assert!(drawn.ends_with("and 460 more"), "{}", &drawn[drawn.len() - 80..]);
    assert!(drawn.lines().all(|l| l.chars().count() < 320));
}

#[test]
fn a_mistake_without_a_place_is_drawn_without_a_line() {
    let found = [Diagnostic {
        file: "access.yaml".into(),
        place: Place::default(),
        message: "the file is longer than 1 MiB".into(),
        remedy: None,
    }];
    assert_snapshot!(shown(&found, "version: 1"), @r##"
    error: the file is longer than 1 MiB
    --> access.yaml
    "##);
}

#[test]
fn what_is_meant_to_choke_the_reader_is_refused_quickly() {
    let started = Instant::now();
    let bomb: String = (0..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        format!("{text}a{}: &a{} [*a{n}, *a{n}]\n", n + 1, n + 1)
    });
    let deep = format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    let long = format!("a: {}", "x".repeat(yaml::FILE_CAP));
    let many = format!("a: [{}]", "x, ".repeat(100_000));
    for (what, source) in [
        ("aliases", bomb),
        ("depth", deep),
        ("length", long),
        ("nodes", many),
    ] {
        let refused = yaml::parse("runbook.yaml", &source).unwrap_err();
        assert!(!refused.message.is_empty(), "{what}");
        let mistakes = Inventory::parse("access.yaml", &source).1;
        assert_eq!(mistakes.len(), 1, "{what}");
    }
    // As many numbers as are let through, each of which is spelt from the source.
    let numbers = format!("{}a: [{}]", "# padding\n".repeat(50_000), "1, ".repeat(19_000));
    assert!(yaml::parse("runbook.yaml", &numbers).is_ok());
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn scalars_keep_their_spelling_behind_anchors_and_aliases() {
    let source = "a: &n 0017\nb: *n\n\"é\": [1.20, &t true, *t]\nc: |\n  x\n";
    let node = yaml::parse("x", source).unwrap();
    let Value::Map(fields) = &node.value else { panic!() };
    let texts: Vec<String> = fields
        .iter()
        .flat_map(|(_, n)| match &n.value {
            Value::List(items) => items.iter().map(|i| format!("{:?}", i.value)).collect(),
            other => vec![format!("{other:?}")],
        })
        .collect();
    let expected = ["0017", "0017", "1.20", "true", "true", "x\n"];
    let expected: Vec<String> = expected
        .iter()
        .map(|t| format!("{:?}", Value::Text((*t).into())))
        .collect();
    assert_eq!(texts, expected);
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn yaml_files(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "yaml") {
            into.push(path);
        }
    }
}

/// Every YAML file that is shipped or shown.
fn shipped() -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for folder in ["runbooks", "examples", "src"] {
        yaml_files(&root().join(folder), &mut all);
    }
    all.sort();
    assert!(all.len() >= 10, "{all:?}");
    all.into_iter()
        .map(|p| {
            let text = std::fs::read_to_string(&p).unwrap();
            (p, text)
        })
        .collect()
}

fn plain(text: &str) -> String {
    text.lines().fold(String::new(), |all, l| all + l + "\n")
}

#[test]
fn every_shipped_runbook_and_access_file_parses() {
    let mut read = 0;
    for (path, text) in shipped() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let runbook = name == "runbook.yaml" || path.parent().unwrap().ends_with("runbooks");
        if runbook {
            let found = Runbook::parse(name, &text).err().unwrap_or_default();
            assert!(found.is_empty(), "{}:\n{}", path.display(), shown(&found, &text));
        } else if name == "access.yaml" {
            let (_, found) = Inventory::parse(name, &text);
            assert!(found.is_empty(), "{}:\n{}", path.display(), shown(&found, &text));
        } else {
            yaml::parse(name, &text).unwrap();
        }
        read += usize::from(runbook || name == "access.yaml");
    }
    assert!(read >= 5, "{read}");
}

/// `## ` is prose, `# ` an example: with every example taken in, the templates must still parse.
fn with_examples(text: &str) -> String {
    let line = |l: &str| match l.strip_prefix("# ") {
        Some(example) => example.to_owned(),
        None => l.to_owned(),
    };
    let all: Vec<String> = text.lines().map(line).collect();
    plain(&all.join("\n").replace("agents: []\n", ""))
}

#[test]
fn the_templates_of_init_parse_with_and_without_their_examples() {
    let read = |name: &str| std::fs::read_to_string(root().join("runbooks/init").join(name)).unwrap();
    let runbook = with_examples(&read("runbook.yaml"));
    let parsed = Runbook::parse("runbook.yaml", &runbook);
    let parsed = parsed.unwrap_or_else(|found| panic!("{}", shown(&found, &runbook)));
    assert_eq!(parsed.policy.people.len(), 3);
    assert_eq!((parsed.backups.len(), parsed.probes.len()), (1, 2));
    assert!(parsed.steps.len() >= 14, "{}", parsed.steps.len());
    let access = with_examples(&read("access.yaml"));
    let (inventory, found) = Inventory::parse("access.yaml", &access);
    assert!(found.is_empty(), "{}", shown(&found, &access));
    assert_eq!(inventory.targets.len(), 7);
    let (empty, _) = Inventory::parse("access.yaml", &read("access.yaml"));
    assert!(empty.targets.is_empty(), "an example is not somebody's grant");
    let roster = Roster::parse(read("allowed_signers").as_bytes()).unwrap();
    assert!(
        roster.is_empty(),
        "nobody may sign before somebody is written down"
    );
}

#[test]
fn the_template_draws_the_boundary_where_the_shipped_runbook_does() {
    let policy = |path: &str| {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        Runbook::parse(path, &text).unwrap().policy
    };
    let (init, default) = (
        policy("runbooks/init/runbook.yaml"),
        policy("runbooks/default.yaml"),
    );
    assert_eq!(init, default);
}

/// Our tree against a parser we did not write. Scalars are compared by what they mean to the other one.
fn alike(ours: &Node, theirs: &yaml_serde::Value, at: &str) {
    match (&ours.value, theirs) {
        (Value::Null, yaml_serde::Value::Null) => {}
        (Value::List(a), yaml_serde::Value::Sequence(b)) => {
            assert_eq!(a.len(), b.len(), "{at}");
            for (n, (a, b)) in a.iter().zip(b).enumerate() {
                alike(a, b, &format!("{at}[{n}]"));
            }
        }
        (Value::Map(a), yaml_serde::Value::Mapping(b)) => {
            assert_eq!(a.len(), b.len(), "{at}");
            for ((key, a), (other, b)) in a.iter().zip(b) {
                let other = match other {
                    yaml_serde::Value::String(s) => s.clone(),
                    yaml_serde::Value::Number(n) => n.to_string(),
                    other => panic!("{at}: {other:?}"),
                };
                assert_eq!(key.text, other, "{at}");
                alike(a, b, &format!("{at}.{}", key.text));
            }
        }
        (Value::Text(a), yaml_serde::Value::String(b)) => assert_eq!(a, b, "{at}"),
        (Value::Text(a), yaml_serde::Value::Number(b)) => {
            assert_eq!(a.parse::<f64>().ok(), b.as_f64(), "{at}: {a} and {b}");
        }
        (Value::Text(a), yaml_serde::Value::Bool(b)) => assert_eq!(a, &b.to_string(), "{at}"),
        (a, b) => panic!("{at}: {a:?} and {b:?}"),
    }
}

#[test]
fn another_parser_reads_every_shipped_file_alike() {
    for (path, text) in shipped() {
        let name = path.display().to_string();
        let theirs: yaml_serde::Value = yaml_serde::from_str(&text).unwrap();
        alike(&yaml::parse(&name, &text).unwrap(), &theirs, &name);
        if path.to_str().unwrap().contains("runbooks/init/") {
            let text = with_examples(&text);
            let theirs: yaml_serde::Value = yaml_serde::from_str(&text).unwrap();
            alike(&yaml::parse(&name, &text).unwrap(), &theirs, &name);
        }
    }
}

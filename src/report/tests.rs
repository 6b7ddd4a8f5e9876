//! One small incident from end to end, and the promises that hold for every report.

mod book;

use super::{Due, Severity, brief, handoff, html, markdown, still_dangerous, timeline, truth_line};
use crate::journal::Hash;
use crate::model::act::{CaptureSpec, Stage};
use crate::model::effect::{Effect, Zone};
use crate::model::event::*;
use crate::model::fact::Fact;
use book::*;

#[test]
fn a_small_incident_from_end_to_end() {
    let text = markdown(&whole("The orders table is gone", "The agent says it changed nothing.").report());
    insta::assert_snapshot!(text.unwrap(), @r#"
    # The orders table is gone

    | | |
    |---|---|
    | Incident | INC-20261122-0314-k7qf |
    | Opened | 2026-11-22T03:14:00.000Z by ana@example.com on bastion, with incident 0.1.0 |
    | Closed | 2026-11-22T03:15:30.000Z |
    | Recovered | 2026-11-22T03:15:20.000Z |
    | People who acted or answered | ana, ana@example.com |
    | Record | 33 records, head 9fae-6b49 |

    ## Times

    | From | to | took |
    |---|---|---|
    | start of the stop | first revoke on its way | 42 ms |
    | start of the stop | last target proved dead | 1.1 s |
    | opening | baseline | 6.0 s |
    | opening | contain | 7.0 s |
    | opening | recovered | 1 min 20 s |

    ## What was cut

    | Target | through | found by | word | proved after | the facts behind it |
    |---|---|---|---|---|---|
    | deploy-bot | processes of deploy-bot | scan | **gone** | 300 ms | 3 processes killed; looked for in bastion, every user: no process found |
    | agent-token | vault-token | access.yaml | **refused** | 1.1 s | cut was taken (HTTP 204); has no sessions that could outlive it; new use refused |
    | access nobody listed: unknown | | | **unknown** | not proved | nobody can look for what nobody listed |

    ### What starts it again

    No trigger was seen, which proves nothing.

    ### What stays dangerous

    - agent-token: its database lease may live until 2026-11-22T03:40:00.000Z
    - access nobody listed: unknown

    ### Seen before the cut

    - agent-token: last used: 03:12 from 10.0.0.9

    ## Evidence

    Baseline sealed at 2026-11-22T03:14:06.000Z by ana@example.com (#13) over captures #11.
    - Not known then: how many orders are lost

    | Capture | for | when | by | whole | holes | bytes listed | secrets taken out | exhibit |
    |---|---|---|---|---|---|---|---|---|
    | #11 host | baseline | 2026-11-22T03:14:04.000Z | ana@example.com | 1 | 1 | 240 | 2 | 11-host |
    | #29 host | after | 2026-11-22T03:15:19.000Z | ana@example.com | 1 | 0 | 120 | 1 | 29-host |

    What is the same as in the baseline was so before anybody repaired: the agent's doing, or older. What differs came after it: by the acts named, by work outside the tool, or by itself. A line is put to the agent where it names what only the agent held, at a time before the stop; to an act where it names what the act was for; whose the others are, nobody can tell.

    - #29 host against #11: 1 the same; no longer there: sockets.txt; acts between: #16, #24; lines by the agent: 2, by #24: 1, unknown: 3

    ### Holes

    - #11 host, sockets.txt: forbidden; only root may look

    ## The repair boundary

    | Act | zone | effects | by | when | outcome | allowed by |
    |---|---|---|---|---|---|---|
    | #16 maintenance-page: run maintenance-page | inside | traffic | ana@example.com | 2026-11-22T03:14:08.000Z | done | nobody had to |
    | #24 swap: run swap | at | config-change | ana@example.com | 2026-11-22T03:15:15.000Z | done; check passed: 41222 rows, as in the backup | ben@example.com with SHA256:2kqmx, request #20 |

    ### Requests

    - #20 at 2026-11-22T03:14:10.000Z: ana@example.com asked 1 person to sign for swap (at, rule config-change): used
      - ben@example.com approved at 2026-11-22T03:15:10.000Z with SHA256:2kqmx (ssh-ed25519), #23

    Answers that do not count:

    - #22 at 2026-11-22T03:14:11.000Z, filed by ana@example.com for request #20: a key that is not in the roster (unknown-key)

    ## Recovery

    The plan (#19):

    1. swap (at): done

    - Probe checkout (#28): passed; 200 as expected
    - Recovered: 2026-11-22T03:15:20.000Z

    ## Done outside the tool

    Record #27, 2026-11-22T03:15:17.500Z, ana@example.com:

    > told the status page by hand

    ## Answers and notes

    services, answered by ana@example.com (#10):

    > checkout: down  
    > search: up

    Note #14, 2026-11-22T03:14:06.100Z, ana@example.com:

    > The agent says it changed nothing.

    ## What could not be used or proved

    - access.yaml:7: \`toekn\` is not a key
    - When it was closed: access that nobody listed: unknown

    ## Timeline

    | # | when | who | what |
    |---|---|---|---|
    | 0 | 2026-11-22T03:14:00.000Z | ana@example.com | opened the incident: The orders table is gone |
    | 1 | 2026-11-22T03:14:00.100Z | ana@example.com | began to stop 2 targets |
    | 2 | 2026-11-22T03:14:00.300Z | ana@example.com | agent-token, glance: last used: 03:12 from 10.0.0.9 |
    | 3 | 2026-11-22T03:14:00.300Z | ana@example.com | agent-token, cut: cut was taken (HTTP 204); has no sessions that could outlive it |
    | 4 | 2026-11-22T03:14:00.300Z | ana@example.com | deploy-bot, kill: 3 processes killed; looked for in bastion, every user: no process found |
    | 6 | 2026-11-22T03:14:00.600Z | ana@example.com | agent-token, probe: new use refused |
    | 7 | 2026-11-22T03:14:01.300Z | ana@example.com | agent-token, probe after the window: new use refused; its database lease may live until 2026-11-22T03:40:00.000Z |
    | 8 | 2026-11-22T03:14:01.300Z | ana@example.com | the stop ended |
    | 9 | 2026-11-22T03:14:02.000Z | ana@example.com | went on to assess |
    | 10 | 2026-11-22T03:14:03.000Z | ana@example.com | answered services: checkout: down ⏎ search: up |
    | 11 | 2026-11-22T03:14:04.000Z | ana@example.com | began to capture host (baseline) |
    | 12 | 2026-11-22T03:14:04.000Z | ana@example.com | capture #11 ended after 900 ms: 2 things, 1 hole |
    | 13 | 2026-11-22T03:14:06.000Z | ana@example.com | sealed the baseline over captures #11; not known yet: how many orders are lost |
    | 14 | 2026-11-22T03:14:06.100Z | ana@example.com | note: The agent says it changed nothing. |
    | 15 | 2026-11-22T03:14:07.000Z | ana@example.com | went on to contain |
    | 16 | 2026-11-22T03:14:08.000Z | ana@example.com | began maintenance-page (inside the boundary: traffic): run maintenance-page |
    | 17 | 2026-11-22T03:14:08.400Z | ana@example.com | act #16 is done after 340 ms, exit 0 |
    | 18 | 2026-11-22T03:14:09.000Z | ana@example.com | went on to recover |
    | 19 | 2026-11-22T03:14:09.500Z | ana@example.com | fixed the plan: swap |
    | 20 | 2026-11-22T03:14:10.000Z | ana@example.com | asked 1 person to sign for swap (at the boundary, rule config-change) |
    | 21 | 2026-11-22T03:14:10.000Z | ana@example.com | wrote what is to be signed for request #20 |
    | 22 | 2026-11-22T03:14:11.000Z | ana@example.com | an answer to request #20 does not count: a key that is not in the roster |
    | 23 | 2026-11-22T03:15:10.000Z | ana@example.com | ben@example.com approved request #20, signed with SHA256:2kqmx |
    | 24 | 2026-11-22T03:15:15.000Z | ana@example.com | began swap (at the boundary: config-change): run swap; signed for in #20 |
    | 25 | 2026-11-22T03:15:16.000Z | ana@example.com | act #24 is done after 340 ms, exit 0 |
    | 26 | 2026-11-22T03:15:17.000Z | ana@example.com | the check of act #24 passed: 41222 rows, as in the backup |
    | 27 | 2026-11-22T03:15:17.500Z | ana@example.com | done outside the tool: told the status page by hand |
    | 28 | 2026-11-22T03:15:18.000Z | ana@example.com | probe checkout passed: 200 as expected |
    | 29 | 2026-11-22T03:15:19.000Z | ana@example.com | began to capture host (after) |
    | 30 | 2026-11-22T03:15:19.000Z | ana@example.com | capture #29 ended after 900 ms: 1 thing, no hole |
    | 31 | 2026-11-22T03:15:20.000Z | ana@example.com | recovered: 1 probe passed, the state after is kept in #29 |
    | 32 | 2026-11-22T03:15:30.000Z | ana@example.com | closed the incident, 1 unproved: orders are back |

    Head of the record: `9fae6b4909561f3e80f984d25e551b1489741c5e2d2e82ebc1d7054dbb01b0fb`
    "#);
}

/// Text that tries to be something else wherever it is shown.
const HOSTILE: &str = "# x\u{1b}[2J\u{202e}\u{200b}|a|<script>alert(1)</script>\n\n# Recovered\n  # Recovered\n - x\n ---\n- ![i](http://x) `c` @here";

#[test]
fn the_keys_of_the_json_form_are_stable() {
    let json = whole("t", "n").report().json().unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let keys = |value: &serde_json::Value| {
        let keys = value.as_object().unwrap().keys().cloned();
        keys.collect::<Vec<_>>().join(" ")
    };
    let parts = [
        "/times",
        "/cut/0",
        "/acts/1",
        "/acts/1/allowed_by/0",
        "/requests/0",
        "/captures/0",
        "/holes/0",
    ];
    let parts = parts.map(|at| format!("{at}: {}", keys(value.pointer(at).unwrap())));
    insta::assert_snapshot!(format!("{}\n{}", keys(&value), parts.join("\n")), @"
    acts answers baseline captures closed closed_unproved cut drill format holes host id notes opened opened_by outside people plan probes problems record recovered rejected requests skipped stage timeline times title tool triggers unlisted
    /times: to_baseline_ms to_contain_ms to_first_revoke_ms to_recovered_ms to_stop_proved_ms
    /cut/0: answered facts found_by kind noted proof proved_after_ms proved_dead reaches residue target through word
    /acts/1: act act_sha256 allowed_by effects lane outcome stage step title ts undoes who why words zone
    /acts/1/allowed_by/0: algorithm approves filed fingerprint person record request touched verified
    /requests/0: answers need proven request requester rule state steps ts withdrawn zone
    /captures/0: against bytes capture exhibit holes name purpose redactions step ts who whole
    /holes/0: capture name status what why
    ");
}

#[test]
fn hostile_words_are_shown_and_do_nothing() {
    let book = whole(HOSTILE, HOSTILE);
    let due = Due {
        what: HOSTILE.into(),
        command: "incident close `x`".into(),
    };
    let head = Hash::of(b"x");
    let entries = book.entries();
    let texts = [
        markdown(&book.report()).unwrap(),
        book.report().json().unwrap(),
        brief(book.incident(), &head, &due, now(0)).join("\n"),
        handoff(&entries, book.incident(), &due, now(0)).unwrap(),
        truth_line(book.incident(), now(0)),
    ];
    for text in &texts {
        let hidden = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{200b}".contains(c);
        assert!(!text.contains(hidden), "{text}");
    }
    for text in [&texts[0], &texts[3]] {
        assert!(!text.contains("<script"), "{text}");
        assert!(
            !text.contains("\n# Recovered") && !text.contains("> # "),
            "{text}"
        );
        assert!(!text.contains("[i]("), "{text}");
    }
    assert!(!texts[2].contains("@here"), "{}", texts[2]);
    assert_eq!(texts[2].lines().count(), 10);

    let page = html(&book.report()).unwrap();
    assert!(page.contains("<title>INC-20261122-0314-k7qf: # x"), "{page}");
    assert_eq!(page.matches("<script").count(), 0, "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    let odd = |tag: &&str| {
        !"h1 h2 h3 p table thead tbody tr th td ul ol li blockquote code strong em br"
            .split(' ')
            .any(|known| known == *tag)
    };
    assert_eq!(tags(&page).into_iter().find(odd), None, "{page}");
}

/// What is opened in the body of a page, each without attributes.
fn tags(page: &str) -> Vec<&str> {
    let (_, body) = page.split_once("<main>").unwrap();
    let (body, _) = body.split_once("</main>").unwrap();
    let opened = body.split('<').skip(1).filter(|tag| !tag.starts_with('/'));
    opened
        .map(|tag| tag.split_once('>').unwrap().0.trim_end_matches(" /"))
        .collect()
}

/// Columns of a Markdown table's row.
fn columns(row: &str) -> usize {
    row.replace("\\\\", "").replace("\\|", "").matches('|').count()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// Promise 12, and no words can add a line, a column or a heading to it.
    #[test]
    fn the_same_records_give_the_same_bytes(title in "\\PC{0,40}|(.|\n){0,40}", note in "(.|[|`<#\n\\-]){0,60}") {
        let book = whole(&title, &note);
        let text = markdown(&book.report()).unwrap();
        proptest::prop_assert_eq!(&text, &markdown(&book.report()).unwrap());
        proptest::prop_assert_eq!(book.report().json().unwrap(), book.report().json().unwrap());
        let plain = markdown(&whole("t", "n").report()).unwrap();
        let shape = |text: &str| -> Vec<(bool, usize)> {
            let ours = text.lines().filter(|l| !l.starts_with('>'));
            ours.map(|l| (l.starts_with('#'), if l.starts_with('|') { columns(l) } else { 0 })).collect()
        };
        proptest::prop_assert_eq!(shape(&text), shape(&plain), "{}", text);

        // Lines of what people said stay lines; nothing else may differ in the page.
        let page = |book: book::Book| html(&book.report()).unwrap();
        let shape = |page: &str| tags(page).into_iter().filter(|t| !["br", "p"].contains(t)).map(str::to_owned).collect::<Vec<_>>();
        proptest::prop_assert_eq!(shape(&page(book)), shape(&page(whole("t", "n"))), "{}", text);
    }
}

#[test]
fn one_target_without_a_proof_leaves_the_stop_unproved() {
    let mut book = stopped("t");
    assert_eq!(book.report().times.to_stop_proved_ms, Some(1_100));
    let alive = Fact::TriedNew { refused: false };
    book.write(2_000, ANA, stop_facts("agent-token", "look", &[(2_000, alive)]));
    let report = book.report();
    assert_eq!(report.times.to_stop_proved_ms, None);
    assert_eq!(
        (report.cut[0].word, report.cut[0].proved_after_ms),
        ("still-live", None)
    );
    // Dead again later: the proof counts from then, not from the first time.
    let again = [
        (9_000, Fact::Accepted { status: 204 }),
        (10_500, Fact::TriedNew { refused: true }),
    ];
    book.write(11_000, ANA, stop_facts("agent-token", "cut", &again));
    assert_eq!(book.report().times.to_stop_proved_ms, Some(10_400));
}

#[test]
fn an_empty_stop_proves_nothing() {
    let mut book = Book::default();
    book.write(0, ANA, opened("t"));
    book.write(
        100,
        ANA,
        StopStarted {
            mono_us: us(100),
            targets: vec![],
            problems: vec![],
        },
    );
    book.write(
        200,
        ANA,
        StopEnded {
            mono_us: us(200),
            first_cut_us: None,
            interrupted: false,
        },
    );
    let report = book.report();
    assert_eq!(
        (report.times.to_first_revoke_ms, report.times.to_stop_proved_ms),
        (None, None)
    );
    let text = markdown(&report).unwrap();
    assert!(text.contains("access nobody listed: unknown"), "{text}");
    assert!(
        text.contains("No trigger was seen, which proves nothing"),
        "{text}"
    );
    let dangers = still_dangerous(book.incident(), now(300));
    assert_eq!(dangers.len(), 1, "{dangers:?}");
    assert_eq!(
        truth_line(book.incident(), now(300)),
        "INC-…-k7qf · stop · 0 s · no target seen · unlisted access unknown"
    );
}

#[test]
fn a_reboot_makes_no_time_look_short() {
    let mut book = stopped("t");
    book.write(
        2_000,
        ANA,
        StageEntered {
            stage: Stage::Assess,
            mono_us: us(2_000),
        },
    );
    let items = vec![item("processes.txt", ItemStatus::Collected, None)];
    let host = capture(&mut book, 3_000, "host", "baseline", items);
    // An hour later by the wall, seconds after a boot by the other clock.
    let sealed = BaselineSealed {
        captures: vec![host],
        unknown: vec![],
        mono_us: us(4_000),
    };
    book.write(3_600_000, ANA, sealed);
    assert_eq!(book.report().times.to_baseline_ms, Some(3_600_000));
}

#[test]
fn recovery_is_not_proved_once_something_ran_after_it() {
    let mut book = recovered("t", "n");
    assert_eq!(book.report().times.to_recovered_ms, Some(80_000));
    let again = act(
        "again",
        85_000,
        Stage::Recover,
        Zone::Inside,
        Effect::Traffic,
        vec![],
    );
    book.write(85_000, ANA, again);
    let report = book.report();
    assert_eq!(
        (report.recovered.as_ref(), report.times.to_recovered_ms),
        (None, None)
    );
    let text = markdown(&report).unwrap();
    assert!(text.contains("| Recovered | not proved |"), "{text}");
}

#[test]
fn what_never_ended_is_a_hole_and_a_doubt() {
    let mut book = stopped("t");
    let spec = CaptureSpec::Host;
    let started = CaptureStarted {
        name: "host".into(),
        spec,
        step: None,
        purpose: "baseline".into(),
        mono_us: 1,
    };
    book.write(2_000, ANA, started);
    let act = act("page", 3_000, Stage::Assess, Zone::Inside, Effect::Read, vec![]);
    book.write(3_000, ANA, act);
    let report = book.report();
    assert_eq!(report.holes[0].status, "unknown");
    assert_eq!(report.acts[0].outcome, "in doubt");
    let dangers = still_dangerous(book.incident(), now(4_000));
    assert!(dangers[0].what.contains("never said how it ended"), "{dangers:?}");
    assert_eq!(dangers[0].next, "incident settle 10");
}

#[test]
fn a_refusal_is_told_and_allows_nothing() {
    let mut book = stopped("t");
    let request = request(&mut book, 2_000, "a");
    let asked = brief(book.incident(), &Hash::of(b"x"), &due(), now(3_000));
    assert_eq!(
        asked[8],
        "waiting for: request #9 for swap: 0 of 1 person signed; to be asked: ben@example.com, kim@vendor.example"
    );
    book.write(3_000, ANA, signoff(request, 3_000, false));
    let report = book.report();
    assert_eq!(report.requests[0].state, "refused");
    let text = markdown(&report).unwrap();
    assert!(text.contains("- ben@example.com **refused**"), "{text}");
}

fn due() -> Due {
    Due {
        what: "seal the baseline".into(),
        command: "incident seal".into(),
    }
}

#[test]
fn what_is_still_dangerous_stands_by_deadline_with_its_next_command() {
    let book = dangerous();
    let rows = still_dangerous(book.incident(), now(900)).into_iter().map(|d| {
        let due = d.deadline_ms.map(|at| at - OPENED_MS);
        format!("{:?} {due:?} | {} | {}", d.severity, d.what, d.next)
    });
    insta::assert_snapshot!(rows.collect::<Vec<_>>().join("\n"), @"
    StillLive None | ci-key is still live: production uses it, only its sessions were cut | incident stop --full ci-key
    Failed None | cloud is not cut as far as anybody knows: no answer after 15 s; it may have been carried out | incident stop
    InFlight None | cloud: volume delete is still running at the provider | incident stop
    Accepted Some(1150) | lease was taken by the provider and cannot be proved before its window is over | incident status
    Residual Some(1560000) | lease: database lease may live on | incident watch
    Window Some(3000000) | cloud: undelete of orders-volume closes | incident run hold-volume
    NotSeenHere None | deploy-bot was not found in what could be seen: looked for in uid 1000: no process found | incident stop
    Unprovable None | saas cannot be proved from here: by hand: Settings, API keys, Revoke | incident answer saas 'WORDS'
    Unlisted None | access nobody listed: unknown | incident stop
    ");
}

#[test]
fn the_line_of_truth_fits_eighty_columns() {
    let book = dangerous();
    insta::assert_snapshot!(truth_line(book.incident(), now(720_000)), @"INC-…-k7qf · stop · 12 min · ci-key still live, 4 unproved · running: volume de…");
    assert!(console::measure_text_width(&truth_line(book.incident(), now(720_000))) <= 80);
}

#[test]
fn the_line_of_truth_spends_its_columns_on_the_danger() {
    let line = |book: &Book| truth_line(book.incident(), now(720_000));
    let mut book = stopped("t");
    insta::assert_snapshot!(line(&book), @"INC-…-k7qf · stop · 12 min · 2 proved dead · 03:40Z its database lease may live");
    let starter = Fact::Starter {
        what: "pm2 (pid 812)".into(),
        line: "pm2 stop 3".into(),
        pid: 812,
        starttime: 4711,
        trigger: None,
    };
    book.write(2_000, ANA, stop_facts("deploy-bot", "look", &[(2_000, starter)]));
    insta::assert_snapshot!(line(&book), @"INC-…-k7qf · stop · 12 min · 2 proved dead · pm2 (pid 812) can start it again");
    let dangers = still_dangerous(book.incident(), now(720_000));
    assert_eq!(
        (dangers[0].severity, dangers[0].next.as_str()),
        (Severity::Starter, "pm2 stop 3")
    );
    let over = Fact::Over {
        what: "pm2 (pid 812)".into(),
    };
    book.write(3_000, ANA, stop_facts("deploy-bot", "look", &[(3_000, over)]));
    let given = Fact::GivenBack { act: 7 };
    book.write(
        4_000,
        ANA,
        stop_facts("agent-token", "given back", &[(4_000, given)]),
    );
    insta::assert_snapshot!(line(&book), @"INC-…-k7qf · stop · 12 min · agent-token still live · 03:40Z its database lease…");
    let dangers = still_dangerous(book.incident(), now(720_000));
    let lives = dangers
        .iter()
        .find(|d| d.severity == Severity::GivenBack)
        .unwrap();
    assert!(lives.what.contains("on purpose by act #7") && lives.next.starts_with("incident answer"));
}

#[test]
fn the_brief_is_ten_lines() {
    let lines = brief(dangerous().incident(), &Hash::of(b"x"), &due(), now(720_000));
    insta::assert_snapshot!(lines.join("\n"), @"
    INC-20261122-0314-k7qf: The orders table is gone
    stage stop, 12 min since the start, 1 still live, 4 unproved
    proved dead: nothing
    not proved: ci-key (still-live), cloud (failed), saas (unprovable), lease (accepted), deploy-bot (not-seen-here), access nobody listed
    most dangerous now: ci-key is still live: production uses it, only its sessions were cut
    next deadline: 03:40Z, lease: database lease may live on
    services: nobody has said yet
    next decision: seal the baseline (incident seal)
    waiting for: nobody
    record: #7, head 2d71-1642
    ");
}

#[test]
fn the_handoff_holds_what_the_next_person_must_know() {
    let mut book = dangerous();
    book.write(
        400,
        ANA,
        NoteAdded {
            text: "Ask ben about the volume.".into(),
        },
    );
    let text = handoff(&book.entries(), book.incident(), &due(), now(720_000));
    insta::assert_snapshot!(text.unwrap(), @"
    # INC-20261122-0314-k7qf: The orders table is gone

    Stage stop, 12 min since the start at 2026-11-22T03:14:00.000Z, 1 still live, 4 unproved. Head of the record: b918-1610 (#8).

    **Next:** seal the baseline: `incident seal`

    ## Still dangerous

    - ci-key is still live: production uses it, only its sessions were cut; next: `incident stop --full ci-key`
    - cloud is not cut as far as anybody knows: no answer after 15 s; it may have been carried out; next: `incident stop`
    - cloud: volume delete is still running at the provider; next: `incident stop`
    - until 2026-11-22T03:40:00.000Z: lease: database lease may live on; next: `incident watch`
    - until 2026-11-22T04:04:00.000Z: cloud: undelete of orders-volume closes; next: `incident run hold-volume`
    - lease was taken by the provider, and nothing more is known; next: `incident stop`
    - deploy-bot was not found in what could be seen: looked for in uid 1000: no process found; next: `incident stop`
    - saas cannot be proved from here: by hand: Settings, API keys, Revoke; next: `incident answer saas 'WORDS'`
    - access nobody listed: unknown; next: `incident stop`

    ## In doubt

    Nothing.

    ## Waiting for people

    Nobody was asked, or everybody has answered.

    ## Not known

    - the baseline is not sealed
    - recovery is not proved

    ## Done so far

    Nothing was run.

    ## What people said

    ana@example.com (note, #8):

    > Ask ben about the volume.
    ");
}

#[test]
fn the_timeline_joins_what_one_sweep_saw_of_one_target() {
    let rows = timeline(&stopped("t").entries());
    let kill: Vec<_> = rows
        .iter()
        .filter(|r| r.words.starts_with("deploy-bot"))
        .collect();
    assert_eq!(kill.len(), 1);
    assert!(
        kill[0]
            .words
            .ends_with("looked for in bastion, every user: no process found"),
        "{kill:?}"
    );
    assert!(rows.is_sorted_by_key(|r| r.seq));
}

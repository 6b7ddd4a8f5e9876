//! Promise 1, stop never waits; promise 3, proof or the word for its absence.

use std::time::Duration;

use incident::engine::{CloseBlock, StopReport};
use incident::model::event::{StopFacts, StopStarted};
use incident::model::fact::{Fact, Proof};
use incident::report::{Entry, Report, markdown};
use incident::world::Host;
use incident::world::host::{HostError, Identity, Pid, Process, Signal, Signalled};

use super::*;

fn proof_of(engine: &Engine<'_>, name: &str) -> Proof {
    engine.incident().unwrap().stop.targets[&target(name)].proof()
}

/// Milliseconds from the start of the sweep to the first fact of this kind about a target.
fn ms_until(case: &Path, name: &str, wanted: impl Fn(&Fact) -> bool) -> Option<u64> {
    let events = events(case);
    let start = events.iter().find_map(|e| match e {
        Event::StopStarted(StopStarted { mono_us, .. }) => Some(*mono_us),
        _ => None,
    });
    let mut facts = events.iter().filter_map(|e| match e {
        Event::StopFacts(StopFacts { target, facts, .. }) if target.as_str() == name => Some(facts),
        _ => None,
    });
    let at = facts.find_map(|all| all.iter().find(|o| wanted(&o.fact)).map(|o| o.at_us))?;
    Some((at - start.unwrap()) / 1_000)
}

/// The agent is dead, and so is everything listed but what a test says.
fn all_cut(room: &Room, engine: &Engine<'_>) {
    let truth = room.drill.truth();
    assert!(
        !truth.agent_exists && !truth.trigger_armed,
        "the agent is stopped"
    );
    assert_eq!(truth.live_tokens, [""; 0], "its tokens are dead");
    assert!(!engine.incident().unwrap().stop.is_open());
}

#[test]
fn promise_01_a_broken_runbook_never_stops_stop() {
    let room = Room::new(1);
    let engine =
        room.open_with(&room.with_runbook("version: 1\nname: x\nstages:\n  recover: [{runn: [psql]}\n"));
    engine.stop(&[]).unwrap();
    all_cut(&room, &engine);
    let problems = engine.incident().unwrap().opened.problems.clone();
    assert!(
        problems.iter().any(|p| p.contains("runbook.yaml:")),
        "{problems:?}"
    );
}

#[test]
fn promise_01_of_a_broken_access_file_what_parses_is_cut_and_the_rest_is_named_with_its_line() {
    let room = Room::new(2);
    let mut written = room.drill.written();
    let (_, bytes) = written.access.take().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let broken = "      - id: staging-deploy\n        provider: harbor\n        with: {token: tok-staging}\n";
    assert!(text.contains(broken), "the file is as this test knows it");
    let line = 1 + text[..text.find(broken).unwrap()].matches('\n').count();
    let text = text.replace(
        broken,
        "      - provider: harbor\n        wiht: {token: tok-staging}\n",
    );
    written.access = Some(("access.yaml".to_owned(), text.into_bytes()));
    let engine = room.open_with(&written);
    engine.stop(&[]).unwrap();
    let truth = room.drill.truth();
    assert_eq!(truth.live_tokens, ["tok-staging"], "what parses is cut");
    assert!(!truth.agent_exists && !truth.trigger_armed);
    let started = events(&case_of(&engine)).into_iter().find_map(|e| match e {
        Event::StopStarted(e) => Some(e.problems),
        _ => None,
    });
    let problems = started.unwrap();
    let near = |p: &String| (line..line + 3).any(|n| p.contains(&format!("access.yaml:{n}:")));
    assert!(problems.iter().any(near), "line {line}: {problems:?}");
}

#[test]
fn promise_01_stop_works_with_nothing_written_in_advance() {
    let room = Room::new(3);
    let engine = room.open_with(&Written::default());
    let report = engine.stop(&[]).unwrap();
    assert!(report.first_cut_ms.is_some_and(|ms| ms < 100), "{report:?}");
    let truth = room.drill.truth();
    assert!(!truth.agent_exists, "known agents are found by their marks");
    assert!(!truth.live_tokens.is_empty(), "nobody said which tokens it holds");
    let case = case_of(&engine);
    assert!(!case.join("access.yaml").exists() && !case.join("allowed_signers").exists());
}

#[test]
fn promise_01_where_no_case_can_be_written_stop_goes_on_says_so_and_spools() {
    for spools in [true, false] {
        let room = Room::new(4);
        fs::write(
            room.folder.path().join("cases"),
            "a file where the folder should be",
        )
        .unwrap();
        let mut desk = room.desk(ANA);
        if !spools {
            desk.spool_folders = vec![room.folder.path().join("cases")];
        }
        let engine = desk.open("stop", &room.drill.written()).unwrap();
        let said = engine.troubles().join("\n");
        let place = if spools {
            "spool/incident-spool-"
        } else {
            "only in memory"
        };
        assert!(
            said.contains("cannot be written") && said.contains(place),
            "{said}"
        );
        engine.stop(&[]).unwrap();
        all_cut(&room, &engine);
        if spools {
            let spool = fs::read_dir(room.folder.path().join("spool")).unwrap().next();
            let kinds: Vec<String> = records(&spool.unwrap().unwrap().path())
                .into_iter()
                .map(|r| r.kind)
                .collect();
            assert_eq!(kinds.first().map(String::as_str), Some("incident.opened"));
            // What the frozen agent held has no case to lie in: that is said, after everything is cut.
            assert_eq!(kinds[kinds.len() - 2..], ["stop.ended", "note.added"]);
        }
    }
}

#[test]
fn promise_01_a_case_that_cannot_be_locked_any_more_does_not_stop_stop() {
    let room = Room::new(5);
    let engine = room.open();
    let case = case_of(&engine);
    // Another terminal took the record and hangs.
    let held = fs::File::open(case.join("lock")).unwrap();
    held.lock().unwrap();
    engine.stop(&[]).unwrap();
    all_cut(&room, &engine);
    let said = engine.troubles().join("\n");
    assert!(
        said.contains("in use") && said.contains("incident-spool-"),
        "{said}"
    );
    let id = engine.incident().unwrap().id().clone();
    let targets = engine.incident().unwrap().stop.targets.clone();
    drop((engine, held));
    // Once it lets go, the record of the stop is taken over.
    let engine = room.resume(ANA, &id);
    assert_eq!(engine.incident().unwrap().stop.targets, targets);
    assert!(records(&case).iter().any(|r| r.kind == "spool.absorbed"));
}

#[test]
fn promise_01_no_file_is_long_enough_to_stop_stop() {
    let room = Room::new(13);
    let mut written = room.drill.written();
    // Whoever can write the folder writes hundreds of grants, one of them endless, and a crowd of people.
    let grants: String = (0..600)
        .map(|n| {
            let token = if n == 300 { "x".repeat(70_000) } else { format!("tok-none-{n}") };
            format!("      - {{id: more-{n}, provider: harbor, with: {{token: {token}}}, auth: {{env: HARBOR_TOKEN}}}}\n")
        })
        .collect();
    let (_, access) = written.access.take().unwrap();
    let access = String::from_utf8(access).unwrap();
    let access = access.replace("    triggers:\n", &format!("{grants}    triggers:\n"));
    written.access = Some(("access.yaml".to_owned(), access.into_bytes()));
    let people: String = (0..2_000)
        .map(|n| format!("  p{n}@example.com: {{roles: [on-call]}}\n"))
        .collect();
    let (_, runbook) = written.runbook.take().unwrap();
    let runbook = String::from_utf8(runbook).unwrap();
    let runbook = runbook.replace("people:\n", &format!("people:\n{people}"));
    written.runbook = Some(("runbook.yaml".to_owned(), runbook.into_bytes()));
    let engine = room.open_with(&written);
    let report = engine.stop(&[]).unwrap();
    assert!(report.targets >= 600, "{report:?}");
    let truth = room.drill.truth();
    assert!(!truth.agent_exists && !truth.trigger_armed && truth.live_tokens.is_empty());
    let incident = engine.incident().unwrap();
    assert_eq!(incident.stop.sweeps, 1, "one sweep, however many records");
    assert!(incident.opened.problems.iter().any(|p| p.contains("too long")));
    assert!(
        incident
            .stop
            .problems
            .iter()
            .any(|p| p.contains("more-300: too long"))
    );
}

#[test]
fn promise_01_an_adapter_that_hangs_delays_nobody() {
    let cut = |hangs: bool| {
        let mut room = Room::new(6);
        if hangs {
            room.bend(|r| match r.url.contains("tok-staging") {
                true => Bend::Hangs,
                false => Bend::No,
            });
        }
        let engine = room.open();
        let StopReport { first_cut_ms, .. } = engine.stop(&[]).unwrap();
        let truth = room.drill.truth();
        assert_eq!(truth.live_tokens.len(), usize::from(hangs));
        assert!(!truth.agent_exists && !truth.trigger_armed);
        if hangs {
            assert!(matches!(proof_of(&engine, "staging-deploy"), Proof::Failed));
        }
        let case = case_of(&engine);
        let taken = |f: &Fact| matches!(f, Fact::Accepted { .. });
        let killed = |f: &Fact| matches!(f, Fact::Killed { .. });
        [
            first_cut_ms,
            ms_until(&case, "dns-cli", taken),
            ms_until(&case, "tree:night-shift", killed),
            ms_until(&case, "every-minute", taken),
        ]
        .map(Option::unwrap)
    };
    let (free, hampered) = (cut(false), cut(true));
    for (free, hampered) in free.into_iter().zip(hampered) {
        assert!(hampered <= free + 50, "{hampered} ms instead of {free} ms");
        assert!(hampered < 2_500, "{hampered} ms");
    }
}

#[test]
fn promise_01_giving_back_what_was_stopped_is_gated() {
    let room = Room::new(7);
    let engine = room.open();
    engine.stop(&[]).unwrap();
    let crontab = ["crontab", "-u", "deploy", "-"].map(str::to_owned);
    assert_eq!(
        refusal(engine.perform_ad_hoc(&crontab, Some("it was in the way"))),
        Refusal::BeforeBaseline
    );
    room.walk_to(&engine, "bring-bookings-back");
    let refused = refusal(engine.perform_ad_hoc(&crontab, Some("it was in the way")));
    assert!(matches!(refused, Refusal::NeedsSignoff { .. }), "{refused:?}");
    assert!(!room.drill.truth().trigger_armed);
}

#[test]
fn promise_03_a_provider_that_lies_about_a_cut_is_not_believed() {
    let mut room = Room::new(8);
    room.bend(
        |r| match r.method == "DELETE" && r.url.ends_with("/tok-staging") {
            true => Bend::Says(204),
            false => Bend::No,
        },
    );
    let engine = room.open();
    engine.stop(&[]).unwrap();
    assert_eq!(proof_of(&engine, "staging-deploy"), Proof::StillLive);
    assert_eq!(room.drill.truth().live_tokens, ["tok-staging"]);
    assert_eq!(proof_of(&engine, "dns-cli"), Proof::RefusedNewUse);
}

#[test]
fn promise_03_a_yes_without_any_look_is_accepted_and_silence_is_failed() {
    for (answers, word) in [(true, Proof::Accepted), (false, Proof::Failed)] {
        let mut room = Room::new(9);
        room.bend(
            move |r| match (r.url.contains("tok-staging"), r.method.as_str()) {
                (true, "DELETE") if answers && !r.url.contains("operations") => Bend::No,
                (true, _) => Bend::Hangs,
                (false, _) => Bend::No,
            },
        );
        let engine = room.open();
        engine.stop(&[]).unwrap();
        engine.look_again().unwrap();
        assert_eq!(proof_of(&engine, "staging-deploy"), word);
        // Nobody may round it up on the way out: it has to be answered for, by name.
        let blocks = engine.close_blocks().unwrap();
        assert!(
            blocks.contains(&CloseBlock::Target(target("staging-deploy"), word)),
            "{blocks:?}"
        );
        assert!(matches!(engine.close("done"), Err(EngineError::CannotClose(_))));
    }
}

/// A host of which only a part is seen.
struct Narrow(Box<dyn Host>);

impl Host for Narrow {
    fn identity(&self) -> Identity {
        Identity {
            sees_all: false,
            scope: "the processes of one user".to_owned(),
            ..self.0.identity()
        }
    }
    fn processes(&self) -> Result<Vec<Process>, HostError> {
        self.0.processes()
    }
    fn environment(&self, pid: Pid) -> Vec<(String, incident::model::secret::Secret)> {
        self.0.environment(pid)
    }
    fn open_files(&self, pid: Pid) -> Vec<String> {
        self.0.open_files(pid)
    }
    fn signal(&self, pid: Pid, signal: Signal) -> Signalled {
        self.0.signal(pid, signal)
    }
    fn env(&self, name: &str) -> Option<String> {
        self.0.env(name)
    }
    fn home(&self) -> Option<PathBuf> {
        self.0.home()
    }
    fn cwd(&self) -> PathBuf {
        self.0.cwd()
    }
}

#[test]
fn promise_03_a_narrow_look_proves_no_more_than_it_saw() {
    let (wide, mut narrow) = (Room::new(10), Room::new(10));
    let host = &mut narrow.drill.world.host;
    let inner = std::mem::replace(host, Box::new(crate::support::Nobody));
    *host = Box::new(Narrow(inner));
    for (room, word) in [(&wide, Proof::Gone), (&narrow, Proof::NotSeenHere)] {
        let engine = room.open();
        engine.stop(&[]).unwrap();
        assert_eq!(proof_of(&engine, "tree:night-shift"), word);
    }
}

#[test]
fn promise_03_access_nobody_listed_is_unknown_in_the_report_and_at_the_end() {
    let room = Room::new(11);
    let engine = room.open();
    let told = |engine: &Engine<'_>| {
        let mut entries = Vec::new();
        let case = room.store.open_case(engine.incident().unwrap().id()).unwrap();
        case.read(|line| entries.push(Entry::read(line).unwrap()))
            .unwrap();
        markdown(&Report::of(&entries, &engine.incident().unwrap())).unwrap()
    };
    let unlisted = |text: &str| text.to_lowercase().contains("nobody listed: unknown");
    engine.stop(&[]).unwrap();
    assert!(unlisted(&told(&engine)), "{}", told(&engine));
    room.walk(&engine, |next| matches!(next, Next::Closed));
    assert!(unlisted(&told(&engine)));
    let closed = events(&case_of(&engine)).into_iter().find_map(|e| match e {
        Event::Closed(e) => Some(e.unproved),
        _ => None,
    });
    assert!(
        closed
            .unwrap()
            .contains(&"access that nobody listed: unknown".to_owned())
    );
    // An empty look proves nothing either: here, nothing at all was found, and nothing is called stopped.
    let empty = Room::new(12);
    let mut room = empty;
    room.drill.world.host = Box::new(crate::support::Nobody);
    let engine = room.open_with(&Written::default());
    assert_eq!(
        engine.close_blocks().unwrap(),
        [CloseBlock::Sweep],
        "nobody looked yet"
    );
    engine.stop(&[]).unwrap();
    assert!(engine.incident().unwrap().targets().is_empty());
    room.drill.clock.advance(Duration::from_secs(60));
    assert!(unlisted(&{
        let mut entries = Vec::new();
        let case = room.store.open_case(engine.incident().unwrap().id()).unwrap();
        case.read(|line| entries.push(Entry::read(line).unwrap()))
            .unwrap();
        markdown(&Report::of(&entries, &engine.incident().unwrap())).unwrap()
    }));
}

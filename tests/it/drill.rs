//! The simulated world: it cannot reach out, it goes on by itself, and the seed decides all of it.

#[path = "drill/binary.rs"]
mod binary;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use incident::drill::exercise::Exercise;
use incident::drill::harbor::{Action, VolumeState};
use incident::drill::scenario::{Mood, Scenario};
use incident::drill::sim::{Truth, What};
use incident::drill::{Outcome, Player};
use incident::model::fact::{Fact, Observed, Proof, TargetKind, proof};
use incident::model::inventory::Inventory;
use incident::model::secret::Secret;
use incident::providers::{Ctx, Limits, Registry};
use incident::store::Store;
use incident::world::host::Signal;
use incident::world::http::{HttpRequest, HttpResponse, TlsFiles};
use incident::world::spawn::{Command, End};
use incident::world::{NetError, World};

const MINUTE: Duration = Duration::from_secs(60);

fn exercise(seed: u64) -> Exercise {
    Exercise::new("nine-seconds", seed).unwrap()
}

/// Runs a program of the drill and gives its exit code and output.
fn run(world: &World, argv: &[&str], stdin: Option<&str>) -> (End, String) {
    let command = Command {
        argv: argv.iter().map(|a| (*a).to_owned()).collect(),
        cwd: None,
        env: Vec::new(),
        stdin: stdin.map(|s| Secret::new(s.to_owned())),
        deadline: MINUTE,
        no_progress: None,
        cap: 1 << 20,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut started = |_| {};
    let ran = world.wait(world.spawn.run(command, &mut out, &mut err, &mut started));
    (ran.unwrap().end, String::from_utf8(out).unwrap())
}

fn kill_the_agent(world: &World) -> usize {
    let agents: Vec<_> = world
        .host
        .processes()
        .unwrap()
        .into_iter()
        .filter(|p| p.user == "deploy")
        .collect();
    for process in &agents {
        world.host.signal(process.id, Signal::Kill);
    }
    agents.len()
}

fn disable_the_trigger(world: &World) {
    let (_, table) = run(world, &["crontab", "-u", "deploy", "-l"], None);
    assert!(table.contains("night-shift"));
    run(
        world,
        &["crontab", "-u", "deploy", "-"],
        Some(&format!("# off: {table}")),
    );
}

fn get(world: &World, url: &str, token: &str) -> Result<HttpResponse, NetError> {
    let request = HttpRequest {
        method: "GET".into(),
        url: url.into(),
        headers: vec![("Authorization".into(), Secret::joined(&["Bearer ", token]))],
        body: None,
        deadline: Duration::from_secs(5),
        tls: TlsFiles::default(),
    };
    world.wait(world.http.send(request)).unwrap()
}

fn state(truth: &Truth, environment: &str, name: &str) -> VolumeState {
    let same = |v: &&incident::drill::harbor::Volume| v.environment == environment && v.name == name;
    truth.volumes.iter().find(same).unwrap().state
}

fn destroyed(truth: &Truth) -> Vec<&str> {
    let gone = truth.audit.iter().filter(|a| a.action == Action::VolumeDeleted);
    gone.map(|a| a.target.as_str()).collect()
}

#[test]
fn promise_11_the_drill_room_has_no_way_out() {
    let ways_out = [
        "std::net",
        "std::process",
        "std::fs",
        "std::os",
        "tokio",
        "reqwest",
        "rustix",
        "procfs",
        "unsafe",
        "RealHttp",
        "RealSpawn",
        "RealFiles",
        "RealHost",
        "RealSql",
        "RealSecrets",
    ];
    let mut read = 0;
    let mut folders = vec![PathBuf::from("src/drill")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for way in ways_out {
                assert!(!text.contains(way), "{} mentions {way}", path.display());
            }
            read += 1;
        }
    }
    assert!(read >= 15, "only {read} files were looked at");
}

#[test]
fn when_the_pager_goes_off_the_first_volume_is_gone_and_the_rest_is_not() {
    let drill = exercise(1);
    let truth = drill.truth();
    assert_eq!(destroyed(&truth), ["vol-bookings"]);
    assert_eq!(state(&truth, "production", "photos"), VolumeState::Live);
    let news = drill.news();
    assert_eq!(news.len(), 1, "the page itself");
    assert!(news[0].text.contains("0 rows"));
    assert!(drill.news().is_empty(), "news is told once");
}

#[test]
fn left_alone_the_agent_goes_on_until_nothing_can_be_undone() {
    let drill = exercise(2);
    drill.clock.advance(MINUTE * 12);
    let truth = drill.truth();
    assert_eq!(destroyed(&truth), ["vol-bookings", "vol-photos", "vol-archive"]);
    assert_eq!(state(&truth, "production", "bookings"), VolumeState::Purged);
    assert_eq!(truth.unhealthy, ["bookings-api", "gallery"]);
    let told = truth
        .log
        .iter()
        .filter(|h| matches!(h.what, What::Told(_)))
        .count();
    assert_eq!(told, drill.scenario.injects.len());
}

#[test]
fn a_killed_agent_is_back_within_a_minute_unless_its_trigger_is_off() {
    let drill = exercise(3);
    assert_eq!(kill_the_agent(&drill.world), 3);
    drill.clock.advance(MINUTE);
    assert!(drill.truth().agent_exists, "cron brought it back");
    disable_the_trigger(&drill.world);
    kill_the_agent(&drill.world);
    drill.clock.advance(MINUTE * 30);
    let truth = drill.truth();
    assert!(!truth.agent_exists && !truth.trigger_armed);
    let starts = truth.log.iter().filter(|h| h.what == What::AgentStarted).count();
    assert_eq!(starts, 2);
}

#[test]
fn an_agent_without_the_wide_token_tries_the_narrow_one_and_gets_nowhere() {
    let drill = exercise(4);
    let (end, _) = run(&drill.world, &["harborctl", "tokens", "revoke", "tok-dns"], None);
    assert_eq!(end, End::Exit(0));
    drill.clock.advance(MINUTE * 30);
    let truth = drill.truth();
    assert!(truth.live_tokens == ["tok-staging"] && truth.agent_exists);
    let asked = |t: &str| {
        let hits = truth.log.iter().filter(
            |h| matches!(&h.what, What::AgentAsked { token, status, .. } if token == t && *status >= 400),
        );
        hits.count()
    };
    assert!(asked("tok-dns") >= 3 && asked("tok-staging") >= 3);
    assert!(!destroyed(&truth).contains(&"vol-archive"));
}

#[test]
fn the_transcript_is_written_in_the_agents_own_shape_and_holds_what_it_read() {
    let drill = exercise(5);
    drill.clock.advance(MINUTE);
    let folder = Path::new("/home/deploy/.claude/projects/-srv-rental");
    let files = drill.world.files.list(folder).unwrap();
    let bytes = drill.world.files.read(&folder.join(&files[0]), 1 << 20).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let mut calls = 0;
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(record["timestamp"].is_string() && record["uuid"].is_string());
        calls += usize::from(record["message"]["content"][0]["type"] == "tool_use");
        if record["message"]["content"][0]["type"] == "tool_result" {
            assert!(record["toolUseResult"].is_object() && record["type"] == "user");
        }
    }
    assert!(calls >= 5, "{calls} calls");
    assert!(text.contains("Only staging was touched."));
    assert!(
        text.contains("hbr_acct_"),
        "the token it found went through its transcript"
    );
}

#[test]
fn one_seed_is_one_drill_byte_for_byte() {
    let story = |seed: u64| {
        let drill = exercise(seed);
        drill.clock.advance(MINUTE);
        kill_the_agent(&drill.world);
        let (_, audit) = run(
            &drill.world,
            &["curl", "-fsSn", "https://api.harbor.example/v1/audit"],
            None,
        );
        drill.clock.advance(MINUTE * 15);
        let truth = drill.truth();
        let identity = drill.world.host.identity();
        let roster: String = drill.people.iter().map(|p| p.roster_line()).collect();
        (
            audit,
            serde_json::to_string(&truth.log).unwrap(),
            identity,
            roster,
            truth.end_us,
        )
    };
    assert_eq!(story(7), story(7));
    let (a, b) = (story(7), story(8));
    assert!(a.0 != b.0 && a.1 != b.1 && a.2.boot != b.2.boot && a.3 != b.3);
}

#[test]
fn requests_reach_the_platform_and_nothing_else() {
    let drill = exercise(9);
    let token = drill.world.host.env("HARBOR_TOKEN").unwrap();
    let health = "https://api.harbor.example/v1/services/bookings-api/health";
    let answer = get(&drill.world, health, &token).unwrap();
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json"))
    );
    assert!(
        String::from_utf8(answer.body)
            .unwrap()
            .contains("\"healthy\":false")
    );
    assert_eq!(get(&drill.world, health, "wrong").unwrap().status, 401);
    for elsewhere in [
        "https://example.com/",
        "http://127.0.0.1:8200/v1/sys/health",
        "http://api.harbor.example/v1/me",
    ] {
        let refused = get(&drill.world, elsewhere, &token);
        assert!(matches!(refused, Err(NetError::Connect(_))), "{elsewhere}");
    }
}

#[test]
fn programs_are_a_closed_table() {
    let drill = exercise(10);
    for real in ["/bin/sh", "rm", "/bin/true", "../usr/bin/curl"] {
        let (end, out) = run(&drill.world, &[real], None);
        assert!(matches!(end, End::NotStarted(_)) && out.is_empty(), "{real}");
    }
    assert_eq!(
        drill.world.spawn.find("psql"),
        Some(PathBuf::from("/usr/bin/psql"))
    );
    assert_eq!(drill.world.spawn.find("sh"), None);
}

#[test]
fn a_held_volume_can_be_brought_back_and_the_database_counts_its_rows() {
    let drill = exercise(11);
    let count = &[
        "/usr/bin/psql",
        "-d",
        "bookings",
        "-Atc",
        "select count(*) from bookings",
    ];
    assert_eq!(run(&drill.world, count, None).0, End::Exit(2));
    assert_eq!(
        run(
            &drill.world,
            &["harborctl", "volumes", "hold", "vol-bookings"],
            None
        )
        .0,
        End::Exit(0)
    );
    drill.clock.advance(MINUTE * 10);
    assert_eq!(
        run(
            &drill.world,
            &["harborctl", "volumes", "restore", "vol-bookings"],
            None
        )
        .0,
        End::Exit(0)
    );
    assert_eq!(run(&drill.world, count, None), (End::Exit(0), "48211\n".into()));
}

#[test]
fn a_program_is_a_process_while_it_runs_and_its_deadline_is_kept() {
    let drill = exercise(12);
    let world = &drill.world;
    let before = world.host.processes().unwrap().len();
    let command = Command {
        argv: vec!["harborctl".into(), "volumes".into(), "list".into()],
        cwd: None,
        env: Vec::new(),
        stdin: None,
        deadline: Duration::from_millis(20),
        no_progress: None,
        cap: 1 << 20,
    };
    let seen = RefCell::new(0);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut started = |_| *seen.borrow_mut() = world.host.processes().unwrap().len();
    let ran = world
        .wait(world.spawn.run(command, &mut out, &mut err, &mut started))
        .unwrap();
    assert_eq!((ran.end, ran.ms), (End::Deadline, 20));
    assert_eq!(
        (seen.into_inner(), world.host.processes().unwrap().len()),
        (before + 1, before)
    );
}

#[test]
fn every_shipped_drill_has_files_that_parse() {
    for id in Scenario::names() {
        let scenario = Scenario::shipped(id).unwrap();
        let runbook = scenario.runbook().unwrap();
        if let Err(mistakes) = incident::model::runbook::Runbook::parse("runbook.yaml", runbook) {
            panic!("{id}: {mistakes:?}");
        }
        let (inventory, mistakes) = Inventory::parse("access.yaml", scenario.access().unwrap());
        assert!(mistakes.is_empty(), "{id}: {mistakes:?}");
        assert!(!inventory.targets.is_empty(), "{id}");
        let mut registry = Registry::shipped();
        for (name, table) in &inventory.tables {
            if let Err(mistakes) = registry.add_node("access.yaml", name, table) {
                panic!("{id}: {mistakes:?}");
            }
        }
        for target in &inventory.targets {
            if let Some(adapter) = registry.of(target) {
                assert_eq!(adapter.unwrap().check(target), Vec::<String>::new(), "{id}");
            }
        }
    }
}

#[test]
fn the_shipped_engine_for_tables_cuts_the_platform_of_the_drill_and_proves_it() {
    let drill = exercise(13);
    drill.clock.advance(Duration::from_secs(25));
    let (inventory, _) = Inventory::parse("access.yaml", drill.scenario.access().unwrap());
    let mut registry = Registry::shipped();
    for (name, table) in &inventory.tables {
        registry.add_node("access.yaml", name, table).unwrap();
    }
    let dns = inventory
        .targets
        .iter()
        .find(|t| t.id().as_str() == "dns-cli")
        .unwrap();
    let adapter = registry.of(dns).unwrap().unwrap();
    let agent = drill
        .world
        .host
        .processes()
        .unwrap()
        .into_iter()
        .find(|p| p.user == "deploy")
        .unwrap();
    let mut environment = drill.world.host.environment(agent.id);
    let at = environment
        .iter()
        .position(|(name, _)| name == "HARBOR_TOKEN")
        .unwrap();
    let (_, secret) = environment.swap_remove(at);
    let auth = Secret::new(drill.world.host.env("HARBOR_TOKEN").unwrap());
    let limits = Limits::default();
    let mut record: Vec<Observed> = Vec::new();
    let world = &drill.world;
    let note = |record: &mut Vec<Observed>, facts: Vec<Fact>| {
        let at_us = world.clock.now().mono_us;
        record.extend(facts.into_iter().map(|fact| Observed { at_us, fact }));
    };
    let before = record.clone();
    let ctx = |earlier| Ctx {
        world,
        auth: Some(&auth),
        secret: Some(&secret),
        open: None,
        saved: None,
        earlier,
        limits: &limits,
    };
    let opened = world.wait(adapter.open(ctx(&before), dns)).unwrap();
    note(&mut record, opened.facts);
    let cut = world.wait(adapter.cut(ctx(&before), dns)).unwrap();
    note(&mut record, cut);
    for _ in 0..2 {
        let sessions = world.wait(adapter.sessions(ctx(&before), dns)).unwrap();
        note(&mut record, sessions);
    }
    let earlier = record.clone();
    let probe = world.wait(adapter.probe(ctx(&earlier), dns)).unwrap();
    note(&mut record, probe);
    assert_eq!(
        proof(TargetKind::Grant, &record, adapter.window()),
        Proof::StillLive,
        "it has not spread yet"
    );
    drill.clock.advance(adapter.window());
    let earlier = record.clone();
    let probe = world.wait(adapter.probe(ctx(&earlier), dns)).unwrap();
    note(&mut record, probe);
    assert_eq!(
        proof(TargetKind::Grant, &record, adapter.window()),
        Proof::RefusedNewUse,
        "{record:#?}"
    );
    let windows: Vec<_> = record
        .iter()
        .filter_map(|o| match &o.fact {
            Fact::Window { what, closes_ms, .. } => Some((what.as_str(), *closes_ms)),
            _ => None,
        })
        .collect();
    let [(what, closes_ms)] = windows.as_slice() else {
        panic!("one deletion can be undone, and two probes tell it once: {windows:?}");
    };
    let left_ms = closes_ms - drill.world.clock.now().utc_ms;
    assert_eq!(*what, "the time in which Harbor can bring back vol-bookings");
    assert!((47 * 3_600_000..48 * 3_600_000).contains(&left_ms), "{left_ms}");
    drill.clock.advance(MINUTE * 10);
    assert_eq!(
        state(&drill.truth(), "production", "photos"),
        VolumeState::Live,
        "its queued deletion was called off"
    );
}

fn played(player: Player, seed: u64) -> (Outcome, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("cases"));
    let outcome = incident::drill::run("nine-seconds", player, seed, &store).unwrap();
    let journal = std::fs::read(outcome.case.as_ref().unwrap().join("journal.jsonl")).unwrap();
    (outcome, journal)
}

#[test]
fn a_careful_player_follows_the_walk_and_loses_nothing() {
    let (outcome, journal) = played(Player::Careful, 1);
    let text = String::from_utf8_lossy(&journal);
    assert!(outcome.id.is_drill());
    assert_eq!(outcome.sheet.total, 100, "{:#?}\n{text}", outcome.sheet);
    let unknown = r#""rule":"script.not-text""#;
    assert!(
        text.contains(unknown),
        "a program nobody knows is outside the boundary"
    );
    assert!(
        text.contains("\"type\":\"incident.recovered\"") && text.contains("\"type\":\"incident.closed\"")
    );
}

#[test]
fn a_hasty_player_is_held_back_by_the_tool_and_scored_for_the_rest() {
    let (outcome, journal) = played(Player::Hasty, 1);
    let text = String::from_utf8_lossy(&journal);
    let points = |name: &str| {
        outcome
            .sheet
            .parts
            .iter()
            .find(|p| p.name == name)
            .unwrap()
            .points
    };
    assert!(points("stop") < 30, "photos went meanwhile");
    assert_eq!(points("residual access"), 20, "stop needs no care");
    assert_eq!(
        points("boundary"),
        15,
        "nothing unsigned ran, however often it was tried"
    );
    assert!(points("claims") < 8 && points("evidence") < 10);
    assert_eq!(
        outcome.sheet.deductions.len(),
        1,
        "{:?}",
        outcome.sheet.deductions
    );
    assert!(outcome.sheet.total < 50, "{:#?}", outcome.sheet);
    assert!(!text.contains("\"type\":\"incident.recovered\""));
}

#[test]
fn one_seed_is_one_record_byte_for_byte() {
    let (a, first) = played(Player::Careful, 42);
    let (b, again) = played(Player::Careful, 42);
    let (c, other) = played(Player::Careful, 43);
    assert_eq!((a.id.clone(), a.sheet), (b.id, b.sheet));
    assert!(first == again, "the records differ");
    assert!(first != other && a.id != c.id);
}

#[test]
fn no_token_of_a_drill_reaches_its_record_or_its_exhibits() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("cases"));
    incident::drill::run("nine-seconds", Player::Careful, 6, &store).unwrap();
    let drill = exercise(6);
    let tokens = ["tok-dns", "tok-staging", "tok-ana", "tok-ci"].map(|id| drill.secret_of(id));
    let (mut read, mut folders) = (0, vec![folder.path().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            for token in &tokens {
                assert!(
                    token.len() > 20 && !text.contains(token.as_str()),
                    "{}",
                    path.display()
                );
            }
            read += usize::from(text.contains("REDACTED"));
        }
    }
    assert!(read > 0, "the transcript held tokens, so something was taken out");
}

#[test]
fn without_their_signatures_nothing_is_restored_and_that_is_no_fault() {
    for mood in [Mood::Refuses, Mood::Sleeps] {
        let mut scenario = Scenario::shipped("nine-seconds").unwrap();
        scenario.colleagues.iter_mut().for_each(|c| c.mood = mood);
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("cases"));
        let drill = Exercise::of(scenario, 2);
        let outcome = incident::drill::play(&drill, Player::Careful, &store).unwrap();
        let truth = drill.truth();
        assert_eq!(truth.unhealthy, ["bookings-api"], "{mood:?}");
        assert!(
            truth.audit.iter().all(|a| a.action != Action::RestoreVolume),
            "{mood:?}"
        );
        assert_eq!(
            outcome.sheet.total, 100,
            "{mood:?}: a block is no mistake\n{:#?}",
            outcome.sheet
        );
        let journal = std::fs::read_to_string(outcome.case.unwrap().join("journal.jsonl")).unwrap();
        assert_eq!(journal.contains("\"approves\":false"), mood == Mood::Refuses);
        assert!(!journal.contains("\"type\":\"incident.recovered\""), "{mood:?}");
    }
}

#[test]
fn the_careful_way_works_whatever_the_seed() {
    for seed in [0, 1, 77, u64::MAX] {
        let (outcome, _) = played(Player::Careful, seed);
        assert_eq!(outcome.sheet.total, 100, "seed {seed}: {:#?}", outcome.sheet);
    }
}

#[test]
fn where_the_first_rung_sleeps_the_ladder_is_climbed_and_scored() {
    let played = |player: Player| {
        let store = tempfile::tempdir().unwrap();
        let outcome =
            incident::drill::run("nobody-answers", player, 6, &Store::open(store.path().into())).unwrap();
        let case = outcome.case.unwrap();
        let journal = std::fs::read_to_string(case.join("journal.jsonl")).unwrap();
        (outcome.sheet, journal, store)
    };
    let (sheet, journal, _store) = played(Player::Careful);
    assert!(sheet.total >= 90, "{sheet:?}");
    let said = sheet.debrief.join("\n");
    let at = |words: &str| said.find(words).unwrap_or_else(|| panic!("{words}: {said}"));
    // Nobody at the first rung: the next one is asked five minutes later, and two of it sign.
    assert!(at("colleague was asked") < at("rescue was asked"));
    assert!(at("rescue was asked") < at("dan@example.com signed"));
    assert!(at("dan@example.com signed") < at("kim@vendor.example signed"));
    assert!(!said.contains("ben@example.com signed"), "{said}");
    let kinds: Vec<serde_json::Value> = journal
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let moment = |name: &str| {
        let mut begun = kinds.iter().filter(|l| l["type"] == "notice.begun");
        let begun = begun.find(|l| l["what"]["name"] == name).unwrap();
        begun["what"]["mono_us"].as_u64().unwrap() / 1_000_000
    };
    let waited = moment("rescue") - moment("colleague");
    assert!((300..310).contains(&waited), "{waited} s");
    let sent: Vec<_> = kinds.iter().filter(|l| l["type"] == "slice.cut").collect();
    assert_eq!(sent.len(), 2, "each rung is sent what it names");
    // The same seed is the same record, byte for byte, parts of it that were sent included.
    assert_eq!(played(Player::Careful).1, journal);
    // Who asks nobody loses points for that, too.
    let (sheet, _, _store) = played(Player::Hasty);
    let lost = sheet
        .deductions
        .iter()
        .any(|d| d.why.contains("nobody was ever asked") && d.points == 10);
    assert!(lost, "{sheet:?}");
}

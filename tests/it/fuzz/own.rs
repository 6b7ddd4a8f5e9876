//! Readers of what this program or a colleague wrote, and what anybody may have changed since: approvals and the record
//! of what was trusted, notes beside a case, what an undo needs, the file of grants that is added to.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use incident::access::add::add;
use incident::engine::{ApprovalFile, Desk, MirrorPlace, TrustFile, Written};
use incident::journal::{Hash, lines};
use incident::local::Local;
use incident::model::grant::{Grant, Shared as SharedWith, Supervisor, Target, TriggerKind};
use incident::model::ids::TargetId;
use incident::model::inventory::Inventory;
use incident::model::secret::SecretRef;
use incident::store::{Spool, Store};

use super::answers::{published, shows_no_secret};
use super::coded::{ANSWERS, adapters, grant};
use super::hosts::{Nothing, trigger};
use super::machine::Shared;
use super::mutant::{Mutant, Random};
use super::{as_is, feed};
use crate::support::network_world;
use crate::trust::approved::approved;

/// An approval counts only as it was signed, and only where what was trusted is as it was signed.
#[test]
#[ignore = "runs in a process of its own"]
fn approvals() {
    let Some(home) = approved() else {
        // Said above; what runs this counts inputs.
        feed("approvals", &Mutant::new(["{}"], &[]), as_is, |_| {});
        return;
    };
    let folder = home.home().join("incident");
    let read = |path: PathBuf| fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let text = |path: PathBuf| String::from_utf8(read(path)).unwrap();
    let file = |name: &str| Some((name.to_owned(), read(folder.join(name))));
    let trust = fs::read_dir(home.home().join(".local/state/incident/trust")).unwrap();
    let trust: Vec<PathBuf> = trust.map(|entry| entry.unwrap().path()).collect();
    let trust = trust
        .iter()
        .find(|p| p.extension().is_some_and(|e| e == "json"))
        .unwrap();
    let written = Written {
        runbook: file("runbook.yaml"),
        access: file("access.yaml"),
        signers: file("allowed_signers"),
        trust: Some(TrustFile {
            path: trust.clone(),
            statement: read(trust.clone()),
            signature: read(trust.with_extension("json.sig")),
            loose: false,
            revoked: None,
        }),
        approvals: vec![ApprovalFile {
            name: "approved/move.json".to_owned(),
            statement: text(folder.join("approved/move.json")),
            signature: text(folder.join("approved/move.json.sig")),
        }],
        folder: Some(folder.clone()),
        ..Written::default()
    };
    let (world, cases) = (network_world(), tempfile::tempdir().unwrap());
    let store = Store::open(cases.path().to_owned());
    let desk = Desk {
        world: &world,
        store: &store,
        spool_folders: Vec::new(),
        who: "ana@example.com".to_owned(),
    };
    let counted = |written: &Written| desk.preview(written).unwrap().approvals();
    assert_eq!(counted(&written), 1);
    let (approval, trusted) = (&written.approvals[0], written.trust.as_ref().unwrap());
    let seeds = [
        approval.statement.clone().into_bytes(),
        trusted.statement.clone(),
        approval.signature.clone().into_bytes(),
        trusted.signature.clone(),
        file("allowed_signers").unwrap().1,
        text(home.home().join("ana.pub")).into_bytes(),
    ];
    let words = [
        "\"until\": \"2999-01-01T00:00:00.000Z\"",
        "\"effects\": [\"read\"]",
        "\"run\": [\"",
        "\"files\": {",
        "./scripts/",
        "-----BEGIN SSH SIGNATURE-----\n",
        "* ",
    ];
    let slot = Cell::new(0);
    let choose = |random: &mut Random, input: Vec<u8>| {
        slot.set(random.below(6));
        input
    };
    feed("approvals", &Mutant::new(seeds, &words), choose, |input| {
        let mut now = written.clone();
        let lossy = String::from_utf8_lossy(input).into_owned();
        let (approval, trusted) = (&mut now.approvals[0], now.trust.as_mut().unwrap());
        match slot.get() {
            0 => approval.statement = lossy,
            1 => trusted.statement = input.to_vec(),
            2 => approval.signature = lossy,
            3 => trusted.signature = input.to_vec(),
            4 => now.signers = Some(("allowed_signers".to_owned(), input.to_vec())),
            _ => now.revoked = Some(("revoked_keys".to_owned(), input.to_vec())),
        }
        let signed = now.approvals[0].statement == written.approvals[0].statement
            && now.trust.as_ref().unwrap().statement == written.trust.as_ref().unwrap().statement;
        let counts = counted(&now);
        assert!(
            counts <= usize::from(signed),
            "slot {}: {counts} count",
            slot.get()
        );
    });
}

/// How far a mirror has come, where the cases went, and what waits in a spool: no note makes more of it than is there.
#[test]
#[ignore = "runs in a process of its own"]
fn notes() {
    let folder = tempfile::tempdir().unwrap();
    let (world, place) = (network_world(), folder.path().join("spool"));
    let store = Store::open(folder.path().join("cases"));
    let desk = Desk {
        world: &world,
        store: &store,
        spool_folders: Vec::new(),
        who: "ana@example.com".to_owned(),
    };
    let engine = desk.open("a drill of notes", &Written::default()).unwrap();
    let git: MirrorPlace = "git:/srv/mirror.git".parse().unwrap();
    let chosen = engine.choose_mirror(&git).unwrap();
    let (case, head) = (engine.case_path().unwrap(), engine.head().unwrap());
    let (records, head) = (head.0 + 1, head.1);
    let elsewhere = folder.path().join("elsewhere");
    for private in [&place, &elsewhere] {
        fs::create_dir(private).unwrap();
        fs::set_permissions(private, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let mut spool = incident::journal::Chain::default();
    let mut line = |what: &str| {
        let what = serde_json::json!({"text": what});
        spool.write(
            "2026-11-22T03:14:07.000Z",
            "note.added",
            1,
            what,
            "ana@example.com",
        )
    };
    let waiting = [line("one").unwrap(), line("two").unwrap()].concat();
    let note = |next: u64, head: &str| {
        format!(
            "{{\"chosen\":{chosen},\"folder\":\"INC\",\"next\":{next},\"head\":{head},\"trying\":null,\"since_ms\":1,\"acked_ms\":2,\"error\":\"no way\"}}"
        )
        .into_bytes()
    };
    let moved =
        |to: &Path| format!("{{\"to\":\"{}\",\"cases\":{{\"INC-1\":\"/x\"}}}}", to.display()).into_bytes();
    let seeds = [
        note(1, "null"),
        note(records, &format!("\"{head}\"")),
        note(records, &format!("\"{}\"", Hash::of(b"x"))),
        moved(&elsewhere),
        waiting,
    ];
    let words = [
        "\"next\":",
        "\"head\":\"",
        "\"to\":\"/\"",
        "null",
        "\"seq\":",
        "\"cases\":{",
    ];
    feed("notes", &Mutant::new(seeds, &words), as_is, |input| {
        fs::write(case.join("tmp/mirror.json"), input).unwrap();
        let mirror = engine.mirror().unwrap().unwrap();
        assert_eq!(mirror.there + mirror.behind, records, "{mirror:?}");
        let all = memchr::memmem::find(input, head.to_string().as_bytes()).is_some();
        let words = mirror.words(2);
        assert!(mirror.behind > 0 || all, "{words}");
        fs::write(store.root().join("moved"), input).unwrap();
        let found = Store::found(store.root().to_owned());
        assert!(
            found.root() == store.root() || found.root() == elsewhere,
            "{:?}",
            found.root()
        );
        fs::write(place.join("journal.jsonl"), input).unwrap();
        if let Ok(read) = Spool::load(&place) {
            assert!(input.starts_with(read.lines()));
            assert_eq!(lines(read.lines()).count() as u64, read.chain().next);
        }
    });
}

/// What an undo needs, changed on its way: nothing is sent anywhere else, no other file is written, no secret is shown.
#[test]
#[ignore = "runs in a process of its own"]
fn undo_data() {
    let machine = Shared::default();
    let world = machine.world();
    let adapters = adapters(true);
    // What each saves before a cut, of the first answer out of which it saves anything.
    let set = |says: &[u8]| {
        let mut machine = machine.0.borrow_mut();
        machine.files.clear();
        machine.started.clear();
        machine.asked.clear();
        machine.status = 200;
        machine.says = says.to_vec();
    };
    let answers: Vec<String> = ANSWERS
        .map(str::to_owned)
        .into_iter()
        .chain(published())
        .collect();
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for adapter in &super::coded::adapters(false) {
        seeds.extend(ANSWERS.iter().find_map(|answer| {
            set(answer.as_bytes());
            let mut case = grant(&world, adapter);
            case.before();
            case.undo
        }));
    }
    assert!(seeds.len() > 3, "{} kinds of undo data", seeds.len());
    seeds.extend(
        [
            "{\"running\":\"/srv/a\"}",
            "{\"mode\":493}",
            "{\"enabled\":true,\"active\":true}",
            "[{\"number\":\"12\",\"time\":\"209911220314.00\",\"queue\":\"a\",\"user\":\"bot\",\"script\":\"x\\n\"}]",
            "{\"name\":\"x\",\"status\":\"Active\",\"policy\":\"{}\",\"value\":\"2026-11-22T03:14:07Z\"}",
        ]
        .map(|text| text.as_bytes().to_vec()),
    );
    let words = [
        "https://evil.example/",
        "../",
        "-",
        "\"mode\":",
        "\"user\":\"",
        "bot'; DROP ROLE x; --",
        "{}",
    ];
    let local = triggers();
    let turn = Cell::new((0, 0, 200));
    let choose = |random: &mut Random, input: Vec<u8>| {
        let status = [200, 200, 201, 204, 404, 409][random.below(6)];
        turn.set((
            random.below(adapters.len() + local.len()),
            random.below(answers.len()),
            status,
        ));
        input
    };
    feed("undo data", &Mutant::new(seeds, &words), choose, |input| {
        let (at, answer, status) = turn.get();
        set(answers[answer].as_bytes());
        machine.0.borrow_mut().status = status;
        let facts = match local.get(at) {
            Some((kind, own)) => {
                machine.fill([*own, "/etc/passwd"], b"bot:x:1000:1000::/home/bot:/bin/sh\n");
                let before = machine.0.borrow().files.clone();
                let host = Local::new(&world, &Nothing, "INC-1");
                let facts = world.wait(host.restore(&trigger(kind.clone()), input)).unwrap();
                let after = machine.0.borrow().files.clone();
                for path in changed(&before, &after) {
                    assert!(path.starts_with(own), "{path:?}: {kind:?}");
                }
                facts
            }
            None => {
                let mut case = grant(&world, &adapters[at - local.len()]);
                case.undo = Some(input.to_vec());
                case.restore()
            }
        };
        shows_no_secret(&facts);
        for url in &machine.0.borrow().asked {
            let asked = url::Url::parse(url).unwrap();
            assert!(
                !asked.host_str().unwrap().contains("evil") && asked.username().is_empty(),
                "{url}"
            );
        }
    });
}

/// One trigger of each kind that gives back, and the file that is its own.
fn triggers() -> [(TriggerKind, &'static str); 5] {
    let path = "/etc/cron.daily/agent".to_owned();
    let file = "/srv/shop/.mcp.json".to_owned();
    [
        (TriggerKind::Script { path }, "/etc/cron.daily/agent"),
        (TriggerKind::File { path: file }, "/srv/shop/.mcp.json"),
        (
            TriggerKind::At {
                user: "bot".to_owned(),
                contains: "claude".to_owned(),
            },
            "/none",
        ),
        (
            TriggerKind::Systemd {
                unit: "agent.timer".to_owned(),
                root: None,
                user: false,
                of: None,
            },
            "/etc/systemd/system/agent.timer.d",
        ),
        (
            TriggerKind::Supervised {
                by: Supervisor::Runit,
                entry: "/srv/a".to_owned(),
                user: "nobody".to_owned(),
                tool: "/usr/bin/sv".to_owned(),
                at: None,
            },
            "/srv/a/down",
        ),
    ]
}

fn changed(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<PathBuf> {
    let all = before.keys().chain(after.keys());
    all.filter(|path| before.get(*path) != after.get(*path))
        .cloned()
        .collect()
}

/// A grant that is added to a file stands in it, and everything that stood there before.
#[test]
#[ignore = "runs in a process of its own"]
fn additions() {
    let seeds = [
        include_str!("../../../examples/orders/incident/access.yaml.in"),
        include_str!("../../../src/drill/scenarios/nine-seconds/access.yaml"),
        "version: 1\nagents:\n",
        "# ours\nversion: 1\nagents:\n  - name: bot   # night\n    grants:\n      - id: db\n        provider: postgres\n        with: {role: bot}\n    triggers:\n      - {id: t, systemd: a.timer}\n\n# the end\n",
    ];
    let words = [
        "agents:\n",
        "  - name: bot\n",
        "    grants:\n",
        "- id: ",
        "&a ",
        "*a",
        "|\n",
        "\r\n",
        "---\n",
        "  # x\n",
    ];
    let new = Grant {
        id: TargetId::new("added").unwrap(),
        provider: "github".to_owned(),
        agent: Some("bot".to_owned()),
        with: BTreeMap::from([("address".to_owned(), "a\": *x\n# \u{e9}".to_owned())]),
        auth: Some(SecretRef::Env("GH_ADMIN".to_owned())),
        secret: Some(SecretRef::File(PathBuf::from("/run/a b"))),
        shared: SharedWith::Production,
        reaches: vec!["prod".to_owned()],
    };
    let mut added = 0;
    feed("additions", &Mutant::new(seeds, &words), as_is, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        let Ok(longer) = add("access.yaml", text, &new) else {
            return;
        };
        added += 1;
        let (before, _) = Inventory::parse("access.yaml", text);
        let (mut after, _) = Inventory::parse("access.yaml", &longer);
        let at = after
            .targets
            .iter()
            .position(|t| *t == Target::Grant(new.clone()));
        after.targets.remove(at.expect("it stands there as it was meant"));
        assert_eq!(after.targets, before.targets, "{longer}");
        let mut kept = longer.lines();
        assert!(
            text.lines().all(|line| kept.any(|l| l == line)),
            "a line was changed: {longer}"
        );
    });
    assert!(added > 0);
}

/// Words that people type and that end up in an argv: what is read says the same when it is written again.
#[test]
#[ignore = "runs in a process of its own"]
fn typed_words() {
    let seeds = [
        "ssh://ana@host.example:22/srv/mirror",
        "ssh://box/~/mirror",
        "git:https://git.example/ops/mirror.git",
        "git:git@git.example:ops/mirror.git",
        "s3://bucket/a/prefix?endpoint=https://s3.example",
        "ana@[::1]%eth0",
        "09:00-17:30",
        "2026-11-22T03:14:07.123Z",
        "1h30m",
    ];
    let words = [
        "-oProxyCommand=x",
        "--",
        "~/",
        "..",
        "://",
        "@",
        ":0",
        "%",
        " ",
        "::",
        "?x=",
        "$(x)",
        "99999999999d",
    ];
    feed("typed words", &Mutant::new(seeds, &words), as_is, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        if let Ok(place) = text.parse::<MirrorPlace>() {
            let again = place.to_string();
            assert_eq!(again.parse::<MirrorPlace>().as_ref(), Ok(&place), "{again}");
            assert!(
                !again.contains(|c: char| c.is_whitespace() || c.is_control()),
                "{again:?}"
            );
        }
        if let Ok(remote) = text.parse::<incident::engine::Remote>() {
            let said = remote.to_string();
            assert!(
                !said.starts_with('-') && !said.contains(|c: char| c.is_whitespace()),
                "{said:?}"
            );
        }
        if let Ok(hours) = text.parse::<incident::model::hours::Hours>() {
            assert_eq!(hours.to_string().parse().as_ref(), Ok(&hours));
        }
        let moment = incident::model::time::parse_rfc3339(text);
        if let Some(ms) = moment.filter(|ms| (0..253_402_300_800_000).contains(ms)) {
            assert_eq!(
                incident::model::time::parse_rfc3339(&incident::model::time::rfc3339(ms)),
                Some(ms)
            );
        }
    });
}

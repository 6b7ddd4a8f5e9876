//! Readers of what a host's own programs and files say: schedules, supervisors, repositories, transcripts.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use incident::access::{Agent, Eye, scan};
use incident::collectors::{Ctx, Limits, run};
use incident::local::projects::{self, Work};
use incident::local::{Keeper, Local, at, cron, systemd};
use incident::model::act::CaptureSpec;
use incident::model::fact::Fact;
use incident::model::grant::{Supervisor, Target, Trigger, TriggerKind};
use incident::model::ids::TargetId;
use incident::model::secret::Secret;
use incident::world::host::Process;

use super::answers::Names;
use super::machine::Shared;
use super::mutant::{Mutant, Random};
use super::{as_is, feed};
use crate::collectors::shelf::scene;

/// Keeps nothing.
pub struct Nothing;

impl Keeper for Nothing {
    fn fingerprint(&self, _: &str) -> String {
        String::new()
    }
    fn scrub(&self, text: &str) -> String {
        text.to_owned()
    }
    fn found(&self, _: &str, _: &Process, _: &str, _: Secret) {}
    fn held(&self, _: &str, _: &str, _: usize) {}
}

pub fn trigger(kind: TriggerKind) -> Target {
    Target::Trigger(Trigger {
        id: TargetId::new("x").unwrap(),
        agent: None,
        kind,
    })
}

fn says_dead(facts: &[Fact]) -> bool {
    facts.iter().any(|f| matches!(f, Fact::ReadBack { dead: true }))
}

const TAB: &str = "/etc/cron.d/agents";
const UNIT: &str = "/etc/systemd/system/agent.service";
const TIMER: &str = "/etc/systemd/system/agent.timer";

/// Files that are read to find what starts an agent.
const STARTS: [&str; 10] = [
    "/etc/crontab",
    TAB,
    "/etc/cron.daily/agent",
    UNIT,
    TIMER,
    "/etc/passwd",
    "/srv/shop/.git/config",
    "/srv/shop/.git/hooks/post-commit",
    "/srv/shop/.devcontainer/devcontainer.json",
    "/home/deploy/.claude.json",
];

/// Whatever stands there, what is switched off comes back byte for byte, and no other line is touched.
#[test]
#[ignore = "runs in a process of its own"]
fn schedules() {
    let seeds = [
        "# m h dom mon dow\nMAILTO=ops\n*/5 * * * * cd /srv && claude -p 'go on'\n@reboot codex exec x\n17 3 * * * /usr/bin/backup\n",
        "12\tSun Nov  2 08:51:07 2026 a deploy\n13\tMon Nov  3 08:51:07 2026 = bot\n",
        "[Unit]\nDescription=x\n[Service]\nExecStart=/usr/bin/env claude --print x\nExecStop=-/bin/true\n[Install]\nWantedBy=multi-user.target\n",
        "[Timer]\nOnCalendar=hourly\nUnit=agent.service\n",
        "#!/bin/sh\n# claude is not meant here\nexec claude -p \"$1\"\n",
        "[core]\n\thooksPath = ~/hooks\n[include]\n\tpath = ../x\n",
        "{ // a comment\n \"postStartCommand\": [\"claude\", \"-p\", \"x\"], \"projects\": {\"/srv/shop\": {}}, }",
        "root:x:0:0:root:/root:/bin/sh\ndeploy:x:1000:1000::/home/deploy:/bin/bash\n",
        "inactive\n",
        "disabled\n",
    ];
    let words = [
        "claude",
        "* * * * * ",
        "@daily ",
        "ExecStart=",
        "Unit=",
        "\\\n",
        "%",
        "# incident:INC-1 disabled: ",
        "hookspath=",
        "/*",
        "//",
        "/srv/shop",
    ];
    let machine = Shared::default();
    let world = machine.world();
    let work = [Work {
        agent: "claude-code".to_owned(),
        home: Some(PathBuf::from("/home/deploy")),
        cwds: BTreeSet::from([PathBuf::from("/srv/shop")]),
    }];
    let (mut found, mut given_back) = (0, 0);
    feed("schedules", &Mutant::new(seeds, &words), as_is, |input| {
        {
            let mut machine = machine.0.borrow_mut();
            machine.files.clear();
            machine.started.clear();
            machine.says = input.to_vec();
            machine.crontab = input.to_vec();
        }
        machine.fill(STARTS, input);
        let (mut triggers, _) = world.wait(cron::find(&world)).unwrap();
        triggers.extend(world.wait(at::find(&world)).unwrap().0);
        triggers.extend(systemd::find(&world, None).0);
        triggers.extend(projects::find(&world, &work));
        found += triggers.len();
        // Each is switched off and given back; a file may hold thousands.
        triggers.truncate(40);
        let local = Local::new(&world, &Nothing, "INC-1");
        for trigger in triggers {
            let before = everything(&machine);
            let target = Target::Trigger(trigger.clone());
            let (is_cron, contains) = match &trigger.kind {
                TriggerKind::Cron { contains, .. } | TriggerKind::CronFile { contains, .. } => {
                    (true, contains.as_str())
                }
                _ => (false, ""),
            };
            let undo = world.wait(local.glance(&target)).unwrap().undo;
            assert_eq!(
                everything(&machine),
                before,
                "a glance changes nothing: {trigger:?}"
            );
            let facts = world.wait(local.cut(&target)).unwrap();
            if let TriggerKind::Systemd { .. } = trigger.kind {
                // One word answers both questions here.
                let text = String::from_utf8_lossy(input);
                let (all, last) = (text.trim(), text.lines().next_back().unwrap_or_default().trim());
                let down = ["inactive", "failed", "unknown"].contains(&all) || last == "not-found";
                assert!(down || !says_dead(&facts), "{facts:?}");
            }
            let Some(undo) = undo.filter(|_| is_cron && says_dead(&facts)) else {
                continue;
            };
            for (path, old) in &before {
                let new = &everything(&machine)[path];
                let (old, new) = (old.split(|b| *b == b'\n'), new.split(|b| *b == b'\n'));
                let touched = old.clone().zip(new.clone()).filter(|(a, b)| a != b);
                assert_eq!(old.clone().count(), new.clone().count(), "{path:?}");
                for (line, now) in touched {
                    let line = String::from_utf8_lossy(line);
                    assert!(line.contains(contains), "{path:?}: {line}");
                    assert!(now.starts_with(b"# incident:INC-1 disabled: "));
                }
            }
            let tagged = before
                .values()
                .any(|text| memchr::memmem::find(text, b"# incident:INC-1").is_some());
            let _ = world.wait(local.restore(&target, &undo)).unwrap();
            // What was tagged before is given back, too: it was this incident that switched it off.
            assert!(tagged || everything(&machine) == before, "{trigger:?}");
            given_back += usize::from(!tagged);
        }
    });
    assert!(
        found > 0 && given_back > 0,
        "{found} found, {given_back} given back"
    );
}

/// The files that schedules are in, and the crontab.
fn everything(machine: &Shared) -> BTreeMap<PathBuf, Vec<u8>> {
    let machine = machine.0.borrow();
    let tabs = ["/etc/crontab", TAB].map(PathBuf::from);
    let files = tabs.into_iter().filter_map(|path| {
        let text = machine.files.get(&path)?.clone();
        Some((path, text))
    });
    files
        .chain([(PathBuf::from("crontab"), machine.crontab.clone())])
        .collect()
}

/// Nothing is called dead that its supervisor does not call so.
#[test]
#[ignore = "runs in a process of its own"]
fn supervisors() {
    let seeds = [
        "agent:agent    RUNNING   pid 12, uptime 0:00:03\n",
        "agent STOPPED Nov 22 06:00 PM\n",
        "run: /srv/a: (pid 12) 3s; run: log: (pid 9) 3s\n",
        "down: /srv/a: 0s, normally up\n",
        "/srv/my down: up (pid 9) 2 seconds\n",
        "down: /srv/my down: 0s, normally up\n",
        "down (signal SIGTERM) 1 seconds, normally up, want up\n",
        "[PM2] Spawning\n[{\"pid\":812,\"pm_id\":3,\"pm2_env\":{\"status\":\"online\"}},{\"pid\":0,\"pm_id\":4,\"pm2_env\":{\"status\":\"stopped\"}}]\n",
    ];
    let words = [
        "STOPPED",
        "FATAL",
        "down",
        "finish",
        "want up",
        "(pid ",
        "pid ",
        ": ",
        "[{",
        "\"errored\"",
        "\"pm_id\":3",
    ];
    let machine = Shared::default();
    let world = machine.world();
    feed("supervisors", &Mutant::new(seeds, &words), as_is, |input| {
        machine.0.borrow_mut().says = input.to_vec();
        for by in [
            Supervisor::Supervisord,
            Supervisor::Runit,
            Supervisor::S6,
            Supervisor::Daemontools,
            Supervisor::Pm2,
        ] {
            // A folder may be named after a state.
            let entry = if by == Supervisor::Pm2 {
                "3"
            } else {
                "/srv/my down"
            };
            let target = trigger(TriggerKind::Supervised {
                by,
                entry: entry.to_owned(),
                user: "nobody".to_owned(),
                tool: "/usr/bin/tool".to_owned(),
                at: None,
            });
            let local = Local::new(&world, &Nothing, "INC-1");
            let facts = world.wait(local.probe(&target)).unwrap();
            let first = String::from_utf8_lossy(input)
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            let down = match by {
                Supervisor::Supervisord => first.contains("STOPPED") || first.contains("FATAL"),
                // Only a list that names this entry, and a word for it.
                Supervisor::Pm2 => {
                    let text = String::from_utf8_lossy(input);
                    text.contains("pm_id") && (text.contains("stopped") || text.contains("errored"))
                }
                _ => first.replacen(entry, "", 1).contains("down"),
            };
            assert!(down || !says_dead(&facts), "{by:?}: {facts:?}");
        }
    });
}

/// Whatever a repository's configuration names, git is started with all of it switched off.
#[test]
#[ignore = "runs in a process of its own"]
fn repositories() {
    let seeds = [
        "filter.lfs.clean\0filter.lfs.smudge\0filter.lfs.process\0filter.lfs.required\0",
        "filter.a.b\n.clean\0filter..smudge\0",
        "e69de29 refs/heads/main@{2026-11-22T03:14:07Z}: commit: x\n",
        "",
    ];
    let words = [
        "filter.",
        ".clean\0",
        ".smudge\0",
        ".process\0",
        ".required\0",
        "\0\0",
        "core.fsmonitor\0",
    ];
    let machine = Shared::default();
    let world = machine.world();
    let spec = CaptureSpec::Git {
        repo: PathBuf::from("/srv/shop"),
    };
    let limits = Limits {
        deadline: Duration::from_secs(10),
        no_progress: None,
        total: Duration::from_secs(1_000_000),
        cap: 1 << 16,
        files: 10,
    };
    feed("repositories", &Mutant::new(seeds, &words), as_is, |input| {
        machine.fill(["/srv/shop/.git/config"], input);
        {
            let mut machine = machine.0.borrow_mut();
            machine.says = input.to_vec();
            machine.started.clear();
        }
        let names = Names::default();
        let ctx = Ctx {
            world: &world,
            limits,
            sink: &names,
            env: &Vec::new,
            started: &|_| {},
            presses: 0,
            began_us: world.clock.now().mono_us,
        };
        let taken = world.wait(run(ctx, &spec, &scene(Path::new("/")))).unwrap();
        assert!(!taken.is_empty());
        let machine = machine.0.borrow();
        let (config, looks) = machine.started.split_first().unwrap();
        assert!(config.0.iter().any(|word| word == "config"));
        let Ok(text) = std::str::from_utf8(input) else {
            assert!(
                looks.is_empty(),
                "git was started without knowing what the repository names"
            );
            return;
        };
        let ends = [
            (".clean", ""),
            (".smudge", ""),
            (".process", ""),
            (".required", "false"),
        ];
        for (argv, env) in looks {
            let value = |name: &str| {
                env.iter()
                    .find(|(n, _)| n == name)
                    .map(|(_, value)| value.as_str())
            };
            let count: usize = value("GIT_CONFIG_COUNT").unwrap().parse().unwrap();
            let settings: BTreeSet<(&str, &str)> = (0..count)
                .map(|n| {
                    let of = |what: &str| value(&format!("GIT_CONFIG_{what}_{n}")).unwrap();
                    (of("KEY"), of("VALUE"))
                })
                .collect();
            assert!(settings.contains(&("core.fsmonitor", "false")), "{argv:?}");
            for name in text.split('\0') {
                if let Some((_, off)) = ends.iter().find(|(end, _)| name.ends_with(end)) {
                    assert!(settings.contains(&(name, off)), "{name:?} of {argv:?}");
                }
            }
        }
    });
}

/// A file of each agent's sessions.
const SESSIONS: [(&str, &str); 10] = [
    ("claude-code", ".claude/projects/-srv-shop/5e55.jsonl"),
    ("codex", ".codex/sessions/2026/11/22/rollout-1.jsonl"),
    ("gemini-cli", ".gemini/tmp/0a/chats/session-1.json"),
    ("cursor-agent", ".cursor/projects/a/agent-transcripts/1.jsonl"),
    ("copilot-cli", ".copilot/session-state/1/events.jsonl"),
    ("opencode", ".local/share/opencode/storage/part/1.json"),
    ("goose", ".local/share/goose/sessions/sessions.db"),
    ("amp", ".local/share/amp/threads/T-1.json"),
    ("cline", ".cline/data/tasks/1/api_conversation_history.json"),
    ("kiro", ".kiro/sessions/1.jsonl"),
];

/// Whatever is around it, a token between blanks is found, and no value is shown.
#[test]
#[ignore = "runs in a process of its own"]
fn transcripts() {
    let token = format!("ghp_{}", "q7Rk20xYzT4Ab".repeat(3).split_at(36).0);
    let seeds = [
        format!(
            "{{\"type\":\"user\",\"message\":{{\"role\":\"user\",\"content\":\"use {token} please\"}},\"uuid\":\"1\"}}\n{{\"type\":\"assistant\",\"message\":{{\"content\":[{{\"type\":\"tool_use\",\"name\":\"Bash\",\"input\":{{\"command\":\"curl -H 'Authorization: Bearer {token}' https://api.example\"}}}}]}}}}\n"
        ),
        format!(
            "{{\"timestamp\":\"2026-11-22T03:14:07Z\",\"type\":\"response_item\",\"payload\":{{\"type\":\"function_call_output\",\"output\":\"{{\\\"output\\\":\\\"TOKEN={token}\\\\n\\\"}}\"}}}}\n"
        ),
        format!("SQLite format 3\0\u{10}\0{{\"role\":\"tool\",\"text\":\"{token}\"}}\0\0"),
        format!("#### use {token} \n\n> ok\n"),
    ];
    let words = [
        token.as_str(),
        " ",
        "\\n",
        "\\u001b[31m",
        "\"content\":\"",
        "{\"type\":\"tool_result\",",
        "\0",
    ];
    let machine = Shared::default();
    let world = machine.world();
    let home = Path::new("/home/deploy");
    let (key, adapters) = ([7; 32], |_: &str| Vec::new());
    let eye = Eye::new(&key, &adapters).unwrap();
    let turn = Cell::new(0);
    let choose = |random: &mut Random, input: Vec<u8>| {
        turn.set(random.below(SESSIONS.len()));
        input
    };
    let mut sure = 0;
    feed("transcripts", &Mutant::new(seeds, &words), choose, |input| {
        let (agent, file) = SESSIONS[turn.get()];
        machine.0.borrow_mut().files.clear();
        machine.fill([home.join(file)], input);
        let agents = [Agent {
            name: Some(agent.to_owned()),
            uid: 1000,
            home: Some(home.to_owned()),
            cwds: BTreeSet::new(),
            variables: Vec::new(),
        }];
        let seen = scan(&world, &agents, None, &eye);
        assert!(
            seen.findings.iter().all(|f| !f.words().contains(&token)),
            "{seen:?}"
        );
        // A zero byte or many of them may make it text of another kind.
        let alone = format!(" {token} ");
        if !input.contains(&0) && memchr::memmem::find(input, alone.as_bytes()).is_some() {
            sure += 1;
            let unseen = seen.findings.iter().all(|f| f.value.expose() != token);
            let taken_whole = seen.findings.iter().any(|f| f.kind == "unreadable");
            assert!(
                !unseen || taken_whole || !seen.holes.is_empty(),
                "{agent}: {seen:?}"
            );
        }
    });
    assert!(sure > 0);
}

//! Real process trees, inside the jail.

use std::cell::RefCell;
use std::time::Duration;

use incident::local::{Keeper, Local, tree};
use incident::model::fact::{Fact, Observed, Proof, TargetKind, proof};
use incident::model::grant::{Target, Tree, TreeRule};
use incident::model::ids::TargetId;
use incident::model::secret::Secret;
use incident::world::World;
use incident::world::host::{Process, Signal, Signalled};

use super::yard::{self, Keys, agent_script, pause, start_agent};

/// Keeps what a frozen tree gives away, and takes the token out of text.
#[derive(Default)]
pub struct Kept(pub RefCell<Vec<(String, Secret)>>);

impl Keeper for Kept {
    fn fingerprint(&self, value: &str) -> String {
        format!("fp-{}", value.len())
    }
    fn scrub(&self, text: &str) -> String {
        text.replace("hunter2-value", "[token]")
    }
    fn found(&self, agent: &str, _: &Process, name: &str, value: Secret) {
        self.0.borrow_mut().push((format!("{agent} {name}"), value));
    }
    fn held(&self, agent: &str, text: &str, left_out: usize) {
        let text = format!("{left_out} left out\n{text}");
        self.0
            .borrow_mut()
            .push((format!("{agent} held"), Secret::new(text)));
    }
}

pub fn claude() -> Target {
    rule("claude-code", TreeRule::default())
}

fn rule(agent: &str, rule: TreeRule) -> Target {
    Target::Tree(Tree {
        id: TargetId::new(agent).unwrap(),
        agent: agent.into(),
        rule,
    })
}

fn word(facts: &[Fact]) -> Proof {
    let facts: Vec<Observed> = facts
        .iter()
        .map(|f| Observed {
            at_us: 1,
            fact: f.clone(),
        })
        .collect();
    proof(TargetKind::Tree, &facts, Duration::ZERO)
}

fn alive(world: &World, text: &str) -> usize {
    let all = world.host.processes().unwrap();
    all.iter()
        .filter(|p| p.state != 'Z' && p.argv.join(" ").contains(text))
        .count()
}

fn found(facts: &[Fact]) -> u32 {
    facts
        .iter()
        .rev()
        .find_map(|f| match f {
            Fact::LookedFor { found, .. } => Some(*found),
            _ => None,
        })
        .unwrap()
}

fn has(facts: &[Fact], label: &str, part: &str) -> bool {
    facts
        .iter()
        .any(|f| matches!(f, Fact::Noted { label: l, text } if l == label && text.contains(part)))
}

#[test]
#[ignore = "runs in a jail"]
fn an_agents_tree_is_frozen_kept_killed_and_not_found_again() {
    let kept = Kept::default();
    let script = agent_script(
        "export CLAUDECODE=1 A_TOKEN=hunter2-value
         sleep 1001 3</etc/hostname &
         setsid -f sleep 1002
         env -i setsid /bin/sleep 1003 &
         (sleep 1004; true) &
         echo --password=hunter2-value >/dev/null; bash -c 'sleep 1005; true' --password=hunter2-value &
         touch $0.up; wait",
    );
    start_agent(&script);
    let world = yard::world(&Keys::default());
    yard::pause(100);
    let bystander = std::process::Command::new("sleep").arg("1999").spawn().unwrap();
    let trees = tree::find(&world, &[]).unwrap();
    assert_eq!(trees.len(), 1);
    assert_eq!(trees[0].tree.agent, "claude-code");
    assert!(
        trees[0].look.members[0]
            .why
            .contains("/@anthropic-ai/claude-code/cli.js")
    );

    let local = Local::new(&world, &kept, "INC-1");
    let target = claude();
    let glance = world.wait(local.glance(&target)).unwrap();
    assert!(glance.undo.is_none());
    assert!(
        matches!(glance.facts[0], Fact::Frozen { count: 8 }),
        "{:?}",
        glance.facts
    );
    assert_eq!(alive(&world, "sleep 100"), 6, "frozen is not killed");
    assert!(has(&glance.facts, "open", "/etc/hostname"));
    assert!(has(&glance.facts, "env", "A_TOKEN fp-13"));
    assert!(has(&glance.facts, "process", "--password=[token]"));
    assert!(!format!("{:?}", glance.facts).contains("hunter2"));
    {
        let token = kept.0.borrow();
        let mut token = token.iter().filter(|(name, _)| name == "claude-code A_TOKEN");
        assert_eq!(
            token.next().map(|(_, value)| value.expose()),
            Some("hunter2-value")
        );
        assert!(token.next().is_none());
    }

    // Everything they held, for the evidence: values of variables are not among it.
    let all = kept.0.borrow();
    let held: Vec<&str> = all
        .iter()
        .filter(|(name, _)| name == "claude-code held")
        .map(|(_, text)| text.expose())
        .collect();
    let [held] = held.as_slice() else {
        panic!("{held:?}")
    };
    assert!(held.starts_with("0 left out\n"), "{held}");
    for words in [
        "  /etc/hostname\n",
        "mapped files:\n  /",
        "  A_TOKEN\n",
        "state T, executable /",
    ] {
        assert!(held.contains(words), "{words:?} in {held}");
    }
    assert_eq!(held.matches("\nopen files and sockets:").count(), 8);
    // An argument may hold one, and goes through the redactor of whoever files it.
    let elsewhere = held.replace("--password=hunter2-value", "");
    assert!(!elsewhere.contains("hunter2-value"), "{held}");
    drop(all);

    let facts = world.wait(local.cut(&target)).unwrap();
    assert!(facts.contains(&Fact::Killed { count: 8 }), "{facts:?}");
    assert_eq!(
        (found(&facts), word(&facts)),
        (0, Proof::NotSeenHere),
        "a jail is not the whole host"
    );
    assert_eq!(alive(&world, "sleep 100"), 0);
    assert_eq!(alive(&world, "sleep 1999"), 1, "a bystander lives");
    let again = world.wait(local.cut(&target)).unwrap();
    assert!(again.contains(&Fact::Killed { count: 0 }));
    assert_eq!(found(&world.wait(local.probe(&target)).unwrap()), 0);
    drop(bystander);
}

#[test]
#[ignore = "runs in a jail"]
fn an_agent_that_hops_from_process_to_process_is_caught() {
    let kept = Kept::default();
    // Each process starts its successor in a new session and ends; only the marker stays the same.
    let hop = agent_script("sleep 0.04; setsid bash $0 & exit").replace("cli.js", "hop.sh");
    std::fs::write(&hop, "sleep 0.04; setsid bash $0 & exit").unwrap();
    let script = agent_script(&format!(
        "export CLAUDECODE=1\nfor i in 1 2 3 4; do setsid bash {hop} & done; touch $0.up; exit"
    ));
    start_agent(&script);
    let world = yard::world(&Keys::default());
    let local = Local::new(&world, &kept, "INC-1");
    let facts = world.wait(local.cut(&claude())).unwrap();
    assert_eq!(found(&facts), 0, "{facts:?}");
    pause(300);
    assert_eq!(found(&world.wait(local.probe(&claude())).unwrap()), 0);
    assert_eq!(alive(&world, "hop.sh"), 0);
}

#[test]
#[ignore = "runs in a jail"]
fn a_tree_of_200_processes_is_gone_within_a_second() {
    let kept = Kept::default();
    let script = agent_script(
        "export CLAUDECODE=1
         for i in $(seq 20); do bash -c 'for j in $(seq 9); do sleep 1001 & done; wait' & done
         sleep 0.5; touch $0.up; wait",
    );
    start_agent(&script);
    let world = yard::world(&Keys::default());
    let local = Local::new(&world, &kept, "INC-1");
    let target = claude();
    let began = world.clock.now().mono_us;
    world.wait(local.glance(&target)).unwrap();
    let glanced = world.clock.now().mono_us;
    let facts = world.wait(local.cut(&target)).unwrap();
    let ended = world.clock.now().mono_us;
    let killed = facts.iter().find_map(|f| match f {
        Fact::Killed { count } => Some(*count),
        _ => None,
    });
    eprintln!(
        "{} processes: frozen and kept in {} ms, killed and looked for in {} ms",
        killed.unwrap(),
        (glanced - began) / 1000,
        (ended - glanced) / 1000
    );
    assert_eq!(found(&facts), 0);
    assert!(killed.unwrap() >= 201, "{facts:?}");
    assert!(ended - glanced < 1_000_000, "{} us", ended - glanced);
}

#[test]
#[ignore = "runs in a jail"]
fn a_return_is_seen_and_who_started_it_is_named() {
    let kept = Kept::default();
    let script = agent_script("touch $0.up; sleep 1001");
    let keep = script
        .replace("cli.js", "keep.sh")
        .replace("@anthropic-ai/claude-code", "");
    // Not a shell: nothing shows beforehand that it starts the agent again.
    let perl = format!("system('bash', '{script}'); select(undef, undef, undef, 0.6)");
    std::fs::write(
        &keep,
        format!("touch $0.up; exec perl -e \"while (1) {{ {perl} }}\" keeper"),
    )
    .unwrap();
    start_agent(&keep);
    let world = yard::world(&Keys::default());
    yard::appears(std::path::Path::new(&format!("{script}.up")));
    let local = Local::new(&world, &kept, "INC-1");
    let target = claude();
    let facts = world.wait(local.cut(&target)).unwrap();
    assert_eq!(found(&facts), 0, "{facts:?}");
    let all = world.host.processes().unwrap();
    let keeper = all
        .iter()
        .find(|p| p.argv.last().is_some_and(|a| a == "keeper"))
        .unwrap();
    let Target::Tree(claude) = &target else {
        unreachable!()
    };
    let facts = world.wait(local.watch(claude, Duration::from_secs(5))).unwrap();
    assert!(found(&facts) > 0, "{facts:?}");
    assert_eq!(word(&facts), Proof::StillLive);
    assert!(
        has(&facts, "alive", &format!("started by {}", keeper.id.pid)),
        "{facts:?}"
    );
    let line = format!("kill {}, if nothing else needs it", keeper.id.pid);
    let named =
        |f: &Fact| matches!(f, Fact::Starter { line: l, pid, .. } if *l == line && *pid == keeper.id.pid);
    assert!(facts.iter().any(named), "{facts:?}");
    assert_eq!(world.host.signal(keeper.id, Signal::Kill), Signalled::Sent);
    world.wait(local.cut(&target)).unwrap();
    let facts = world
        .wait(local.watch(claude, Duration::from_millis(900)))
        .unwrap();
    assert_eq!(found(&facts), 0);
}

#[test]
#[ignore = "runs in a jail"]
fn a_shell_loop_above_the_agent_goes_with_it() {
    let kept = Kept::default();
    let script = agent_script("touch $0.up; sleep 1001");
    let keep = script.replace("/@anthropic-ai/claude-code/cli.js", "/keep.sh");
    std::fs::write(
        &keep,
        format!("#!/bin/bash\nwhile :\ndo bash {script}; sleep 0.2\ndone\n"),
    )
    .unwrap();
    let started = std::process::Command::new("setsid")
        .args(["-f", "bash", &keep])
        .status();
    assert!(started.unwrap().success());
    yard::appears(std::path::Path::new(&format!("{script}.up")));
    let world = yard::world(&Keys::default());
    let local = Local::new(&world, &kept, "INC-1");
    let facts = world.wait(local.cut(&claude())).unwrap();
    assert_eq!(found(&facts), 0, "{facts:?}");
    assert_eq!(alive(&world, "keep.sh"), 0, "the loop is gone with it");
    let Target::Tree(tree) = claude() else {
        unreachable!()
    };
    let facts = world
        .wait(local.watch(&tree, Duration::from_millis(900)))
        .unwrap();
    assert_eq!(found(&facts), 0, "{facts:?}");
}

#[test]
#[ignore = "runs in a jail"]
fn a_loop_in_tmux_goes_with_the_agent_and_tmux_stays() {
    if !std::path::Path::new("/usr/bin/tmux").exists() {
        crate::support::not_tested("tmux");
        return;
    }
    let kept = Kept::default();
    let script = agent_script("touch $0.up; sleep 1001");
    let home = std::env::var("HOME").unwrap();
    let tmux = |args: &[&str]| {
        let mut all = vec!["-L", "jail", "-f", "/dev/null"];
        all.extend(args);
        let run = std::process::Command::new("tmux")
            .args(all)
            .env("TMUX_TMPDIR", &home)
            .env("TERM", "xterm")
            .status();
        run.unwrap().success()
    };
    assert!(tmux(&["new-session", "-d", "sleep 1999"]));
    assert!(tmux(&[
        "new-window",
        "-d",
        &format!("while :; do bash {script}; sleep 0.2; done")
    ]));
    yard::appears(std::path::Path::new(&format!("{script}.up")));
    let world = yard::world(&Keys::default());
    let local = Local::new(&world, &kept, "INC-1");
    let facts = world.wait(local.cut(&claude())).unwrap();
    assert_eq!(found(&facts), 0, "{facts:?}");
    let Target::Tree(tree) = claude() else {
        unreachable!()
    };
    let facts = world
        .wait(local.watch(&tree, Duration::from_millis(900)))
        .unwrap();
    assert_eq!(found(&facts), 0, "{facts:?}");
    assert_eq!(
        alive(&world, "sleep 1999"),
        2,
        "tmux and its other window are nobody's business"
    );
    assert!(tmux(&["kill-server"]));
}

#[test]
#[ignore = "runs in a jail"]
fn a_shell_that_started_the_agent_again_goes_with_it_the_next_time() {
    let kept = Kept::default();
    let script = agent_script("touch $0.up; sleep 1001");
    // What a person typed into a shell shows in no command line: it reads its commands from elsewhere.
    let typed = std::process::Command::new("setsid")
        .args(["-f", "bash", "-s"])
        .stdin({
            let commands = script.replace("cli.js", "typed");
            std::fs::write(&commands, format!("while :; do bash {script}; sleep 0.3; done\n")).unwrap();
            std::fs::File::open(&commands).unwrap()
        })
        .status();
    assert!(typed.unwrap().success());
    yard::appears(std::path::Path::new(&format!("{script}.up")));
    let world = yard::world(&Keys::default());
    let local = Local::new(&world, &kept, "INC-1");
    let target = claude();
    let Target::Tree(tree) = &target else {
        unreachable!()
    };
    assert_eq!(found(&world.wait(local.cut(&target)).unwrap()), 0);
    let facts = world.wait(local.watch(tree, Duration::from_secs(5))).unwrap();
    assert!(
        found(&facts) > 0 && has(&facts, "starter", "goes with it"),
        "{facts:?}"
    );
    assert_eq!(found(&world.wait(local.cut(&target)).unwrap()), 0);
    let facts = world.wait(local.watch(tree, Duration::from_millis(900))).unwrap();
    assert_eq!(found(&facts), 0, "{facts:?}");
}

#[test]
#[ignore = "runs in a jail"]
fn a_supervisor_of_other_things_is_left_alive_and_named_with_its_line() {
    let kept = Kept::default();
    let script = agent_script("touch $0.up; sleep 1001");
    let home = std::env::var("HOME").unwrap();
    std::fs::write(
        format!("{home}/daemon"),
        "pm_id=3 bash $AGENT & sleep 1777 & wait",
    )
    .unwrap();
    let line = format!("exec -a 'PM2 v5.3.0: God Daemon (/root/.pm2)' bash {home}/daemon");
    let started = std::process::Command::new("setsid")
        .args(["-f", "bash", "-c", &line])
        .env("AGENT", &script)
        .status();
    assert!(started.unwrap().success());
    yard::appears(std::path::Path::new(&format!("{script}.up")));
    let world = yard::world(&Keys::default());
    let local = Local::new(&world, &kept, "INC-1");
    let facts = world.wait(local.cut(&claude())).unwrap();
    assert_eq!((found(&facts), alive(&world, "sleep 1777")), (0, 1), "{facts:?}");
    let starter = facts.iter().find_map(|f| match f {
        Fact::Starter { what, line, .. } => Some((what.clone(), line.as_str())),
        _ => None,
    });
    let (what, line) = starter.unwrap();
    assert!(
        what.starts_with("pm2 (pid ") && line == "pm2 stop 3",
        "{what}: {line}"
    );
}

#[test]
#[ignore = "runs in a jail"]
fn the_agent_we_run_under_is_spared_and_said_to_live() {
    let us = std::env::current_exe().unwrap();
    let script = agent_script(&format!(
        "export CLAUDECODE=1; sleep 1001 & {} --exact --ignored --nocapture local::inner_trees::under_the_agent; exit $?",
        us.display()
    ));
    let out = std::process::Command::new("bash").arg(&script).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "started by the_agent_we_run_under_is_spared_and_said_to_live"]
fn under_the_agent() {
    let world = yard::world(&Keys::default());
    let kept = Kept::default();
    let agent = std::os::unix::process::parent_id();
    assert_eq!(alive(&world, "sleep 1001"), 1);
    let facts = world
        .wait(Local::new(&world, &kept, "INC-1").cut(&claude()))
        .unwrap();
    assert_eq!(
        alive(&world, "sleep 1001"),
        0,
        "what is not above us is killed all the same"
    );
    assert_eq!(word(&facts), Proof::StillLive);
    let why = format!(
        "claude-code (pid {agent}) runs the terminal this runs in, so it was left alive; in a clean terminal run: incident stop"
    );
    assert!(facts.contains(&Fact::Spared { why }), "{facts:?}");
    assert!(alive(&world, "node_modules/@anthropic-ai/claude-code/cli.js") >= 1);
}

#[test]
#[ignore = "runs in a jail"]
fn a_teams_rule_finds_runaways_by_the_marker_of_their_session() {
    let kept = Kept::default();
    let script = agent_script("")
        .replace("cli.js", "bot.sh")
        .replace("@anthropic-ai/claude-code", "");
    std::fs::write(
        &script,
        "export BOT_SESSION=7; bash -c 'setsid -f sleep 1001; exit'; BOT_SESSION=8 setsid -f sleep 1002; sleep 1003 & touch $0.up; wait",
    )
    .unwrap();
    // The session of another bot, whose root nobody asked for.
    std::process::Command::new("setsid")
        .args(["-f", "sleep", "1004"])
        .env("BOT_SESSION", "9")
        .status()
        .unwrap();
    start_agent(&script);
    let world = yard::world(&Keys::default());
    let bot = rule(
        "deploy-bot",
        TreeRule {
            argv: vec!["bot.sh".into()],
            ..TreeRule::default()
        },
    );
    let with_marker = rule(
        "deploy-bot",
        TreeRule {
            env: vec!["BOT_SESSION=7".into()],
            ..TreeRule::default()
        },
    );
    let local = Local::new(&world, &kept, "INC-1");
    assert_eq!(found(&world.wait(local.probe(&bot)).unwrap()), 2);
    assert_eq!(found(&world.wait(local.probe(&with_marker)).unwrap()), 2);
    world.wait(local.cut(&with_marker)).unwrap();
    assert_eq!((alive(&world, "sleep 1001"), alive(&world, "sleep 1003")), (0, 0));
    assert_eq!((alive(&world, "sleep 1002"), alive(&world, "sleep 1004")), (1, 1));
    assert_eq!(found(&world.wait(local.cut(&bot)).unwrap()), 0);
}

#[test]
#[ignore = "runs in a jail"]
fn a_rule_that_names_nothing_finds_nothing_and_says_so() {
    let world = yard::world(&Keys::default());
    let kept = Kept::default();
    let local = Local::new(&world, &kept, "INC-1");
    let facts = world
        .wait(local.cut(&rule("mystery", TreeRule::default())))
        .unwrap();
    assert!(matches!(&facts[..], [Fact::NotTried { .. }]), "{facts:?}");
    assert_eq!(word(&facts), Proof::Failed, "nothing sought proves nothing");
    let everything_of_ours = rule(
        "mystery",
        TreeRule {
            user: vec!["root".into()],
            ..TreeRule::default()
        },
    );
    assert_eq!(found(&world.wait(local.cut(&everything_of_ours)).unwrap()), 0);
}

//! Real supervisors, inside the jail: the agent's own program is stopped, the others run on.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::future::join;
use incident::local::{Local, tree};
use incident::model::fact::{Fact, Observed, Proof, TargetKind, proof};
use incident::model::grant::{Target, Trigger};
use incident::world::World;

use super::inner_trees::{Kept, claude};
use super::yard::{self, Keys, agent_script, appears, pause};

fn home() -> PathBuf {
    std::env::var_os("HOME").unwrap().into()
}

fn word(facts: &[Fact]) -> Proof {
    let observed = facts.iter().map(|fact| Observed {
        at_us: 1,
        fact: fact.clone(),
    });
    proof(TargetKind::Trigger, &observed.collect::<Vec<_>>(), Duration::ZERO)
}

fn alive(world: &World, text: &str) -> usize {
    let all = world.host.processes().unwrap();
    let lives = |p: &&incident::world::host::Process| p.state != 'Z' && p.argv.join(" ").contains(text);
    all.iter().filter(lives).count()
}

fn there(program: &str) -> bool {
    let found = ["/usr/bin", "/usr/sbin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).exists());
    if !found {
        crate::support::not_tested(program);
    }
    found
}

/// Starts a program that stays, in a session of its own.
fn started(argv: &[&str]) {
    let run = Command::new("setsid")
        .arg("-f")
        .args(argv)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(run.unwrap().success());
}

/// An agent that says when it is up, and another program.
fn agent_and_other() -> (String, String) {
    let other = home().join("other.sh");
    std::fs::write(&other, "sleep 1777\n").unwrap();
    (
        agent_script("touch $0.up; sleep 1001"),
        other.display().to_string(),
    )
}

/// Two service folders below one.
fn services() -> (String, String) {
    use std::os::unix::fs::PermissionsExt;
    let (agent, other) = agent_and_other();
    let top = home().join("services");
    for (name, script) in [("agent", &agent), ("other", &other)] {
        let run = top.join(name).join("run");
        std::fs::create_dir_all(run.parent().unwrap()).unwrap();
        std::fs::write(&run, format!("#!/bin/sh\nexec bash {script}\n")).unwrap();
        std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    (top.display().to_string(), agent)
}

fn supervised(world: &World) -> Trigger {
    let trees = tree::find(world, &[]).unwrap();
    let all: Vec<_> = trees.iter().flat_map(|t| &t.look.supervised).collect();
    assert_eq!(all.len(), 1, "{trees:?}");
    all[0].clone()
}

/// Stops the agent and its program at the supervisor as a sweep does, and gives the program back.
fn stopped_and_given_back(agent: &str, down: Option<PathBuf>) {
    let up = format!("{agent}.up");
    appears(Path::new(&up));
    let (world, kept) = (yard::world(&Keys::default()), Kept::default());
    let local = Local::new(&world, &kept, "INC-1");
    let (tree, trigger) = (claude(), Target::Trigger(supervised(&world)));
    assert_eq!(
        word(&world.wait(local.probe(&trigger)).unwrap()),
        Proof::StillLive
    );
    world.wait(local.glance(&tree)).unwrap();
    let undo = world.wait(local.glance(&trigger)).unwrap().undo.unwrap();
    let (killed, facts) = world.wait(join(local.cut(&tree), local.cut(&trigger))).unwrap();
    assert_eq!(word(&facts), Proof::Confirmed, "{facts:?}");
    // It may have come back once, between the kill and the stop.
    let again = world.wait(local.cut(&tree)).unwrap();
    pause(1_500);
    assert_eq!(alive(&world, agent), 0, "{killed:?} {again:?}");
    assert_eq!(alive(&world, "sleep 1777"), 1, "the other program runs on");
    assert!(down.iter().all(|file| file.exists()));
    let facts = world.wait(local.cut(&trigger)).unwrap();
    assert!(facts.contains(&Fact::AlreadyDone { status: 0 }), "{facts:?}");

    std::fs::remove_file(&up).unwrap();
    let facts = world.wait(local.restore(&trigger, &undo)).unwrap();
    appears(Path::new(&up));
    assert!(facts.contains(&Fact::Accepted { status: 0 }), "{facts:?}");
    assert!(down.iter().all(|file| !file.exists()));
    assert_eq!(
        word(&world.wait(local.probe(&trigger)).unwrap()),
        Proof::StillLive
    );
    assert_eq!(
        supervised(&world).id,
        *trigger.id(),
        "found again under the same name"
    );
}

fn supervisord(agent: &str, other: &str) {
    let home = home().display().to_string();
    let text = format!(
        "[supervisord]\nlogfile={home}/log\npidfile={home}/pid\n[unix_http_server]\nfile={home}/sock\n\
         [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
         [supervisorctl]\nserverurl=unix://{home}/sock\n\
         [program:agent]\ncommand={agent}\nautorestart=true\n[program:other]\ncommand=bash {other}\n"
    );
    let file = format!("{home}/supervisord.conf");
    std::fs::write(&file, text).unwrap();
    started(&["supervisord", "-n", "-c", &file]);
}

#[test]
#[ignore = "runs in a jail"]
fn a_program_of_supervisord_is_stopped_and_the_others_run_on() {
    if !there("supervisord") {
        return;
    }
    let (agent, other) = agent_and_other();
    supervisord(&format!("bash {agent}"), &other);
    stopped_and_given_back(&agent, None);
}

#[test]
#[ignore = "runs in a jail"]
fn an_agent_that_gives_itself_out_for_another_program_stops_only_itself() {
    if !there("supervisord") {
        return;
    }
    let (agent, other) = agent_and_other();
    let lie = "env SUPERVISOR_GROUP_NAME=other SUPERVISOR_PROCESS_NAME=other";
    supervisord(&format!("{lie} bash {agent}"), &other);
    appears(Path::new(&format!("{agent}.up")));
    let (world, kept) = (yard::world(&Keys::default()), Kept::default());
    let local = Local::new(&world, &kept, "INC-1");
    let trigger = Target::Trigger(supervised(&world));
    world.wait(local.glance(&claude())).unwrap();
    let facts = world.wait(local.cut(&trigger)).unwrap();
    let spared = |f: &Fact| matches!(f, Fact::Spared { why } if why.contains("supervisorctl") && why.contains("stop other:other"));
    assert!(facts.iter().any(spared), "{facts:?}");
    assert_eq!(word(&facts), Proof::StillLive);
    assert_eq!(alive(&world, "sleep 1777"), 1);
}

#[test]
#[ignore = "runs in a jail"]
fn a_service_of_runit_is_stopped_and_the_others_run_on() {
    if !there("runsvdir") {
        return;
    }
    let (top, agent) = services();
    started(&["runsvdir", &top]);
    stopped_and_given_back(&agent, Some(home().join("services/agent/down")));
}

#[test]
#[ignore = "runs in a jail"]
fn a_service_of_s6_is_stopped_and_the_others_run_on() {
    if !there("s6-svscan") {
        return;
    }
    let (top, agent) = services();
    started(&["s6-svscan", &top]);
    stopped_and_given_back(&agent, Some(home().join("services/agent/down")));
}

#[test]
#[ignore = "runs in a jail"]
fn a_service_of_daemontools_is_stopped_and_the_others_run_on() {
    if !there("svscan") {
        return;
    }
    let (top, agent) = services();
    started(&["svscan", &top]);
    stopped_and_given_back(&agent, Some(home().join("services/agent/down")));
}

/// The folder of programs installed from npm; `None`, loudly, where there is none.
fn node_programs(what: &str) -> Option<String> {
    let folder = std::env::var("INCIDENT_NODE").map(|node| format!("{node}/supervisors/node_modules/.bin"));
    let found = folder.ok().filter(|folder| Path::new(folder).join(what).exists());
    if found.is_none() {
        crate::support::not_tested(what);
    }
    found
}

#[test]
#[ignore = "runs in a jail"]
fn a_process_of_pm2_is_stopped_and_the_others_run_on() {
    let Some(folder) = node_programs("pm2") else {
        return;
    };
    let (agent, other) = agent_and_other();
    let node = std::env::var("INCIDENT_NODE").unwrap();
    for (script, name) in [(&other, "other"), (&agent, "agent")] {
        let run = Command::new("pm2")
            .args(["start", script, "--interpreter", "bash", "--name", name])
            .env("PATH", format!("{folder}:{node}:/usr/bin:/bin"))
            .stdout(Stdio::null())
            .status();
        assert!(run.unwrap().success());
    }
    stopped_and_given_back(&agent, None);
}

#[test]
#[ignore = "runs in a jail"]
fn nodemon_goes_with_the_agent() {
    let Some(folder) = node_programs("nodemon") else {
        return;
    };
    let (agent, _) = agent_and_other();
    let node = std::env::var("INCIDENT_NODE").unwrap();
    let run = Command::new("setsid")
        .args(["-f", "nodemon", "--quiet", "--exec", "bash", &agent])
        .env("PATH", format!("{folder}:{node}:/usr/bin:/bin"))
        .current_dir(home())
        .stdin(Stdio::null())
        .status();
    assert!(run.unwrap().success());
    appears(Path::new(&format!("{agent}.up")));
    let (world, kept) = (yard::world(&Keys::default()), Kept::default());
    assert!(alive(&world, "/nodemon") >= 1);
    let local = Local::new(&world, &kept, "INC-1");
    let facts = world.wait(local.cut(&claude())).unwrap();
    pause(500);
    let left = (alive(&world, "/nodemon"), alive(&world, &agent));
    assert_eq!(left, (0, 0), "{facts:?} {:?}", world.host.processes());
}

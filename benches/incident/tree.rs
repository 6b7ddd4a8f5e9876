//! An agent's tree of 200 processes: frozen, kept, killed, looked for. In a PID namespace of its own.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use incident::local::{Keeper, Local};
use incident::model::fact::Fact;
use incident::model::grant::{Target, Tree, TreeRule};
use incident::model::ids::TargetId;
use incident::model::secret::Secret;
use incident::world::WorldKind;
use incident::world::host::RealHost;

use crate::{Table, median, sweep};

pub fn measure(table: &mut Table) {
    const WHAT: &str = "agent tree of 200: frozen, killed, looked for";
    let home = tempfile::tempdir().unwrap();
    let jail = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let root: &[&str] = match rustix::process::geteuid().is_root() {
        true => &[],
        false => &["--user", "--map-root-user"],
    };
    let out = Command::new("unshare")
        .args(root)
        .args(jail)
        .args(["env", "-i", "PATH=/usr/bin:/bin"])
        .arg(format!("HOME={}", home.path().display()))
        // The first process of the namespace takes in orphans: it must not be ourselves.
        .args(["sh", "-c", "\"$@\"; exit $?", "sh"])
        .arg(std::env::current_exe().unwrap())
        .arg("in-jail")
        .stderr(Stdio::inherit())
        .output();
    let Some(out) = out.ok().filter(|o| o.status.success()) else {
        return table.not_measured(WHAT, "no PID namespace can be made here");
    };
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let told: Vec<f64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    table.most(
        WHAT,
        told[0],
        1_000.0,
        "ms",
        "pkill -KILL does not look afterwards",
    );
    table.told("  of it, frozen and kept", told[1], "ms", "");
}

struct Forgets;

impl Keeper for Forgets {
    fn fingerprint(&self, value: &str) -> String {
        value.len().to_string()
    }
    fn scrub(&self, text: &str) -> String {
        text.to_owned()
    }
    fn found(&self, _: &str, _: &incident::world::host::Process, _: &str, _: Secret) {}
    fn held(&self, _: &str, _: &str, _: usize) {}
}

/// Inside the jail: the median of five trees, and of their freezing.
pub fn inner() {
    let folder = format!(
        "{}/node_modules/@anthropic-ai/claude-code",
        std::env::var("HOME").unwrap()
    );
    std::fs::create_dir_all(&folder).unwrap();
    let script = format!("{folder}/cli.js");
    let body = "export CLAUDECODE=1
for i in $(seq 20); do bash -c 'for j in $(seq 9); do sleep 1001 & done; touch $0.'$i'; wait' $0 & done
wait";
    std::fs::write(&script, body).unwrap();
    let mut world = sweep::world();
    world.kind = WorldKind::Real;
    world.host = Box::new(RealHost::new());
    let target = Target::Tree(Tree {
        id: TargetId::new("claude-code").unwrap(),
        agent: "claude-code".into(),
        rule: TreeRule::default(),
    });
    let (mut whole, mut frozen) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let agent = Command::new("setsid")
            .args(["-f", "bash", "-c", &format!("exec -a node bash {script}")])
            .stdout(Stdio::null())
            .status();
        assert!(agent.unwrap().success());
        for i in 1..=20 {
            let up = format!("{script}.{i}");
            while !std::path::Path::new(&up).exists() {
                std::thread::sleep(Duration::from_millis(10));
            }
            std::fs::remove_file(up).unwrap();
        }
        std::thread::sleep(Duration::from_millis(500));
        let local = Local::new(&world, &Forgets, "INC-bench");
        let began = Instant::now();
        world.wait(local.glance(&target)).unwrap();
        frozen.push(began.elapsed().as_secs_f64() * 1_000.0);
        let facts = world.wait(local.cut(&target)).unwrap();
        whole.push(began.elapsed().as_secs_f64() * 1_000.0);
        let killed = facts
            .iter()
            .any(|f| matches!(f, Fact::Killed { count } if *count >= 200));
        let gone = facts
            .iter()
            .any(|f| matches!(f, Fact::LookedFor { found: 0, .. }));
        assert!(killed && gone, "{facts:?}");
    }
    println!("{} {}", median(whole), median(frozen));
}

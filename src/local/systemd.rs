//! systemd units that start the agent: disabled, stopped, and kept from starting by a drop-in.
//!
//! `mask` fails where the unit file itself lies in the admin folder, and a runtime mask does not
//! override that folder; a drop-in with a condition that is never true works everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cron::calls_agent;
use super::programs::{Said, ask, error, noted};
use super::{stamp, users};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::{Trigger, TriggerKind};
use crate::world::World;

/// Largest unit file that is read, in bytes.
const CAP: u64 = 256 << 10;
/// Whose a unit is that is in every user's manager.
const EVERYBODY: &str = "*";
/// Units that start something or trigger what does.
const KINDS: [&str; 4] = [".service", ".timer", ".path", ".socket"];

/// A unit and the manager it belongs to.
pub struct Unit<'u> {
    unit: &'u str,
    root: Option<&'u str>,
    user: bool,
    of: Option<&'u str>,
}

/// What an undo must bring back.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    enabled: bool,
    active: bool,
}

impl<'u> Unit<'u> {
    /// `root` is an offline tree, `user` the user manager of the responder, or of `of`.
    pub fn new(unit: &'u str, root: Option<&'u str>, user: bool, of: Option<&'u str>) -> Self {
        Unit { unit, root, user, of }
    }

    /// How it stands, for an undo.
    pub async fn glance(&self, world: &World) -> Glance {
        let before = match (self.state(world).await, self.active(world).await) {
            (Ok(state), Ok(active)) => (state, active),
            (Err(fact), _) | (_, Err(fact)) => {
                return Glance {
                    facts: vec![fact],
                    undo: None,
                };
            }
        };
        let running = before.1.as_deref().unwrap_or("not asked (no manager runs)");
        let facts = vec![noted(
            "unit",
            format!("{} was {}, {running}", self.unit, before.0),
        )];
        let before = Before {
            enabled: before.0.starts_with("enabled"),
            active: before.1.as_deref() == Some("active"),
        };
        Glance {
            facts,
            undo: serde_json::to_vec(&before).ok(),
        }
    }

    /// Disables and stops it, keeps it from starting, and reads back.
    pub async fn cut(&self, world: &World, incident: &str) -> Vec<Fact> {
        match self.state(world).await {
            Ok(state) if state == "not-found" => {
                return vec![Fact::AlreadyDone { status: 0 }, Fact::ReadBack { dead: true }];
            }
            Ok(_) => {}
            Err(fact) => return vec![fact],
        }
        let mut facts = Vec::new();
        let text = format!(
            "# incident:{incident} keeps this unit from starting; delete this file to give it back\n\
             [Unit]\nConditionPathExists=!/\n"
        );
        match self.drop_in(world, incident) {
            Ok(path) => {
                if let Err(e) = world.files.replace(&path, text.as_bytes(), 0o644) {
                    facts.push(error(&format!("{}: {e}", path.display())));
                }
            }
            Err(fact) => facts.push(fact),
        }
        if self.sleeps(world) {
            if facts.is_empty() {
                facts.push(Fact::Accepted { status: 0 });
            }
            facts.extend(self.probe(world, incident).await);
            return facts;
        }
        self.reload(world, &mut facts).await;
        let disable: &[&str] = if self.root.is_some() {
            &["disable"]
        } else {
            &["disable", "--now"]
        };
        self.tell(world, disable, self.unit, &mut facts).await;
        if self.root.is_none() && !self.unit.ends_with(".service") {
            // What the timer started last may still run, or restart itself.
            let service = match self
                .ask(world, &["show", "-p", "Unit", "--value"], Some(self.unit))
                .await
            {
                Ok(said) if said.code == 0 && !said.out.trim().is_empty() => said.out.trim().to_owned(),
                _ => format!(
                    "{}.service",
                    self.unit.rsplit_once('.').map_or(self.unit, |(stem, _)| stem)
                ),
            };
            self.tell(world, &["stop"], &service, &mut facts).await;
        }
        facts.extend(self.probe(world, incident).await);
        facts
    }

    /// Reads back: not enabled, not active, and kept from starting where it can be started by others.
    pub async fn probe(&self, world: &World, incident: &str) -> Vec<Fact> {
        let (state, active) = match (self.state(world).await, self.active(world).await) {
            (Ok(state), Ok(active)) => (state, active),
            (Err(fact), _) | (_, Err(fact)) => return vec![fact],
        };
        let kept = self
            .drop_in(world, incident)
            .is_ok_and(|path| world.files.stat(&path).is_ok_and(|s| s.is_file));
        let cannot_start = match state.as_str() {
            "disabled" | "masked" | "masked-runtime" | "not-found" => true,
            "enabled" | "enabled-runtime" | "linked" | "alias" => false,
            // static, indirect, generated: others start it, so only the drop-in counts.
            _ => kept,
        };
        let stopped = active
            .as_deref()
            .is_none_or(|a| matches!(a, "inactive" | "failed" | "unknown"));
        let running = active.as_deref().unwrap_or("not asked (no manager runs)");
        let held = if kept {
            "kept from starting"
        } else {
            "not kept from starting"
        };
        vec![
            noted("unit", format!("{} is {state}, {running}, {held}", self.unit)),
            Fact::ReadBack {
                dead: cannot_start && stopped,
            },
        ]
    }

    /// Takes the drop-in away, and enables and starts what was enabled and active.
    pub async fn restore(&self, world: &World, incident: &str, undo: &[u8]) -> Vec<Fact> {
        let Ok(before) = serde_json::from_slice::<Before>(undo) else {
            return vec![error(&format!("the undo data of {} cannot be read", self.unit))];
        };
        let mut facts = Vec::new();
        match self
            .drop_in(world, incident)
            .map(|path| (world.files.remove(&path), path))
        {
            Ok((Err(e), path)) if e.kind() != std::io::ErrorKind::NotFound => {
                facts.push(error(&format!("{}: {e}", path.display())));
            }
            Err(fact) => facts.push(fact),
            Ok(_) => {}
        }
        if self.sleeps(world) {
            facts.push(Fact::Accepted { status: 0 });
            facts.extend(self.probe(world, incident).await);
            return facts;
        }
        self.reload(world, &mut facts).await;
        if before.enabled {
            self.tell(world, &["enable"], self.unit, &mut facts).await;
        }
        if before.active && self.root.is_none() {
            self.tell(world, &["start"], self.unit, &mut facts).await;
        }
        facts.extend(self.probe(world, incident).await);
        facts
    }

    /// True where another user's manager does not run: its units start when that user logs in, and until
    /// then nobody can be asked. The drop-in alone keeps them from it.
    fn sleeps(&self, world: &World) -> bool {
        let (Some(of), None) = (self.of, self.root) else {
            return self.of == Some(EVERYBODY);
        };
        if of == EVERYBODY {
            return true;
        }
        let user = users::all(world).into_iter().find(|u| u.name == of);
        user.is_some_and(|u| !manager_runs(world, u.uid))
    }

    /// The word of `is-enabled`; `not-found` where there is no such unit.
    async fn state(&self, world: &World) -> Result<String, Fact> {
        if self.unit.contains('/') || !self.unit.contains('.') {
            return Err(error(&format!("`{}` is not the name of a unit", self.unit)));
        }
        if self.sleeps(world) {
            return Ok("static".to_owned());
        }
        let said = self.ask(world, &["is-enabled"], Some(self.unit)).await?;
        match said.out.lines().next_back().map(str::trim) {
            Some(word) if !word.is_empty() => Ok(word.to_owned()),
            _ if said.err.contains("No such file or directory") => Ok("not-found".to_owned()),
            _ => Err(said.error("systemctl is-enabled")),
        }
    }

    /// The word of `is-active`; `None` in an offline tree, and where no manager runs.
    async fn active(&self, world: &World) -> Result<Option<String>, Fact> {
        if self.root.is_some() || self.sleeps(world) {
            return Ok(None);
        }
        let said = self.ask(world, &["is-active"], Some(self.unit)).await?;
        match said.out.trim() {
            "" => Err(said.error("systemctl is-active")),
            word => Ok(Some(word.to_owned())),
        }
    }

    async fn tell(&self, world: &World, verb: &[&str], unit: &str, facts: &mut Vec<Fact>) {
        facts.push(match self.ask(world, verb, Some(unit)).await {
            Ok(said) if said.code == 0 => Fact::Accepted { status: 0 },
            Ok(said) => said.error(&format!("systemctl {} {unit}", verb.join(" "))),
            Err(fact) => fact,
        });
    }

    async fn reload(&self, world: &World, facts: &mut Vec<Fact>) {
        if self.root.is_some() || self.sleeps(world) {
            return;
        }
        match self.ask(world, &["daemon-reload"], None).await {
            Ok(said) if said.code == 0 => {}
            Ok(said) => facts.push(said.error("systemctl daemon-reload")),
            Err(fact) => facts.push(fact),
        }
    }

    async fn ask(&self, world: &World, verb: &[&str], unit: Option<&str>) -> Result<Said, Fact> {
        let root = self.root.map(|root| format!("--root={root}"));
        let mut argv = vec!["systemctl", "--no-ask-password"];
        argv.extend(root.as_deref());
        let machine = self.of.map(|of| format!("--machine={of}@.host"));
        if self.user {
            argv.push("--user");
        }
        argv.extend(machine.as_deref());
        argv.extend(verb);
        if let Some(unit) = unit {
            argv.extend(["--", unit]);
        }
        ask(world, &argv, None).await
    }

    /// Where the file goes that keeps the unit from starting.
    fn drop_in(&self, world: &World, incident: &str) -> Result<PathBuf, Fact> {
        let admin = admin_folder(world, self.root, self.user, self.of)
            .ok_or_else(|| error("no home folder to put the drop-in in"))?;
        Ok(admin
            .join(format!("{}.d", self.unit))
            .join(format!("incident-{incident}.conf")))
    }
}

/// Where the administrator, or the user, puts unit files.
fn admin_folder(world: &World, root: Option<&str>, user: bool, of: Option<&str>) -> Option<PathBuf> {
    let root = Path::new(root.unwrap_or("/"));
    if !user {
        return Some(root.join("etc/systemd/system"));
    }
    let config = match of {
        Some(EVERYBODY) => return Some(root.join("etc/systemd/user")),
        Some(of) => {
            let home = home_of(world, root, of)?;
            Some(root.join(home.strip_prefix("/").ok()?).join(".config"))
        }
        None => world.host.env("XDG_CONFIG_HOME").map(PathBuf::from),
    };
    let config = config.or_else(|| Some(world.host.home()?.join(".config")))?;
    Some(config.join("systemd/user"))
}

fn home_of(world: &World, root: &Path, user: &str) -> Option<PathBuf> {
    let all = users::below(world, root);
    all.into_iter().find(|u| u.name == user).map(|u| u.home)
}

/// True where the user manager of this user id listens.
fn manager_runs(world: &World, uid: u32) -> bool {
    let socket = format!("/run/user/{uid}/systemd/private");
    world.files.stat(Path::new(&socket)).is_ok()
}

/// A manager, and the folders it reads units from.
struct Manager {
    user: bool,
    of: Option<String>,
    folders: Vec<PathBuf>,
}

/// Every manager whose units may start an agent: the system's, the responder's, and that of every user who
/// lingers, is logged in, or has units of their own. Second: homes that could not be looked into.
fn managers(world: &World, root: Option<&str>) -> (Vec<Manager>, Vec<String>) {
    let top = Path::new(root.unwrap_or("/"));
    let system =
        ["etc", "run", "usr/local/lib", "usr/lib", "lib"].map(|f| top.join(f).join("systemd/system"));
    let of_all = [
        "etc",
        "run",
        "usr/local/share",
        "usr/share",
        "usr/local/lib",
        "usr/lib",
    ]
    .map(|f| top.join(f).join("systemd/user"));
    // What is there for everybody can be stopped only where a manager runs it.
    let of_user = |admin: Option<PathBuf>, home: Option<PathBuf>, runs: bool| -> Vec<PathBuf> {
        let own = home.map(|home| home.join(".local/share/systemd/user"));
        let shared = of_all.clone().into_iter().filter(|_| runs);
        admin.into_iter().chain(own).chain(shared).collect()
    };
    let manager = |user, of: Option<&str>, folders: &[PathBuf]| Manager {
        user,
        of: of.map(str::to_owned),
        folders: folders.to_vec(),
    };
    let mut all = vec![
        manager(false, None, &system),
        manager(true, Some(EVERYBODY), &of_all),
    ];
    if root.is_none() {
        let runtime = world.host.env("XDG_RUNTIME_DIR").map(PathBuf::from);
        let runtime = runtime.map(|r| r.join("systemd/transient"));
        let (admin, home) = (admin_folder(world, None, true, None), world.host.home());
        let mut folders = of_user(admin, home, manager_runs(world, world.host.identity().uid));
        folders.extend(runtime);
        all.push(manager(true, None, &folders));
    }
    let lingering = world
        .files
        .list(&top.join("var/lib/systemd/linger"))
        .unwrap_or_default();
    let ours = world.host.identity().user;
    let (mut closed, mut seen) = (Vec::new(), BTreeSet::new());
    for user in users::below(world, top) {
        let home = top.join(user.home.strip_prefix("/").unwrap_or(&user.home));
        let own = root.is_none() && (user.name == ours || Some(&user.home) == world.host.home().as_ref());
        if own || user.home.components().count() < 2 || !seen.insert(home.clone()) {
            continue;
        }
        let admin = admin_folder(world, root, true, Some(&user.name));
        let listed = admin.iter().map(|admin| world.files.list(admin));
        let own = match listed.last() {
            Some(Err(e)) if e.kind() == ErrorKind::PermissionDenied => {
                closed.push(user.name.clone());
                false
            }
            Some(Ok(names)) => !names.is_empty(),
            _ => false,
        };
        let lingers = lingering
            .iter()
            .any(|name| name.as_os_str() == user.name.as_str());
        let runs = root.is_none() && manager_runs(world, user.uid);
        if own || lingers || runs {
            let folders = of_user(admin, Some(home), runs);
            all.push(manager(true, Some(&user.name), &folders));
        }
    }
    let unread = match closed.is_empty() {
        true => Vec::new(),
        false => vec![format!(
            "systemd units of {} were not looked at: their homes are closed to you",
            closed.join(", ")
        )],
    };
    (all, unread)
}

/// Units whose `Exec…=` calls a known agent: what triggers them where something does, and they themselves
/// where nothing does or they are enabled, too. Second: what could not be looked at.
pub fn find(world: &World, root: Option<&str>) -> (Vec<Trigger>, Vec<String>) {
    let mut found: Vec<Trigger> = Vec::new();
    let (managers, unread) = managers(world, root);
    for manager in managers {
        let units = units(world, &manager.folders);
        let services = units.iter().filter(|(name, _)| name.ends_with(".service"));
        for (service, text) in services {
            let lines = text
                .lines()
                .map(str::trim_start)
                .filter(|line| line.starts_with("Exec"));
            let Some(agent) = lines.into_iter().find_map(|line| calls_agent(world, line)) else {
                continue;
            };
            let triggers = units.iter().filter(|(name, text)| triggers(name, text, service));
            let mut starts: Vec<&str> = triggers.map(|(name, _)| name.as_str()).collect();
            if starts.is_empty() || text.lines().any(|line| line.trim() == "[Install]") {
                starts.push(service);
            }
            for unit in starts {
                let kind = if unit.contains("@.") {
                    let how = format!(
                        "systemctl list-units '{}*'; systemctl disable --now each",
                        unit.split('@').next().unwrap_or(unit)
                    );
                    TriggerKind::Manual { how }
                } else {
                    TriggerKind::Systemd {
                        unit: unit.to_owned(),
                        root: root.map(str::to_owned),
                        user: manager.user,
                        of: manager.of.clone(),
                    }
                };
                let trigger = stamp("systemd", agent, kind);
                found.extend(trigger.filter(|t| !found.contains(t)));
            }
        }
    }
    (found, unread)
}

/// Unit files by name; an earlier folder hides a later one.
fn units(world: &World, folders: &[PathBuf]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for folder in folders {
        for name in world.files.list(folder).unwrap_or_default() {
            let Some(name) = name
                .to_str()
                .filter(|n| KINDS.iter().any(|kind| n.ends_with(kind)))
            else {
                continue;
            };
            if let Ok(bytes) = world.files.read(&folder.join(name), CAP) {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                all.entry(name.to_owned()).or_insert(text);
            }
        }
    }
    all
}

/// True where starting this unit starts the service.
fn triggers(name: &str, text: &str, service: &str) -> bool {
    let Some((stem, kind)) = name.rsplit_once('.').filter(|(_, kind)| *kind != "service") else {
        return false;
    };
    let key = if kind == "socket" { "Service=" } else { "Unit=" };
    match text.lines().find_map(|line| line.trim().strip_prefix(key)) {
        Some(unit) => unit.trim() == service,
        None => Some(stem) == service.strip_suffix(".service"),
    }
}

//! Whether the agents could read what the responder cuts with: then they can cut, and give back, as well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Engine, EngineError};
use crate::access::readable;
use crate::local::tree;
use crate::model::grant::{Target, Tree, TriggerKind};
use crate::model::secret::SecretRef;

/// One source of a responder's credential, and whether an agent's user could read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// Where it is read from.
    pub source: String,
    /// `None` where that cannot be told.
    pub readable: Option<bool>,
    /// Why, one sentence.
    pub why: String,
}

impl Engine<'_> {
    /// Every responder credential that is written down, and which agents' users could read it.
    pub fn exposed(&self) -> Result<Vec<Exposed>, EngineError> {
        let sources: BTreeSet<&SecretRef> = self.inventory.targets.iter().filter_map(auth_of).collect();
        let users = self.agents_users();
        Ok(sources
            .into_iter()
            .map(|source| self.exposure(source, &users))
            .collect())
    }

    fn exposure(&self, source: &SecretRef, users: &BTreeMap<u32, String>) -> Exposed {
        let ours = self.world.host.identity().uid;
        let exposed = |readable, why: String| Exposed {
            source: source.to_string(),
            readable,
            why,
        };
        if users.is_empty() {
            let why = "no agent runs here now and access.yaml names no `user` for one, so nobody knows who could read it";
            return exposed(None, why.to_owned());
        }
        let mut unsure = None;
        for (uid, user) in users {
            let could = match source {
                // The environment of a process is open to its user and to root; a program, to whoever may be us.
                SecretRef::Env(_) => Some(*uid == ours || *uid == 0),
                SecretRef::Command(_) if *uid == ours || *uid == 0 => Some(true),
                SecretRef::File(path) => {
                    readable::by(&*self.world.files, &self.world.host.cwd().join(path), *uid)
                }
                SecretRef::Command(_) | SecretRef::Process(_) | SecretRef::Held(_) => None,
            };
            match could {
                Some(true) if *uid == ours => {
                    let why = format!(
                        "the agents run as {user}, which is you: whatever you can read, they can; give them a user of their own"
                    );
                    return exposed(Some(true), why);
                }
                Some(true) => {
                    return exposed(Some(true), format!("{user}, whom an agent runs as, can read it"));
                }
                Some(false) => {}
                None => unsure = Some(user),
            }
        }
        match unsure {
            Some(user) => exposed(
                None,
                format!("whether {user} could read it cannot be told from here"),
            ),
            None => {
                let all: Vec<&str> = users.values().map(String::as_str).collect();
                exposed(Some(false), format!("not readable by {}", all.join(", ")))
            }
        }
    }

    /// Users under whom agents run here, or are written down to run.
    fn agents_users(&self) -> BTreeMap<u32, String> {
        let trees = self.inventory.targets.iter().filter_map(|t| match t {
            Target::Tree(tree) => Some(tree.clone()),
            _ => None,
        });
        let trees: Vec<Tree> = trees.collect();
        let running = tree::find(self.world, &trees).unwrap_or_default();
        let members = running
            .iter()
            .flat_map(|t| t.look.members.iter().chain(&t.look.spared));
        let mut users: BTreeMap<u32, String> =
            members.map(|m| (m.process.uid, m.process.user.clone())).collect();
        const CAP: u64 = 4 << 20;
        let passwd = self
            .world
            .files
            .read(Path::new("/etc/passwd"), CAP)
            .unwrap_or_default();
        let passwd = String::from_utf8_lossy(&passwd);
        for named in trees.iter().flat_map(|t| &t.rule.user) {
            let uid = passwd.lines().find_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?;
                let uid = fields.nth(1)?.parse().ok()?;
                (name == named).then_some(uid)
            });
            users.extend(uid.or_else(|| named.parse().ok()).map(|uid| (uid, named.clone())));
        }
        users
    }
}

fn auth_of(target: &Target) -> Option<&SecretRef> {
    match target {
        Target::Grant(grant) => grant.auth.as_ref(),
        Target::Trigger(trigger) => match &trigger.kind {
            TriggerKind::Provider { auth, .. } => auth.as_ref(),
            _ => None,
        },
        Target::Tree(_) => None,
    }
}

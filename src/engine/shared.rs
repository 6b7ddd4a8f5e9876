//! Whom else a cut would hit, and what is one thing under two names: read off the secrets themselves.
//!
//! Only what can be read at once is read: no cut waits for a password manager. What shows later, in a
//! frozen process, is seen by the chain that reads it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Engine;
use crate::model::event::Aim;
use crate::model::grant::{Grant, Shared, Target, TriggerKind};
use crate::model::ids::TargetId;
use crate::model::incident::Incident;
use crate::model::secret::SecretRef;
use crate::redact::fingerprint;
use crate::world::host::Process;

/// Reading all secrets that can be read at once takes no longer than this.
const LOOK: Duration = Duration::from_millis(60);
/// Characters of a role's name that Vault puts into the name of a leased login.
const LEASED: usize = 8;

/// Keys under which a grant names logins of a database.
const LOGINS: [&str; 4] = ["role", "roles", "user", "users"];

/// What a sweep aims at, sorted out.
#[derive(Debug, Default)]
pub(super) struct SortedOut {
    /// Each thing once, marked as the responder's where it is.
    pub aims: Vec<Aim>,
    /// Listed under a second name: the name that is kept, and the other.
    pub merged: Vec<(TargetId, TargetId)>,
    /// What is cut last, in that order, and why it is the responder's too.
    pub last: Vec<(TargetId, String)>,
    /// Fingerprints of the credentials that cut the rest.
    pub keys: BTreeSet<String>,
    /// What leases logins, and the database where they are used.
    leased: Vec<(TargetId, TargetId)>,
}

impl SortedOut {
    /// The databases whose logins this one leases.
    pub fn feeds(&self, lease: &TargetId) -> Vec<TargetId> {
        let all = self.leased.iter().filter(|(from, _)| from == lease);
        all.map(|(_, to)| to.clone()).collect()
    }

    /// What leases the logins of this database.
    pub fn fed_by(&self, database: &TargetId) -> Vec<TargetId> {
        let all = self.leased.iter().filter(|(_, to)| to == database);
        all.map(|(from, _)| from.clone()).collect()
    }
}

/// What is known of a secret without holding it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Print {
    print: String,
    /// The user it logs in as, where it is an address.
    user: Option<String>,
}

impl Engine<'_> {
    /// Merges what is listed twice, and finds what the responder uses too.
    pub(super) fn sorted_out(&self, aims: Vec<Aim>, before: &Incident, full: &[TargetId]) -> SortedOut {
        let prints = self.prints(&aims);
        let mut out = SortedOut::default();
        let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for aim in aims {
            let names = names_of(&aim.target, &prints);
            let is_new = !before.stop.targets.contains_key(aim.target.id());
            let known = names.iter().filter_map(|name| places.get(name)).flatten();
            let twin = known.copied().find(|n| {
                is_new
                    && out
                        .aims
                        .get(*n)
                        .is_some_and(|kept| agree(&kept.target, &aim.target))
            });
            let kept = twin
                .and_then(|n| out.aims.get_mut(n))
                .map(|kept| &mut kept.target);
            if let (Some(Target::Grant(kept)), Target::Grant(other)) = (kept, &aim.target) {
                take_over(kept, other);
                out.merged.push((kept.id.clone(), other.id.clone()));
                continue;
            }
            for name in names {
                places.entry(name).or_default().push(out.aims.len());
            }
            out.aims.push(aim);
        }
        let mut doors: BTreeMap<(SecretRef, String), Door> = BTreeMap::new();
        for aim in &out.aims {
            if let (Some(auth), Some(provider)) = (auth_of(&aim.target), provider_of(&aim.target)) {
                doors
                    .entry((auth.clone(), provider.to_owned()))
                    .or_insert_with(|| Door {
                        auth: auth.clone(),
                        provider: provider.to_owned(),
                        opens: aim.target.id().clone(),
                        print: prints.get(auth).cloned(),
                    });
            }
        }
        let doors: Vec<Door> = doors.into_values().collect();
        out.keys = doors
            .iter()
            .filter_map(|d| Some(d.print.as_ref()?.print.clone()))
            .collect();
        let has_ssh = out.aims.iter().any(|a| provider_of(&a.target) == Some("ssh"));
        let came_by_ssh = has_ssh.then(|| self.came_by_ssh()).flatten();
        let mut last: Vec<(bool, TargetId, String)> = Vec::new();
        for n in 0..out.aims.len() {
            let Some(Target::Grant(grant)) = out.aims.get(n).map(|a| &a.target) else {
                continue;
            };
            if grant.shared == Shared::Production && !full.contains(&grant.id) {
                continue;
            }
            let why = match grant.shared {
                Shared::Responder => Some("access.yaml says so".to_owned()),
                _ => why_ours(grant, &doors, &prints, came_by_ssh.as_deref()),
            };
            let Some(why) = why else { continue };
            // What cuts another of them goes after it.
            let cuts_others = grant.secret.as_ref().is_some_and(|secret| {
                let print = prints.get(secret);
                doors
                    .iter()
                    .any(|d| d.auth == *secret || (print.is_some() && d.print.as_ref() == print))
            });
            last.push((cuts_others, grant.id.clone(), why));
            if let Some(Target::Grant(grant)) = out.aims.get_mut(n).map(|a| &mut a.target) {
                grant.shared = Shared::Responder;
            }
        }
        out.leased = leased(&out.aims, &prints);
        last.sort_by_key(|(cuts_others, ..)| *cuts_others);
        out.last = last.into_iter().map(|(_, id, why)| (id, why)).collect();
        out
    }

    /// Fingerprints of every secret that can be read at once.
    fn prints(&self, aims: &[Aim]) -> BTreeMap<SecretRef, Print> {
        let mut refs: BTreeSet<&SecretRef> = BTreeSet::new();
        for aim in aims {
            refs.extend(auth_of(&aim.target));
            if let Target::Grant(grant) = &aim.target {
                refs.extend(grant.secret.as_ref());
            }
        }
        refs.retain(|r| matches!(r, SecretRef::Env(_) | SecretRef::File(_) | SecretRef::Held(_)));
        let known = RefCell::new(BTreeMap::new());
        let read = async {
            for source in refs {
                if let Ok(secret) = self.world.secrets.read(source).await {
                    let user = url::Url::parse(secret.expose()).ok();
                    let print = Print {
                        print: fingerprint(&self.key, secret.expose().as_bytes()),
                        user: user.map(|u| u.username().to_owned()).filter(|u| !u.is_empty()),
                    };
                    known.borrow_mut().insert(source.clone(), print);
                }
            }
        };
        self.world.wait(self.world.timeout(LOOK, read));
        known.into_inner()
    }

    /// The user whose SSH session this runs in, where a parent of ours is one.
    fn came_by_ssh(&self) -> Option<String> {
        let ours = self.world.host.identity();
        let all = self.world.host.processes().ok()?;
        below_sshd(&all, ours.pid.pid).then_some(ours.user)
    }
}

/// True where this process, or one it descends from, is an SSH server's.
fn below_sshd(all: &[Process], pid: u32) -> bool {
    let mut at = pid;
    for _ in 0..all.len() {
        let Some(process) = all.iter().find(|p| p.id.pid == at) else {
            return false;
        };
        let name = process.argv.first().map(String::as_str).unwrap_or_default();
        if name.rsplit('/').next().is_some_and(|n| n.starts_with("sshd")) {
            return true;
        }
        at = process.ppid;
    }
    false
}

/// Where the responder's credential for this target is read from.
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

/// The provider of a target, where it has one.
fn provider_of(target: &Target) -> Option<&str> {
    match target {
        Target::Grant(grant) => Some(&grant.provider),
        Target::Trigger(trigger) => match &trigger.kind {
            TriggerKind::Provider { provider, .. } => Some(provider),
            _ => None,
        },
        Target::Tree(_) => None,
    }
}

/// By what a grant can be known as the same one under another name: its secret, its accessor.
fn names_of(target: &Target, prints: &BTreeMap<SecretRef, Print>) -> Vec<String> {
    let Target::Grant(grant) = target else {
        return Vec::new();
    };
    let secret = grant.secret.as_ref().map(|s| match prints.get(s) {
        Some(known) => format!("{} is {}", grant.provider, known.print),
        None => format!("{} from {s}", grant.provider),
    });
    let accessor = grant
        .with
        .get("accessor")
        .map(|a| format!("{} accessor {a}", grant.provider));
    secret.into_iter().chain(accessor).collect()
}

/// True where nothing that one entry says contradicts the other.
fn agree(a: &Target, b: &Target) -> bool {
    let (Target::Grant(a), Target::Grant(b)) = (a, b) else {
        return false;
    };
    let same = |key: &String, x: &String| {
        b.with
            .get(key)
            .is_none_or(|y| x.trim_end_matches('/') == y.trim_end_matches('/'))
    };
    a.provider == b.provider && a.with.iter().all(|(key, value)| same(key, value))
}

/// What only the second entry says of a grant counts as well; of who shares it, the more careful word.
fn take_over(kept: &mut Grant, other: &Grant) {
    kept.auth = kept.auth.take().or_else(|| other.auth.clone());
    kept.secret = kept.secret.take().or_else(|| other.secret.clone());
    kept.shared = kept.shared.max(other.shared);
    for (key, value) in &other.with {
        kept.with.entry(key.clone()).or_insert_with(|| value.clone());
    }
    for place in &other.reaches {
        if !kept.reaches.contains(place) {
            kept.reaches.push(place.clone());
        }
    }
}

/// A credential of the responder, and what it is used to cut.
struct Door {
    auth: SecretRef,
    provider: String,
    opens: TargetId,
    print: Option<Print>,
}

/// Why the responder's own access hangs on this grant; `None` where nothing shows that it does.
fn why_ours(
    grant: &Grant,
    doors: &[Door],
    prints: &BTreeMap<SecretRef, Print>,
    came_by_ssh: Option<&str>,
) -> Option<String> {
    let print = grant.secret.as_ref().and_then(|s| prints.get(s));
    for door in doors {
        let auth = &door.auth;
        if Some(auth) == grant.secret.as_ref() || (print.is_some() && door.print.as_ref() == print) {
            return Some(format!(
                "{auth}, which cuts {}, is this very credential",
                door.opens
            ));
        }
        let Some(user) = door.print.as_ref().and_then(|p| p.user.as_deref()) else {
            continue;
        };
        let named = |key: &&str| {
            let names = grant.with.get(*key).map(String::as_str).unwrap_or_default();
            names.split(',').any(|name| name.trim() == user)
        };
        if door.provider == grant.provider && LOGINS.iter().any(named) {
            return Some(format!("{auth} logs in as {user}"));
        }
        if is_leased(grant, user) {
            return Some(format!("{auth} is a login leased under this role"));
        }
    }
    let same_user = came_by_ssh.is_some() && grant.with.get("user").map(String::as_str) == came_by_ssh;
    (grant.provider == "ssh" && same_user)
        .then(|| "the SSH session this runs in is of the same user".to_owned())
}

/// Leases, and databases that are listed with logins leased under their role.
fn leased(aims: &[Aim], prints: &BTreeMap<SecretRef, Print>) -> Vec<(TargetId, TargetId)> {
    let grants = || {
        aims.iter().filter_map(|a| match &a.target {
            Target::Grant(grant) => Some(grant),
            _ => None,
        })
    };
    let logins = |grant: &Grant| {
        let named = LOGINS.iter().filter_map(|key| grant.with.get(*key).cloned());
        let used = grant.secret.as_ref().and_then(|s| prints.get(s)?.user.clone());
        let all: Vec<String> = named.chain(used).collect();
        all
    };
    let databases = grants().filter(|g| matches!(g.provider.as_str(), "postgres" | "mysql"));
    let pairs = databases.flat_map(|database| {
        let logins = logins(database);
        let leases = grants().filter(move |lease| {
            let names = logins.iter().flat_map(|l| l.split(',')).map(str::trim);
            names.into_iter().any(|login| is_leased(lease, login))
        });
        leases.map(|lease| (lease.id.clone(), database.id.clone()))
    });
    pairs.collect()
}

/// True where Vault made this login for the role whose leases the grant stands for: `v-token-agent-…`, or a pattern of such.
fn is_leased(grant: &Grant, user: &str) -> bool {
    let Some(role) = grant.with.get("role").filter(|_| grant.provider == "vault-lease") else {
        return false;
    };
    let role: String = role.chars().take(LEASED).collect();
    user.starts_with("v-") && user.contains(&format!("-{role}-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::host::Pid;

    fn grant(provider: &str, with: &[(&str, &str)]) -> Grant {
        Grant {
            id: TargetId::new("bot").unwrap(),
            provider: provider.into(),
            agent: None,
            with: with.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            auth: None,
            secret: None,
            shared: Shared::No,
            reaches: Vec::new(),
        }
    }

    #[test]
    fn whoever_came_by_ssh_keeps_the_key_of_that_account_for_last() {
        let process = |pid, ppid, argv: &str| Process {
            id: Pid { pid, starttime: 1 },
            ppid,
            session: pid,
            uid: 1000,
            user: "ana".into(),
            state: 'S',
            exe: None,
            argv: vec![argv.into()],
            cwd: None,
            readable: true,
        };
        let host = [
            process(1, 0, "/sbin/init"),
            process(400, 1, "sshd: /usr/sbin/sshd -D [listener]"),
            process(812, 400, "sshd: ana@pts/0"),
            process(813, 812, "-bash"),
            process(900, 813, "incident"),
            process(950, 1, "-bash"),
        ];
        assert!(below_sshd(&host, 900) && !below_sshd(&host, 950) && !below_sshd(&host, 7));
        let own = |with: &[(&str, &str)], who| why_ours(&grant("ssh", with), &[], &BTreeMap::new(), who);
        assert!(own(&[("user", "ana")], Some("ana")).is_some_and(|why| why.contains("SSH session")));
        assert_eq!(own(&[("user", "deploy")], Some("ana")), None);
        assert_eq!(own(&[("user", "ana")], None), None);
    }

    #[test]
    fn a_lease_feeds_the_databases_that_are_listed_with_its_logins() {
        let lease = grant("vault-lease", &[("role", "agent")]);
        for (login, fed) in [
            ("v-root-agent-x1", true),
            ("v-*-agent-*", true),
            ("v-root-agents-x1", false),
            ("agent", false),
        ] {
            let database = Grant {
                id: TargetId::new("orders").unwrap(),
                ..grant("postgres", &[("roles", &format!("batch, {login}"))])
            };
            let aims = [lease.clone(), database].map(|grant| Aim {
                target: Target::Grant(grant),
                window_ms: 0,
                found_by: "access.yaml".into(),
            });
            let sorted = SortedOut {
                leased: leased(&aims, &BTreeMap::new()),
                ..SortedOut::default()
            };
            let (from, to) = (TargetId::new("bot").unwrap(), TargetId::new("orders").unwrap());
            assert_eq!(
                sorted.feeds(&from),
                if fed { vec![to.clone()] } else { vec![] },
                "{login}"
            );
            assert_eq!(
                sorted.fed_by(&to),
                if fed { vec![from] } else { vec![] },
                "{login}"
            );
        }
    }
}

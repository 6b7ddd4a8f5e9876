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

/// Reading all secrets that can be read at once takes no longer than this.
const LOOK: Duration = Duration::from_millis(60);
/// Characters of a role's name that Vault puts into the name of a leased login.
const LEASED: usize = 8;

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
        let mut at = ours.pid.pid;
        for _ in 0..all.len() {
            let process = all.iter().find(|p| p.id.pid == at)?;
            let name = process.argv.first().map(String::as_str).unwrap_or_default();
            if name.starts_with("sshd") || name.rsplit('/').next().is_some_and(|n| n.starts_with("sshd")) {
                return Some(ours.user);
            }
            at = process.ppid;
        }
        None
    }
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
        let named = |key: &str| grant.with.get(key).is_some_and(|v| v == user);
        if door.provider == grant.provider && (named("role") || named("user")) {
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

/// True where Vault made this login for the role whose leases the grant stands for: `v-token-agent-…`.
fn is_leased(grant: &Grant, user: &str) -> bool {
    let Some(role) = grant.with.get("role").filter(|_| grant.provider == "vault-lease") else {
        return false;
    };
    let role: String = role.chars().take(LEASED).collect();
    user.starts_with("v-") && user.contains(&format!("-{role}-"))
}

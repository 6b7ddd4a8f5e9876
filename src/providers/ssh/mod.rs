//! SSH public keys on a host: the key refused, the sessions it may have opened ended.
//!
//! A key line that is switched off and a revocation list both take effect at the next login, and leave
//! every open session alive; killing sshd leaves what it started alive. The responder's own ssh, or a
//! shell right here, does the work.

mod host;
mod keys;
mod sessions;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use sha2::{Digest, Sha256};

use super::desk::{ended, error, listed, noted, or_by_hand, residual, unknown_keys};
use super::{About, Adapter, Ctx, Opened, ProvedBy, not_tried, seen_alive, was_alive, with};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::{Shared, Target};
use crate::world::jail::signals_allowed;
use crate::world::{Later, WorldKind};
use host::{Host, Said};
use sessions::{Chosen, Listing};

/// The adapter `ssh`.
pub(super) struct Ssh;

const MANUAL: &str = "on the host: comment the key's line out in authorized_keys, or ssh-keygen -k -u -f KRL KEY.pub; then end \
                      the account's sessions and what they started (loginctl terminate-user, pkill -u)";
const KEYS: [&str; 8] = [
    "host",
    "user",
    "key",
    "file",
    "krl",
    "sshd-config",
    "login",
    "end",
];
/// How often what appears while processes are killed is killed, too, in one call.
const ROUNDS: usize = 4;

/// What the target says.
struct Door<'a> {
    host: Host<'a>,
    user: &'a str,
    key: &'a str,
    blob: &'a str,
    file: &'a str,
    config: &'a str,
    krl: Option<&'a str>,
}

/// What decides about the key.
enum State {
    /// A file of keys; `None` where there is none.
    File { path: String, text: Option<String> },
    /// What the revocation list says, and whether sshd reads it: `None` where sshd would not say.
    List { revoked: bool, read: Option<bool> },
}

impl<'a> Door<'a> {
    fn of(ctx: Ctx<'a>, target: &'a Target) -> Result<Self, Fact> {
        let get = |name: &str| with(target).get(name).map(String::as_str);
        let (Some(user), Some(key)) = (get("user"), get("key")) else {
            return Err(not_tried("`with` has no `user` or no `key`"));
        };
        let Some(blob) = keys::blob(key) else {
            return Err(not_tried("`key` is no public key, as in `ssh-ed25519 AAAA…`"));
        };
        Ok(Door {
            host: Host::of(ctx, target)?,
            user,
            key,
            blob,
            file: get("file").unwrap_or_default(),
            config: get("sshd-config").unwrap_or("/etc/ssh/sshd_config"),
            krl: get("krl"),
        })
    }

    /// Looks, and names other ways in that were seen on the way.
    async fn look(&self, facts: &mut Vec<Fact>) -> Result<(State, bool), Fact> {
        let Some(krl) = self.krl else {
            let arguments = [self.user, self.file, self.config, self.blob];
            let said = self.host.lines(host::LOOK_FILE, &arguments).await?;
            let text =
                match said.get("text").map(|text| STANDARD.decode(text).ok()) {
                    None => None,
                    Some(bytes) => Some(bytes.and_then(|b| String::from_utf8(b).ok()).ok_or_else(|| {
                        error("the file of keys is not UTF-8: comment the line out by hand")
                    })?),
                };
            facts.extend(
                said.get("also")
                    .map(|other| residual(format!("the key stands in {other}, too"))),
            );
            facts.extend(said.get("asks").map(|program| {
                residual(format!(
                    "sshd also asks {program} for keys: look whether it knows this one"
                ))
            }));
            let path = said.get("file").cloned().unwrap_or_default();
            return Ok((State::File { path, text }, said.contains_key("writable")));
        };
        let said = self
            .host
            .lines(host::LOOK_KRL, &[self.user, krl, self.config, self.key])
            .await?;
        if let Some(why) = said.get("broken") {
            let why = self.host.scrubbed(why);
            return Err(error(format!("{krl} is no list that ssh-keygen reads: {why}")));
        }
        let read = said.get("read").map(|word| word == "yes");
        let revoked = match said.get("key").map(String::as_str) {
            Some("revoked") => true,
            Some("valid") => false,
            _ => {
                return Err(error(format!(
                    "{krl} does not exist; where sshd is told to read it, it refuses every key"
                )));
            }
        };
        Ok((State::List { revoked, read }, said.contains_key("writable")))
    }

    /// True where the key would be let in, as far as what was looked at says; `None` where it says nothing.
    fn alive(&self, state: &State, ctx: Ctx<'_>) -> Option<bool> {
        match state {
            State::File { text, .. } => {
                let text = text.as_deref().unwrap_or_default();
                let known = keys::off(text, self.blob) > 0 || was_alive(ctx.earlier, "record");
                match keys::live(text, self.blob) {
                    0 => known.then_some(false),
                    _ => Some(true),
                }
            }
            State::List { revoked: false, .. } => Some(true),
            State::List { revoked: true, read } => read.map(|read| !read),
        }
    }

    /// What the look came to, as a fact.
    fn read_back(&self, state: &State, ctx: Ctx<'_>) -> Fact {
        match self.alive(state, ctx) {
            Some(alive) => Fact::ReadBack { dead: !alive },
            None => not_tried(match state {
                State::File { .. } => "the key is not in the file, and was not seen there before",
                State::List { .. } => {
                    "the list revokes the key, but sshd does not say that it reads this list"
                }
            }),
        }
    }

    /// Switches the key's lines off or on. True where something was written.
    async fn rewrite(&self, change: impl Fn(&str, &str) -> String) -> Result<bool, Fact> {
        for _ in 0..3 {
            let (state, _) = self.look(&mut Vec::new()).await?;
            let State::File { path, text } = state else {
                return Ok(false);
            };
            let text = text.unwrap_or_default();
            let new = change(&text, self.blob);
            if new == text {
                return Ok(false);
            }
            let digest: String = Sha256::digest(&text).iter().map(|b| format!("{b:02x}")).collect();
            let said = self
                .host
                .run(host::WRITE_FILE, &[&path, &STANDARD.encode(&new), &digest])
                .await?;
            if said.trim() == "end" {
                return Ok(true);
            }
        }
        Err(error("the file of keys is changed all the time by somebody else"))
    }

    /// A name for what is kept beside the list, one for each key.
    fn mark(&self) -> String {
        let digest = Sha256::digest(self.blob.as_bytes());
        digest.iter().take(6).map(|b| format!("{b:02x}")).collect()
    }

    async fn processes(&self, target: &Target) -> Result<(Listing, Chosen), Fact> {
        if self.host.ctx.world.kind == WorldKind::Real {
            signals_allowed().map_err(error)?;
        }
        let text = self.host.run(sessions::LIST, &[self.user]).await?;
        let Some(listing) = Listing::read(&text) else {
            return Err(error(format!(
                "the list of processes is not whole, or there is no account {}",
                self.user
            )));
        };
        if !listing.sees_all() {
            return Err(not_tried(format!(
                "only root and {} see all of the account's processes",
                self.user
            )));
        }
        let whole = with(target).get("end").is_some_and(|end| end == "account") && !listing.is_root();
        let chosen = listing.choose(self.user, whole);
        Ok((listing, chosen))
    }

    async fn end_sessions(&self, target: &Target, facts: &mut Vec<Fact>) -> Result<(), Fact> {
        let (_, mut chosen) = self.processes(target).await?;
        let shared = matches!(target, Target::Grant(grant) if grant.shared != Shared::No);
        if shared {
            if !chosen.members.is_empty() {
                facts.push(residual(format!(
                    "{} processes of {} came in over SSH; others use the account, too, and nothing tells whose they are",
                    chosen.members.len(),
                    self.user
                )));
            }
            return Err(not_tried("the account is shared: its sessions are not ended"));
        }
        facts.push(listed(chosen.members.len()));
        let mut told = 0;
        for _ in 0..ROUNDS {
            if chosen.members.is_empty() {
                break;
            }
            let arguments: Vec<&str> = chosen.members.iter().map(String::as_str).collect();
            let said = self.host.run(sessions::KILL, &arguments).await?;
            if let Some(refusal) = said.lines().find(|line| *line != "end") {
                facts.push(error(self.host.scrubbed(refusal)));
                break;
            }
            told += chosen.members.len();
            (_, chosen) = self.processes(target).await?;
        }
        if told > 0 {
            facts.extend([ended(told), listed(chosen.members.len())]);
        }
        if chosen.others > 0 {
            facts.push(residual(format!(
                "{} processes of {} show no sign of SSH and were left alone: ps -u {}",
                chosen.others, self.user, self.user
            )));
        }
        Ok(())
    }

    /// Logs in with the agent's private key; `Ok(true)` where it was let in.
    async fn try_key(&self, target: &Target) -> Result<Result<bool, Fact>, Fact> {
        let Some(key) = self.host.ctx.secret else {
            return Err(not_tried("the agent's own secret is not at hand"));
        };
        let Some(login) = with(target).get("login").filter(|login| !login.starts_with('-')) else {
            return Err(not_tried("`with` has no `login` to try the key at"));
        };
        let Said { code, out, err } = self.host.log_in(login, key).await?;
        Ok(match () {
            () if out.contains("logged in") => Ok(true),
            () if code == 97 => Err(not_tried(
                "ssh-add does not take the secret for a private key without passphrase",
            )),
            () if code == 255 && err.contains("Permission denied (") => Ok(false),
            () => Err(error(
                self.host
                    .scrubbed(&format!("ssh {login}: {} (exit {code})", err.trim())),
            )),
        })
    }
}

impl Adapter for Ssh {
    fn name(&self) -> &str {
        "ssh"
    }

    fn title(&self) -> &str {
        "SSH public keys on a host and the sessions of their account"
    }

    fn about(&self) -> About {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect();
        let need = |key: &str, what: &str| (key.to_owned(), what.to_owned());
        About {
            kinds: words(&["public key in authorized_keys, or under a revocation list"]),
            proved_by: ProvedBy::RealServer,
            permissions: words(&[
                "the account itself, for its own file of keys and its sessions",
                "root, for a revocation list, and for sessions of other accounts",
            ]),
            needs: vec![
                need("user", "account that the key opens"),
                need("key", "the public key, as in ssh-ed25519 AAAA…"),
                need(
                    "host",
                    "where the responder's ssh reaches the host, as in root@db1 or ssh://root@db1:2222 (default: this host)",
                ),
                need(
                    "file",
                    "file of keys (default: .ssh/authorized_keys of the account)",
                ),
                need(
                    "krl",
                    "revocation list to use instead, the one sshd reads as RevokedKeys",
                ),
                need(
                    "sshd-config",
                    "configuration of sshd (default: /etc/ssh/sshd_config)",
                ),
                need("login", "where the agent logs in, as in bot@db1, to try its key"),
                need(
                    "end",
                    "sessions (default), or account: every process of the account",
                ),
            ],
            manual: MANUAL.to_owned(),
        }
    }

    fn window(&self) -> Duration {
        Duration::ZERO
    }

    fn reversible(&self, _: &Target) -> bool {
        true
    }

    fn check(&self, target: &Target) -> Vec<String> {
        let get = |name: &str| with(target).get(name).map(String::as_str);
        let mut wrong = unknown_keys("ssh", target, &KEYS);
        if get("user").is_none() {
            wrong.push("`with` has no `user` (account that the key opens)".to_owned());
        }
        if get("key").and_then(keys::blob).is_none() {
            wrong.push("`with` has no `key` that is a public key, as in `ssh-ed25519 AAAA…`".to_owned());
        }
        if !matches!(get("end"), None | Some("sessions" | "account")) {
            wrong.push("`end` is `sessions` or `account`".to_owned());
        }
        if get("krl").is_some() && get("file").is_some() {
            wrong.push("`with` has both `krl` and `file`; the key is cut by the first".to_owned());
        }
        wrong
    }

    fn shapes(&self) -> &[Regex] {
        &[]
    }

    fn open<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Opened> {
        Box::pin(async move {
            let tried = async { Door::of(ctx, target)?.try_key(target).await? };
            let fact = match tried.await {
                Ok(true) => seen_alive("use"),
                Ok(false) => noted("use", "the key was refused before the cut"),
                Err(fact) => fact,
            };
            Opened {
                session: None,
                facts: vec![fact],
            }
        })
    }

    fn glance<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Glance> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let looked = async {
                let door = Door::of(ctx, target)?;
                let (state, _) = door.look(&mut facts).await?;
                Ok(door.alive(&state, ctx) == Some(true))
            };
            let looked = looked.await;
            let alive = matches!(looked, Ok(true));
            facts.extend(looked.err());
            facts.extend(alive.then(|| seen_alive("record")));
            // What gives the key back is on the host itself: the line behind its comment sign, the kept list.
            let undo = alive.then(|| b"{}".to_vec());
            Glance { facts, undo }
        })
    }

    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let done = async {
                let door = Door::of(ctx, target)?;
                let (state, _) = door.look(&mut facts).await?;
                let written = match (&state, door.krl) {
                    (State::List { revoked: false, .. }, Some(krl)) => {
                        let mark = door.mark();
                        door.host.run(host::WRITE_KRL, &[krl, door.key, &mark]).await?;
                        facts.push(noted(
                            "kept",
                            format!("the list as it was is {krl}.incident-{mark}"),
                        ));
                        true
                    }
                    (State::List { .. }, _) => false,
                    (State::File { .. }, _) => door.rewrite(keys::without).await?,
                };
                facts.push(match (written, door.alive(&state, ctx)) {
                    (true, _) => Fact::Accepted { status: 0 },
                    (false, None) => door.read_back(&state, ctx),
                    (false, Some(_)) => Fact::AlreadyDone { status: 0 },
                });
                if matches!(
                    state,
                    State::List {
                        read: Some(false),
                        ..
                    }
                ) {
                    facts.push(error(format!(
                        "sshd does not read {}: set RevokedKeys in {}",
                        door.krl.unwrap_or_default(),
                        door.config
                    )));
                }
                Ok(())
            };
            let done = done.await;
            or_by_hand(&mut facts, done, MANUAL);
            facts
        })
    }

    fn sessions<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let done = async { Door::of(ctx, target)?.end_sessions(target, &mut facts).await };
            let done = done.await;
            facts.extend(done.err());
            facts
        })
    }

    fn probe<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let door = match Door::of(ctx, target) {
                Ok(door) => door,
                Err(fact) => return vec![fact],
            };
            let mut facts = Vec::new();
            match door.look(&mut Vec::new()).await {
                Ok((state, _)) => facts.push(door.read_back(&state, ctx)),
                Err(fact) => facts.push(fact),
            }
            let shared = matches!(target, Target::Grant(grant) if grant.shared != Shared::No);
            if !shared {
                facts.push(match door.processes(target).await {
                    Ok((_, chosen)) => listed(chosen.members.len()),
                    Err(fact) => fact,
                });
            }
            facts.push(match door.try_key(target).await {
                Ok(Ok(true)) => Fact::TriedNew { refused: false },
                Ok(Ok(false)) if was_alive(ctx.earlier, "use") => Fact::TriedNew { refused: true },
                Ok(Ok(false)) => not_tried("the key is refused, and was not seen to work before the cut"),
                Ok(Err(fact)) | Err(fact) => fact,
            });
            facts
        })
    }

    fn restore<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target, _: &'a [u8]) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let done = async {
                let door = Door::of(ctx, target)?;
                let written = match door.krl {
                    Some(krl) => {
                        door.host
                            .run(host::RESTORE_KRL, &[krl, door.key, &door.mark()])
                            .await?;
                        true
                    }
                    None => door.rewrite(keys::with).await?,
                };
                let (state, _) = door.look(&mut Vec::new()).await?;
                Ok(vec![
                    match written {
                        true => Fact::Accepted { status: 0 },
                        false => Fact::AlreadyDone { status: 0 },
                    },
                    door.read_back(&state, ctx),
                ])
            };
            done.await.unwrap_or_else(|fact: Fact| vec![fact])
        })
    }

    fn armed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let done = async {
                let door = Door::of(ctx, target)?;
                let mut facts = Vec::new();
                let (state, writable) = door.look(&mut facts).await?;
                facts.push(match state {
                    State::List {
                        read: Some(false), ..
                    } => error("sshd does not read this list"),
                    _ if door.alive(&state, ctx) != Some(true) => error("the key is not let in as it is"),
                    _ if !writable => error("the responder's login there may not write the file"),
                    _ => noted("armed", "the responder's login there may take the key out"),
                });
                Ok(facts)
            };
            done.await.unwrap_or_else(|fact: Fact| vec![fact])
        })
    }
}

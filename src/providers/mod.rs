//! Providers: how each kind of access is cut, looked at and given back.
//!
//! An [`Adapter`] reports facts about one target; the proof word is said elsewhere
//! ([`crate::model::fact::proof`]). HTTP providers are tables of data run by one engine ([`rest`]);
//! what speaks another protocol is a file of its own.
//! Absent from this room: the order in which things are cut, the journal, the terminal.
//!
//! The order of calls on one target: `open`, `glance` (save its undo bytes), `cut`, `sessions` until a
//! listing is empty twice, `probe`, and `probe` again after [`Adapter::window`].

mod aws;
mod azure;
mod desk;
mod limits;
mod mysql;
mod postgres;
mod redis;
pub mod rest;
mod scrub;
pub mod sheet;
mod ssh;
mod wire;
mod xml;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::Duration;

pub use limits::Limits;
use regex::Regex;
use serde::Serialize;

use crate::model::diagnostic::Diagnostic;
use crate::model::fact::{BEFORE, Fact, Glance, Observed};
use crate::model::grant::{Target, TriggerKind};
use crate::model::secret::Secret;
use crate::model::yaml::Node;
use crate::world::sql::SqlSession;
use crate::world::{Later, World};

/// What an adapter is handed for one target.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    /// The way out.
    pub world: &'a World,
    /// The responder's credential for the provider.
    pub auth: Option<&'a Secret>,
    /// The agent's own secret, to try it.
    pub secret: Option<&'a Secret>,
    /// The session opened before the cut.
    pub open: Option<&'a OpenSession>,
    /// What `glance` saved for an undo. A cut that writes a whole record back, changed in one place, needs it.
    pub saved: Option<&'a [u8]>,
    /// Every fact on record for this target, oldest first. Some refusals mean something only where the
    /// same call was seen to work before.
    pub earlier: &'a [Observed],
    /// How many requests may be under way to each host.
    pub limits: &'a Limits,
}

/// A session that was opened before the cut with the agent's secret. Closed when dropped.
pub struct OpenSession(pub(crate) Box<dyn SqlSession>);

/// What `open` gave.
pub struct Opened {
    /// The session, where one can be and was.
    pub session: Option<OpenSession>,
    /// What was seen on the way.
    pub facts: Vec<Fact>,
}

/// Whether a new credential can be made in the place of one that was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewable {
    /// Yes, with these rights and no more, in words.
    With(String),
    /// Not by this adapter: a person makes it.
    ByHand,
    /// Not with the rights that were saved, and why.
    No(String),
}

/// A new credential.
pub struct New {
    /// What the provider knows it by, which is not a secret.
    pub name: String,
    /// The secret itself, as the service is to be given it.
    pub secret: Secret,
    /// What was seen on the way.
    pub facts: Vec<Fact>,
}

/// What is known about an adapter itself, for people and for the page of providers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// Kinds of credential it cuts, in the provider's words.
    pub kinds: Vec<String>,
    /// What its tests hold it against.
    pub proved_by: ProvedBy,
    /// Exactly what the responder's credential must be allowed to do, in the provider's words.
    pub permissions: Vec<String>,
    /// Keys of the target's `with`, and what each is.
    pub needs: Vec<(String, String)>,
    /// Where a person does it by hand.
    pub manual: String,
}

/// What an adapter is tested against, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProvedBy {
    /// The provider's own server.
    RealServer,
    /// Somebody else's server that enforces what the provider does.
    Emulator,
    /// The requests of the vendor's own client library.
    Sdk,
    /// The provider's published documentation, and a stub that answers as it says.
    Contract,
}

/// One way to cut access. Every answer is facts; none of them ever holds a secret.
pub trait Adapter {
    /// The name used in `access.yaml`.
    fn name(&self) -> &str;
    /// What it cuts, in a few words for people.
    fn title(&self) -> &str;
    /// What it is for, what it needs, and what its tests hold it against.
    fn about(&self) -> About;
    /// Time after a cut within which the provider may still honour the credential.
    fn window(&self) -> Duration;
    /// True where `restore` can give the access back as it was.
    fn reversible(&self, target: &Target) -> bool;
    /// What comes to life again with `restore`, in words: old tokens that nobody asked back.
    fn revives(&self) -> Option<&str> {
        None
    }
    /// Why nothing tells beforehand that `cut` would be allowed. `armed` may still show that it would not.
    fn unarmed(&self) -> Option<&str> {
        None
    }
    /// True where the cut takes nothing but the secret itself: no credential of the responder.
    fn by_itself(&self) -> bool {
        false
    }
    /// What is missing or unknown in the target's `with`, one sentence each.
    fn check(&self, target: &Target) -> Vec<String>;
    /// What the secrets it can cut look like, each expression for a whole value.
    fn shapes(&self) -> &[Regex];
    /// Opens a session with the agent's secret and tries the secret, before the cut.
    fn open<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Opened>;
    /// Why the responder's own credential hangs on this target, where the provider shows that it does.
    fn own<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Option<String>> {
        let _ = (ctx, target);
        Box::pin(async { None })
    }
    /// Looks at what the cut destroys and reads what an undo needs.
    fn glance<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Glance>;
    /// Cuts. Safe to repeat.
    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>>;
    /// Lists derived sessions, leases or children, ends them, and says how many are left.
    fn sessions<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>>;
    /// Lists derived sessions, leases or children and ends none: what came to life since the cut.
    fn listed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        let _ = (ctx, target);
        Box::pin(async { Vec::new() })
    }
    /// Reads the provider's record and tries the secret and the old session.
    fn probe<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>>;
    /// Gives the access back from what `glance` saved.
    fn restore<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target, undo: &'a [u8]) -> Later<'a, Vec<Fact>>;
    /// Whether `renew` can make a new credential with no more rights than what `glance` saved had.
    fn renewable(&self, target: &Target, saved: &[u8]) -> Renewable {
        let _ = (target, saved);
        Renewable::ByHand
    }
    /// Makes a new credential for `service`, beside the one that was cut, which stays cut. The facts say why not.
    fn renew<'a>(
        &'a self,
        ctx: Ctx<'a>,
        target: &'a Target,
        saved: &'a [u8],
        service: &'a str,
    ) -> Later<'a, Result<New, Vec<Fact>>> {
        let _ = (ctx, target, saved, service);
        Box::pin(async { Err(vec![not_tried("a person makes it")]) })
    }
    /// Checks, beforehand and without changing anything, that `cut` would be allowed.
    fn armed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>>;
}

/// No adapter has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no provider is named `{name}`; known are {}", .known.join(", "))]
pub struct UnknownProvider {
    /// The name asked for.
    pub name: String,
    /// The names there are.
    pub known: Vec<String>,
}

/// What speaks another protocol than HTTP, one line an adapter.
fn coded() -> Vec<Box<dyn Adapter>> {
    let mut all: Vec<Box<dyn Adapter>> = vec![
        Box::new(mysql::Mysql),
        Box::new(mysql::events::MysqlEvent),
        Box::new(postgres::Postgres),
        Box::new(postgres::cron::PostgresCron),
        Box::new(redis::Redis),
        Box::new(ssh::Ssh),
    ];
    all.extend(aws::adapters());
    all.extend(azure::adapters());
    all
}

/// Every adapter by name.
pub struct Registry {
    adapters: BTreeMap<String, Entry>,
}

/// An adapter, or a shipped table nobody has asked for yet: reading all of them takes longer than most commands.
enum Entry {
    Made(Box<dyn Adapter>),
    Shipped {
        file: &'static str,
        text: &'static str,
        made: OnceCell<Option<Box<rest::Rest>>>,
    },
}

impl Entry {
    /// The adapter. A shipped table with a mistake gives none; a test holds that there is no such table.
    fn adapter(&self) -> Option<&dyn Adapter> {
        match self {
            Entry::Made(adapter) => Some(&**adapter),
            Entry::Shipped { file, text, made } => {
                let made = made.get_or_init(|| rest::Rest::parse(file, text).ok().map(Box::new));
                made.as_deref().map(|table| table as &dyn Adapter)
            }
        }
    }
}

impl Registry {
    /// The adapters that ship inside the binary.
    pub fn shipped() -> Self {
        let coded = coded().into_iter().map(|a| (a.name().to_owned(), Entry::Made(a)));
        let tables = rest::SHIPPED.iter().map(|(file, text)| {
            let entry = Entry::Shipped {
                file,
                text,
                made: OnceCell::new(),
            };
            (file.trim_end_matches(".yaml").to_owned(), entry)
        });
        Registry {
            adapters: coded.chain(tables).collect(),
        }
    }

    /// Adds one table from a file that says its own `name`.
    pub fn add_table(&mut self, file: &str, text: &str) -> Result<(), Vec<Diagnostic>> {
        self.add(rest::Rest::parse(file, text)?, file)
    }

    /// Adds a team's own table from its inventory, where its name is the key it stands under.
    pub fn add_node(&mut self, file: &str, name: &str, node: &Node) -> Result<(), Vec<Diagnostic>> {
        self.add(rest::Rest::from_node(file, Some(name), node)?, file)
    }

    fn add(&mut self, table: rest::Rest, file: &str) -> Result<(), Vec<Diagnostic>> {
        let name = table.name().to_owned();
        if self.adapters.contains_key(&name) {
            return Err(vec![Diagnostic {
                file: file.to_owned(),
                place: table.place(),
                message: format!("there is already a provider named `{name}`"),
                remedy: Some("give it another name; what ships cannot be replaced".to_owned()),
            }]);
        }
        self.adapters.insert(name, Entry::Made(Box::new(table)));
        Ok(())
    }

    /// The adapter of this name.
    pub fn find(&self, name: &str) -> Result<&dyn Adapter, UnknownProvider> {
        self.adapters
            .get(name)
            .and_then(Entry::adapter)
            .ok_or_else(|| UnknownProvider {
                name: name.to_owned(),
                known: self.adapters.keys().cloned().collect(),
            })
    }

    /// The adapter of a grant, or of a trigger at a provider; `None` for what is local or manual.
    pub fn of(&self, target: &Target) -> Option<Result<&dyn Adapter, UnknownProvider>> {
        match target {
            Target::Grant(grant) => Some(self.find(&grant.provider)),
            Target::Trigger(trigger) => match &trigger.kind {
                TriggerKind::Provider { provider, .. } => Some(self.find(provider)),
                _ => None,
            },
            Target::Tree(_) => None,
        }
    }

    /// Every adapter, by name.
    pub fn all(&self) -> impl Iterator<Item = &dyn Adapter> {
        self.adapters.values().filter_map(Entry::adapter)
    }

    /// Adapters that can cut a secret that looks like this.
    pub fn recognise(&self, value: &str) -> Vec<&dyn Adapter> {
        self.all()
            .filter(|adapter| adapter.shapes().iter().any(|shape| shape.is_match(value)))
            .collect()
    }
}

/// The target's `with`; empty for what no provider cuts.
fn with(target: &Target) -> &BTreeMap<String, String> {
    static NOTHING: BTreeMap<String, String> = BTreeMap::new();
    match target {
        Target::Grant(grant) => &grant.with,
        Target::Trigger(trigger) => match &trigger.kind {
            TriggerKind::Provider { with, .. } => with,
            _ => &NOTHING,
        },
        Target::Tree(_) => &NOTHING,
    }
}

/// The fact that `what` (`use`, `record`) was seen alive before the cut.
fn seen_alive(what: &str) -> Fact {
    Fact::Noted {
        label: BEFORE.to_owned(),
        text: format!("{what}: alive"),
    }
}

/// True where the record holds that `what` was alive before a cut.
fn was_alive(earlier: &[Observed], what: &str) -> bool {
    let wanted = seen_alive(what);
    earlier.iter().any(|o| o.fact == wanted)
}

/// Names of the new credentials that were made in the place of this one: a service's, no longer the agent's.
fn renewed(earlier: &[Observed]) -> Vec<&str> {
    let names = earlier.iter().filter_map(|o| match &o.fact {
        Fact::Renewed { name, .. } => Some(name.as_str()),
        _ => None,
    });
    names.collect()
}

/// The fact that something was not looked at, and why.
fn not_tried(why: impl Into<String>) -> Fact {
    Fact::NotTried { why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_table_is_without_mistakes() {
        for (file, text) in rest::SHIPPED {
            match rest::Rest::parse(file, text) {
                Ok(table) => assert_eq!(format!("{}.yaml", table.name()), *file),
                Err(mistakes) => {
                    let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                    panic!("{}", all.join("\n"));
                }
            }
        }
        assert!(rest::SHIPPED.is_sorted_by_key(|(file, _)| file));
    }

    #[test]
    fn an_unknown_provider_is_told_what_there_is() {
        let registry = Registry::shipped();
        let text = registry
            .find("valt")
            .map(|a| a.name().to_owned())
            .unwrap_err()
            .to_string();
        assert!(text.contains("`valt`") && text.contains("vault-token"), "{text}");
    }

    #[test]
    fn a_secret_is_recognised_by_its_shape_and_as_a_whole() {
        let registry = Registry::shipped();
        let names = |value: &str| -> Vec<String> {
            registry
                .recognise(value)
                .iter()
                .map(|a| a.name().to_owned())
                .collect()
        };
        assert_eq!(names(&format!("ghp_{}", "a".repeat(36))), ["github"]);
        assert_eq!(names(&format!("hvs.{}", "a".repeat(90))), ["vault-self"]);
        assert!(names(&format!("x ghp_{}", "a".repeat(36))).is_empty());
    }
}

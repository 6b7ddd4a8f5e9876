//! What agents can reach from this host: the two-second scan of environments, configurations and stores.
//!
//! [`scan`] looks where agents and command-line tools keep secrets, in the home of the user whom the agent
//! runs as, and returns [`Finding`]s: where, what it looks like, a keyed fingerprint, never the value, which
//! stays in memory. Links and pipes are not followed; what could not be looked at is said.
//! Absent from this room: cutting, the journal, the terminal, and any word on whether something is dead.

pub mod add;
mod agents;
mod bulk;
pub mod by_hand;
mod closed;
mod dotenv;
mod environment;
mod eye;
mod look;
mod mcp;
pub mod readable;
mod tfstate;
mod tools;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use bulk::is_transcript;
pub use eye::Eye;
use look::Look;

use crate::model::secret::Secret;
use crate::world::World;

/// Somebody whose reach is looked at: an agent that runs here, or a user under whom one might.
#[derive(Debug)]
pub struct Agent {
    /// Which agent; `None` where none was seen to run.
    pub name: Option<String>,
    /// User id it runs under.
    pub uid: u32,
    /// Home of that user.
    pub home: Option<PathBuf>,
    /// Folders it works in.
    pub cwds: BTreeSet<PathBuf>,
    /// Variables of its processes, each name and value once.
    pub variables: Vec<Variable>,
}

/// One variable of a process of the agent.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Secret,
    /// Process id.
    pub pid: u32,
}

/// Whose a place is. Only the first two are the agent's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// A process of the agent carries it.
    Process,
    /// A store or configuration of that agent, in the home it runs in.
    Agent,
    /// A store of an agent that was not seen to run here.
    OtherAgent,
    /// Written into a project, for whoever and whatever works in it.
    Project,
    /// A command-line tool's store, for whoever uses that home.
    Tool,
    /// The responder uses it.
    Responder,
    /// It passed through the transcript of an agent, which says nothing about whose it is.
    Transcript,
}

impl Whose {
    /// True where nobody but the agent reads it from there.
    pub fn is_agents_alone(self) -> bool {
        matches!(self, Whose::Process | Whose::Agent)
    }
}

/// Where a secret was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Whose it is.
    pub whose: Whose,
    /// The file, or the process as `claude-code (pid 12)`.
    pub at: String,
    /// Key, variable or line in it.
    pub key: String,
}

/// One secret, wherever it was found.
#[derive(Debug)]
pub struct Finding {
    /// Every place it was found in, the agent's own first.
    pub places: Vec<Place>,
    /// The agent it was found with.
    pub agent: Option<String>,
    /// Adapters that can cut what looks like this.
    pub adapters: Vec<String>,
    /// What it looks like: the shape that knows it, or `named` for a telling name alone.
    pub kind: String,
    /// Keyed fingerprint.
    pub fingerprint: String,
    /// Its last four characters; empty where it is too short to give any away.
    pub last4: String,
    /// Addresses that the agent it is alone with was told, by variable (`VAULT_ADDR`).
    pub near: BTreeMap<String, String>,
    /// The value.
    pub value: Secret,
}

impl Finding {
    /// True where it was found only in places that are the agent's alone.
    pub fn is_agents_alone(&self) -> bool {
        let mut owned = self
            .places
            .iter()
            .filter(|p| p.whose != Whose::Transcript)
            .peekable();
        owned.peek().is_some() && owned.all(|p| p.whose.is_agents_alone())
    }

    /// What it is and where, in words: `github …a1b2, GITHUB_TOKEN of claude-code (pid 12)`.
    pub fn words(&self) -> String {
        let place = self.places.first();
        let place = place.map(|p| match p.whose {
            Whose::Process => format!(", {} of {}", p.key, p.at),
            Whose::Transcript => format!(", which {} {}", p.key, p.at),
            _ => format!(", {} in {}", p.key, p.at),
        });
        format!("{}{}", self.looks(), place.unwrap_or_default())
    }

    /// What it looks like and how it ends: `github …a1b2`, or the name that told.
    pub fn looks(&self) -> String {
        let by_shape = Eye::is_telling(&self.kind).then_some(self.kind.as_str());
        let adapter = || self.adapters.first().map(String::as_str);
        let otherwise = match self.kind.as_str() {
            "jwt" => "a token (JWT)",
            _ => "a secret by its name",
        };
        let what = by_shape.or_else(adapter).unwrap_or(otherwise);
        match self.last4.as_str() {
            "" => what.to_owned(),
            last4 => format!("{what} …{last4}"),
        }
    }
}

/// What a scan came to.
#[derive(Debug, Default)]
pub struct Scan {
    /// Every secret once, most telling first.
    pub findings: Vec<Finding>,
    /// What could not be looked at, and why.
    pub holes: Vec<String>,
}

/// Looks everywhere an agent's secrets are kept, changing nothing. Ends after two seconds, and says so.
///
/// `own` is the responder's home: what stands there as well is shared with the responder.
pub fn scan(world: &World, agents: &[Agent], own: Option<&Path>, eye: &Eye<'_>) -> Scan {
    let mut look = Look::new(world, eye);
    for agent in agents {
        environment::look(&mut look, agent);
    }
    // The shared places first: what they hold must not pass for the agent's alone when time runs out.
    let homes: BTreeSet<&Path> = agents.iter().filter_map(|a| a.home.as_deref()).collect();
    for home in &homes {
        let whose = match own == Some(home) {
            true => Whose::Responder,
            false => Whose::Tool,
        };
        tools::look(&mut look, home, whose);
    }
    for agent in agents {
        dotenv::look(&mut look, agent);
    }
    for agent in agents {
        agents::look(&mut look, agent);
        mcp::look(&mut look, agent);
        tfstate::look(&mut look, agent);
        closed::look(&mut look, agent);
    }
    if let Some(own) = own.filter(|own| !homes.contains(own)) {
        look.only_known(|look| tools::look(look, own, Whose::Responder));
    }
    // Last, because they are long: what time is left is theirs.
    for agent in agents {
        let tools = match agent.home.as_deref() == own {
            true => Whose::Responder,
            false => Whose::Tool,
        };
        bulk::databases(&mut look, agent, tools);
    }
    for agent in agents {
        bulk::transcripts(&mut look, agent);
    }
    environment::address(&mut look, agents);
    look.done()
}

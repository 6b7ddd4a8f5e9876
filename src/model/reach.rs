//! What an act is aimed at, under the names its words give, and to which environment that belongs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// Where something runs. The list is closed; `backups` is where the good copies lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// A developer's own.
    Dev,
    /// Like production, without its users.
    Staging,
    /// What users depend on.
    Production,
    /// The copies that production is restored from, told apart from it by identity.
    Backups,
}

impl Environment {
    /// All of them, the strictest last.
    pub const ALL: [Environment; 4] = [
        Environment::Dev,
        Environment::Staging,
        Environment::Production,
        Environment::Backups,
    ];

    /// The word used in runbooks, records and on screen.
    pub fn word(self) -> &'static str {
        match self {
            Environment::Dev => "dev",
            Environment::Staging => "staging",
            Environment::Production => "production",
            Environment::Backups => "backups",
        }
    }

    /// The environment of this word.
    pub fn of(word: &str) -> Option<Environment> {
        Environment::ALL.into_iter().find(|e| e.word() == word)
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What kind of name something goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A machine, also the server of a database. [`HERE`] is the one the program runs on.
    Host,
    /// A context, cluster or server of Kubernetes, alone or with its namespace: `prod-eu/shop`.
    Context,
    /// An account, profile or subscription of a cloud.
    Account,
    /// A project, app, stack or workspace of a platform.
    Project,
    /// A folder that describes infrastructure, from the folder that holds the runbook's folder.
    Folder,
    /// A repository elsewhere.
    Remote,
    /// A page or interface: `https://api.example.com/v1/…`.
    Url,
    /// A database on its server.
    Database,
    /// A bucket or a repository of backups.
    Store,
    /// A file or folder that is written.
    Path,
}

/// The name of the host that the program itself runs on.
pub const HERE: &str = "localhost";

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 10] = [
        Kind::Host,
        Kind::Context,
        Kind::Account,
        Kind::Project,
        Kind::Folder,
        Kind::Remote,
        Kind::Url,
        Kind::Database,
        Kind::Store,
        Kind::Path,
    ];

    /// The word used on screen.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Host => "host",
            Kind::Context => "context",
            Kind::Account => "account",
            Kind::Project => "project",
            Kind::Folder => "folder",
            Kind::Remote => "remote",
            Kind::Url => "url",
            Kind::Database => "database",
            Kind::Store => "store",
            Kind::Path => "path",
        }
    }

    /// The key of the map under which names of this kind stand.
    pub fn key(self) -> &'static str {
        match self {
            Kind::Host => "hosts",
            Kind::Context => "contexts",
            Kind::Account => "accounts",
            Kind::Project => "projects",
            Kind::Folder => "folders",
            Kind::Remote => "remotes",
            Kind::Url => "urls",
            Kind::Database => "databases",
            Kind::Store => "stores",
            Kind::Path => "paths",
        }
    }

    /// True where the name says on its own what is meant. A database, a store and a path lie in some place, and
    /// only say more about it.
    pub fn is_place(self) -> bool {
        !matches!(self, Kind::Database | Kind::Store | Kind::Path)
    }
}

/// One name of what an act is aimed at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// What kind of name.
    pub kind: Kind,
    /// The name; `None` where only the run will know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What an act is aimed at, and how much it changes, as far as its words say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Every name in it; empty for what has no words, such as a step by hand.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reaches: BTreeSet<Reach>,
    /// Where its author says it belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// Most rows it can change; `None` where the words give no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Most objects (resources, files, pods) it can change; `None` where the words give no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<u64>,
}

impl Scope {
    /// True where nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Scope::default()
    }
}

/// Names by kind; `*` in a name stands for any text.
pub type Names = BTreeMap<Kind, BTreeSet<String>>;

/// Which names belong to which environment, written in advance.
pub type Map = BTreeMap<Environment, Names>;

/// True where `text` is what `pattern` says, capitals aside; `*` stands for any text, also for none.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if text.get(t).is_some_and(|d| c.eq_ignore_ascii_case(d)) => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == b'*')
}

/// True where one of the names fits. `here` is the name of the host that the program runs on; a page also goes by
/// its host, and a place in a cluster by its cluster.
pub fn names(names: &Names, reach: &Reach, here: &str) -> bool {
    let Some(name) = &reach.name else { return false };
    let all = |kind: Kind| names.get(&kind).into_iter().flatten();
    let listed = |kind: Kind, text: &str| all(kind).any(|pattern| fits(pattern, text));
    if listed(reach.kind, name) {
        return true;
    }
    match reach.kind {
        Kind::Host => name == HERE && listed(Kind::Host, here),
        // Two spellings of one address, and a folder above what is listed.
        Kind::Remote => all(Kind::Remote).any(|pattern| fits(&plain_remote(pattern), &plain_remote(name))),
        Kind::Path => all(Kind::Path).any(|pattern| {
            let inner = pattern.get(..name.trim_end_matches('/').len() + 1);
            inner.is_some_and(|start| start == format!("{}/", name.trim_end_matches('/')))
        }),
        Kind::Url => listed(Kind::Host, host_of(name)),
        Kind::Context => name
            .split_once('/')
            .is_some_and(|(context, _)| listed(Kind::Context, context)),
        // `db1/orders` is the one on that server; `orders` is any.
        Kind::Database => name
            .rsplit_once('/')
            .is_some_and(|(_, database)| listed(Kind::Database, database)),
        _ => false,
    }
}

/// The address of a repository without what is spelt in several ways: `github.com/acme/shop`.
fn plain_remote(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.strip_suffix(".git").unwrap_or(rest);
    rest.replacen(':', "/", 1).replacen("//", "/", 1)
}

/// The host of an address, without user and port.
pub fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    match rest.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => rest.split(':').next().unwrap_or(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [
            ("db1", "DB1"),
            ("*.prod.example.com", "db1.prod.example.com"),
            ("orders_*", "orders_"),
            ("*a*b*", "xaayb"),
            ("*", ""),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("db1", "db10"),
            ("*.prod", "prod"),
            ("a*b", "ac"),
            ("", "x"),
            ("a", ""),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_page_goes_by_its_host_and_a_namespace_by_its_cluster() {
        let all = |kind: Kind, name: &str| Names::from([(kind, BTreeSet::from([name.to_owned()]))]);
        let reach = |kind, name: &str| Reach {
            kind,
            name: Some(name.to_owned()),
        };
        let api = reach(Kind::Url, "https://bot@api.example.com:8443/v1?x=@y");
        assert!(names(&all(Kind::Host, "api.example.com"), &api, "laptop"));
        assert!(names(
            &all(Kind::Url, "https://*@api.example.com*"),
            &api,
            "laptop"
        ));
        assert!(!names(&all(Kind::Host, "y"), &api, "laptop"));
        assert!(names(
            &all(Kind::Context, "prod-eu"),
            &reach(Kind::Context, "prod-eu/shop"),
            ""
        ));
        assert!(!names(
            &all(Kind::Context, "prod-eu/pay"),
            &reach(Kind::Context, "prod-eu/shop"),
            ""
        ));
        assert!(names(
            &all(Kind::Host, "bastion*"),
            &reach(Kind::Host, HERE),
            "bastion1"
        ));
        assert!(!names(
            &all(Kind::Host, "bastion*"),
            &reach(Kind::Host, "db1"),
            "bastion1"
        ));
        assert!(names(
            &all(Kind::Database, "orders"),
            &reach(Kind::Database, "db1/orders"),
            ""
        ));
        assert!(!names(
            &all(Kind::Database, "db2/orders"),
            &reach(Kind::Database, "db1/orders"),
            ""
        ));
        let open = Reach {
            kind: Kind::Host,
            name: None,
        };
        assert!(!names(&all(Kind::Host, "*"), &open, "laptop"));
    }
}

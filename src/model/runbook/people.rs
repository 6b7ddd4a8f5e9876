//! People as they are counted: one human, whatever their names; and what is asked of their keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Need, Person, Policy};
use crate::model::yaml::{Fields, Mistakes, Node};

/// What a rule asks of the signer's device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Touch {
    /// Any key of the roster.
    #[default]
    None,
    /// A FIDO key that somebody touched.
    Present,
    /// A FIDO key that also asked for a PIN or a finger.
    Verified,
}

impl Touch {
    /// The word in a statement.
    pub fn word(self) -> &'static str {
        match self {
            Touch::None => "any",
            Touch::Present => "touch",
            Touch::Verified => "touch-and-pin",
        }
    }

    pub(super) fn is_none(&self) -> bool {
        *self == Touch::None
    }
}

impl Need {
    /// So many people, whoever they are.
    pub fn of(people: u32) -> Need {
        Need {
            people,
            ..Need::default()
        }
    }
}

impl Policy {
    /// The one human behind a principal, in lower case: `also:` joins the names of one person.
    pub fn human(&self, principal: &str) -> String {
        let named = |person: &Person| person.also.iter().any(|a| a.eq_ignore_ascii_case(principal));
        let first = self.people.iter().find(|(_, person)| named(person));
        first.map_or(principal, |(name, _)| name).to_ascii_lowercase()
    }

    /// True where the runbook says that this person holds a role, or may lend it all the same.
    pub fn gives(&self, principal: &str, role: &str) -> bool {
        self.person(principal)
            .is_some_and(|p| p.roles.contains(role) || p.gives.contains(role))
    }

    /// What the runbook says of a principal, by whichever of their names.
    pub fn person(&self, principal: &str) -> Option<&Person> {
        let human = self.human(principal);
        let mut all = self.people.iter();
        all.find_map(|(name, person)| name.eq_ignore_ascii_case(&human).then_some(person))
    }
}

/// Every name belongs to one person.
pub(super) fn known_once(node: &Node, all: &BTreeMap<String, Person>, mistakes: &Mistakes) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (name, person) in all {
        for one in std::iter::once(name).chain(&person.also) {
            if let Some(first) = seen.insert(one.to_ascii_lowercase(), name) {
                let message = format!("`{one}` is two people here: `{first}` and `{name}`");
                let remedy = "write each person once, their other principals under `also`";
                mistakes.add(node.place, message, Some(remedy.into()));
            }
        }
    }
}

/// `touch`, `verify` and `different-teams` of a quorum.
pub(super) fn keys_and_teams(need: &mut Need, fields: &mut Fields<'_, '_>) {
    if fields.flag("touch") == Some(true) {
        need.touch = Touch::Present;
    }
    if fields.flag("verify") == Some(true) {
        need.touch = Touch::Verified;
    }
    need.teams_apart = fields.flag("different-teams") == Some(true);
}

#[cfg(test)]
mod tests {
    use crate::model::runbook::{Runbook, Touch};

    const HEAD: &str = "version: 1\nboundary: {inside: [read], at: [deploy]}\nstages: {}\n";

    fn runbook(text: &str) -> Result<Runbook, String> {
        let read = Runbook::parse("r.yaml", &format!("{HEAD}{text}"));
        read.map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn one_human_is_one_person_under_every_name() {
        let people = "people: {Ben@example.com: {roles: [dba], team: data, also: [ben@vendor.example]}, kim@vendor.example: {}}\n";
        let policy = runbook(people).unwrap().policy;
        for name in ["ben@example.com", "BEN@vendor.example", "Ben@example.com"] {
            assert_eq!(policy.human(name), "ben@example.com");
            assert!(policy.person(name).unwrap().roles.contains("dba"), "{name}");
        }
        assert_eq!(policy.human("Zed@example.com"), "zed@example.com");
        assert!(policy.person("zed@example.com").is_none());
        let twice = people.replace("kim@vendor.example: {}", "ben@vendor.example: {}");
        assert_eq!(
            runbook(&twice).unwrap_err(),
            "r.yaml:4:9: `ben@vendor.example` is two people here: `Ben@example.com` and `ben@vendor.example` (write each person once, their other principals under `also`)"
        );
    }

    #[test]
    fn a_quorum_says_what_keys_must_show_and_whether_teams_differ() {
        let policy =
            runbook("escalation: {at: {touch: true}, outside: {verify: true, different-teams: true}}\n");
        let policy = policy.unwrap().policy;
        assert_eq!(
            (policy.need_at.touch, policy.need_at.teams_apart),
            (Touch::Present, false)
        );
        assert_eq!(
            (policy.need_outside.touch, policy.need_outside.teams_apart),
            (Touch::Verified, true)
        );
        assert_eq!((policy.need_at.people, policy.need_outside.people), (1, 2));
    }
}

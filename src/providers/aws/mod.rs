//! AWS: access keys, users, roles, and what starts an agent there.
//!
//! An inactive key ends no session that was made with it, and permissions are weighed anew for every
//! request; so a key is made inactive *and* its sessions are denied by the moment they were issued.
//! A deny is never tried with GetCallerIdentity, which AWS answers under any policy.

mod attempt;
mod call;
mod function;
mod holder;
mod iam;
mod key;
mod keys;
mod renew;
mod role;
mod rule;
mod schedule;
mod sigv4;
mod switch;
mod user;

use super::{About, Adapter, ProvedBy, with};
use crate::model::fact::Fact;
use crate::model::grant::Target;

/// Every adapter for AWS.
pub(super) fn adapters() -> Vec<Box<dyn Adapter>> {
    vec![
        Box::new(key::Key),
        Box::new(user::User),
        Box::new(role::Role),
        Box::new(switch::Switched(rule::Rule)),
        Box::new(switch::Switched(schedule::Schedule)),
        Box::new(switch::Switched(function::Function)),
    ]
}

/// Keys of `with` that every adapter here understands.
const EVERYWHERE: [(&str, &str); 3] = [
    ("region", "region, us-east-1 where it is left out"),
    ("endpoint", "address that is asked instead of AWS"),
    ("ca", "file with the certificate authority of that address"),
];

/// What an adapter says of itself.
struct Card {
    kinds: &'static [&'static str],
    proved_by: ProvedBy,
    permissions: &'static [&'static str],
    needs: &'static [(&'static str, &'static str)],
    may: &'static [(&'static str, &'static str)],
    manual: &'static str,
}

impl Card {
    fn about(&self) -> About {
        let words = |all: &[&str]| all.iter().map(|w| (*w).to_owned()).collect();
        let pairs = self.needs.iter().chain(self.may).chain(&EVERYWHERE);
        About {
            kinds: words(self.kinds),
            proved_by: self.proved_by,
            permissions: words(self.permissions),
            needs: pairs
                .map(|(key, is)| ((*key).to_owned(), (*is).to_owned()))
                .collect(),
            manual: self.manual.to_owned(),
        }
    }

    fn check(&self, name: &str, target: &Target) -> Vec<String> {
        let given = with(target);
        let lacking = self.needs.iter().filter(|(key, _)| !given.contains_key(*key));
        let lacking = lacking.map(|(key, is)| format!("`with` has no `{key}` ({is})"));
        let known = |key: &str| {
            let mut all = self.needs.iter().chain(self.may).chain(&EVERYWHERE);
            all.any(|(name, _)| *name == key)
        };
        let unknown = given.keys().filter(|key| !known(key));
        let unknown = unknown.map(|key| format!("`{name}` does not know `{key}`"));
        lacking.chain(unknown).collect()
    }

    /// Adds the step for a person where nothing could be sent.
    fn or_by_hand(&self, fact: Fact) -> Vec<Fact> {
        let unsent = matches!(fact, Fact::NotTried { .. });
        let manual = unsent.then(|| Fact::Manual {
            how: self.manual.to_owned(),
        });
        [Some(fact), manual].into_iter().flatten().collect()
    }
}

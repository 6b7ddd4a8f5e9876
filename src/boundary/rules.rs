//! Whether a rule of the policy holds for one effect of an act.
//!
//! What is not known counts against the act: a rule that raises holds where it may, a rule `inside` only where it
//! surely does.

use super::standing::Standing;
use crate::model::act::Resolved;
use crate::model::effect::{Effect, Zone};
use crate::model::hours::WEEK;
use crate::model::reach::{Names, Reach, fits, names};
use crate::model::runbook::Rule;

/// One effect of one act, at one moment.
pub(super) struct Case<'a> {
    pub effect: Effect,
    pub act: &'a Resolved,
    pub standing: &'a Standing,
    pub now_ms: i64,
}

impl Case<'_> {
    /// The zone that the rules make of `written`, and the rule that says so where one does.
    ///
    /// `lowers` is false where no rule may bring it inside: a proof is missing, or it never can be.
    pub fn zone<'r>(&self, rules: &'r [Rule], written: Zone, lowers: bool) -> (Zone, Option<&'r Rule>) {
        let raising: Vec<&Rule> = rules
            .iter()
            .filter(|r| r.zone != Zone::Inside && self.may_hold(r))
            .collect();
        if lowers {
            let wins = |r: &&Rule| {
                r.zone == Zone::Inside
                    && self.surely_holds(r)
                    && raising.iter().all(|wider| narrower(r, wider))
            };
            if let Some(rule) = rules.iter().find(wins) {
                return (Zone::Inside, Some(rule));
            }
        }
        let strictest = raising.into_iter().max_by_key(|r| r.zone);
        match strictest.filter(|r| r.zone >= written) {
            Some(rule) => (rule.zone, Some(rule)),
            None => (written, None),
        }
    }

    /// True unless the rule is sure not to hold.
    fn may_hold(&self, rule: &Rule) -> bool {
        let changes = !matches!(self.effect, Effect::Read | Effect::Protect);
        let standing = self.standing;
        let reaches = &self.act.scope.reaches;
        (rule.effects.contains(&self.effect) || rule.effects.is_empty() && changes)
            && (rule.environments.is_empty()
                || !standing.known
                || !rule.environments.is_disjoint(&standing.environments))
            && (rule.targets.is_empty()
                || reaches.is_empty()
                || reaches.iter().any(|r| self.may_fit(&rule.targets, r)))
            && rule.amount.is_none_or(|amount| {
                let over =
                    |most: Option<u64>, known: Option<u64>| most.is_some_and(|n| known.is_none_or(|k| k > n));
                over(amount.rows, self.act.scope.rows) || over(amount.objects, self.act.scope.objects)
            })
            && rule.hours.as_ref().is_none_or(|hours| hours.contain(self.now_ms))
            && rule
                .freeze
                .is_none_or(|freeze| (freeze.from_ms..freeze.until_ms).contains(&self.now_ms))
    }

    /// True where every condition is known to be met.
    fn surely_holds(&self, rule: &Rule) -> bool {
        let standing = self.standing;
        let scope = &self.act.scope;
        rule.effects.contains(&self.effect)
            && (rule.environments.is_empty()
                || standing.known
                    && !standing.environments.is_empty()
                    && standing.environments.is_subset(&rule.environments))
            // Every name in it, or another part of the same act would come along.
            && (rule.targets.is_empty()
                || !scope.reaches.is_empty() && scope.reaches.iter().all(|r| names(&rule.targets, r, self.here())))
            && rule.amount.is_none_or(|amount| {
                let within = |most: Option<u64>, known: Option<u64>| most.is_none_or(|n| known.is_some_and(|k| k <= n));
                within(amount.rows, scope.rows) && within(amount.objects, scope.objects)
            })
            && rule.hours.as_ref().is_none_or(|hours| hours.contain(self.now_ms))
            && rule.freeze.is_none()
    }

    fn may_fit(&self, targets: &Names, reach: &Reach) -> bool {
        match reach.name {
            None => targets.contains_key(&reach.kind),
            Some(_) => names(targets, reach, self.here()),
        }
    }

    fn here(&self) -> &str {
        self.act.targets.get("host").map_or("", String::as_str)
    }
}

/// True where `rule` can hold only where `wider` does too, and says more.
pub(super) fn narrower(rule: &Rule, wider: &Rule) -> bool {
    let effects = wider.effects.is_empty() || rule.effects.is_subset(&wider.effects);
    let environments = wider.environments.is_empty()
        || !rule.environments.is_empty() && rule.environments.is_subset(&wider.environments);
    let targets = names_covered(rule, wider);
    let hours = wider.hours.is_none() || wider.hours == rule.hours;
    let says_more = (
        &rule.effects,
        &rule.environments,
        &rule.targets,
        rule.amount,
        &rule.hours,
    ) != (
        &wider.effects,
        &wider.environments,
        &wider.targets,
        wider.amount,
        &wider.hours,
    );
    // More than so much is never within at most so much, and a freeze has no exceptions.
    wider.amount.is_none()
        && wider.freeze.is_none()
        && effects
        && environments
        && targets
        && hours
        && says_more
}

/// True where every name that `rule` is about is one that `wider` is about.
fn names_covered(rule: &Rule, wider: &Rule) -> bool {
    wider.targets.is_empty()
        || !rule.targets.is_empty()
            && rule.targets.iter().all(|(kind, names)| {
                let outer = wider.targets.get(kind);
                let covered = |name: &String| {
                    outer.is_some_and(|all| {
                        all.iter()
                            .any(|o| o == name || !name.contains('*') && fits(o, name))
                    })
                };
                names.iter().all(covered)
            })
}

/// True where `wider`, which raises, holds wherever `rule` does.
pub(super) fn covers(wider: &Rule, rule: &Rule) -> bool {
    let free = [Effect::Read, Effect::Protect];
    let effects = match wider.effects.is_empty() {
        true => free.iter().all(|effect| !rule.effects.contains(effect)),
        false => !rule.effects.is_empty() && rule.effects.is_subset(&wider.effects),
    };
    let environments = wider.environments.is_empty()
        || !rule.environments.is_empty() && rule.environments.is_subset(&wider.environments);
    // More than three is more than two; at most three may be none.
    let amount = wider.amount.is_none_or(|least| {
        let within =
            |mine: Option<u64>, least: Option<u64>| mine.is_none_or(|n| least.is_some_and(|l| l <= n));
        let amount = rule.amount.filter(|_| rule.zone != Zone::Inside);
        amount.is_some_and(|a| within(a.rows, least.rows) && within(a.objects, least.objects))
    });
    let hours = wider.hours.as_ref().is_none_or(|wide| {
        let own = rule.hours.as_ref();
        own.is_some_and(|own| (0..WEEK).all(|m| !own.contain_minute(m) || wide.contain_minute(m)))
    });
    let freeze = wider.freeze.is_none_or(|wide| {
        let own = rule.freeze;
        own.is_some_and(|own| wide.from_ms <= own.from_ms && own.until_ms <= wide.until_ms)
    });
    effects && environments && names_covered(rule, wider) && amount && hours && freeze
}

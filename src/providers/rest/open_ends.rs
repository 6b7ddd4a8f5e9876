//! What is not over when the credential is dead: work that goes on at the provider, and doors that
//! close by themselves. What was on record and is no longer seen is said to be over.

use super::Rest;
use super::listing::{Listed, list};
use super::template::Vars;
use crate::model::fact::Fact;
use crate::model::time::parse_rfc3339;
use crate::providers::Ctx;

impl Rest {
    /// Everything that runs now and was not on record, and what ran and does so no longer. With `end`,
    /// what the provider can call off is called off.
    pub(super) async fn running(&self, ctx: Ctx<'_>, vars: Vars<'_>, end: bool) -> Vec<Fact> {
        let (mut facts, mut now, mut whole) = (Vec::new(), Vec::new(), true);
        for work in &self.table.running {
            let seen = list(ctx, &self.table, &work.list, &[], vars, &mut facts).await;
            whole &= seen.as_ref().is_some_and(|seen| seen.whole);
            let items = seen.map(|seen| seen.items).unwrap_or_default();
            for item in &items {
                let name = Listed::text(item, Some(&work.name));
                now.push(Fact::InFlight {
                    what: format!("{} {name}", work.what),
                });
            }
            if end && !work.end.is_empty() && !items.is_empty() {
                let id = work.id.as_deref().or(Some(&work.name));
                let ids = items.iter().map(|item| Listed::text(item, id)).collect();
                let (_, failed) = self.end_each(ctx, &work.end, ids, vars).await;
                facts.extend(failed);
            }
        }
        let what = |fact: &Fact| match fact {
            Fact::InFlight { what } => Some(what.clone()),
            _ => None,
        };
        facts.extend(news(ctx, now, whole && !self.table.running.is_empty(), &what));
        facts
    }

    /// Every door that is open now and was not on record, and what was and is so no longer.
    pub(super) async fn closing(&self, ctx: Ctx<'_>, vars: Vars<'_>) -> Vec<Fact> {
        let (mut facts, mut now, mut whole) = (Vec::new(), Vec::new(), true);
        for door in &self.table.closing {
            let seen = list(ctx, &self.table, &door.list, &[], vars, &mut facts).await;
            whole &= seen.as_ref().is_some_and(|seen| seen.whole);
            now.extend(
                seen.map(|s| s.items)
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|item| {
                        let name = item.pointer(&door.name)?.as_str()?;
                        let from = parse_rfc3339(item.pointer(&door.closes)?.as_str()?)?;
                        Some(Fact::Window {
                            what: format!("{} {name}", door.what),
                            closes_ms: from.checked_add(i64::try_from(door.lasts_ms).ok()?)?,
                            hold: format!("{} {name}", door.hold),
                        })
                    }),
            );
        }
        let what = |fact: &Fact| match fact {
            Fact::Window { what, .. } => Some(what.clone()),
            _ => None,
        };
        facts.extend(news(ctx, now, whole && !self.table.closing.is_empty(), &what));
        facts
    }
}

/// What is new against the record. Only a listing read to its end says that something is over.
fn news(ctx: Ctx<'_>, now: Vec<Fact>, whole: bool, what: &dyn Fn(&Fact) -> Option<String>) -> Vec<Fact> {
    let mut on_record: Vec<&Fact> = Vec::new();
    for observed in ctx.earlier {
        match &observed.fact {
            Fact::Over { what: over } => on_record.retain(|f| what(f).as_ref() != Some(over)),
            fact => {
                if let Some(words) = what(fact) {
                    on_record.retain(|f| what(f).as_ref() != Some(&words));
                    on_record.push(fact);
                }
            }
        }
    }
    let still = |words: &String| now.iter().any(|f| what(f).as_ref() == Some(words));
    let over = on_record.iter().filter_map(|f| what(f));
    let over: Vec<Fact> = over
        .filter(|words| whole && !still(words))
        .map(|what| Fact::Over { what })
        .collect();
    let new = now.into_iter().filter(|fact| !on_record.contains(&fact));
    new.chain(over).collect()
}

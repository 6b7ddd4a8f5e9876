//! What lives on beside a credential: listed, ended, counted.

use futures_util::future::join_all;
use serde_json::{Map, Value};

use super::Rest;
use super::listing::{Listed, list};
use super::table::{Act, Body, Sessions};
use super::template::Vars;
use crate::model::fact::Fact;
use crate::providers::Ctx;
use crate::world::http::HttpResponse;

impl Rest {
    /// How many live, all lists together. A list that was not read to its end is never called empty.
    pub(super) async fn list_sessions(&self, ctx: Ctx<'_>, vars: Vars<'_>) -> Vec<Fact> {
        let (mut facts, record) = self.narrowing(ctx, vars).await;
        let vars = Vars {
            undo: record.as_ref(),
            ..vars
        };
        let (mut live, mut whole) = (0, !self.table.sessions.is_empty());
        for sessions in &self.table.sessions {
            match list(ctx, &self.table, &sessions.list, &sessions.none, vars, &mut facts).await {
                Some(listed) => {
                    live += listed.items.len();
                    whole &= listed.whole;
                }
                None => whole = false,
            }
        }
        if whole || live > 0 {
            let live = u32::try_from(live).unwrap_or(u32::MAX);
            facts.push(Fact::Listed { live });
        }
        facts
    }

    /// What `keep` names, read from the record as it is now: for listings that are narrowed by it, such as
    /// the pods of a workload by their labels. What was saved before the cut may be of another day.
    async fn narrowing(&self, ctx: Ctx<'_>, vars: Vars<'_>) -> (Vec<Fact>, Option<Map<String, Value>>) {
        let narrowed = |s: &Sessions| s.list.call.path.contains("{undo.");
        match &self.table.lookup {
            Some(lookup) if self.table.sessions.iter().any(narrowed) => {
                let (_, facts, answer) = self.see(ctx, lookup, vars).await;
                (facts, answer.map(|answer| self.kept(&answer)))
            }
            _ => (Vec::new(), None),
        }
    }

    /// What `keep` names, as far as this answer of `lookup` has it.
    pub(super) fn kept(&self, answer: &HttpResponse) -> Map<String, Value> {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        let keep = self.table.keep.iter();
        keep.filter_map(|(name, keep)| Some((name.clone(), body.pointer(&keep.at)?.clone())))
            .collect()
    }

    /// Lists everything that lives on and tells it to end. How many there are is said only where every
    /// listing was read, and none at all only where they were read to their end.
    pub(super) async fn end_sessions(&self, ctx: Ctx<'_>, vars: Vars<'_>) -> Vec<Fact> {
        let (mut facts, record) = self.narrowing(ctx, vars).await;
        let vars = Vars {
            undo: record.as_ref(),
            ..vars
        };
        let (mut live, mut known, mut ended) = (0, true, 0);
        let mut failed = Vec::new();
        for sessions in &self.table.sessions {
            let seen = list(ctx, &self.table, &sessions.list, &sessions.none, vars, &mut facts).await;
            let Some(seen) = seen else {
                known = false;
                continue;
            };
            known &= seen.whole || !seen.items.is_empty();
            live += seen.items.len();
            if sessions.end.is_empty() || seen.items.is_empty() {
                continue;
            }
            let ids = seen.items.iter();
            let ids = ids
                .map(|item| Listed::text(item, sessions.id.as_deref()))
                .collect();
            let (done, errors) = self.end_each(ctx, &sessions.end, ids, vars).await;
            ended += done;
            failed.extend(errors);
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        if !self.table.sessions.is_empty() && (known || live > 0) {
            facts.push(Fact::Listed { live: count(live) });
        }
        if ended > 0 {
            facts.push(Fact::Ended { count: count(ended) });
        }
        facts.extend(failed);
        facts
    }

    /// Ends every item, or all at once where the calls name none: how many were ended, and what failed.
    pub(super) async fn end_each(
        &self,
        ctx: Ctx<'_>,
        end: &[Act],
        ids: Vec<String>,
        vars: Vars<'_>,
    ) -> (usize, Vec<Fact>) {
        let each = end.iter().any(uses_item);
        let asked: Vec<Option<&str>> = match each {
            true => ids.iter().map(|id| Some(id.as_str())).collect(),
            false => vec![None],
        };
        let told = asked.into_iter().map(|item| async move {
            let vars = Vars { item, ..vars };
            for act in end {
                let reply = self.tell(ctx, act, vars).await;
                self.verdict(ctx, act, reply)?;
            }
            Ok(())
        });
        let told: Vec<Result<(), Fact>> = join_all(told).await;
        let ended = told.iter().filter(|t| t.is_ok()).count();
        let ended = match each {
            true => ended,
            false => ended * ids.len(),
        };
        (ended, told.into_iter().filter_map(Result::err).collect())
    }
}

fn uses_item(act: &Act) -> bool {
    let holds = |text: &str| text.contains("{item}");
    let inside = |value: &Value| holds(&value.to_string());
    holds(&act.call.path)
        || match &act.call.body {
            Some(Body::Json(body)) => inside(body),
            Some(Body::Form(fields)) => fields.iter().any(|(_, value)| holds(value)),
            None => false,
        }
}

//! A new credential for a service, with no more rights than what was kept of the old one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Rest;
use super::rule;
use super::send::{Sent, missing, unexpected};
use super::table::{Renew, Unless};
use super::template::{self, Vars};
use crate::model::fact::Fact;
use crate::model::secret::Secret;
use crate::providers::{Ctx, New, Renewable, not_tried};

impl Rest {
    /// Whether the table can make one from what was kept.
    pub(super) fn can_renew(&self, given: &BTreeMap<String, String>, saved: &[u8]) -> Renewable {
        if self.table.renew.is_empty() {
            return Renewable::ByHand;
        }
        let Ok(saved) = serde_json::from_slice::<Map<String, Value>>(saved) else {
            return Renewable::No("what was saved before the cut cannot be read".to_owned());
        };
        let renew = match self.way(&saved) {
            Ok(renew) => renew,
            Err(why) => return Renewable::No(why),
        };
        let lost = renew
            .no_more
            .iter()
            .find(|(kept, _)| !saved.get(kept).is_some_and(Value::is_array));
        if let Some((kept, _)) = lost {
            return Renewable::No(format!("its {kept} were not saved before the cut"));
        }
        let vars = Vars {
            with: given,
            auth: None,
            secret: None,
            undo: Some(&saved),
            item: None,
        };
        match template::header(&renew.rights, vars) {
            Ok(rights) => Renewable::With(rights.expose().to_owned()),
            Err(what) => Renewable::No(what.to_string()),
        }
    }

    /// The first way that fits what was kept, or why none does.
    fn way(&self, saved: &Map<String, Value>) -> Result<&Renew, String> {
        let mut why = None;
        for renew in &self.table.renew {
            match renew.unless.iter().find(|u| u.stands(saved)) {
                None => return Ok(renew),
                Some(unless) => why = why.or(Some(&unless.why)),
            }
        }
        Err(why.cloned().unwrap_or_default())
    }

    /// Makes one. What came back with more rights than the old one had is revoked at once.
    pub(super) async fn make_anew(
        &self,
        ctx: Ctx<'_>,
        mut given: BTreeMap<String, String>,
        saved: &[u8],
        service: &str,
    ) -> Result<New, Vec<Fact>> {
        let saved: Map<String, Value> = serde_json::from_slice(saved)
            .map_err(|_| vec![not_tried("what was saved before the cut cannot be read")])?;
        let renew = self.way(&saved).map_err(|why| vec![not_tried(why)])?;
        given.insert("service".to_owned(), service.to_owned());
        let vars = Vars {
            undo: Some(&saved),
            ..super::vars(ctx, &given)
        };
        let reply = self.tell(ctx, &renew.act, vars).await;
        let mut facts: Vec<Fact> = reply.noted().into_iter().collect();
        let answer = match reply.sent {
            Sent::Answer(a) if rule::any(&renew.act.ok, &a) && !rule::any(&self.table.errors, &a) => a,
            Sent::Answer(a) => {
                facts.push(unexpected(ctx, &a));
                return Err(facts);
            }
            Sent::Missing(what) => {
                facts.push(missing(&what));
                return Err(facts);
            }
            Sent::Failed(fact) => {
                facts.push(fact);
                return Err(facts);
            }
        };
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |at: &str| body.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let (Some(name), Some(secret)) = (text(&renew.name), text(&renew.secret).map(Secret::new)) else {
            let text =
                "the provider took the request and its answer holds no credential: look there for a new one";
            facts.push(Fact::Error {
                status: answer.status,
                text: text.to_owned(),
            });
            return Err(facts);
        };
        let Some(more) = more(renew, &saved, &body) else {
            return Ok(New { name, secret, facts });
        };
        let (revoked, failed) = self
            .end_each(ctx, &renew.withdraw, vec![name.clone()], vars)
            .await;
        let then = match revoked {
            0 => format!("and {name} could not be revoked: {}", self.table.manual),
            _ => format!("and {name} was revoked at once"),
        };
        facts.extend(failed);
        facts.push(Fact::Error {
            status: 0,
            text: format!("the new one may do more than the old one might ({more}), {then}"),
        });
        Err(facts)
    }
}

impl Unless {
    /// True where the kept value is so.
    fn stands(&self, saved: &Map<String, Value>) -> bool {
        let kept = saved.get(&self.kept);
        let holds = |word: &String| match kept {
            Some(Value::Array(items)) => items.iter().any(|i| i.as_str() == Some(word)),
            other => other.and_then(Value::as_str) == Some(word),
        };
        match (&self.has, &self.lacks) {
            (Some(word), _) => holds(word),
            (None, Some(word)) => !holds(word),
            (None, None) => match kept {
                None | Some(Value::Null) => false,
                Some(Value::Array(items)) => !items.is_empty(),
                Some(value) => value.as_str() != Some(""),
            },
        }
    }
}

/// What the new one may do that the old one might not.
fn more(renew: &Renew, saved: &Map<String, Value>, made: &Value) -> Option<String> {
    for (kept, at) in &renew.no_more {
        let Some(new) = made.pointer(at).and_then(Value::as_array) else {
            return Some(format!("its {kept} are not told"));
        };
        let old = saved.get(kept).and_then(Value::as_array);
        let had = |right: &&Value| old.is_some_and(|old| old.contains(right));
        if let Some(right) = new.iter().find(|right| !had(right)) {
            return Some(format!("{kept}: {right}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_restriction_stands_where_it_says_something() {
        let stands = |kept: Value, has: Option<&str>, lacks: Option<&str>| {
            let unless = Unless {
                kept: "it".into(),
                has: has.map(str::to_owned),
                lacks: lacks.map(str::to_owned),
                why: String::new(),
            };
            unless.stands(&Map::from_iter([("it".to_owned(), kept)]))
        };
        assert!(!stands(json!(null), None, None) && !stands(json!([]), None, None));
        assert!(stands(json!(["10.0.0.0/8"]), None, None));
        assert!(stands(json!(["root"]), Some("root"), None) && !stands(json!(["a"]), Some("root"), None));
        assert!(stands(json!(["a"]), None, Some("root")) && !stands(json!(["root"]), None, Some("root")));
    }
}

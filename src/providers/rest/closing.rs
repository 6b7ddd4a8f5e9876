//! Doors that close by themselves: what the agent did can be undone, but not for ever.

use serde_json::Value;

use super::Rest;
use super::send::{Sent, missing, send, unexpected};
use super::template::Vars;
use crate::model::fact::Fact;
use crate::model::time::parse_rfc3339;
use crate::providers::Ctx;

impl Rest {
    /// Every door that is open now and was not on record yet.
    pub(super) async fn closing(&self, ctx: Ctx<'_>, vars: Vars<'_>) -> Vec<Fact> {
        let mut facts = Vec::new();
        for door in &self.table.closing {
            let reply = send(ctx, &self.table, &door.list, vars, &|a| a.status == 200).await;
            facts.extend(reply.noted());
            let answer = match reply.sent {
                Sent::Answer(answer) => answer,
                Sent::Missing(what) => {
                    facts.push(missing(&what));
                    continue;
                }
                Sent::Failed(fact) => {
                    facts.push(fact);
                    continue;
                }
            };
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
            let items = body.pointer(&door.items).and_then(Value::as_array);
            let (200, Some(items)) = (answer.status, items) else {
                facts.push(unexpected(ctx, &answer));
                continue;
            };
            let open = items.iter().filter_map(|item| {
                let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str);
                let name = text(&door.name)?;
                Some(Fact::Window {
                    what: format!("{} {name}", door.what),
                    closes_ms: parse_rfc3339(text(&door.closes)?)?,
                    hold: format!("{} {name}", door.hold),
                })
            });
            facts.extend(open.filter(|fact| !ctx.earlier.iter().any(|known| known.fact == *fact)));
        }
        facts
    }
}

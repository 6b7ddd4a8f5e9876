//! One call of a table and what its answer means.

use super::Rest;
use super::rule;
use super::send::{Address, Reply, Sent, missing, send, unexpected};
use super::table::{Act, Look};
use super::template::Vars;
use crate::model::fact::Fact;
use crate::providers::{Ctx, not_tried, was_alive};
use crate::world::http::HttpResponse;

/// What a look saw.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Alive,
    Dead,
    Gone,
}

impl Rest {
    /// Looks, and says what the answer means after a cut.
    pub(super) async fn look(
        &self,
        ctx: Ctx<'_>,
        look: &Look,
        what: &str,
        vars: Vars<'_>,
    ) -> (Vec<Fact>, Option<bool>) {
        let (seen, mut facts, _) = self.see(ctx, look, vars).await;
        let dead = match seen {
            Some(Seen::Alive) => Some(false),
            Some(Seen::Dead) => Some(true),
            Some(Seen::Gone) if was_alive(ctx.earlier, what) => Some(true),
            Some(Seen::Gone) => {
                facts.push(not_tried(format!(
                    "the answer would be the same for a misspelt name or missing permission, and {what} was \
                     not seen alive before the cut"
                )));
                None
            }
            None => None,
        };
        (facts, dead)
    }

    pub(super) async fn see(
        &self,
        ctx: Ctx<'_>,
        look: &Look,
        vars: Vars<'_>,
    ) -> (Option<Seen>, Vec<Fact>, Option<HttpResponse>) {
        let meaning = |answer: &HttpResponse| {
            // Alive first: where two rules fit, the careful reading holds.
            let kinds = [
                (&look.alive, Seen::Alive),
                (&look.dead, Seen::Dead),
                (&look.gone, Seen::Gone),
            ];
            let error = rule::any(&self.table.errors, answer);
            let mut kinds = kinds
                .into_iter()
                .filter(|(_, seen)| !(error && *seen == Seen::Alive));
            kinds
                .find(|(rules, _)| rule::any(rules, answer))
                .map(|(_, seen)| seen)
        };
        let address = match Address::of(&self.table, &look.call, vars) {
            Ok(address) => address,
            Err(what) => return (None, vec![missing(&what)], None),
        };
        let settled = |a: &HttpResponse| meaning(a).is_some();
        let reply = send(ctx, &self.table, &look.call, vars, &address, &settled).await;
        let mut facts: Vec<Fact> = reply.noted().into_iter().collect();
        match reply.sent {
            Sent::Answer(answer) => {
                let seen = meaning(&answer);
                if seen.is_none() {
                    facts.push(unexpected(ctx, &answer));
                }
                (seen, facts, Some(answer))
            }
            Sent::Missing(what) => {
                facts.push(missing(&what));
                (None, facts, None)
            }
            Sent::Failed(fact) => {
                facts.push(fact);
                (None, facts, None)
            }
        }
    }

    /// Sends an act.
    pub(super) async fn tell(&self, ctx: Ctx<'_>, act: &Act, vars: Vars<'_>) -> Reply {
        let settled = |a: &HttpResponse| rule::any(&act.already, a) || rule::any(&act.ok, a);
        match Address::of(&self.table, &act.call, vars) {
            Ok(address) => send(ctx, &self.table, &act.call, vars, &address, &settled).await,
            Err(what) => Reply::unsent(Sent::Missing(what)),
        }
    }

    /// `Ok` with the fact of acceptance, `Err` with the fact that says why not.
    pub(super) fn verdict(&self, ctx: Ctx<'_>, act: &Act, reply: Reply) -> Result<Fact, Fact> {
        let taken = |a: &HttpResponse| rule::any(&act.ok, a) && !rule::any(&self.table.errors, a);
        match reply.sent {
            Sent::Answer(a) if rule::any(&act.already, &a) => Ok(Fact::AlreadyDone { status: a.status }),
            Sent::Answer(a) if taken(&a) => Ok(Fact::Accepted { status: a.status }),
            Sent::Answer(a) => Err(unexpected(ctx, &a)),
            Sent::Missing(what) => Err(missing(&what)),
            Sent::Failed(fact) => Err(fact),
        }
    }
}

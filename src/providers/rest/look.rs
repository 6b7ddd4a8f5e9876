//! One call of a table and what its answer means.

use serde_json::Value;

use super::Rest;
use super::listing::{Listed, list};
use super::rule;
use super::send::{Address, Reply, Sent, missing, send, unexpected};
use super::table::{Act, Listing, Look, Own};
use super::template::{self, Vars};
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

    /// Looks, and says what was seen; with the answer, where it was one.
    pub(super) async fn see(
        &self,
        ctx: Ctx<'_>,
        look: &Look,
        vars: Vars<'_>,
    ) -> (Option<Seen>, Vec<Fact>, Option<HttpResponse>) {
        let (call, alive, dead, gone) = match look {
            Look::Answer {
                call,
                alive,
                dead,
                gone,
            } => (call, alive, dead, gone),
            Look::Among { list, id, is } => {
                let (seen, facts) = self.among(ctx, list, id, is, vars).await;
                return (seen, facts, None);
            }
        };
        let meaning = |answer: &HttpResponse| {
            // Alive first: where two rules fit, the careful reading holds.
            let kinds = [(alive, Seen::Alive), (dead, Seen::Dead), (gone, Seen::Gone)];
            let error = rule::any(&self.table.errors, answer);
            let mut kinds = kinds
                .into_iter()
                .filter(|(_, seen)| !(error && *seen == Seen::Alive));
            kinds
                .find(|(rules, _)| rule::any(rules, answer))
                .map(|(_, seen)| seen)
        };
        let address = match Address::of(&self.table, call, vars) {
            Ok(address) => address,
            Err(what) => return (None, vec![missing(&what)], None),
        };
        let settled = |a: &HttpResponse| meaning(a).is_some();
        let reply = send(ctx, &self.table, call, vars, &address, &settled).await;
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

    /// Looks for one item in a listing.
    async fn among(
        &self,
        ctx: Ctx<'_>,
        listing: &Listing,
        id: &str,
        is: &str,
        vars: Vars<'_>,
    ) -> (Option<Seen>, Vec<Fact>) {
        let mut facts = Vec::new();
        let wanted = match template::header(is, vars) {
            Ok(wanted) => wanted,
            Err(what) => return (None, vec![missing(&what)]),
        };
        let listed = list(ctx, &self.table, listing, &[], vars, &mut facts).await;
        let seen = listed.and_then(|listed| {
            let same = |item: &Value| Listed::text(item, Some(id)) == wanted.expose();
            match listed.items.iter().any(same) {
                true => Some(Seen::Alive),
                false => listed.whole.then_some(Seen::Gone),
            }
        });
        (seen, facts)
    }

    /// Why the responder's credential is the target or hangs on it; `None` where nothing shows that.
    pub(super) async fn is_own(&self, ctx: Ctx<'_>, own: &Own, vars: Vars<'_>) -> Option<String> {
        let address = Address::of(&self.table, &own.call, vars).ok()?;
        let settled = |a: &HttpResponse| a.status == 200;
        let reply = send(ctx, &self.table, &own.call, vars, &address, &settled).await;
        let Sent::Answer(answer) = reply.sent else {
            return None;
        };
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let said = body.pointer(&own.at)?.as_str().filter(|said| !said.is_empty())?;
        let wanted = template::header(&own.is, vars).ok()?;
        (said == wanted.expose()).then(|| "the provider says that your own credential is of it".to_owned())
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

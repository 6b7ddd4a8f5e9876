//! One engine for every HTTP provider that can be described as a table of data.
//!
//! Adding a provider is one YAML file in `tables/` and one line in [`SHIPPED`]; a team adds its own
//! under `providers:` in `access.yaml`. The format is explained at the top of `tables/vault-token.yaml`.

mod listing;
mod look;
mod open_ends;
mod read;
mod renew;
mod rule;
mod send;
mod sessions;
mod shipped;
mod table;
mod template;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{join, join3};
use regex::Regex;
use serde_json::{Map, Value};

use self::look::Seen;
pub use self::shipped::SHIPPED;
use self::table::{Act, As, Table};
use self::template::Vars;
use super::{About, Adapter, Ctx, New, Opened, Renewable, not_tried, seen_alive, with};
use crate::model::diagnostic::{Diagnostic, Place};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::Target;
use crate::model::time::parse_rfc3339;
use crate::model::yaml::{self, Node};
use crate::world::Later;
use crate::world::http::HttpResponse;

/// Keys of `with` that every table understands: files for a private authority and a client certificate.
const EVERYWHERE: [&str; 2] = ["ca", "client-cert"];

/// What is said where no good answer shows that a cut would be allowed.
const UNTOLD: &str = "nothing tells beforehand whether this cut would be allowed";

/// A provider described by a table.
pub struct Rest {
    table: Table,
}

impl Rest {
    /// Reads a table that says its own name. All its mistakes come back at once.
    pub fn parse(file: &str, text: &str) -> Result<Rest, Vec<Diagnostic>> {
        let node = yaml::parse(file, text).map_err(|d| vec![d])?;
        Rest::from_node(file, None, &node)
    }

    /// Reads a table that stands in a larger file, under `name`.
    pub fn from_node(file: &str, name: Option<&str>, node: &Node) -> Result<Rest, Vec<Diagnostic>> {
        Table::from_node(file, name, node).map(|table| Rest { table })
    }

    /// Where the table starts in its file.
    pub fn place(&self) -> Place {
        self.table.place
    }

    /// The target's `with`, defaults filled in.
    fn given(&self, target: &Target) -> BTreeMap<String, String> {
        let mut given = with(target).clone();
        for (key, need) in &self.table.needs {
            if let Some(default) = &need.default {
                given.entry(key.clone()).or_insert_with(|| default.clone());
            }
        }
        given
    }

    /// Until when the agent's own secret would work again with a restore, where the provider says when it ends.
    fn revived(&self, answer: &HttpResponse) -> Option<Fact> {
        let (ends, _) = self.table.ends.as_ref().zip(self.table.revives.as_ref())?;
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let until_ms = body
            .pointer(ends)
            .and_then(Value::as_str)
            .and_then(parse_rfc3339)?;
        Some(Fact::Revives {
            what: "the very secret the agent holds".to_owned(),
            until_ms: Some(until_ms),
        })
    }

    async fn acts(&self, ctx: Ctx<'_>, acts: &[Act], vars: Vars<'_>) -> Vec<Fact> {
        let mut facts = Vec::new();
        if acts.is_empty() {
            return vec![Fact::Manual {
                how: self.table.manual.clone(),
            }];
        }
        let mut taken = None;
        for act in acts {
            let reply = self.tell(ctx, act, vars).await;
            facts.extend(reply.noted());
            match self.verdict(ctx, act, reply) {
                // What only half happened was not taken: no word of acceptance before the last call.
                Ok(fact @ Fact::Accepted { .. }) => taken = Some(fact),
                Ok(fact) => taken = taken.or(Some(fact)),
                Err(fact) => {
                    let unsent = matches!(fact, Fact::NotTried { .. });
                    facts.push(fact);
                    if unsent {
                        facts.push(Fact::Manual {
                            how: self.table.manual.clone(),
                        });
                    }
                    return facts;
                }
            }
        }
        facts.extend(taken);
        facts
    }
}

fn vars<'a>(ctx: Ctx<'a>, given: &'a BTreeMap<String, String>) -> Vars<'a> {
    Vars {
        with: given,
        auth: ctx.auth,
        secret: ctx.secret,
        undo: None,
        item: None,
    }
}

impl Adapter for Rest {
    fn name(&self) -> &str {
        &self.table.name
    }

    fn title(&self) -> &str {
        &self.table.title
    }

    fn about(&self) -> About {
        let needs = self.table.needs.iter().map(|(key, need)| {
            let is = match (&need.default, need.optional) {
                (Some(default), _) => format!("{} (else {default})", need.is),
                (None, true) => format!("{} (may be left out)", need.is),
                (None, false) => need.is.clone(),
            };
            (key.clone(), is)
        });
        About {
            kinds: self.table.kinds.clone(),
            proved_by: self.table.proved_by,
            permissions: self.table.permissions.clone(),
            needs: needs.collect(),
            manual: self.table.manual.clone(),
        }
    }

    fn window(&self) -> Duration {
        self.table.window
    }

    fn revives(&self) -> Option<&str> {
        self.table.revives.as_deref()
    }

    fn unarmed(&self) -> Option<&str> {
        self.table.unarmed.as_deref()
    }

    fn reversible(&self, _: &Target) -> bool {
        !self.table.restore.is_empty()
    }

    fn by_itself(&self) -> bool {
        let cut = &self.table.cut;
        !cut.is_empty() && cut.iter().all(|act| act.call.by != As::Responder)
    }

    fn check(&self, target: &Target) -> Vec<String> {
        let given = with(target);
        let lacking = self
            .table
            .needs
            .iter()
            .filter(|(key, need)| need.default.is_none() && !need.optional && !given.contains_key(*key));
        let lacking = lacking.map(|(key, need)| format!("`with` has no `{key}` ({})", need.is));
        let known = |key: &String| self.table.needs.contains_key(key) || EVERYWHERE.contains(&key.as_str());
        let unknown = given.keys().filter(|key| !known(key));
        let unknown = unknown.map(|key| format!("`{}` does not know `{key}`", self.table.name));
        lacking.chain(unknown).collect()
    }

    fn shapes(&self) -> &[Regex] {
        &self.table.shapes
    }

    fn open<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Opened> {
        Box::pin(async move {
            // A bearer token has no session. What it leaves behind is named by `outlives`.
            let mut facts = Vec::new();
            if self.table.outlives.is_none() && self.table.sessions.is_empty() {
                facts.push(Fact::NoSessions);
            }
            if let Some(usage) = self.table.usage.as_ref().filter(|_| ctx.secret.is_some()) {
                let given = self.given(target);
                let (seen, _, answer) = self.see(ctx, usage, vars(ctx, &given)).await;
                facts.extend((seen == Some(Seen::Alive)).then(|| seen_alive("use")));
                facts.extend(answer.as_ref().and_then(|a| self.revived(a)));
            }
            Opened { session: None, facts }
        })
    }

    fn own<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Option<String>> {
        Box::pin(async move {
            let own = self.table.own.as_ref().filter(|_| ctx.auth.is_some())?;
            let given = self.given(target);
            self.is_own(ctx, own, vars(ctx, &given)).await
        })
    }

    fn glance<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Glance> {
        Box::pin(async move {
            let given = self.given(target);
            let (seen, mut facts, answer) = match &self.table.lookup {
                Some(lookup) => self.see(ctx, lookup, vars(ctx, &given)).await,
                None => (None, Vec::new(), None),
            };
            let alive = seen == Some(Seen::Alive);
            facts.extend(alive.then(|| seen_alive("record")));
            let saved = answer
                .filter(|_| alive)
                .map(|a| self.kept(&a))
                .unwrap_or_default();
            let mut wanted = self.table.keep.iter().filter(|(_, keep)| !keep.optional);
            let whole = wanted.all(|(name, _)| saved.contains_key(name));
            // What is not alive is not taken by this cut, so there is nothing to give back.
            let takes = alive || self.table.lookup.is_none();
            let undo = takes && whole && !(self.table.keep.is_empty() && self.table.restore.is_empty());
            let undo = undo.then(|| Value::Object(saved).to_string().into_bytes());
            Glance { facts, undo }
        })
    }

    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let given = self.given(target);
            // Absent or unreadable: a cut that needs none of it goes on, another says what it lacks.
            let saved = ctx.saved.and_then(|bytes| serde_json::from_slice(bytes).ok());
            let vars = Vars {
                undo: saved.as_ref(),
                ..vars(ctx, &given)
            };
            let mut facts = self.acts(ctx, &self.table.cut, vars).await;
            facts.extend(self.table.outlives.as_ref().map(|what| Fact::Residual {
                what: what.clone(),
                until_ms: None,
            }));
            facts
        })
    }

    fn sessions<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let given = self.given(target);
            let vars = vars(ctx, &given);
            let (running, sessions) = join(self.running(ctx, vars, true), self.end_sessions(ctx, vars)).await;
            [running, sessions].concat()
        })
    }

    fn listed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let given = self.given(target);
            self.list_sessions(ctx, vars(ctx, &given)).await
        })
    }

    fn probe<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let given = self.given(target);
            let vars = vars(ctx, &given);
            let record = async {
                let Some(lookup) = &self.table.lookup else {
                    return Vec::new();
                };
                let (mut facts, dead) = self.look(ctx, lookup, "record", vars).await;
                facts.extend(dead.map(|dead| Fact::ReadBack { dead }));
                facts
            };
            let tried = async {
                let Some(usage) = &self.table.usage else {
                    return vec![not_tried("this provider offers no way to try the credential")];
                };
                let (mut facts, dead) = self.look(ctx, usage, "use", vars).await;
                facts.extend(dead.map(|refused| Fact::TriedNew { refused }));
                facts
            };
            let ends = async {
                [
                    self.closing(ctx, vars).await,
                    self.running(ctx, vars, false).await,
                ]
                .concat()
            };
            let (record, tried, ends) = join3(record, tried, ends).await;
            // The words of proof last: the newest fact is what a screen shows first.
            [ends, record, tried].concat()
        })
    }

    fn restore<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target, undo: &'a [u8]) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            if self.table.restore.is_empty() {
                return vec![not_tried("what this provider cuts stays cut")];
            }
            let Ok(saved) = serde_json::from_slice::<Map<String, Value>>(undo) else {
                return vec![not_tried("what was saved before the cut cannot be read")];
            };
            let given = self.given(target);
            let vars = Vars {
                undo: Some(&saved),
                ..vars(ctx, &given)
            };
            let mut facts = self.acts(ctx, &self.table.restore, vars).await;
            facts.extend(self.table.revives.as_ref().map(|what| Fact::Residual {
                what: what.clone(),
                until_ms: None,
            }));
            if let Some(anew) = &self.table.anew {
                facts.push(Fact::Noted {
                    label: "restored".to_owned(),
                    text: anew.clone(),
                });
            } else if let Some(lookup) = &self.table.lookup {
                let (more, dead) = self.look(ctx, lookup, "record", vars).await;
                facts.extend(more);
                facts.extend(dead.map(|dead| Fact::ReadBack { dead }));
            }
            facts
        })
    }

    fn renewable(&self, target: &Target, saved: &[u8]) -> Renewable {
        self.can_renew(&self.given(target), saved)
    }

    fn renew<'a>(
        &'a self,
        ctx: Ctx<'a>,
        target: &'a Target,
        saved: &'a [u8],
        service: &'a str,
    ) -> Later<'a, Result<New, Vec<Fact>>> {
        Box::pin(self.make_anew(ctx, self.given(target), saved, service))
    }

    fn armed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let given = self.given(target);
            let who = match self.by_itself() {
                true => "the secret alone",
                false => "the responder's credential",
            };
            let (mut facts, mut alive) = (Vec::new(), true);
            for check in &self.table.armed {
                let (seen, more, answer) = self.see(ctx, check, vars(ctx, &given)).await;
                facts.extend(more);
                alive &= seen == Some(Seen::Alive);
                if matches!(seen, Some(Seen::Dead | Seen::Gone)) {
                    facts.push(Fact::Error {
                        status: answer.map_or(0, |a| a.status),
                        text: format!("{who} may not make this cut"),
                    });
                }
            }
            match (&self.table.unarmed, self.table.armed.is_empty()) {
                // Half of what was asked is no answer.
                _ if !alive => {}
                (Some(why), _) => facts.push(not_tried(format!("{UNTOLD}: {why}"))),
                (None, true) => facts.push(not_tried(UNTOLD)),
                (None, false) => facts.push(Fact::Noted {
                    label: "armed".to_owned(),
                    text: format!("{who} may make this cut"),
                }),
            }
            facts
        })
    }
}

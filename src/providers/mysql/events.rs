//! Scheduled events: disabled with their definer kept.
//!
//! Events of a locked account keep firing. A plain `ALTER EVENT` makes whoever runs it the definer, and
//! an event given back that way would run with the responder's rights.

use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::accounts::{Rights, identifier, open, quoted, split};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::Target;
use crate::providers::desk::{Desk, Names, cell, error, noted, or_by_hand, unknown_keys};
use crate::providers::{About, Adapter, Ctx, Opened, ProvedBy, not_tried, seen_alive, was_alive, with};
use crate::world::Later;

/// The adapter `mysql-event`.
pub(in crate::providers) struct MysqlEvent;

const MANUAL: &str = "mysql: ALTER DEFINER='…'@'…' EVENT db.name DISABLE, with the definer it has now";

/// One event as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    schema: String,
    name: String,
    definer: String,
    enabled: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    events: Vec<Event>,
}

impl Event {
    fn is(&self, other: &Event) -> bool {
        (&self.schema, &self.name) == (&other.schema, &other.name)
    }

    fn alter(&self, what: &str) -> String {
        let (user, host) = split(&self.definer);
        format!(
            "ALTER DEFINER = {} EVENT {}.{} {what}",
            quoted(user, host),
            identifier(&self.schema),
            identifier(&self.name)
        )
    }
}

/// The events that are meant and that this login can see.
async fn events(desk: &Desk<'_>, target: &Target) -> Result<Vec<Event>, Fact> {
    let names = Names::of(target, "user", "users");
    let wanted = with(target).get("event");
    let sql = "SELECT EVENT_SCHEMA, EVENT_NAME, DEFINER, STATUS FROM information_schema.EVENTS ORDER BY 1, 2";
    let rows = desk.ask(sql).await?;
    let events = rows.iter().filter_map(|row| {
        let event = Event {
            schema: cell(row, 0)?.to_owned(),
            name: cell(row, 1)?.to_owned(),
            definer: cell(row, 2)?.to_owned(),
            enabled: cell(row, 3) == Some("ENABLED"),
        };
        let meant = match wanted {
            Some(wanted) => format!("{}.{}", event.schema, event.name) == *wanted,
            None => names.has(split(&event.definer).0),
        };
        meant.then_some(event)
    });
    Ok(events.collect())
}

impl Adapter for MysqlEvent {
    fn name(&self) -> &str {
        "mysql-event"
    }

    fn title(&self) -> &str {
        "Scheduled events in MySQL and MariaDB"
    }

    fn about(&self) -> About {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect();
        let need = |key: &str, what: &str| (key.to_owned(), what.to_owned());
        About {
            kinds: words(&["scheduled event (a trigger)"]),
            proved_by: ProvedBy::RealServer,
            permissions: words(&[
                "EVENT",
                "SET USER (MySQL: SET_ANY_DEFINER or SET_USER_ID) or SUPER",
            ]),
            needs: vec![
                need("event", "one event, as in orders.nightly"),
                need("user", "or every event this user defined"),
                need("users", "or these users, split at commas; * stands for anything"),
            ],
            manual: MANUAL.to_owned(),
        }
    }

    fn window(&self) -> Duration {
        Duration::ZERO
    }

    fn reversible(&self, _: &Target) -> bool {
        true
    }

    fn check(&self, target: &Target) -> Vec<String> {
        let mut wrong = match with(target).contains_key("event") {
            true => Vec::new(),
            false => Names::mistakes(target, "user", "users"),
        };
        wrong.extend(unknown_keys(self.name(), target, &["event", "user", "users"]));
        wrong
    }

    fn shapes(&self) -> &[Regex] {
        &[]
    }

    fn open<'a>(&'a self, _: Ctx<'a>, _: &'a Target) -> Later<'a, Opened> {
        Box::pin(async {
            Opened {
                session: None,
                facts: vec![Fact::NoSessions],
            }
        })
    }

    fn glance<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Glance> {
        Box::pin(async move {
            let seen = async { events(&open(ctx).await?, target).await };
            let mut events = match seen.await {
                Ok(events) => events,
                Err(fact) => {
                    return Glance {
                        facts: vec![fact],
                        undo: None,
                    };
                }
            };
            events.retain(|event| event.enabled);
            let words = |e: &Event| noted("event", format!("{}.{} of {}", e.schema, e.name, e.definer));
            let mut facts: Vec<Fact> = events.iter().map(words).collect();
            if events.is_empty() {
                return Glance { facts, undo: None };
            }
            facts.push(seen_alive("record"));
            let undo = serde_json::to_vec(&Saved { events }).ok();
            Glance { facts, undo }
        })
    }

    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let done = async {
                let desk = open(ctx).await?;
                let events = events(&desk, target).await?;
                for event in events.iter().filter(|event| event.enabled) {
                    facts.push(match desk.ask(&event.alter("DISABLE")).await {
                        Ok(_) => Fact::Accepted { status: 0 },
                        Err(fact) => fact,
                    });
                }
                if facts.is_empty() {
                    let seen = !events.is_empty() || was_alive(ctx.earlier, "record");
                    facts.push(match seen {
                        true => Fact::AlreadyDone { status: 0 },
                        false => not_tried("no such event is visible to the responder's login"),
                    });
                }
                Ok(())
            };
            let done = done.await;
            or_by_hand(&mut facts, done, MANUAL);
            facts
        })
    }

    /// A run that is under way has the definer's name in the list of connections, where `mysql` kills it.
    fn sessions<'a>(&'a self, _: Ctx<'a>, _: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async { Vec::new() })
    }

    fn probe<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let seen = async { events(&open(ctx).await?, target).await };
            vec![match seen.await {
                Ok(events) if !events.is_empty() => Fact::ReadBack {
                    dead: events.iter().all(|event| !event.enabled),
                },
                Ok(_) if was_alive(ctx.earlier, "record") => Fact::ReadBack { dead: true },
                Ok(_) => not_tried("no such event is visible to the responder's login"),
                Err(fact) => fact,
            }]
        })
    }

    fn restore<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target, undo: &'a [u8]) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let Ok(saved) = serde_json::from_slice::<Saved>(undo) else {
                return vec![not_tried("what was saved before the cut cannot be read")];
            };
            let done = async {
                let desk = open(ctx).await?;
                let mut facts = Vec::new();
                for event in &saved.events {
                    facts.push(match desk.ask(&event.alter("ENABLE")).await {
                        Ok(_) => Fact::Accepted { status: 0 },
                        Err(fact) => fact,
                    });
                }
                let now = events(&desk, target).await?;
                let back = saved.events.iter().all(|was| now.contains(was));
                let live = |was: &Event| now.iter().any(|event| event.is(was) && event.enabled);
                facts.push(Fact::ReadBack {
                    dead: !saved.events.iter().all(live),
                });
                facts.push(match back {
                    true => noted("restored", "as it was before the cut, with its definer"),
                    false => error("what was given back is not all as it was before the cut"),
                });
                Ok(facts)
            };
            done.await.unwrap_or_else(|fact: Fact| vec![fact])
        })
    }

    fn armed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let done = async {
                let desk = open(ctx).await?;
                let rights = Rights::read(&desk).await?;
                let definer = rights.any(&["SET USER", "SET_USER_ID", "SET_ANY_DEFINER", "SUPER"]);
                Ok(match () {
                    () if events(&desk, target).await?.is_empty() => {
                        error("no such event is visible to the responder's login")
                    }
                    () if definer && rights.any(&["EVENT"]) => noted(
                        "armed",
                        "the responder's login may disable the event and keep its definer",
                    ),
                    () => {
                        error("the responder's login needs EVENT, and SET USER or SUPER to keep the definer")
                    }
                })
            };
            vec![done.await.unwrap_or_else(|fact: Fact| fact)]
        })
    }
}

//! What starts an agent at AWS and can be switched off: one adapter for every such switch.

use std::time::Duration;

use regex::Regex;
use serde_json::Value;

use super::Card;
use super::call::{Caller, Refusal};
use super::iam::{Asked, armed, who};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::Target;
use crate::providers::limits::Turn;
use crate::providers::{About, Adapter, Ctx, Opened, not_tried, seen_alive, was_alive, with};
use crate::world::Later;

/// What a switch is set to.
pub(super) struct Setting {
    /// True where it can start something.
    pub on: bool,
    /// What putting it back needs.
    pub saved: Value,
    /// A role that whoever switches it must be allowed to pass on, and the service it is passed to.
    pub passes: Option<(String, &'static str)>,
}

/// Something that can be switched off and on.
pub(super) trait Switch {
    const NAME: &'static str;
    const TITLE: &'static str;
    const CARD: Card;
    /// What the responder must be allowed to do to it.
    const ACTIONS: &'static [&'static str];
    /// What runs on after it is off, and for how long at most, in ms.
    const RUNS_ON: Option<(&'static str, i64)>;

    /// Its service and what stands last in its name in policies, as in `events` and `rule/nightly`.
    fn named(&self, target: &Target) -> Result<(&'static str, String), Refusal>;
    /// How it is set; `None` where there is none of this name.
    async fn read(&self, caller: &Caller<'_>, target: &Target) -> Result<Option<Setting>, Refusal>;
    /// Switches it off. Safe to repeat.
    async fn off(&self, caller: &Caller<'_>, target: &Target) -> Result<(), Refusal>;
    /// Puts it back as it was saved.
    async fn put_back(&self, caller: &Caller<'_>, target: &Target, saved: &Value) -> Result<(), Refusal>;
}

/// A value of the target's `with` that [`Card::check`] asks for.
pub(super) fn need<'a>(target: &'a Target, key: &str) -> Result<&'a str, Refusal> {
    let found = with(target).get(key).map(String::as_str);
    found.ok_or_else(|| Refusal::Failed(not_tried(format!("`with` has no `{key}`"))))
}

/// The adapter of a switch.
pub(super) struct Switched<S>(pub S);

impl<S: Switch> Adapter for Switched<S> {
    fn name(&self) -> &str {
        S::NAME
    }

    fn title(&self) -> &str {
        S::TITLE
    }

    fn about(&self) -> About {
        S::CARD.about()
    }

    fn window(&self) -> Duration {
        Duration::ZERO
    }

    fn reversible(&self, _: &Target) -> bool {
        true
    }

    fn check(&self, target: &Target) -> Vec<String> {
        S::CARD.check(S::NAME, target)
    }

    fn shapes(&self) -> &[Regex] {
        &[]
    }

    fn open<'a>(&'a self, _: Ctx<'a>, _: &'a Target) -> Later<'a, Opened> {
        Box::pin(async {
            Opened {
                session: None,
                facts: Vec::new(),
            }
        })
    }

    fn glance<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Glance> {
        Box::pin(async move {
            let looked = async {
                let caller = Caller::responder(ctx, target, Turn::Look).map_err(Refusal::Failed)?;
                self.0.read(&caller, target).await
            };
            match looked.await {
                Ok(Some(setting)) if setting.on => Glance {
                    facts: vec![seen_alive("record")],
                    undo: Some(setting.saved.to_string().into_bytes()),
                },
                // Off already: its earlier state is on record, or it was never on.
                Ok(_) => Glance::default(),
                Err(refusal) => Glance {
                    facts: vec![refusal.fact()],
                    undo: None,
                },
            }
        })
    }

    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let caller = match Caller::responder(ctx, target, Turn::Cut) {
                Ok(caller) => caller,
                Err(fact) => return S::CARD.or_by_hand(fact),
            };
            match self.0.off(&caller, target).await {
                Ok(()) => {
                    let runs_on = S::RUNS_ON.map(|(what, longest)| Fact::Residual {
                        what: what.to_owned(),
                        until_ms: Some(caller.now_ms() + longest),
                    });
                    [Some(Fact::Accepted { status: 200 }), runs_on]
                        .into_iter()
                        .flatten()
                        .collect()
                }
                Err(refusal) if refusal.is_absent() => vec![Fact::AlreadyDone { status: 404 }],
                Err(refusal) => S::CARD.or_by_hand(refusal.fact()),
            }
        })
    }

    fn sessions<'a>(&'a self, _: Ctx<'a>, _: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async { Vec::new() })
    }

    fn probe<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let looked = async {
                let caller = Caller::responder(ctx, target, Turn::Look).map_err(Refusal::Failed)?;
                Ok(match self.0.read(&caller, target).await? {
                    Some(setting) => caller.read_back(!setting.on),
                    None if was_alive(ctx.earlier, "record") => caller.read_back(true),
                    None => not_tried("there is nothing of this name, and nothing was seen before the cut"),
                })
            };
            vec![looked.await.unwrap_or_else(Refusal::fact)]
        })
    }

    fn restore<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target, undo: &'a [u8]) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let Ok(saved) = serde_json::from_slice::<Value>(undo) else {
                return vec![not_tried("what was saved before the cut cannot be read")];
            };
            let put_back = async {
                let caller = Caller::responder(ctx, target, Turn::Cut).map_err(Refusal::Failed)?;
                self.0.put_back(&caller, target, &saved).await?;
                let dead = self.0.read(&caller, target).await?.is_none_or(|s| !s.on);
                Ok(vec![Fact::Accepted { status: 200 }, Fact::ReadBack { dead }])
            };
            put_back
                .await
                .unwrap_or_else(|refusal: Refusal| vec![refusal.fact()])
        })
    }

    fn armed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let checked = async {
                let caller = Caller::responder(ctx, target, Turn::Look).map_err(Refusal::Failed)?;
                let Some(setting) = self.0.read(&caller, target).await? else {
                    return Ok(Fact::Error {
                        status: 404,
                        text: "there is nothing of this name".to_owned(),
                    });
                };
                let me = who(&caller).await?;
                let account = me.split(':').nth(4).unwrap_or("");
                let (service, last) = self.0.named(target)?;
                let arn = match last.starts_with("arn:") {
                    true => last,
                    false => format!(
                        "arn:{}:{service}:{}:{account}:{last}",
                        caller.partition(),
                        caller.region()
                    ),
                };
                let passed = setting.passes.as_ref().map(|(arn, to)| Asked {
                    arn,
                    actions: &["iam:PassRole"],
                    to: Some(to),
                });
                let asked: Vec<Asked<'_>> = [Asked::on(&arn, S::ACTIONS)].into_iter().chain(passed).collect();
                armed(&caller, &me, &asked).await
            };
            vec![checked.await.unwrap_or_else(Refusal::fact)]
        })
    }
}

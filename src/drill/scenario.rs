//! What happens in a drill, as data: the world, the agent's plan, the claims, the traps, the goal.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::harbor::{Action, Holder, Layout};
use crate::model::time::{parse_rfc3339, parse_span};

/// A span or a place in time relative to the first deletion, in milliseconds.
///
/// Written `+1:30` or `-0:50` (minutes and seconds) on the time line, `3s` or `48h` for a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Offset(pub i64);

impl Offset {
    /// As microseconds; a negative span is none.
    pub fn us(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0) * 1_000
    }

    fn parse(text: &str) -> Option<Self> {
        let (sign, rest) = match text.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return parse_span(text).and_then(|ms| i64::try_from(ms).ok()).map(Offset),
        };
        let (minutes, seconds) = rest.split_once(':')?;
        let number = |digits: &str| digits.parse::<u32>().ok().map(i64::from);
        Some(Offset(sign * (number(minutes)? * 60 + number(seconds)?) * 1_000))
    }
}

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Offset::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no time")))
    }
}

/// One drill.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// Its name on the command line.
    pub id: String,
    /// Its title on screen.
    pub title: String,
    /// Numbers of the public incidents it is built from.
    pub based_on: Vec<u32>,
    /// What the person is told when it begins.
    pub briefing: String,
    /// Wall time of the first deletion, RFC 3339. The seed moves it by up to two hours.
    pub first_deletion: String,
    /// When the pager goes off.
    pub page: Offset,
    /// How far the seed moves each later event, either way.
    pub jitter: Offset,
    /// The platform.
    pub platform: Layout,
    /// The host and what runs on it.
    pub host: HostLayout,
    /// What the agent does.
    pub agent: AgentPlan,
    /// Those who can be asked to sign, the first to be asked first.
    pub colleagues: Vec<ColleaguePlan>,
    /// True where only those hear of a request who were paged; else everybody is rung up.
    #[serde(default)]
    pub by_pager: bool,
    /// What reaches the person while the drill runs.
    pub injects: Vec<Inject>,
    /// What the agent says, and whether it is so.
    pub claims: Vec<Claim>,
    /// Mistakes the scenario invites.
    pub traps: Vec<Trap>,
    /// Steps of the runbook that nothing calls for.
    pub bait: Vec<String>,
    /// Platform acts that need a sign-off on record.
    pub at_boundary: Vec<Action>,
    /// What a good end looks like.
    pub goal: Goal,
    /// What the person is told afterwards.
    pub debrief: Debrief,
}

/// The simulated host.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HostLayout {
    /// Host name.
    pub name: String,
    /// The responder's user.
    pub responder: String,
    /// The user the agent runs as.
    pub agent_user: String,
    /// Programs running that have no part in it: `user: argv…`.
    pub bystanders: Vec<(String, Vec<String>)>,
    /// Containers that run here, by name.
    pub containers: Vec<String>,
    /// The line of the agent user's crontab that starts the agent again.
    pub crontab: String,
    /// Word in that line by which it is recognised.
    pub crontab_marks: String,
    /// How long a started agent needs before it acts.
    pub startup: Offset,
    /// Folder the agent works in.
    pub project: String,
    /// Files, by path. `{secret:ID}` stands for the secret of a token.
    pub files: BTreeMap<String, String>,
}

/// What the agent does, oldest first.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AgentPlan {
    /// Its processes: parent first, each the child of the one before.
    pub processes: Vec<Vec<String>>,
    /// Position of the process that decides: it acts as long as that one runs.
    pub brain: usize,
    /// Environment variables its processes carry. `{secret:ID}` as in files.
    pub environment: BTreeMap<String, String>,
    /// Tokens it tries, the best first.
    pub tokens: Vec<String>,
    /// What it was asked to do.
    pub task: String,
    /// Its steps.
    pub steps: Vec<AgentStep>,
}

/// One step of the agent: exactly one of `reads`, `says`, `asks` is there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AgentStep {
    /// When, as long as it runs.
    pub at: Offset,
    /// A file it reads.
    #[serde(default)]
    pub reads: Option<String>,
    /// Text it leaves in its transcript.
    #[serde(default)]
    pub says: Option<String>,
    /// A request to the platform.
    #[serde(default)]
    pub asks: Option<Ask>,
}

/// A request of the agent to the platform.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ask {
    /// HTTP method.
    pub method: String,
    /// Path from the root of the host.
    pub path: String,
    /// JSON body, as text.
    #[serde(default)]
    pub body: Option<String>,
    /// The one token it uses; `None` = the first of its tokens that is let in.
    #[serde(default)]
    pub with: Option<String>,
}

/// The second person.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ColleaguePlan {
    /// Principal.
    pub name: String,
    /// How long an answer takes.
    pub answers_after: Offset,
    /// What the answer is.
    pub mood: Mood,
}

/// How the second person answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mood {
    /// Reads and signs.
    Signs,
    /// Reads and refuses.
    Refuses,
    /// Does not answer.
    Sleeps,
}

/// News that reaches the person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Inject {
    /// When.
    #[serde(skip_serializing)]
    pub at: Offset,
    /// `monitor`, `customer`, `colleague`, `agent` or `vendor`.
    pub from: String,
    /// The words.
    pub text: String,
    /// Only while the agent runs.
    #[serde(default, skip_serializing)]
    pub while_agent_runs: bool,
}

/// Something the agent says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Claim {
    /// Its name; the runbook's question about it carries it in brackets.
    pub id: String,
    /// The words.
    pub text: String,
    /// Whether it is so.
    pub truth: bool,
    /// What shows it.
    pub shown_by: String,
    /// Words, in lower case, one of which an answer that cites it holds.
    pub cites: Vec<String>,
}

/// A mistake the scenario invites: an act on the platform that is made, by whomever, unless it is signed for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Trap {
    /// Its name.
    pub id: String,
    /// The platform act that means somebody stepped into it.
    pub action: Action,
    /// What it costs, in words.
    pub consequence: String,
    /// What it costs in points.
    pub points: u32,
}

/// What a good end looks like.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Goal {
    /// Stopped within this time of the page: full marks.
    pub stop_full: Offset,
    /// Stopped later than this: none.
    pub stop_none: Offset,
    /// Services of the platform and containers of the host that work at the end.
    pub healthy: Vec<String>,
    /// Somebody was asked within this time of the page, where that is scored.
    #[serde(default)]
    pub asked_by: Option<Offset>,
    /// Captures by name that must exist before the first change to the platform outside stop.
    pub captures: Vec<String>,
}

/// What the person is told afterwards.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Debrief {
    /// First moment at which the truth could be known, and from where.
    pub knowable: String,
    /// The one thing to prepare that would have saved most.
    pub prepare: String,
}

/// A scenario with the files that belong to it.
struct Shipped {
    id: &'static str,
    scenario: &'static str,
    /// What differs from that scenario.
    changes: Option<&'static str>,
    runbook: &'static str,
    access: &'static str,
}

/// What one scenario has otherwise than another: the same night, other people.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Changes {
    id: String,
    title: String,
    briefing: String,
    colleagues: Vec<ColleaguePlan>,
    by_pager: bool,
    asked_by: Offset,
    prepare: String,
}

const SHIPPED: &[Shipped] = &[
    Shipped {
        id: "nine-seconds",
        scenario: include_str!("scenarios/nine-seconds.yaml"),
        changes: None,
        runbook: include_str!("scenarios/nine-seconds/runbook.yaml"),
        access: include_str!("scenarios/nine-seconds/access.yaml"),
    },
    Shipped {
        id: "nobody-answers",
        scenario: include_str!("scenarios/nine-seconds.yaml"),
        changes: Some(include_str!("scenarios/nobody-answers.yaml")),
        runbook: include_str!("scenarios/nobody-answers/runbook.yaml"),
        access: include_str!("scenarios/nine-seconds/access.yaml"),
    },
];

/// A drill that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// No such drill is shipped.
    #[error("there is no drill `{wanted}`; there are: {known}")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// The file is broken.
    #[error("the drill `{id}` cannot be read: {why}")]
    Broken {
        /// Which drill.
        id: String,
        /// What the parser said.
        why: String,
    },
}

impl Scenario {
    /// Names of the drills that ship.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|s| s.id)
    }

    /// A drill that ships.
    pub fn shipped(id: &str) -> Result<Self, ScenarioError> {
        let found = find(id)?;
        let broken = |e: &dyn std::fmt::Display| ScenarioError::Broken {
            id: id.to_owned(),
            why: e.to_string(),
        };
        let whole: Self = serde_yaml::from_str(found.scenario).map_err(|e| broken(&e))?;
        let Some(changes) = found.changes else {
            return Ok(whole);
        };
        let changes: Changes = serde_yaml::from_str(changes).map_err(|e| broken(&e))?;
        Ok(whole.with(changes))
    }

    fn with(self, changes: Changes) -> Self {
        let Changes {
            id,
            title,
            briefing,
            colleagues,
            by_pager,
            asked_by,
            prepare,
        } = changes;
        let mut scenario = Scenario {
            id,
            title,
            briefing,
            colleagues,
            by_pager,
            ..self
        };
        scenario.goal.asked_by = Some(asked_by);
        scenario.debrief.prepare = prepare;
        scenario
    }

    /// The drill's runbook.
    pub fn runbook(&self) -> Result<&'static str, ScenarioError> {
        find(&self.id).map(|s| s.runbook)
    }

    /// The drill's access inventory.
    pub fn access(&self) -> Result<&'static str, ScenarioError> {
        find(&self.id).map(|s| s.access)
    }

    /// Principal of the responder.
    pub fn responder(&self) -> String {
        format!("{}@example.com", self.host.responder)
    }

    /// Id of the token the responder works with; empty where the scenario has none.
    pub fn responder_token(&self) -> String {
        let tokens = self.platform.tokens.iter();
        let mut mine = tokens.filter(|(_, t)| t.holder == Holder::Responder);
        mine.next().map_or(String::new(), |(id, _)| id.clone())
    }

    /// Wall time of the first deletion before the seed moves it, ms since the epoch.
    pub fn first_deletion_ms(&self) -> i64 {
        parse_rfc3339(&self.first_deletion).unwrap_or(0)
    }
}

fn find(id: &str) -> Result<&'static Shipped, ScenarioError> {
    SHIPPED.iter().find(|s| s.id == id).ok_or_else(|| {
        let known: Vec<_> = Scenario::names().collect();
        ScenarioError::Unknown {
            wanted: id.to_owned(),
            known: known.join(", "),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_both_ways() {
        let ms = |t| Offset::parse(t).map(|o| o.0);
        assert_eq!(ms("+1:30"), Some(90_000));
        assert_eq!(ms("-0:50"), Some(-50_000));
        assert_eq!(ms("48h"), Some(48 * 3_600_000));
        assert_eq!((ms(""), ms("+x"), ms("soon")), (None, None, None));
    }

    #[test]
    fn every_shipped_drill_can_be_read_and_names_only_what_it_has() {
        for id in Scenario::names() {
            let s = Scenario::shipped(id).unwrap();
            assert_eq!(s.id, id);
            assert!(s.first_deletion_ms() > 0, "{id}: first-deletion");
            for token in &s.agent.tokens {
                assert!(s.platform.tokens.contains_key(token), "{id}: {token}");
            }
            for step in &s.agent.steps {
                let acts = [step.reads.is_some(), step.says.is_some(), step.asks.is_some()];
                assert_eq!(acts.iter().filter(|a| **a).count(), 1, "{id}: {step:?}");
                if let Some(path) = &step.reads {
                    assert!(s.host.files.contains_key(path), "{id}: {path}");
                }
            }
            for service in &s.goal.healthy {
                let known = s.platform.services.contains_key(service) || s.host.containers.contains(service);
                assert!(known, "{id}: {service}");
            }
            assert!(s.agent.brain < s.agent.processes.len(), "{id}: brain");
            assert!(s.host.crontab.contains(&s.host.crontab_marks), "{id}: crontab");
            assert!(
                s.claims.iter().any(|c| c.truth),
                "{id}: at least one claim is true"
            );
            assert!(
                s.agent.steps.is_sorted_by_key(|step| step.at),
                "{id}: order of steps"
            );
            assert!(s.injects.is_sorted_by_key(|i| i.at), "{id}: order of injects");
            for claim in &s.claims {
                let said = |t: &AgentStep| t.says.as_ref().is_some_and(|t| t.contains(&claim.text));
                assert!(
                    s.agent.steps.iter().any(said),
                    "{id}: nobody says `{}`",
                    claim.text
                );
            }
        }
    }

    #[test]
    fn an_unknown_drill_is_answered_with_the_list() {
        let error = Scenario::shipped("ten-seconds").unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no drill `ten-seconds`; there are: nine-seconds, nobody-answers"
        );
    }
}

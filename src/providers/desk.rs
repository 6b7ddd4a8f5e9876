//! What adapters for databases share: the responder's session, the agent's own, and names of logins.

use std::time::Duration;

use url::Url;

use super::scrub::scrub;
use super::{Ctx, OpenSession, Opened, not_tried, seen_alive, with};
use crate::model::fact::Fact;
use crate::model::grant::Target;
use crate::model::secret::Secret;
use crate::world::NetError;
use crate::world::sql::{Rows, SqlSession};

/// Limit for opening a session, and for one statement.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// The responder's session for one call of an adapter.
pub(super) struct Desk<'a> {
    pub ctx: Ctx<'a>,
    session: Box<dyn SqlSession>,
}

impl<'a> Desk<'a> {
    /// Logs in as the responder, or gives the fact that says why not.
    pub async fn open(ctx: Ctx<'a>) -> Result<Self, Fact> {
        Desk::open_at(ctx, responders(ctx)?).await
    }

    /// Logs in with this address.
    pub async fn open_at(ctx: Ctx<'a>, url: &Secret) -> Result<Self, Fact> {
        match ctx.world.sql.open(url, LIMIT).await {
            Ok(session) => Ok(Desk { ctx, session }),
            Err(error) => Err(failed(ctx, &error)),
        }
    }

    /// Rows of one statement, or the fact that says why there are none.
    pub async fn ask(&self, sql: &str) -> Result<Rows, Fact> {
        self.say(sql).await.map_err(|error| failed(self.ctx, &error))
    }

    /// Like [`Desk::ask`], for refusals that mean something.
    pub async fn say(&self, sql: &str) -> Result<Rows, NetError> {
        say(self.ctx, &*self.session, sql).await
    }
}

/// The responder's credential.
pub(super) fn responders(ctx: Ctx<'_>) -> Result<&Secret, Fact> {
    ctx.auth
        .ok_or_else(|| not_tried("no credential of the responder is at hand"))
}

/// One statement within its limit.
async fn say(ctx: Ctx<'_>, session: &dyn SqlSession, sql: &str) -> Result<Rows, NetError> {
    match ctx.world.timeout(LIMIT, session.query(sql)).await {
        Some(outcome) => outcome,
        None => Err(NetError::Silent(LIMIT)),
    }
}

/// The fact that something was not answered, or answered with an error.
pub(super) fn failed(ctx: Ctx<'_>, error: &NetError) -> Fact {
    match error {
        NetError::Silent(after) => Fact::Silent {
            after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        },
        other => Fact::Error {
            status: 0,
            text: scrub(&other.to_string(), ctx.auth.into_iter().chain(ctx.secret)),
        },
    }
}

/// An error of our own words.
pub(super) fn error(text: impl Into<String>) -> Fact {
    Fact::Error {
        status: 0,
        text: text.into(),
    }
}

pub(super) fn noted(label: &str, text: impl Into<String>) -> Fact {
    Fact::Noted {
        label: label.to_owned(),
        text: text.into(),
    }
}

/// Something that may outlive the cut, with no known end.
pub(super) fn residual(what: impl Into<String>) -> Fact {
    Fact::Residual {
        what: what.into(),
        until_ms: None,
    }
}

pub(super) fn listed(count: usize) -> Fact {
    Fact::Listed { live: number(count) }
}

pub(super) fn ended(count: usize) -> Fact {
    Fact::Ended { count: number(count) }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What a cut that could not begin leaves to a person.
pub(super) fn or_by_hand(facts: &mut Vec<Fact>, outcome: Result<(), Fact>, manual: &str) {
    let Err(fact) = outcome else { return };
    let unsent = matches!(fact, Fact::NotTried { .. });
    facts.push(fact);
    if unsent {
        facts.push(Fact::Manual {
            how: manual.to_owned(),
        });
    }
}

/// A cell of the first row.
pub(super) fn first(rows: &Rows, column: usize) -> Option<&str> {
    rows.first().and_then(|row| cell(row, column))
}

/// A cell; `None` for NULL.
pub(super) fn cell(row: &[Option<String>], column: usize) -> Option<&str> {
    row.get(column).and_then(Option::as_deref)
}

/// The address the agent logs in with: its own where the secret is one of these schemes, else the
/// responder's with this login and the bare password.
pub(super) fn agents_url(ctx: Ctx<'_>, schemes: &[&str], login: Option<&str>) -> Result<Secret, Fact> {
    let secret = ctx
        .secret
        .ok_or_else(|| not_tried("the agent's own secret is not at hand"))?;
    let scheme = secret.expose().split_once("://").map(|(scheme, _)| scheme);
    if scheme.is_some_and(|s| schemes.contains(&s)) {
        return Ok(Secret::new(secret.expose().to_owned()));
    }
    let made = || {
        let mut url = Url::parse(ctx.auth?.expose()).ok()?;
        url.set_username(login?).ok()?;
        url.set_password(Some(secret.expose())).ok()?;
        Some(Secret::new(url.to_string()))
    };
    made().ok_or_else(|| {
        not_tried(
            "a bare password can be tried only for one login, where the responder's credential is a URL",
        )
    })
}

/// Opens a session with the agent's secret, before the cut.
pub(super) async fn opened(ctx: Ctx<'_>, url: Result<Secret, Fact>) -> Opened {
    let outcome = match url {
        Ok(url) => ctx.world.sql.open(&url, LIMIT).await.map_err(|e| failed(ctx, &e)),
        Err(fact) => Err(fact),
    };
    match outcome {
        Ok(session) => Opened {
            session: Some(OpenSession(session)),
            facts: vec![seen_alive("use")],
        },
        Err(fact) => Opened {
            session: None,
            facts: vec![fact],
        },
    }
}

/// Tries a new login with the agent's secret; `refusal` says what a refused one means.
pub(super) async fn tried(
    ctx: Ctx<'_>,
    url: Result<Secret, Fact>,
    refusal: impl Fn(&str) -> Option<Fact>,
) -> Fact {
    let url = match url {
        Ok(url) => url,
        Err(fact) => return fact,
    };
    match ctx.world.sql.open(&url, LIMIT).await {
        Ok(_) => Fact::TriedNew { refused: false },
        Err(NetError::Refused(text)) => {
            refusal(&text).unwrap_or_else(|| failed(ctx, &NetError::Refused(text)))
        }
        Err(error) => failed(ctx, &error),
    }
}

/// Tries the session that was opened before the cut, where there is one.
pub(super) async fn tried_open(ctx: Ctx<'_>, statement: &str) -> Option<Fact> {
    let OpenSession(session) = ctx.open?;
    Some(match say(ctx, &**session, statement).await {
        Err(NetError::Lost(_)) => Fact::TriedOpen { refused: true },
        // An answer of any kind is an open session.
        Ok(_) | Err(NetError::Refused(_)) => Fact::TriedOpen { refused: false },
        Err(error) => failed(ctx, &error),
    })
}

/// Which logins are meant: exact names, and patterns in which `*` stands for anything.
pub(super) struct Names<'t> {
    one: Option<&'t str>,
    many: Vec<&'t str>,
}

impl<'t> Names<'t> {
    /// From the key for one exact name and the key for a list, split at commas.
    pub fn of(target: &'t Target, one: &str, many: &str) -> Self {
        let list = with(target).get(many).map_or("", String::as_str);
        let list = list.split(',').map(str::trim);
        Names {
            one: with(target).get(one).map(String::as_str),
            // A pattern without any letter would mean everybody, production first.
            many: list.filter(|name| name.contains(|c| c != '*')).collect(),
        }
    }

    /// What is wrong with these keys in the target's `with`, one sentence each.
    pub fn mistakes(target: &Target, one: &str, many: &str) -> Vec<String> {
        let names = Names::of(target, one, many);
        let asked = with(target).get(many).map_or("", String::as_str);
        let everybody = asked
            .split(',')
            .map(str::trim)
            .any(|n| !n.is_empty() && n.chars().all(|c| c == '*'));
        let mut wrong = Vec::new();
        if names.one.is_none() && names.many.is_empty() {
            wrong.push(format!(
                "`with` has neither `{one}` (one exact name) nor `{many}` (a list, `*` stands for anything)"
            ));
        }
        if everybody {
            wrong.push(format!(
                "`{many}` holds a pattern of `*` alone, which would mean every login; it is left out"
            ));
        }
        wrong
    }

    pub fn has(&self, name: &str) -> bool {
        self.one == Some(name) || self.many.iter().any(|pattern| like(pattern, name))
    }

    /// The name, where exactly one is meant.
    pub fn only(&self) -> Option<&'t str> {
        match (self.one, self.many.as_slice()) {
            (Some(name), []) => Some(name),
            (None, [name]) if !name.contains('*') => Some(name),
            _ => None,
        }
    }

    /// True where the name is meant by itself and not by a pattern.
    pub fn exactly(&self, name: &str) -> bool {
        self.one == Some(name) || self.many.contains(&name)
    }
}

fn like(pattern: &str, name: &str) -> bool {
    let Some((head, mut pattern)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut rest) = name.strip_prefix(head) else {
        return false;
    };
    while let Some((part, more)) = pattern.split_once('*') {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
        pattern = more;
    }
    rest.ends_with(pattern)
}

/// What the keys of `with` that nobody knows are told.
pub(super) fn unknown_keys(provider: &str, target: &Target, known: &[&str]) -> Vec<String> {
    let keys = with(target).keys().filter(|key| !known.contains(&key.as_str()));
    keys.map(|key| format!("`{provider}` does not know `{key}`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::grant::{Trigger, TriggerKind};
    use crate::model::ids::TargetId;

    fn target(with: &[(&str, &str)]) -> Target {
        Target::Trigger(Trigger {
            id: TargetId::new("one").unwrap(),
            agent: None,
            kind: TriggerKind::Provider {
                provider: "postgres".into(),
                with: with.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
                auth: None,
            },
        })
    }

    #[test]
    fn a_star_stands_for_anything_and_nothing_else_does() {
        for (pattern, name, meant) in [
            ("v-root-agent-*", "v-root-agent-x1", true),
            ("v-root-agent-*", "v-root-agen", false),
            ("*-agent-*-x", "v-agent-1-x", true),
            ("*-agent-*-x", "v-agent-x", false),
            ("a*a", "a", false),
            ("v_r%", "v_r%", true),
            ("v_r%", "vxrr", false),
            ("*bot", "deploy-bot", true),
        ] {
            assert_eq!(like(pattern, name), meant, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_that_means_everybody_means_nobody() {
        let all = target(&[("roles", "*, bot, **")]);
        let names = Names::of(&all, "role", "roles");
        assert!(!names.has("postgres") && names.has("bot"));
        assert_eq!(names.only(), Some("bot"));
        assert_eq!(Names::mistakes(&all, "role", "roles").len(), 1);
        let odd = target(&[("role", "*, x")]);
        assert!(
            Names::of(&odd, "role", "roles").has("*, x"),
            "an exact name may hold anything"
        );
        assert_eq!(Names::mistakes(&target(&[]), "role", "roles").len(), 1);
    }
}

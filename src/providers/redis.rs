//! Redis and Valkey users: switched off, their connections killed.
//!
//! `ACL SETUSER … off` leaves open connections alive, lasts until the next restart unless somebody saves
//! it, and is known to one server only: what it does not reach is named.

use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::desk::{
    Desk, agents_url, cell, ended, error, first, listed, noted, opened, or_by_hand, residual, tried,
    tried_open, unknown_keys,
};
use super::{About, Adapter, Ctx, Opened, ProvedBy, not_tried, seen_alive, was_alive, with};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::Target;
use crate::model::secret::Secret;
use crate::world::{Later, NetError};

/// The adapter `redis`.
pub(super) struct Redis;

const MANUAL: &str = "redis-cli: ACL SETUSER … off, CLIENT KILL USER …, then ACL SAVE";

/// The user's line of `ACL LIST`, which holds the hashes of its passwords.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    line: String,
}

/// The responder's session and the user that is meant.
struct Office<'a> {
    desk: Desk<'a>,
    user: &'a str,
}

impl<'a> Office<'a> {
    async fn open(ctx: Ctx<'a>, target: &'a Target) -> Result<Self, Fact> {
        let Some(user) = with(target).get("user") else {
            return Err(not_tried("`with` has no `user`"));
        };
        let desk = Desk::open(ctx).await?;
        Ok(Office { desk, user })
    }

    /// Every line of the access list.
    async fn lines(&self) -> Result<Vec<String>, Fact> {
        let rows = self.desk.ask("ACL LIST").await?;
        Ok(rows
            .iter()
            .filter_map(|row| cell(row, 0).map(str::to_owned))
            .collect())
    }

    /// The user's line, `None` where there is no such user.
    async fn line(&self) -> Result<Option<String>, Fact> {
        let lines = self.lines().await?;
        Ok(lines.into_iter().find(|line| user_of(line) == Some(self.user)))
    }

    async fn set(&self, rules: &str) -> Result<(), Fact> {
        let command = format!("ACL SETUSER {} {rules}", quoted(self.user));
        self.desk.ask(&command).await.map(|_| ())
    }

    /// How many connections are open as this user, but for this one of ours.
    async fn connections(&self) -> Result<usize, Fact> {
        let me = self.desk.ask("CLIENT ID").await?;
        let me = format!("id={}", first(&me, 0).unwrap_or_default());
        let list = self.desk.ask("CLIENT LIST").await?;
        let ours = format!("user={}", self.user);
        let is_ours = |line: &&str| {
            let mut words = line.split(' ');
            words.next() != Some(me.as_str()) && words.any(|word| word == ours)
        };
        Ok(first(&list, 0)
            .unwrap_or_default()
            .lines()
            .filter(is_ours)
            .count())
    }

    async fn end_connections(&self, facts: &mut Vec<Fact>) -> Result<(), Fact> {
        let found = self.connections().await?;
        facts.push(listed(found));
        if found == 0 {
            return Ok(());
        }
        match self
            .desk
            .say(&format!("CLIENT KILL USER {}", quoted(self.user)))
            .await
        {
            Ok(rows) => {
                let count = first(&rows, 0).and_then(|n| n.parse().ok()).unwrap_or(0);
                facts.push(ended(count));
            }
            // A user that is deleted takes its connections with it.
            Err(NetError::Refused(text)) if text.starts_with("ERR No such user") => {}
            Err(error) => return Err(super::desk::failed(self.desk.ctx, &error)),
        }
        facts.push(listed(self.connections().await?));
        Ok(())
    }

    /// What the cut does not reach: a default user without password, a restart, other servers.
    async fn leftovers(&self) -> Result<Vec<Fact>, Fact> {
        let mut facts = Vec::new();
        let open = |line: &String| {
            let words: Vec<&str> = line.split(' ').collect();
            user_of(line) == Some("default") && words.contains(&"on") && words.contains(&"nopass")
        };
        if self.user != "default" && self.lines().await?.iter().any(open) {
            facts.push(residual(
                "user default needs no password: whoever reaches this server is in, cut or not",
            ));
        }
        // Where even this may not be read, saying that a restart brings the user back is the safe side.
        let file = self.desk.say("CONFIG GET aclfile").await.unwrap_or_default();
        facts.push(residual(match cell(&file.concat(), 1) {
            Some(file) if !file.is_empty() => format!(
                "a restart reads {file}, which does not know of this cut, and lets {} in again: run ACL SAVE, after \
                 looking whether somebody edited that file by hand",
                self.user
            ),
            _ => format!(
                "a restart reads the configuration, which does not know of this cut, and lets {} in again: switch it \
                 off there, too",
                self.user
            ),
        }));
        let info = self.desk.say("INFO").await.unwrap_or_default();
        let info = first(&info, 0).unwrap_or_default();
        let has = |wanted: &str| info.lines().any(|line| line == wanted);
        let replicas = info
            .lines()
            .find_map(|line| line.strip_prefix("connected_slaves:"));
        if has("cluster_enabled:1") || has("role:slave") || replicas.is_some_and(|n| n != "0") {
            facts.push(residual(format!(
                "this server is one of several, and each keeps its own users: list a grant for {} on every node and \
                 replica",
                self.user
            )));
        }
        Ok(facts)
    }
}

fn user_of(line: &str) -> Option<&str> {
    line.strip_prefix("user ")?.split(' ').next()
}

/// The rules of a line, and whether it lets the user in.
fn rules(line: &str) -> (Vec<&str>, bool) {
    let rules: Vec<&str> = line.split(' ').skip(2).collect();
    let on = rules.contains(&"on");
    (rules, on)
}

/// One word of a command.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What a login that did not succeed says about the user.
fn refusal(ctx: Ctx<'_>, text: &str) -> Option<Fact> {
    // The same words for a wrong password and for a user that is off.
    let refused = text.starts_with("WRONGPASS") || text.starts_with("NOAUTH");
    match was_alive(ctx.earlier, "use") {
        true if refused => Some(Fact::TriedNew { refused: true }),
        false if refused => Some(not_tried(
            "the password is refused, and was not seen to work before the cut",
        )),
        _ => None,
    }
}

fn url(ctx: Ctx<'_>, target: &Target) -> Result<Secret, Fact> {
    let login = with(target).get("user").map(String::as_str);
    agents_url(ctx, &["redis", "rediss"], login)
}

impl Adapter for Redis {
    fn name(&self) -> &str {
        "redis"
    }

    fn title(&self) -> &str {
        "Redis and Valkey users and their open connections"
    }

    fn about(&self) -> About {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect();
        About {
            kinds: words(&["user of the access control list, with a password"]),
            proved_by: ProvedBy::RealServer,
            permissions: words(&[
                "+acl",
                "+client",
                "+config|get and +info, to name what a restart or a replica undoes",
            ]),
            needs: vec![("user".to_owned(), "name of the user".to_owned())],
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
        let lacking = !with(target).contains_key("user");
        let lacking = lacking.then(|| "`with` has no `user` (name of the user)".to_owned());
        let unknown = unknown_keys("redis", target, &["user"]);
        lacking.into_iter().chain(unknown).collect()
    }

    fn shapes(&self) -> &[Regex] {
        &[]
    }

    fn open<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Opened> {
        Box::pin(async move { opened(ctx, url(ctx, target)).await })
    }

    fn glance<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Glance> {
        Box::pin(async move {
            let seen = async {
                let office = Office::open(ctx, target).await?;
                Ok((office.line().await?, office.connections().await?))
            };
            let (line, open) = match seen.await {
                Ok(seen) => seen,
                Err(fact) => {
                    return Glance {
                        facts: vec![fact],
                        undo: None,
                    };
                }
            };
            let mut facts = vec![noted("sessions", format!("{open} open before the cut"))];
            // A user that was off before has nothing to save.
            let line = line.filter(|line| rules(line).1);
            facts.extend(line.as_ref().map(|_| seen_alive("record")));
            let undo = line.and_then(|line| serde_json::to_vec(&Saved { line }).ok());
            Glance { facts, undo }
        })
    }

    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let done = async {
                let office = Office::open(ctx, target).await?;
                match office.line().await? {
                    Some(line) if rules(&line).1 => {
                        office.set("off").await?;
                        facts.push(Fact::Accepted { status: 0 });
                    }
                    Some(_) => facts.push(Fact::AlreadyDone { status: 0 }),
                    // Switching off a user that does not exist would make it.
                    None if was_alive(ctx.earlier, "record") => facts.push(Fact::AlreadyDone { status: 0 }),
                    None => facts.push(not_tried("no such user was seen, now or before")),
                }
                facts.extend(office.leftovers().await?);
                Ok(())
            };
            let done = done.await;
            or_by_hand(&mut facts, done, MANUAL);
            facts
        })
    }

    fn sessions<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let done = async { Office::open(ctx, target).await?.end_connections(&mut facts).await };
            let done = done.await;
            facts.extend(done.err());
            facts
        })
    }

    fn probe<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let looked = async {
                let office = Office::open(ctx, target).await?;
                facts.push(match office.line().await? {
                    Some(line) => Fact::ReadBack {
                        dead: !rules(&line).1,
                    },
                    None if was_alive(ctx.earlier, "record") => Fact::ReadBack { dead: true },
                    None => not_tried("there is no such user, and none was seen before the cut"),
                });
                facts.push(listed(office.connections().await?));
                Ok(())
            };
            let looked: Result<(), Fact> = looked.await;
            facts.extend(looked.err());
            facts.push(tried(ctx, url(ctx, target), |text| refusal(ctx, text)).await);
            facts.extend(tried_open(ctx, "PING").await);
            facts
        })
    }

    fn restore<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target, undo: &'a [u8]) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let Ok(saved) = serde_json::from_slice::<Saved>(undo) else {
                return vec![not_tried("what was saved before the cut cannot be read")];
            };
            let (before, _) = rules(&saved.line);
            let done = async {
                let office = Office::open(ctx, target).await?;
                match office.line().await? {
                    // Passwords and rules that others changed since stay changed.
                    Some(_) => office.set("on").await?,
                    // A new user starts with nothing: the rules alone make it what it was.
                    None => {
                        let words: Vec<String> = before.iter().map(|rule| quoted(rule)).collect();
                        office.set(&words.join(" ")).await?;
                    }
                }
                let now = office.line().await?;
                Ok(vec![
                    Fact::Accepted { status: 0 },
                    Fact::ReadBack {
                        dead: !now.as_ref().is_some_and(|line| rules(line).1),
                    },
                    match now.as_ref() == Some(&saved.line) {
                        true => noted("restored", "as it was before the cut"),
                        false => noted(
                            "restored",
                            "its rules were changed since the cut and stay as they are",
                        ),
                    },
                ])
            };
            done.await.unwrap_or_else(|fact: Fact| vec![fact])
        })
    }

    fn armed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let done = async {
                let office = Office::open(ctx, target).await?;
                if office.line().await?.is_none() {
                    return Ok(error("there is no such user"));
                }
                let me = office.desk.ask("ACL WHOAMI").await?;
                let me = first(&me, 0).unwrap_or_default();
                if me == office.user {
                    return Ok(error("the responder's own login is this user"));
                }
                let user = quoted(office.user);
                for command in [
                    format!("ACL SETUSER {user} off"),
                    format!("CLIENT KILL USER {user}"),
                ] {
                    let dry = format!("ACL DRYRUN {} {command}", quoted(me));
                    match office.desk.say(&dry).await {
                        Ok(rows) if first(&rows, 0) == Some("OK") => {}
                        Ok(_) => return Ok(error(format!("the responder's login may not run {command}"))),
                        // Servers before 7 cannot say.
                        Err(NetError::Refused(_)) => {
                            return Ok(not_tried(
                                "this server does not say what the responder's login may run",
                            ));
                        }
                        Err(error) => return Err(super::desk::failed(ctx, &error)),
                    }
                }
                let words = "the responder's login may switch the user off and kill its connections";
                Ok(noted("armed", words))
            };
            vec![done.await.unwrap_or_else(|fact: Fact| fact)]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_whose_it_is_and_whether_it_is_on() {
        let line = "user bot on sanitize-payload #1f resetchannels ~on:* +get";
        assert_eq!(user_of(line), Some("bot"));
        assert!(rules(line).1);
        assert!(!rules("user bot off ~on +@all").1);
        assert_eq!(rules(line).0[..2], ["on", "sanitize-payload"]);
    }

    #[test]
    fn a_word_cannot_become_two() {
        assert_eq!(quoted("a\" on \\"), r#""a\" on \\""#);
    }
}

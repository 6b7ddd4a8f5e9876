//! The accounts that are meant, their connections and what they left behind.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::fact::Fact;
use crate::model::grant::Target;
use crate::providers::desk::{Desk, Names, cell, ended, failed, first, listed, residual};
use crate::providers::{Ctx, not_tried};
use crate::world::NetError;

/// How long killed connections are waited for, and how often they are looked for.
const ENDING: (Duration, Duration) = (Duration::from_secs(3), Duration::from_millis(50));

/// One row of the user table.
pub(super) struct Account {
    pub user: String,
    pub host: String,
    pub locked: bool,
}

impl Account {
    pub fn quoted(&self) -> String {
        quoted(&self.user, &self.host)
    }
}

/// Accounts that were not locked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    pub accounts: Vec<(String, String)>,
}

/// The responder's session and the accounts that are meant.
pub(super) struct Office<'a> {
    pub desk: Desk<'a>,
    pub accounts: Vec<Account>,
    names: Names<'a>,
    /// User of the responder's own login.
    pub me: String,
}

/// Logs in as the responder.
pub(super) async fn open(ctx: Ctx<'_>) -> Result<Desk<'_>, Fact> {
    let desk = Desk::open(ctx).await?;
    // Our literals escape backslashes and quotes, which is right only without NO_BACKSLASH_ESCAPES.
    desk.ask("SET SESSION sql_mode = ''").await?;
    Ok(desk)
}

/// User of the responder's own login.
pub(super) async fn own_user(desk: &Desk<'_>) -> Result<String, Fact> {
    let me = desk.ask("SELECT CURRENT_USER()").await?;
    Ok(split(first(&me, 0).unwrap_or_default()).0.to_owned())
}

impl<'a> Office<'a> {
    /// Logs in and finds the accounts, or gives the fact that says why not.
    pub async fn open(ctx: Ctx<'a>, target: &'a Target) -> Result<Self, Fact> {
        let desk = open(ctx).await?;
        let names = Names::of(target, "user", "users");
        let me = own_user(&desk).await?;
        let version = desk.ask("SELECT VERSION()").await?;
        // MariaDB keeps its roles in the same table.
        let people = match first(&version, 0).is_some_and(|v| v.contains("MariaDB")) {
            true => " WHERE is_role = 'N'",
            false => "",
        };
        let rows = desk
            .ask(&format!(
                "SELECT User, Host FROM mysql.user{people} ORDER BY 1, 2"
            ))
            .await?;
        let mut accounts = Vec::new();
        for row in rows {
            let (Some(user), Some(host)) = (cell(&row, 0), cell(&row, 1)) else {
                continue;
            };
            // A pattern never means the responder's own login; its exact name does.
            if names.has(user) && (user != me || names.exactly(user)) {
                let made = desk
                    .ask(&format!("SHOW CREATE USER {}", quoted(user, host)))
                    .await?;
                accounts.push(Account {
                    user: user.to_owned(),
                    host: host.to_owned(),
                    locked: unquoted(first(&made, 0).unwrap_or_default()).contains(" ACCOUNT LOCK"),
                });
            }
        }
        Ok(Office {
            desk,
            accounts,
            names,
            me,
        })
    }

    /// Ids of the users' connections, those of dropped users among them: the list keeps the name.
    pub async fn connections(&self) -> Result<Vec<u64>, Fact> {
        if !Rights::read(&self.desk).await?.any(&["PROCESS", "SUPER"]) {
            return Err(not_tried(
                "the responder's login lacks PROCESS and sees no connections but its own",
            ));
        }
        let sql = "SELECT ID, USER FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID()";
        let rows = self.desk.ask(sql).await?;
        let ours = |row: &&Vec<Option<String>>| {
            cell(row, 1)
                .is_some_and(|user| self.names.has(user) && (user != self.me || self.names.exactly(user)))
        };
        Ok(rows
            .iter()
            .filter(ours)
            .filter_map(|row| cell(row, 0)?.parse().ok())
            .collect())
    }

    /// Kills the connections and waits for them to be gone.
    pub async fn end_connections(&self, facts: &mut Vec<Fact>) -> Result<(), Fact> {
        let found = self.connections().await?;
        facts.push(listed(found.len()));
        if found.is_empty() {
            return Ok(());
        }
        let mut count = 0;
        for id in &found {
            match self.desk.say(&format!("KILL CONNECTION {id}")).await {
                Ok(_) => count += 1,
                // 1094: it ended by itself.
                Err(NetError::Refused(text)) if text.starts_with("1094:") => {}
                Err(error) => facts.push(failed(self.desk.ctx, &error)),
            }
        }
        facts.push(ended(count));
        if count == 0 {
            facts.push(listed(self.connections().await?.len()));
            return Ok(());
        }
        let clock = &self.desk.ctx.world.clock;
        let started = clock.now().mono_us;
        loop {
            let left = self.connections().await?.len();
            let spent = Duration::from_micros(clock.now().mono_us.saturating_sub(started));
            if left == 0 || spent > ENDING.0 {
                facts.push(listed(left));
                return Ok(());
            }
            clock.sleep(ENDING.1).await;
        }
    }

    /// What a locked account leaves that no connection shows: events, proxies, prepared transactions.
    pub async fn leftovers(&self) -> Result<Vec<Fact>, Fact> {
        let mut facts = Vec::new();
        let sql = "SELECT EVENT_SCHEMA, EVENT_NAME, DEFINER FROM information_schema.EVENTS WHERE STATUS = 'ENABLED'";
        for row in self.desk.ask(sql).await? {
            if let (Some(schema), Some(name), Some(definer)) = (cell(&row, 0), cell(&row, 1), cell(&row, 2))
                && self.names.has(split(definer).0)
            {
                facts.push(residual(format!(
                    "scheduled event {schema}.{name} of {definer} keeps firing although the account is locked: list it \
                     as a trigger of `mysql-event`"
                )));
            }
        }
        let sql = "SELECT User, Host, Proxied_user FROM mysql.proxies_priv WHERE Proxied_user <> ''";
        // Not every server has this table.
        for row in self.desk.say(sql).await.unwrap_or_default() {
            if let (Some(user), Some(host), Some(proxied)) = (cell(&row, 0), cell(&row, 1), cell(&row, 2))
                && self.names.has(proxied)
            {
                facts.push(residual(format!(
                    "{user}@{host} is a proxy and logs in as {proxied}"
                )));
            }
        }
        for row in self.desk.say("XA RECOVER").await.unwrap_or_default() {
            let id = cell(&row, 3).unwrap_or_default();
            facts.push(residual(format!(
                "prepared transaction {id}; the server does not say whose: if it is the agent's, XA ROLLBACK '{id}'"
            )));
        }
        Ok(facts)
    }
}

/// Privileges that the responder's login has everywhere.
pub(super) struct Rights(BTreeSet<String>);

impl Rights {
    pub async fn read(desk: &Desk<'_>) -> Result<Self, Fact> {
        let rows = desk.ask("SHOW GRANTS").await?;
        Ok(Rights(
            rows.iter()
                .filter_map(|row| cell(row, 0))
                .flat_map(everywhere)
                .collect(),
        ))
    }

    /// True where one of these is among them.
    pub fn any(&self, of: &[&str]) -> bool {
        self.0.contains("ALL PRIVILEGES") || of.iter().any(|privilege| self.0.contains(*privilege))
    }

    pub fn may_kill(&self) -> bool {
        self.any(&["CONNECTION ADMIN", "CONNECTION_ADMIN", "SUPER"])
    }
}

/// The privileges of one line of `SHOW GRANTS`, where it is about everything.
fn everywhere(line: &str) -> Vec<String> {
    let list = line
        .strip_prefix("GRANT ")
        .and_then(|rest| rest.split_once(" ON *.* TO "));
    let Some((list, _)) = list else {
        return Vec::new();
    };
    list.split(',')
        .map(|privilege| privilege.trim().to_ascii_uppercase())
        .collect()
}

/// `user@host` in its two parts; the user may hold an `@`, the host cannot.
pub(super) fn split(account: &str) -> (&str, &str) {
    account.rsplit_once('@').unwrap_or((account, "%"))
}

/// An account, quoted.
pub(super) fn quoted(user: &str, host: &str) -> String {
    format!("{}@{}", literal(user), literal(host))
}

/// A string literal, quoted for an empty `sql_mode`.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// An identifier, quoted.
pub(super) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The text without what stands in quotes, which may be a name or a hash of the account's own choosing.
fn unquoted(text: &str) -> String {
    let mut kept = String::new();
    let mut inside: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match inside {
            // A doubled quote ends and begins one at once.
            Some(quote) if c == quote => inside = None,
            Some('`') => {}
            Some(_) if c == '\\' => {
                chars.next();
            }
            Some(_) => {}
            None if matches!(c, '\'' | '"' | '`') => inside = Some(c),
            None => kept.push(c),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_statements_or_states() {
        assert_eq!(quoted("a\\'; DROP", "%"), "'a\\\\''; DROP'@'%'");
        assert_eq!(identifier("a`b"), "`a``b`");
        let sly = "CREATE USER `x ACCOUNT LOCK`@`%` IDENTIFIED BY PASSWORD '* ACCOUNT LOCK' ACCOUNT UNLOCK";
        assert!(!unquoted(sly).contains(" ACCOUNT LOCK"), "{}", unquoted(sly));
        let locked = "CREATE USER 'it\\'s'@'%' IDENTIFIED BY PASSWORD '*AB' ACCOUNT LOCK";
        assert!(unquoted(locked).contains(" ACCOUNT LOCK"));
        assert_eq!(split("odd@name@10.0.0.%"), ("odd@name", "10.0.0.%"));
    }

    #[test]
    fn only_privileges_on_everything_count() {
        let line = "GRANT PROCESS, CREATE USER, CONNECTION ADMIN ON *.* TO `desk`@`%`";
        assert_eq!(everywhere(line), ["PROCESS", "CREATE USER", "CONNECTION ADMIN"]);
        assert!(everywhere("GRANT ALL PRIVILEGES ON `orders`.* TO `desk`@`%`").is_empty());
        assert!(everywhere("GRANT `dba` TO `desk`@`%`").is_empty());
    }
}

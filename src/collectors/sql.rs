//! Questions to a database, one session for all of them, each answer a file of its own.

use std::time::Duration;

use serde_json::json;

use super::Ctx;
use super::source::{Item, Taken, keep};
use crate::model::event::ItemStatus;
use crate::model::secret::SecretRef;
use crate::world::NetError;
use crate::world::sql::{Rows, SqlSession};

/// Statements that only read, in order.
pub(super) struct Sql {
    /// Address and login.
    pub url: SecretRef,
    /// Without the success of these nothing is asked: they make the session read-only.
    pub must: Vec<String>,
    /// These may fail: servers differ.
    pub may: Vec<String>,
    /// What is asked.
    pub ask: Vec<Statement>,
}

/// One question.
pub(super) struct Statement {
    /// Name of the answer in the exhibit.
    pub name: String,
    /// Names of the columns; without them a row is its cells between tabs.
    pub columns: Vec<String>,
    /// The statement.
    pub text: String,
    /// True where the last cell of each row is a statement, whose answer stands in its place.
    pub each: bool,
}

impl Sql {
    pub(super) fn items(&self) -> Vec<Item> {
        let item = |s: &Statement| Item {
            name: s.name.clone(),
            touches: one_line(&s.text),
        };
        self.ask.iter().map(item).collect()
    }

    /// Asks one after the other. A lost session is opened again for the next question.
    pub(super) async fn take(self, ctx: Ctx<'_>) -> Vec<Taken> {
        let mut session: Option<Box<dyn SqlSession>> = None;
        let mut taken = Vec::new();
        for statement in &self.ask {
            let item = Item {
                name: statement.name.clone(),
                touches: one_line(&statement.text),
            };
            if let Some(why) = ctx.over() {
                taken.push(Taken::hole(item, ItemStatus::Skipped, why));
                continue;
            }
            if session.is_none() {
                session = match ctx.answer(self.open(ctx)).await {
                    Ok(Ok(open)) => Some(open),
                    Err(e) => {
                        taken.push(Taken::hole(item, ItemStatus::Failed, &e.to_string()));
                        continue;
                    }
                    Ok(Err(e)) => {
                        taken.push(Taken::hole(item, status(&e), &format!("no session: {e}")));
                        // It would be the same for every other question, each after its own wait.
                        let rest = self.items().into_iter().skip(taken.len());
                        let why = "no session, see above";
                        taken.extend(
                            rest.map(|i| Taken::hole(i, ItemStatus::Skipped, why))
                                .collect::<Vec<_>>(),
                        );
                        break;
                    }
                };
            }
            let Some(open) = &session else { break };
            let at = ctx.world.clock.now().mono_us;
            let query = ctx
                .world
                .timeout(ctx.limits.silence(), open.query(&statement.text));
            let asked = ctx.answer(query).await;
            let ms = (ctx.world.clock.now().mono_us - at) / 1_000;
            match asked {
                Ok(Some(Ok(rows))) if statement.each => {
                    let (one, alive) = each(ctx, item, &**open, &rows, &statement.columns, at).await;
                    taken.push(one);
                    if !alive {
                        session = None;
                    }
                }
                Ok(Some(Ok(rows))) => taken.push(answer(ctx, item, &rows, &statement.columns, ms)),
                Ok(Some(Err(e))) => {
                    taken.push(Taken {
                        ms,
                        ..Taken::hole(item, status(&e), &e.to_string())
                    });
                    if !matches!(e, NetError::Refused(_)) {
                        session = None;
                    }
                }
                Err(e) => {
                    taken.push(Taken {
                        ms,
                        ..Taken::hole(item, ItemStatus::Failed, &e.to_string())
                    });
                    session = None;
                }
                Ok(None) => {
                    let why = format!("no answer within {ms} ms");
                    taken.push(Taken {
                        ms,
                        ..Taken::hole(item, ItemStatus::TimedOut, &why)
                    });
                    session = None;
                }
            }
        }
        taken
    }

    async fn open(&self, ctx: Ctx<'_>) -> Result<Box<dyn SqlSession>, NetError> {
        let url = ctx.world.secrets.read(&self.url).await;
        let url = url.map_err(|e| NetError::Setup(e.to_string()))?;
        let session = ctx.world.sql.open(&url, ctx.limits.silence()).await?;
        for statement in &self.must {
            session.query(statement).await?;
        }
        for statement in &self.may {
            // Its refusal is in order: this is another version of the server.
            let _ = session.query(statement).await;
        }
        Ok(session)
    }
}

/// Asks what the last cell of each row says, and puts the answer in its place; or why there is none, so that one
/// locked table does not take the rest with it. Also whether the session is still good for another question.
async fn each(
    ctx: Ctx<'_>,
    item: Item,
    session: &dyn SqlSession,
    list: &Rows,
    columns: &[String],
    at: u64,
) -> (Taken, bool) {
    let mut text = String::new();
    let (mut without, mut over) = (0_usize, None::<String>);
    for row in list {
        let Some((Some(statement), told)) = row.split_last() else {
            continue;
        };
        let spent = Duration::from_micros(ctx.world.clock.now().mono_us.saturating_sub(at));
        let left = ctx.limits.silence().saturating_sub(spent);
        if over.is_none() {
            over = match ctx.over() {
                None if left.is_zero() => Some("the time for this had run out".to_owned()),
                why => why.map(str::to_owned),
            };
        }
        let asked = match over.clone() {
            Some(why) => Err(why),
            None => {
                let query = ctx.world.timeout(left, session.query(statement));
                let (why, ends) = match ctx.answer(query).await {
                    Ok(Some(Ok(rows))) => (Ok(rows), false),
                    Ok(Some(Err(e))) => (Err(e.to_string()), !matches!(e, NetError::Refused(_))),
                    Ok(None) => (Err("no answer in time".to_owned()), true),
                    Err(e) => (Err(e.to_string()), true),
                };
                if ends {
                    over = Some("the session was given up before".to_owned());
                }
                why
            }
        };
        let mut cells = told.to_vec();
        let why = match asked {
            Ok(answer) => {
                cells.extend(answer.into_iter().flatten());
                None
            }
            Err(why) => {
                without += 1;
                Some(why)
            }
        };
        text.push_str(&object(columns, &cells, why.as_deref()));
        text.push('\n');
    }
    let ms = (ctx.world.clock.now().mono_us - at) / 1_000;
    let taken = keep(ctx, item, text.as_bytes(), ms);
    let taken = match taken.status {
        ItemStatus::Collected if without > 0 => Taken {
            status: ItemStatus::Truncated,
            why: Some(format!(
                "{without} of {} have no answer; each says why",
                list.len()
            )),
            ..taken
        },
        _ => taken,
    };
    (taken, over.is_none())
}

/// Rows as JSON, one object a line, so that a reader needs no list of columns.
fn answer(ctx: Ctx<'_>, item: Item, rows: &Rows, columns: &[String], ms: u64) -> Taken {
    let mut text = String::new();
    for row in rows {
        if columns.is_empty() {
            let cells: Vec<&str> = row.iter().map(|c| c.as_deref().unwrap_or("")).collect();
            text.push_str(&cells.join("\t"));
        } else {
            text.push_str(&object(columns, row, None));
        }
        text.push('\n');
    }
    keep(ctx, item, text.as_bytes(), ms)
}

/// One row. In the order in which the columns were asked for: a map would sort them.
fn object(columns: &[String], row: &[Option<String>], why: Option<&str>) -> String {
    let cells = columns
        .iter()
        .map(String::as_str)
        .zip(row.iter().map(Option::as_deref));
    let cells = cells.chain(why.map(|why| ("why", Some(why))));
    let cells = cells.map(|(column, cell)| format!("{}:{}", json!(column), json!(cell)));
    format!("{{{}}}", cells.collect::<Vec<_>>().join(","))
}

/// `forbidden` where the server said so: SQLSTATE 42501 and 28xxx, MySQL 1044, 1045, 1142, 1227, Redis NOPERM.
fn status(error: &NetError) -> ItemStatus {
    let NetError::Refused(text) = error else {
        return match error {
            NetError::Silent(_) => ItemStatus::TimedOut,
            _ => ItemStatus::Failed,
        };
    };
    let codes = [
        "42501",
        "28000",
        "28P01",
        "1044",
        "1045",
        "1142",
        "1227",
        "NOPERM",
        "NOAUTH",
        "WRONGPASS",
    ];
    match codes.iter().any(|code| text.contains(code)) {
        true => ItemStatus::Forbidden,
        false => ItemStatus::Failed,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

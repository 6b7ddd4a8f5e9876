//! The same look at each thing of a list that is asked for first: logs of every container, of every pod.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::Ctx;
use super::fill::{self, Values};
use super::get::Get;
use super::names;
use super::source::{Item, Taken, output, plain};
use super::table::{Entry, Table};
use crate::model::event::ItemStatus;

/// Bytes of a list that are read.
const LIST_CAP: u64 = 4 << 20;

/// A list, and what is looked at for each of it.
pub(super) struct EachSource {
    pub list: List,
    pub cap: usize,
    pub table: Table,
    pub entry: Entry,
    pub prefix: String,
    pub values: Values,
}

/// What gives the list.
pub(super) enum List {
    Program { argv: Vec<String>, words: Vec<String> },
    Get { get: Get, take: Vec<(String, String)> },
}

impl EachSource {
    pub(super) fn item(&self) -> Item {
        let from = match &self.list {
            List::Program { argv, .. } => argv.join(" "),
            List::Get { get, .. } => get.item().touches,
        };
        Item {
            name: format!("{}{}", self.prefix, self.entry.name),
            touches: format!("each of `{from}`, at most {}", self.cap),
        }
    }

    pub(super) async fn take(self, ctx: Ctx<'_>) -> Vec<Taken> {
        let item = self.item();
        let rows = match self.rows(ctx).await {
            Ok(rows) => rows,
            Err((status, why)) => return vec![Taken::hole(item, status, &format!("the list: {why}"))],
        };
        let mut taken = Vec::new();
        let mut given = BTreeSet::new();
        for (n, row) in rows.iter().enumerate() {
            if n >= self.cap {
                let why = format!("{} more: only {} are looked at", rows.len() - n, self.cap);
                taken.push(Taken::hole(item, ItemStatus::Skipped, &why));
                break;
            }
            let values = self.values.with(row);
            let Some(name) = values.fill(&self.entry.name) else {
                continue;
            };
            let name = names::unique(&names::plain(Path::new(&name)), &mut given);
            let entry = Entry {
                name,
                ..self.entry.clone()
            };
            let Some(source) = fill::verb(&self.table, &entry, &self.prefix, &values) else {
                continue;
            };
            taken.extend(source.take_or_skip(ctx).await);
        }
        taken
    }

    async fn rows(&self, ctx: Ctx<'_>) -> Result<Vec<BTreeMap<String, String>>, (ItemStatus, String)> {
        match &self.list {
            List::Program { argv, words } => program(ctx, argv, words).await,
            List::Get { get, take } => server(ctx, get, take).await,
        }
    }
}

async fn program(
    ctx: Ctx<'_>,
    argv: &[String],
    words: &[String],
) -> Result<Vec<BTreeMap<String, String>>, (ItemStatus, String)> {
    let out = output(ctx, argv, plain(Vec::new()), LIST_CAP).await?;
    let text = String::from_utf8_lossy(&out);
    let row = |line: &str| {
        let cells = line.split_whitespace().map(str::to_owned);
        words.iter().cloned().zip(cells).collect::<BTreeMap<_, _>>()
    };
    Ok(text
        .lines()
        .map(row)
        .filter(|row| row.len() == words.len())
        .collect())
}

async fn server(
    ctx: Ctx<'_>,
    get: &Get,
    take: &[(String, String)],
) -> Result<Vec<BTreeMap<String, String>>, (ItemStatus, String)> {
    let answered = get
        .fetch(ctx)
        .await
        .map_err(|e| (ItemStatus::Failed, e.to_string()))?;
    // Half a list would make everything look looked at.
    if let Some(why) = answered.cut {
        return Err((ItemStatus::Failed, why.to_string()));
    }
    let mut rows = Vec::new();
    for part in &answered.parts {
        match part.status {
            200..=299 => {}
            401 | 403 => return Err((ItemStatus::Forbidden, format!("HTTP {}", part.status))),
            status => return Err((ItemStatus::Failed, format!("HTTP {status}"))),
        }
        let body: Value = serde_json::from_slice(&part.body)
            .map_err(|_| (ItemStatus::Failed, "it is no JSON, or too long".to_owned()))?;
        let items = body
            .get("items")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        for item in &items {
            rows.extend(expanded(item, take));
        }
    }
    Ok(rows)
}

/// One row an element, or one a member of the list behind `*`.
fn expanded(item: &Value, take: &[(String, String)]) -> Vec<BTreeMap<String, String>> {
    let mut rows = vec![BTreeMap::new()];
    for (name, pointer) in take {
        let found: Vec<String> = match pointer.split_once("/*") {
            None => item
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .into_iter()
                .collect(),
            Some((list, rest)) => {
                let all = item
                    .pointer(list)
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default();
                all.iter()
                    .filter_map(|one| Some(one.pointer(rest)?.as_str()?.to_owned()))
                    .collect()
            }
        };
        rows = rows
            .iter()
            .flat_map(|row| {
                found.iter().map(move |value| {
                    let mut row: BTreeMap<String, String> = row.clone();
                    row.insert(name.clone(), value.clone());
                    row
                })
            })
            .collect();
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_in_a_list_gives_a_row_for_each() {
        let pod = serde_json::json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        let take = [
            ("pod".to_owned(), "/metadata/name".to_owned()),
            ("container".to_owned(), "/spec/containers/*/name".to_owned()),
        ];
        let rows = expanded(&pod, &take);
        let told: Vec<String> = rows
            .iter()
            .map(|r| format!("{}/{}", r["pod"], r["container"]))
            .collect();
        assert_eq!(told, ["p/a", "p/b"]);
    }
}

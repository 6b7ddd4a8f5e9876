//! A Terraform state without its values: serial, lineage, and which resources it holds.
//!
//! A state holds passwords in the clear, under names no pattern foresees, so no attribute is kept but
//! `id` and `arn`, which say what a resource is.

use std::io::Read;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::source::{Item, Taken, keep, output, plain};
use super::{Ctx, Limits};
use crate::model::event::ItemStatus;

/// Longest state that is read, in bytes.
const CAP: u64 = 64 << 20;

/// One state.
pub(super) struct State {
    /// Name of the summary in the exhibit.
    pub name: String,
    /// Where it is.
    pub from: StateFrom,
}

/// Where a state comes from.
pub(super) enum StateFrom {
    File(PathBuf),
    Program(Vec<String>),
}

impl State {
    pub(super) fn item(&self) -> Item {
        let touches = match &self.from {
            StateFrom::File(path) => path.display().to_string(),
            StateFrom::Program(argv) => argv.join(" "),
        };
        Item {
            name: self.name.clone(),
            touches,
        }
    }

    pub(super) async fn take(self, ctx: Ctx<'_>) -> Taken {
        let began = ctx.world.clock.now().mono_us;
        let item = self.item();
        let bytes = match self.read(ctx).await {
            Ok(bytes) => bytes,
            Err((status, why)) => return Taken::hole(item, status, &why),
        };
        let Some(summary) = summary(&bytes) else {
            return Taken::hole(item, ItemStatus::Failed, "it is no Terraform state of version 4");
        };
        let text = format!("{summary:#}\n");
        let ms = (ctx.world.clock.now().mono_us - began) / 1_000;
        keep(ctx, item, text.as_bytes(), ms)
    }

    async fn read(&self, ctx: Ctx<'_>) -> Result<Vec<u8>, (ItemStatus, String)> {
        match &self.from {
            StateFrom::File(path) => {
                let mut bytes = Vec::new();
                let read = ctx
                    .world
                    .files
                    .open(path)
                    .and_then(|file| file.take(CAP + 1).read_to_end(&mut bytes));
                match read {
                    Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                        Err((ItemStatus::Forbidden, e.to_string()))
                    }
                    Err(e) => Err((ItemStatus::Failed, e.to_string())),
                    Ok(_) if bytes.len() as u64 > CAP => {
                        Err((ItemStatus::Failed, format!("it is longer than {} MiB", CAP >> 20)))
                    }
                    Ok(_) => Ok(bytes),
                }
            }
            StateFrom::Program(argv) => {
                let fixed = plain(Vec::new()).into_iter().skip(1);
                let env = (ctx.env)().into_iter().chain(fixed).collect();
                // It may have to fetch much before it says a word.
                let limits = Limits {
                    no_progress: None,
                    ..ctx.limits
                };
                output(Ctx { limits, ..ctx }, argv, env, CAP).await
            }
        }
    }
}

/// What the state says about itself and its resources; `None` where it is none.
fn summary(bytes: &[u8]) -> Option<Value> {
    let state: Value = serde_json::from_slice(bytes).ok()?;
    let resources = state.get("resources")?.as_array()?;
    let of = |from: &Value, keys: &[&str]| -> Map<String, Value> {
        let kept = keys
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), from.get(*key)?.clone())));
        kept.filter(|(_, v)| !v.is_object() && !v.is_array()).collect()
    };
    let resources: Vec<Value> = resources
        .iter()
        .map(|resource| {
            let mut told = of(resource, &["module", "mode", "type", "name", "provider"]);
            let instances = resource.get("instances").and_then(Value::as_array);
            let instances = instances.into_iter().flatten().map(|instance| {
                let mut told = of(instance, &["index_key", "status", "schema_version", "deposed"]);
                let attributes = instance.get("attributes").unwrap_or(&Value::Null);
                told.extend(of(attributes, &["id", "arn"]));
                let names = attributes.as_object().map(|a| a.len()).unwrap_or(0);
                told.insert("attributes".to_owned(), json!(names));
                Value::Object(told)
            });
            told.insert("instances".to_owned(), instances.collect());
            Value::Object(told)
        })
        .collect();
    let mut told = of(&state, &["version", "terraform_version", "serial", "lineage"]);
    let outputs = state.get("outputs").and_then(Value::as_object);
    let outputs: Vec<&String> = outputs.into_iter().flat_map(|o| o.keys()).collect();
    told.insert("outputs".to_owned(), json!(outputs));
    told.insert("resources".to_owned(), json!(resources));
    Some(Value::Object(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_of_a_state_is_kept() {
        let state = json!({
            "version": 4, "serial": 7, "lineage": "a-b", "terraform_version": "1.9.0",
            "outputs": {"url": {"value": "postgres://u:hunter2@h/d", "sensitive": true}},
            "resources": [{
                "mode": "managed", "type": "aws_db_instance", "name": "orders", "provider": "p",
                "instances": [{"schema_version": 1, "private": "cHJpdmF0ZQ==",
                    "attributes": {"id": "db-1", "arn": "arn:aws:rds:x", "password": "hunter2", "tags": {"a": "b"}}}]
            }]
        });
        let told = summary(state.to_string().as_bytes()).unwrap();
        assert_eq!(told["serial"], 7);
        assert_eq!(told["resources"][0]["instances"][0]["id"], "db-1");
        let text = told.to_string();
        for secret in ["hunter2", "cHJpdmF0ZQ", "postgres://"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(summary(b"{}").is_none() && summary(b"[1").is_none());
    }
}

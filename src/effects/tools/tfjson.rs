//! A plan as `terraform show -json` and `tofu show -json` print it, read as strictly as a saved one.
//!
//! Facts: both projects' description of that format (version 1). What else a program applies that begins like one is
//! the bookmark of a plan that a service keeps, and nobody here knows what that does: so a name which the format does not
//! have, or which stands twice, is not understood.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::tfplan::Plan;

/// What may stand in a plan.
const NAMES: [&str; 18] = [
    "format_version",
    "terraform_version",
    "variables",
    "planned_values",
    "resource_drift",
    "resource_changes",
    "deferred_changes",
    "deferred_action_invocations",
    "output_changes",
    "action_invocations",
    "prior_state",
    "configuration",
    "relevant_attributes",
    "checks",
    "timestamp",
    "applyable",
    "complete",
    "errored",
];

/// Reads a plan; `None` where it is none, or one that is not understood whole.
pub(super) fn read(bytes: &[u8]) -> Option<Plan> {
    let Once(Value::Object(top)) = serde_json::from_slice(bytes).ok()? else {
        return None;
    };
    let known = top.keys().all(|name| NAMES.contains(&name.as_str()));
    if !known || !top.get("format_version")?.as_str()?.starts_with("1.") {
        return None;
    }
    let mut plan = Plan::default();
    for change in list(&top, "resource_changes")? {
        resource(change, &mut plan)?;
    }
    if !list(&top, "action_invocations")?.is_empty() {
        plan.runs.insert("actions");
    }
    // What runs beside the changes stands nowhere else.
    let configuration = top.get("configuration").filter(|c| c.is_object())?;
    if names(configuration, "provisioners") {
        plan.runs.insert("provisioners");
    }
    Some(plan)
}

/// A list that is left out where it is empty; `None` where something else stands there.
fn list<'v>(top: &'v Map<String, Value>, name: &str) -> Option<&'v [Value]> {
    match top.get(name) {
        None => Some(&[]),
        Some(value) => value.as_array().map(Vec::as_slice),
    }
}

fn resource(change: &Value, plan: &mut Plan) -> Option<()> {
    let text = |name: &str| change.get(name).and_then(Value::as_str);
    let address = text("address").filter(|address| !address.is_empty())?;
    if !matches!(text("mode")?, "managed" | "data") {
        return None;
    }
    let address = match (change.get("deposed"), text("deposed")) {
        (None, _) => address.to_owned(),
        (Some(_), key) => format!("{address} (deposed {})", key?),
    };
    let actions = change.get("change")?.get("actions")?.as_array()?;
    let actions: Option<Vec<&str>> = actions.iter().map(Value::as_str).collect();
    // As the saved plan numbers them.
    let action = match actions?.as_slice() {
        ["no-op"] => 0,
        ["create"] => 1,
        ["read"] => 2,
        ["update"] => 3,
        ["delete"] => 5,
        ["delete", "create"] => 6,
        ["create", "delete"] => 7,
        ["forget"] => 8,
        ["create", "forget"] => 9,
        _ => return None,
    };
    plan.add(address, action)
}

/// Whether something is named so, however deep. The text was read already, so it is not too deep.
fn names(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| key == name || names(value, name)),
        Value::Array(items) => items.iter().any(|value| names(value, name)),
        _ => false,
    }
}

/// A value in which no name stands twice: readers differ in which of the two they take.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Once, D::Error> {
        text.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plan")
    }

    fn visit_unit<E>(self) -> Result<Once, E> {
        Ok(Once(Value::Null))
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Once, E> {
        Ok(Once(yes.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Once, E> {
        Ok(Once(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Once, E> {
        Ok(Once(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Once, E> {
        Ok(Once(number.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Once, E> {
        Ok(Once(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Once, A::Error> {
        let mut all = Vec::new();
        while let Some(Once(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(Once(Value::Array(all)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Once, A::Error> {
        let mut all = Map::new();
        while let Some((name, Once(value))) = fields.next_entry::<String, Once>()? {
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Once(Value::Object(all)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(changes: &str, more: &str) -> Option<Plan> {
        let text = format!(
            r#"{{"format_version": "1.2", "resource_changes": [{changes}], "configuration": {{"root_module": {{}}}}{more}}}"#
        );
        read(text.as_bytes())
    }

    fn change(address: &str, actions: &str) -> String {
        format!(r#"{{"address": "{address}", "mode": "managed", "change": {{"actions": {actions}}}}}"#)
    }

    #[test]
    fn actions_are_counted_by_address() {
        let all = [
            change("a.new", r#"["create"]"#),
            change("a.same", r#"["no-op"]"#),
            change("a.changed", r#"["update"]"#),
            change("a.gone", r#"["delete"]"#),
            change("a.again", r#"["delete", "create"]"#),
            change("a.before", r#"["create", "delete"]"#),
            change("a.left", r#"["forget"]"#),
            change("data.http.x", r#"["read"]"#).replace("managed", "data"),
            change("a.old", r#"["delete"]"#).replace(r#""mode""#, r#""deposed": "0a1b", "mode""#),
        ];
        let read = plan(&all.join(", "), "").unwrap();
        assert_eq!(read.changes, ["a.new", "a.changed"]);
        assert_eq!(read.destroys, ["a.gone", "a.old (deposed 0a1b)"]);
        assert_eq!(read.replaces, ["a.again", "a.before"]);
        assert_eq!(read.forgets, ["a.left"]);
        assert!(read.runs.is_empty());
        let external = change("data.external.x", r#"["read"]"#).replace("managed", "data");
        let invoked = r#", "action_invocations": [{"address": "action.x.y"}]"#;
        let runs = plan(&external, invoked).unwrap().runs;
        assert_eq!(runs.into_iter().collect::<Vec<_>>(), ["actions", "programs"]);
        // In JSON a name may be written in numbers.
        let module = r#"{"format_version": "1.0", "configuration": {"root_module": {"module_calls": {"m": {"module": {"resources": [{"\u0070rovisioners": []}]}}}}}}"#;
        let runs = read_str(module).unwrap().runs;
        assert_eq!(runs.into_iter().collect::<Vec<_>>(), ["provisioners"]);
    }

    fn read_str(text: &str) -> Option<Plan> {
        read(text.as_bytes())
    }

    #[test]
    fn what_another_reader_might_read_otherwise_is_not_understood() {
        let gone = change("a.gone", r#"["delete"]"#);
        assert!(plan(&gone, "").is_some());
        for (changes, more) in [
            // What a service keeps is applied by its number, whatever else stands beside that.
            (
                "",
                r#", "remote_plan_format": 1, "run_id": "run-x", "hostname": "app.example.com""#,
            ),
            ("", r#", "Run_ID": "run-x""#),
            // Twice, of another kind, of a state.
            ("", r#", "resource_changes": []"#),
            ("", r#", "action_invocations": {}"#),
            ("", r#", "values": {}"#),
            (r#"{"address": "a.b"}"#, ""),
            ("7", ""),
            (&change("", r#"["delete"]"#), ""),
            (&change("a.b", "[]"), ""),
            (&change("a.b", r#""delete""#), ""),
            (&change("a.b", r#"["no-op", "delete"]"#), ""),
            (&change("a.b", r#"["open"]"#), ""),
            (&gone.replace("managed", "ephemeral"), ""),
            (&gone.replace(r#""mode""#, r#""deposed": 7, "mode""#), ""),
            (&gone.replace(r#""mode""#, r#""address": "a.c", "mode""#), ""),
        ] {
            assert_eq!(plan(changes, more), None, "{changes} {more}");
        }
        for text in [
            "{}",
            "[]",
            r#"{"format_version": "1.2"}"#,
            r#"{"format_version": "2.0", "configuration": {}}"#,
            r#"{"format_version": 1, "configuration": {}}"#,
            r#"{"format_version": "1.2", "configuration": null}"#,
            r#"{"format_version": "1.2", "configuration": {}} {}"#,
            r#"{"@level":"info","type":"planned_change"}"#,
        ] {
            assert_eq!(read_str(text), None, "{text}");
        }
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(plan("", &format!(r#", "checks": {deep}"#)), None);
    }
}

//! Templates: `{name}` from a closed set of names, each put in so that it cannot become syntax.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::model::secret::Secret;

/// One piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    /// Text as it stands.
    Text(&'t str),
    /// `{name}`: one value, `/` in it encoded.
    Var(&'t str),
    /// `{+name}`: a value that may hold several path segments.
    Segments(&'t str),
}

/// Takes a template apart, or says what is wrong with it. `{{` is a brace.
pub(super) fn parts(template: &str) -> Result<Vec<Part<'_>>, String> {
    let mut all = Vec::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        if rest[open..].starts_with("{{") {
            all.push(Part::Text(&rest[..=open]));
            rest = &rest[open + 2..];
            continue;
        }
        let (before, after) = rest.split_at(open);
        if !before.is_empty() {
            all.push(Part::Text(before));
        }
        let close = after.find('}').ok_or("a `{` is not closed")?;
        let inside = &after[1..close];
        let (name, several) = match inside.strip_prefix('+') {
            Some(name) => (name, true),
            None => (inside, false),
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        let bare = match name.starts_with("undo.") {
            true => name.trim_end_matches('?'),
            false => name,
        };
        if bare.is_empty() || !bare.chars().all(plain) {
            return Err(format!("`{{{inside}}}` is not the name of a value"));
        }
        all.push(if several {
            Part::Segments(name)
        } else {
            Part::Var(name)
        });
        rest = &after[close + 1..];
    }
    if !rest.is_empty() {
        all.push(Part::Text(rest));
    }
    Ok(all)
}

/// A value that a template needs is not there, or cannot be put in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Missing {
    /// The responder's credential.
    #[error("no credential of the responder is at hand")]
    Auth,
    /// The agent's secret.
    #[error("the agent's own secret is not at hand")]
    Secret,
    /// A key of `with`, or of what the glance saved.
    #[error("`{0}` is not given")]
    Value(String),
    /// A value that would change the meaning of the address.
    #[error("`{0}` cannot stand in an address: {1}")]
    Unfit(String, &'static str),
    /// The template itself.
    #[error("{0}")]
    Template(String),
}

/// The closed set of values.
#[derive(Clone, Copy)]
pub(super) struct Vars<'a> {
    /// The target's `with`, defaults of the table filled in.
    pub with: &'a BTreeMap<String, String>,
    /// The responder's credential.
    pub auth: Option<&'a Secret>,
    /// The agent's secret.
    pub secret: Option<&'a Secret>,
    /// What the glance saved.
    pub undo: Option<&'a Map<String, Value>>,
    /// One item of a listing.
    pub item: Option<&'a str>,
}

impl Vars<'_> {
    fn text(&self, name: &str) -> Result<String, Missing> {
        if let Some(key) = name.strip_prefix("undo.") {
            return match self.undo.and_then(|u| u.get(key)) {
                Some(Value::String(text)) => Ok(text.clone()),
                Some(other) => Ok(other.to_string()),
                None => Err(Missing::Value(name.to_owned())),
            };
        }
        match name {
            "auth" => self.auth.map(|s| s.expose().to_owned()).ok_or(Missing::Auth),
            "secret" => self.secret.map(|s| s.expose().to_owned()).ok_or(Missing::Secret),
            "item" => self
                .item
                .map(str::to_owned)
                .ok_or(Missing::Value(name.to_owned())),
            _ => self
                .with
                .get(name)
                .cloned()
                .ok_or(Missing::Value(name.to_owned())),
        }
    }
}

/// A header value: put together as it is.
pub(super) fn header(template: &str, vars: Vars<'_>) -> Result<Secret, Missing> {
    let mut all = String::new();
    for part in parts(template).map_err(Missing::Template)? {
        match part {
            Part::Text(text) => all.push_str(text),
            Part::Var(name) | Part::Segments(name) => all.push_str(&vars.text(name)?),
        }
    }
    Ok(Secret::new(all))
}

/// The start of the address. A value at its very start may be a whole address; later ones are host labels.
pub(super) fn base(template: &str, vars: Vars<'_>) -> Result<String, Missing> {
    let mut all = String::new();
    for part in parts(template).map_err(Missing::Template)? {
        match part {
            Part::Text(text) => all.push_str(text),
            Part::Var(name) | Part::Segments(name) => {
                let value = vars.text(name)?;
                let label = |c: char| c.is_ascii_alphanumeric() || c == '-';
                if !all.is_empty() && !value.chars().all(label) {
                    return Err(Missing::Unfit(name.to_owned(), "use letters, digits and `-`"));
                }
                all.push_str(value.trim_end_matches('/'));
            }
        }
    }
    Ok(all)
}

/// The path and query: values are percent-encoded and cannot climb to another path.
pub(super) fn path(template: &str, vars: Vars<'_>) -> Result<String, Missing> {
    let mut all = String::new();
    for part in parts(template).map_err(Missing::Template)? {
        match part {
            Part::Text(text) => all.push_str(text),
            Part::Var(name) => encode(name, &vars.text(name)?, &mut all)?,
            Part::Segments(name) => {
                let value = vars.text(name)?;
                for (n, segment) in value.trim_matches('/').split('/').enumerate() {
                    if n > 0 {
                        all.push('/');
                    }
                    encode(name, segment, &mut all)?;
                }
            }
        }
    }
    Ok(all)
}

fn encode(name: &str, value: &str, into: &mut String) -> Result<(), Missing> {
    if value.is_empty() || value == "." || value == ".." {
        return Err(Missing::Unfit(name.to_owned(), "it is empty, `.` or `..`"));
    }
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                into.push(char::from(byte))
            }
            other => {
                use std::fmt::Write;
                let _ = write!(into, "%{other:02X}");
            }
        }
    }
    Ok(())
}

/// The body: values go into its strings. A string that is nothing but `{undo.name}` becomes what was
/// saved, with its type; a field that is nothing but `{undo.name?}` is left out where nothing was saved.
pub(super) fn body(template: &Value, vars: Vars<'_>) -> Result<Value, Missing> {
    match template {
        Value::String(text) => match saved(text, vars)? {
            Some(Saved::Is(value)) => Ok(value),
            Some(Saved::Absent(name)) => Err(Missing::Value(name)),
            None => Ok(Value::String(header(text, vars)?.expose().to_owned())),
        },
        Value::Array(items) => items.iter().map(|v| body(v, vars)).collect(),
        Value::Object(fields) => {
            let mut filled = Map::new();
            for (key, value) in fields {
                let absent = match value {
                    Value::String(text) => {
                        text.ends_with("?}") && matches!(saved(text, vars)?, Some(Saved::Absent(_)))
                    }
                    _ => false,
                };
                if !absent {
                    filled.insert(key.clone(), body(value, vars)?);
                }
            }
            Ok(Value::Object(filled))
        }
        other => Ok(other.clone()),
    }
}

/// What stands for a whole value.
enum Saved {
    Is(Value),
    Absent(String),
}

/// What was saved under the one name this template is made of; `None` for any other template.
fn saved(template: &str, vars: Vars<'_>) -> Result<Option<Saved>, Missing> {
    let parts = parts(template).map_err(Missing::Template)?;
    let [Part::Var(name)] = parts.as_slice() else {
        return Ok(None);
    };
    let Some(key) = name.strip_prefix("undo.").map(|key| key.trim_end_matches('?')) else {
        return Ok(None);
    };
    let value = vars.undo.and_then(|u| u.get(key).cloned());
    Ok(Some(match value {
        Some(value) => Saved::Is(value),
        None => Saved::Absent(key.to_owned()),
    }))
}

/// A web form.
pub(super) fn form(fields: &[(String, String)], vars: Vars<'_>) -> Result<Secret, Missing> {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        text.append_pair(name, header(value, vars)?.expose());
    }
    Ok(Secret::new(text.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn vars(with: &BTreeMap<String, String>) -> Vars<'_> {
        Vars {
            with,
            auth: None,
            secret: None,
            undo: None,
            item: None,
        }
    }

    #[test]
    fn a_value_cannot_leave_its_place_in_the_path() {
        let given = with(&[
            ("role", "a/b?c#d %"),
            ("mount", "team/database"),
            ("up", "../sys"),
        ]);
        assert_eq!(
            path("/v1/{role}", vars(&given)).unwrap(),
            "/v1/a%2Fb%3Fc%23d%20%25"
        );
        assert_eq!(
            path("/v1/{+mount}/x", vars(&given)).unwrap(),
            "/v1/team/database/x"
        );
        assert!(matches!(path("/v1/{+up}", vars(&given)), Err(Missing::Unfit(..))));
        assert!(path("/v1/{absent}", vars(&given)).is_err());
    }

    #[test]
    fn a_value_cannot_move_the_host() {
        let given = with(&[
            ("tenant", "evil.example/"),
            ("address", "https://vault.example:8200/"),
        ]);
        assert!(base("https://{tenant}.okta.example", vars(&given)).is_err());
        assert_eq!(
            base("{address}", vars(&given)).unwrap(),
            "https://vault.example:8200"
        );
    }

    #[test]
    fn a_brace_is_written_twice() {
        let given = with(&[("id", "7")]);
        let made = header("query {{ me }, {id}", vars(&given)).unwrap();
        assert_eq!(made.expose(), "query { me }, 7");
    }

    #[test]
    fn a_value_cannot_become_json() {
        let given = with(&[("name", "x\",\"admin\":\"yes")]);
        let made = body(&json!({"name": "{name}", "n": 3}), vars(&given)).unwrap();
        assert_eq!(made.to_string(), r#"{"n":3,"name":"x\",\"admin\":\"yes"}"#);
    }

    #[test]
    fn what_was_saved_keeps_its_type() {
        let none = BTreeMap::new();
        let saved = Map::from_iter([("disabled".to_owned(), json!(false))]);
        let made = body(
            &json!({"disabled": "{undo.disabled}"}),
            Vars {
                undo: Some(&saved),
                ..vars(&none)
            },
        );
        assert_eq!(made.unwrap(), json!({"disabled": false}));
    }

    #[test]
    fn a_whole_record_goes_back_changed_in_one_place() {
        let none = BTreeMap::new();
        let saved = Map::from_iter([("policies".to_owned(), json!([{"effect": "allow"}]))]);
        let undo = Vars {
            undo: Some(&saved),
            ..vars(&none)
        };
        let table =
            json!({"policies": "{undo.policies}", "condition": "{undo.condition?}", "status": "disabled"});
        assert_eq!(
            body(&table, undo).unwrap(),
            json!({"policies": [{"effect": "allow"}], "status": "disabled"})
        );
        // What must be there and is not ends the call: half a record would wipe the rest.
        let table = json!({"policies": "{undo.policies}", "name": "{undo.name}"});
        assert_eq!(body(&table, undo), Err(Missing::Value("name".to_owned())));
    }

    #[test]
    fn a_value_cannot_become_a_field_of_a_form() {
        let given = with(&[("hint", "x&token=other y")]);
        let fields = [("hint".to_owned(), "{hint}".to_owned())];
        let made = form(&fields, vars(&given)).unwrap();
        assert_eq!(made.expose(), "hint=x%26token%3Dother+y");
    }
}

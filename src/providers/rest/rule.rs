//! Rules: which answers mean what.

use serde_json::Value;

use crate::world::http::HttpResponse;

/// One way an answer can look. All conditions that are given must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rule {
    /// Any of these statuses.
    pub status: Vec<u16>,
    /// Text that the body holds.
    pub contains: Option<String>,
    /// A JSON pointer into the body that leads to something other than null.
    pub at: Option<String>,
    /// What stands at the pointer: one of these, or a list that holds one of these.
    pub any_of: Vec<Value>,
    /// What stands at the pointer is none of these.
    pub none_of: Vec<Value>,
    /// A JSON pointer into the body that leads to nothing, to null or to false.
    pub lacks: Option<String>,
    /// A header, in lower case, and words of which it lists one, with commas or spaces between them.
    pub header: Option<(String, Vec<String>)>,
}

impl Rule {
    /// True where the answer looks like this.
    pub fn matches(&self, answer: &HttpResponse) -> bool {
        let holds = |text: &String| String::from_utf8_lossy(&answer.body).contains(text.as_str());
        self.status.contains(&answer.status)
            && self.contains.as_ref().is_none_or(holds)
            && self
                .at
                .as_ref()
                .is_none_or(|pointer| self.stands_at(answer, pointer))
            && self.lacks.as_ref().is_none_or(|pointer| lacks(answer, pointer))
            && self.header.as_ref().is_none_or(|(name, words)| {
                let told = answer.header(name).unwrap_or("");
                let mut told = told.split([',', ' ']).filter(|w| !w.is_empty());
                told.any(|word| words.iter().any(|w| w == word))
            })
    }

    fn stands_at(&self, answer: &HttpResponse, pointer: &str) -> bool {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        match body.pointer(pointer) {
            None | Some(Value::Null) => false,
            Some(one) if self.none_of.contains(one) => false,
            Some(_) if self.any_of.is_empty() => true,
            Some(Value::Array(items)) => items.iter().any(|i| self.any_of.contains(i)),
            Some(one) => self.any_of.contains(one),
        }
    }
}

/// True where a JSON object says nothing at this place. What is not JSON says nothing about what it lacks.
fn lacks(answer: &HttpResponse, pointer: &str) -> bool {
    match serde_json::from_slice::<Value>(&answer.body) {
        Ok(body) => matches!(
            body.pointer(pointer),
            None | Some(Value::Null | Value::Bool(false))
        ),
        Err(_) => false,
    }
}

/// True where any of the rules fits.
pub(super) fn any(rules: &[Rule], answer: &HttpResponse) -> bool {
    rules.iter().any(|rule| rule.matches(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(status: u16, body: &str) -> HttpResponse {
        HttpResponse {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
        }
    }

    fn with_status(status: u16) -> Rule {
        Rule {
            status: vec![status],
            ..Rule::default()
        }
    }

    #[test]
    fn what_is_not_there_is_seen_only_in_what_can_be_read() {
        let rule = Rule {
            lacks: Some("/disabled".to_owned()),
            ..with_status(200)
        };
        assert!(rule.matches(&answer(200, r#"{"name": "x"}"#)));
        assert!(rule.matches(&answer(200, r#"{"disabled": false}"#)));
        assert!(!rule.matches(&answer(200, r#"{"disabled": true}"#)));
        assert!(!rule.matches(&answer(200, "<html>")));
    }

    #[test]
    fn none_of_still_wants_something_to_be_there() {
        let rule = Rule {
            at: Some("/replicas".to_owned()),
            none_of: vec![json!(0)],
            ..with_status(200)
        };
        assert!(rule.matches(&answer(200, r#"{"replicas": 2}"#)));
        assert!(!rule.matches(&answer(200, r#"{"replicas": 0}"#)));
        assert!(!rule.matches(&answer(200, "{}")));
    }

    #[test]
    fn every_condition_must_hold() {
        let rule = Rule {
            at: Some("/data/disabled".to_owned()),
            any_of: vec![json!(true)],
            ..with_status(200)
        };
        assert!(rule.matches(&answer(200, r#"{"data":{"disabled":true}}"#)));
        assert!(!rule.matches(&answer(200, r#"{"data":{"disabled":false}}"#)));
        assert!(!rule.matches(&answer(200, r#"{"data":{"disabled":null}}"#)));
        assert!(!rule.matches(&answer(200, "not json")));
        assert!(!rule.matches(&answer(404, r#"{"data":{"disabled":true}}"#)));
    }

    #[test]
    fn a_list_is_searched() {
        let rule = Rule {
            at: Some("/capabilities".to_owned()),
            any_of: vec![json!("update"), json!("root")],
            ..with_status(200)
        };
        assert!(rule.matches(&answer(200, r#"{"capabilities":["read","update"]}"#)));
        assert!(!rule.matches(&answer(200, r#"{"capabilities":["deny"]}"#)));
    }

    #[test]
    fn a_header_lists_words() {
        let rule = Rule {
            header: Some(("x-oauth-scopes".to_owned(), vec!["repo".to_owned()])),
            ..with_status(200)
        };
        let with = |scopes: &str| HttpResponse {
            headers: vec![("x-oauth-scopes".to_owned(), scopes.to_owned())],
            ..answer(200, "")
        };
        assert!(rule.matches(&with("gist, repo")));
        assert!(!rule.matches(&with("gist, public_repo")), "no part of a word");
        assert!(!rule.matches(&answer(200, "repo")));
    }
}

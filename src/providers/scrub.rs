//! Takes secrets out of words that others wrote.

use crate::model::secret::Secret;

/// Longest text kept of what a provider said, in characters.
const LONGEST: usize = 200;

/// The text without these secrets (plain, percent-encoded or escaped for JSON), on one line, 200 characters at most.
pub(super) fn scrub<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    let mut clean = text.to_owned();
    for secret in secrets {
        let value = secret.expose();
        let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let escaped = serde_json::Value::from(value).to_string();
        for form in [value, &encoded, escaped.trim_matches('"')] {
            if !form.is_empty() {
                clean = clean.replace(form, "…");
            }
        }
    }
    let words = clean
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty());
    let mut line = String::new();
    for word in words {
        // An error page may be long; the rest of it is not looked at.
        if line.len() > 4 * LONGEST {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(LONGEST) {
        Some(_) => line.chars().take(LONGEST - 1).chain(['…']).collect(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_secret_goes() {
        let secret = Secret::new("p\"w/1".to_owned());
        let text = "bad p\"w/1 and p%22w%2F1\n and {\"p\\\"w/1\"}";
        assert_eq!(scrub(text, [&secret]), "bad … and … and {\"…\"}");
    }

    #[test]
    fn long_words_are_cut_and_the_cut_is_seen() {
        let text = scrub(&"é".repeat(500), []);
        assert_eq!(text.chars().count(), LONGEST);
        assert!(text.ends_with('…'));
    }
}

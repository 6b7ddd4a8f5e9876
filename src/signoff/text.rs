//! Values in a statement: a plain word, or a JSON string in which nothing can hide.

use std::fmt::Write as _;

/// JSON's quoting with everything outside printable ASCII escaped: no control, no bidi, no lookalike.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
    out
}

/// The text itself where it is one unmistakable word, else quoted.
pub fn word(text: &str) -> String {
    let first = text
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric() || c == '/');
    let rest = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-+@:=".contains(c));
    if first && rest {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Words with `, ` between them; `-` for none.
pub fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = items.into_iter().map(|item| word(item.as_ref())).collect();
    if words.is_empty() {
        "-".into()
    } else {
        words.join(", ")
    }
}

/// Reads what [`word`] or [`quoted`] wrote off the front; `None` where it is neither.
fn front(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let value = values.next()?.ok()?;
        return Some((value, text.get(values.byte_offset()..)?));
    }
    let end = text.find([' ', ',']).unwrap_or(text.len());
    let (value, rest) = text.split_at_checked(end)?;
    (!value.is_empty()).then(|| (value.to_owned(), rest))
}

/// All values of a line, `separator` between them; `None` where the line is no such thing.
pub fn values(mut text: &str, separator: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    loop {
        let (value, rest) = front(text)?;
        found.push(value);
        match rest.strip_prefix(separator) {
            Some(more) => text = more,
            None => return rest.is_empty().then_some(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hides_in_a_value() {
        assert_eq!(word("/usr/bin/pg_restore"), "/usr/bin/pg_restore");
        assert_eq!(word(""), "\"\"");
        assert_eq!(word("a b"), "\"a b\"");
        assert_eq!(word("-"), "\"-\"");
        assert_eq!(
            word("DROP TABLE x;\u{202e}--\r\n\u{7f}"),
            r#""DROP TABLE x;\u202e--\u000d\n\u007f""#
        );
        assert_eq!(word("a\tb"), r#""a\tb""#);
        assert_eq!(quoted("\u{1f600}\u{430}"), r#""\ud83d\ude00\u0430""#);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_is_read_back(items in proptest::collection::vec(".*", 1..4)) {
            let written: Vec<String> = items.iter().map(|i| word(i)).collect();
            proptest::prop_assert_eq!(values(&written.join(" "), " "), Some(items.clone()));
            proptest::prop_assert!(written.concat().bytes().all(|b| (b' '..=b'~').contains(&b)));
            proptest::prop_assert_eq!(values(&list(&items), ", "), Some(items));
        }
    }
}

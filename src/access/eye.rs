//! Recognising a secret in a piece of text.

use std::ops::Range;

use crate::model::secret::Secret;
use crate::redact::{RedactError, Redactor, fingerprint};

/// What secrets are recognised and told apart by.
pub struct Eye<'e> {
    redactor: Redactor,
    key: &'e [u8; 32],
    adapters: &'e dyn Fn(&str) -> Vec<String>,
}

/// A secret in a text.
pub(super) struct Seen {
    pub value: Secret,
    pub adapters: Vec<String>,
    pub kind: String,
}

/// Shortest and longest text that an adapter is asked about, in bytes.
const PIECE: Range<usize> = 16..4_096;

/// The kind of what no rule of the redactor knows.
const UNKNOWN: &str = "unknown";

/// Rules of the redactor that name a place, not a kind of secret.
const PLACES: [&str; 11] = [
    "authorization",
    "base64",
    "cookie",
    "flag",
    "jwt",
    "named",
    "netrc",
    "pgpass",
    UNKNOWN,
    "url-password",
    "xml",
];

impl<'e> Eye<'e> {
    /// `adapters` names those that can cut a value of this shape; `key` is the case's.
    pub fn new(key: &'e [u8; 32], adapters: &'e dyn Fn(&str) -> Vec<String>) -> Result<Eye<'e>, RedactError> {
        Ok(Eye {
            // Without the values known so far: each would be called `known` instead of what it is.
            redactor: Redactor::new(*key, &[])?,
            key,
            adapters,
        })
    }

    /// True for a kind that a shape alone tells, without the name it stood under.
    pub fn is_telling(kind: &str) -> bool {
        !PLACES.contains(&kind)
    }

    /// The keyed fingerprint of a value.
    pub fn fingerprint(&self, value: &str) -> String {
        fingerprint(self.key, value.as_bytes())
    }

    /// The last four characters of a value long enough to keep the rest of it secret.
    pub fn last4(value: &str) -> String {
        const LONG: usize = 16;
        let count = value.chars().count();
        match count >= LONG {
            true => value.chars().skip(count - 4).collect(),
            false => String::new(),
        }
    }

    /// True where the name that these were found under gives one away, or looks like one itself: it is not shown.
    pub(super) fn names_a_secret(&self, name: &str, found: &[Seen]) -> bool {
        found.iter().any(|seen| name.contains(seen.value.expose()))
            || (!found.is_empty() && self.kind(name, UNKNOWN) != UNKNOWN)
    }

    /// What a whole value looks like: adapters that can cut it, and its shape, `unknown` where none fits.
    pub fn whole(&self, value: &str) -> (Vec<String>, String) {
        ((self.adapters)(value), self.kind(value, UNKNOWN))
    }

    /// The shape that knows a value by itself, whatever name it stands under; else `otherwise`.
    fn kind(&self, value: &str, otherwise: &str) -> String {
        let (_, receipts) = self.redactor.redact(value.as_bytes());
        let mut rules = receipts.into_iter().map(|r| r.rule);
        let telling = rules.find(|rule| Eye::is_telling(rule));
        telling.unwrap_or_else(|| otherwise.to_owned())
    }

    /// What a shape alone knows in a long text, whatever stands around it: a name tells little there.
    /// `also` are kinds that count besides.
    pub(super) fn shapes(&self, text: &[u8], also: &[&str]) -> Vec<Seen> {
        let (_, receipts) = self.redactor.redact(text);
        let seen = receipts.iter().filter_map(|receipt| {
            let from = usize::try_from(receipt.offset).ok()?;
            let end = from.checked_add(usize::try_from(receipt.len).ok()?)?;
            let value = std::str::from_utf8(text.get(from..end)?).ok()?;
            let kind = match Eye::is_telling(&receipt.rule) || also.contains(&receipt.rule.as_str()) {
                true => receipt.rule.clone(),
                false => self.kind(value, UNKNOWN),
            };
            let counts = Eye::is_telling(&kind) || also.contains(&kind.as_str());
            counts.then(|| Seen {
                value: Secret::new(value.to_owned()),
                adapters: (self.adapters)(value),
                kind,
            })
        });
        seen.collect()
    }

    /// Every secret in a text such as `NAME=value`, a line of a file, a header.
    pub(super) fn see(&self, text: &str) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut taken: Vec<Range<usize>> = Vec::new();
        let (_, receipts) = self.redactor.redact(text.as_bytes());
        let pieces = pieces(text);
        for receipt in &receipts {
            let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            let range = at(receipt.offset)..at(receipt.offset.saturating_add(receipt.len));
            let Some(value) = text.get(range.clone()) else {
                continue;
            };
            let mut adapters = (self.adapters)(value);
            let mut value = value;
            if adapters.is_empty() {
                // `Bearer TOKEN` under a telling name: the part that an adapter knows is the secret.
                let inside = pieces.iter().filter(|p| overlap(p, &range));
                let known = inside.filter_map(|p| Some((text.get(p.clone())?, p)));
                let known = known
                    .map(|(piece, p)| (piece, p, (self.adapters)(piece)))
                    .find(|(_, _, adapters)| !adapters.is_empty());
                if let Some((piece, _, names)) = known {
                    (value, adapters) = (piece, names);
                }
            }
            taken.push(range);
            seen.push(Seen {
                value: Secret::new(value.to_owned()),
                adapters,
                kind: self.kind(value, &receipt.rule),
            });
        }
        for piece in pieces {
            if taken.iter().any(|t| overlap(t, &piece)) {
                continue;
            }
            let Some(value) = text.get(piece) else { continue };
            let adapters = (self.adapters)(value);
            if let Some(first) = adapters.first() {
                let kind = first.clone();
                let value = Secret::new(value.to_owned());
                seen.push(Seen {
                    value,
                    adapters,
                    kind,
                });
            }
        }
        seen
    }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The runs of a text between white space, quotes and the signs that join names and values.
fn pieces(text: &str) -> Vec<Range<usize>> {
    let parts = text.split(|c: char| c.is_whitespace() || "\"'`,;=()[]{}<>&?@".contains(c));
    let start = text.as_ptr() as usize;
    parts
        .filter(|part| PIECE.contains(&part.len()))
        .map(|part| {
            let at = part.as_ptr() as usize - start;
            at..at + part.len()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn github(value: &str) -> Vec<String> {
        let fits = value.starts_with("ghp_") && value.len() == 40;
        fits.then(|| "github".to_owned()).into_iter().collect()
    }

    fn seen(text: &str) -> Vec<(String, Vec<String>, String)> {
        let eye = Eye::new(&[7; 32], &github).unwrap();
        let all = eye.see(text).into_iter();
        all.map(|s| (s.value.expose().to_owned(), s.adapters, s.kind))
            .collect()
    }

    #[test]
    fn a_token_is_seen_alone_in_a_header_and_in_an_address() {
        let token = format!("ghp_{}", "a1".repeat(18));
        let wanted = (token.clone(), vec!["github".to_owned()], "github".to_owned());
        for text in [
            format!("GITHUB_TOKEN={token}"),
            format!("Authorization=Bearer {token}"),
            format!("args.3=--header=Authorization: token {token}"),
        ] {
            let all = seen(&text);
            assert!(
                all.iter().any(|s| s.0 == wanted.0 && s.1 == wanted.1),
                "{text}: {all:?}"
            );
            assert_eq!(all.len(), 1, "{text}: {all:?}");
        }
        let all = seen(&format!("https://ana:{token}@github.com/x"));
        assert_eq!((&all[0].0, &all[0].1), (&wanted.0, &wanted.1));
    }

    #[test]
    fn a_telling_name_is_enough_and_plain_words_are_not() {
        // Known by its shape, and still so under a telling name.
        let all = seen("VAULT_TOKEN=s.aB3dE5fG7hJ9kL1mN3pQ5rS7");
        assert_eq!(all[0].2, "vault");
        let all = seen("DB_PASSWORD=correct-horse");
        assert_eq!((all[0].0.as_str(), all[0].2.as_str()), ("correct-horse", "named"));
        assert!(all[0].1.is_empty() && !Eye::is_telling(&all[0].2));
        assert!(seen("EDITOR=/usr/bin/vim").is_empty());
        assert!(seen("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin").is_empty());
    }

    #[test]
    fn a_short_value_gives_none_of_its_letters_away() {
        assert_eq!(Eye::last4("hunter2"), "");
        assert_eq!(Eye::last4("0123456789abcdef"), "cdef");
    }
}

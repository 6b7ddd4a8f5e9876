//! Takes secrets out of text on its way into the record, and says what it took.
//!
//! Four nets: shapes of tokens (`shapes`), values under names such as `password` (`named`), values with the
//! variety of a token under names that do not say what else they are, and values this run has read
//! itself, in the usual encodings (`known`). What is taken is replaced by
//! `[REDACTED rule length fingerprint]`; the keyed fingerprint lets two places be seen to hold the
//! same secret, without letting anybody without the case key guess it.
//!
//! A net has holes: a secret of unknown shape that stands under no name, is short, or reads like words stays. Absent from this room:
//! files, clocks, the case key's origin.

mod folds;
mod known;
mod named;
mod shapes;
mod stream;
mod table;

use std::ops::Range;

use hmac::{Hmac, KeyInit as _, Mac as _};
use regex::bytes::Regex;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use folds::Fold;
use shapes::Shapes;
pub use stream::Stream;

/// Most characters of foreign text that an error may carry.
pub const SCRUB_CHARS: usize = 200;

/// The patterns could not be built; nothing may be written unredacted instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the redaction patterns cannot be built: {0}")]
pub struct RedactError(String);

/// One thing that was taken out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// 1-based line.
    pub line: u64,
    /// Byte where it began, before anything was taken out; in UTF-16 text, of the text as UTF-8.
    pub offset: u64,
    /// What recognised it: a shape (`github`), `named`, or `known`.
    pub rule: String,
    /// Its bytes.
    pub len: u64,
    /// First 12 hex digits of HMAC-SHA256(case key, value).
    pub fingerprint: String,
}

/// The nets, ready to use. The first look of a run compiles the shapes: about ten milliseconds.
pub struct Redactor {
    key: [u8; 32],
    known: known::Known,
    known_regex: Option<Regex>,
}

/// One secret found in a buffer.
struct Found {
    /// Where the look that found it began; never cut between here and the end.
    from: usize,
    /// The secret itself.
    span: Range<usize>,
    rule: &'static str,
    fingerprint: String,
}

impl Redactor {
    /// Builds the nets around a case's fingerprint key and the values known so far.
    pub fn new(key: [u8; 32], known: &[&str]) -> Result<Self, RedactError> {
        let mut redactor = Redactor {
            key,
            known: known::Known::default(),
            known_regex: None,
        };
        redactor.learn(known)?;
        Ok(redactor)
    }

    /// Adds values to look for, in the encodings they usually travel in.
    ///
    /// Values under `known::SHORTEST` bytes are passed over: taking every `abc` out of the evidence
    /// would destroy it and give the secret away.
    pub fn learn(&mut self, values: &[&str]) -> Result<(), RedactError> {
        for value in values {
            self.known.add(value, &fingerprint(&self.key, value.as_bytes()));
        }
        self.known_regex = self.known.regex()?;
        Ok(())
    }

    /// Takes the secrets out of a whole text.
    pub fn redact(&self, text: &[u8]) -> (Vec<u8>, Vec<Receipt>) {
        let mut stream = self.stream(Vec::with_capacity(text.len()));
        // Writing to a Vec cannot fail.
        let _ = std::io::Write::write_all(&mut stream, text);
        stream.finish().unwrap_or_default()
    }

    /// Takes the secrets out of what is written through it, wherever the chunks are cut.
    pub fn stream<W: std::io::Write>(&self, inner: W) -> Stream<'_, W> {
        Stream::new(self, inner)
    }

    /// Foreign text for an error message: redacted, on one line, at most [`SCRUB_CHARS`] characters.
    pub fn scrub(&self, text: &str) -> String {
        let (clean, _) = self.redact(text.as_bytes());
        let clean = String::from_utf8_lossy(&clean);
        let mut chars = clean.chars().map(|c| if c.is_control() { ' ' } else { c });
        let mut short: String = chars.by_ref().take(SCRUB_CHARS).collect();
        if chars.next().is_some() {
            short.pop();
            short.push('…');
        }
        short
    }

    /// Every secret that begins at or after `from`, in order, none overlapping another.
    fn find(&self, text: &[u8], from: usize) -> Vec<Found> {
        let Some(shapes) = Shapes::compiled() else {
            let rest = from..text.len();
            return Vec::from_iter((!rest.is_empty()).then(|| Found {
                from,
                fingerprint: fingerprint(&self.key, text.get(rest.clone()).unwrap_or_default()),
                span: rest,
                rule: "unreadable",
            }));
        };
        let folds = Fold::all(text, from);
        let mut hits = shapes.find(text, from);
        hits.extend(shapes.folded(text, from, &folds));
        hits.extend(Shapes::varied(text, from));
        let mut found: Vec<Found> = hits
            .into_iter()
            .map(|hit| Found {
                from: hit.from,
                fingerprint: fingerprint(&self.key, text.get(hit.span.clone()).unwrap_or_default()),
                span: hit.span,
                rule: hit.rule,
            })
            .collect();
        let known = self.known_regex.iter().flat_map(|regex| {
            let mut at = from;
            std::iter::from_fn(move || {
                let m = regex.find_at(text, at)?;
                at = m.end();
                Some(m.range())
            })
        });
        found.extend(known.map(|span| Found {
            from: span.start,
            fingerprint: self.known.fingerprint(text.get(span.clone()).unwrap_or_default()),
            span,
            rule: "known",
        }));
        for (fold, regex) in folds
            .iter()
            .flat_map(|f| self.known_regex.iter().map(move |r| (f, r)))
        {
            let broken = regex.find_iter(&fold.signs).filter_map(|m| {
                let span = fold.broken(m.range()).filter(|span| span.start >= from)?;
                let fingerprint = self.known.fingerprint(m.as_bytes());
                Some(Found {
                    from: span.start,
                    fingerprint,
                    span,
                    rule: "known",
                })
            });
            found.extend(broken);
        }
        merged(found)
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(…)")
    }
}

/// Joins what overlaps; a known value gives its name to the whole, and a shape goes before mere variety.
fn merged(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|f| (f.span.start, std::cmp::Reverse(f.span.end)));
    let mut joined: Vec<Found> = Vec::with_capacity(found.len());
    for next in found {
        match joined.last_mut() {
            Some(last) if next.span.start < last.span.end => {
                last.span.end = last.span.end.max(next.span.end);
                last.from = last.from.min(next.from);
                if next.rule == "known" || (last.rule == "entropy" && next.rule != "entropy") {
                    last.rule = next.rule;
                    last.fingerprint = next.fingerprint;
                }
            }
            _ => joined.push(next),
        }
    }
    joined
}

/// First 12 hex digits of HMAC-SHA256(case key, value): equal values look equal, and only here.
pub fn fingerprint(key: &[u8; 32], value: &[u8]) -> String {
    let mut mac = match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mac) => mac,
        // HMAC takes keys of any length; if it did not, no fingerprint is better than a wrong one.
        Err(_) => return "-".repeat(12),
    };
    mac.update(value);
    let digest = mac.finalize().into_bytes();
    digest.iter().take(6).map(|b| format!("{b:02x}")).collect()
}

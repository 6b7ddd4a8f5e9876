//! The journal as pure bytes: one canonical JSON line a record, each naming the one before by hash.
//!
//! A record is `{"prev":…,"seq":…,"ts":…,"type":…,"v":1,"what":{…},"who":…}` and a line feed; `prev` is
//! the SHA-256 of the previous line's exact bytes, its line feed included (64 zeros for the first).
//! Keys are ASCII and sorted, numbers are integers: sorted serde_json *is* RFC 8785 then, and
//! [`Chain::check`] refuses any other spelling: a quick scan demands the canonical bytes as it goes, and
//! what it does not take is parsed, written again and compared, which also finds the words for the error.
//!
//! Absent from this room: files, locks, clocks, and what the records mean (`model::incident`).

mod head;
mod scan;

pub use head::Head;

use std::borrow::Cow;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Longest line, its line feed included, in bytes.
pub const LINE_CAP: usize = 64 * 1024;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first record names as its predecessor.
    pub const ZERO: Hash = Hash([0; 32]);

    /// Hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Hash(Sha256::digest(bytes).into())
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let mut out = [0; 32];
        // Looked at once, at the end: every record of a long journal passes here.
        let mut wrong = 0;
        for (slot, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (NIBBLE[usize::from(pair[0])], NIBBLE[usize::from(pair[1])]);
            wrong |= high | low;
            *slot = high << 4 | low;
        }
        (wrong < 16).then_some(Hash(out))
    }

    /// Eight digits in two groups, short enough to read out or paste into a chat: `1f0c-92ab`.
    pub fn short(&self) -> String {
        let hex = self.to_string();
        format!("{}-{}", &hex[..4], &hex[4..8])
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&hex).unwrap_or_default())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Hash::parse(&text).ok_or_else(|| serde::de::Error::custom("not 64 lower-case hex digits"))
    }
}

/// Value of each lower-case hexadecimal digit; 0xff for every other byte.
const NIBBLE: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut n: u8 = 0;
    while n < 16 {
        table[b"0123456789abcdef"[n as usize] as usize] = n;
        n += 1;
    }
    table
};

/// One record. Fields are declared in canonical (sorted) order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Hash of the previous line.
    pub prev: Hash,
    /// Position, from 0.
    pub seq: u64,
    /// Wall time, RFC 3339 in UTC with milliseconds. Order is `seq`, never this.
    pub ts: String,
    /// Kind of event, such as `incident.opened`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Version of that kind's fields.
    pub v: u32,
    /// The event's fields.
    pub what: Value,
    /// Who did or said it.
    pub who: String,
}

/// One checked record, borrowed from its line. Reading what is in it is left to whoever needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// Hash of this line, its line feed included: what the next record names as `prev`.
    pub hash: Hash,
    /// Hash of the previous line.
    pub prev: Hash,
    /// Position, from 0.
    pub seq: u64,
    /// Wall time, RFC 3339 in UTC with milliseconds.
    pub ts: Cow<'a, str>,
    /// Kind of event.
    pub kind: Cow<'a, str>,
    /// Version of that kind's fields.
    pub v: u32,
    /// The event's fields as canonical JSON text.
    pub what: Cow<'a, str>,
    /// Who did or said it.
    pub who: Cow<'a, str>,
}

impl Line<'_> {
    /// The event's fields as `T`; the parser's words where they are something else.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.what)
    }

    /// The record with everything owned. Never fails for a line that was checked.
    pub fn record(&self) -> Result<Record, serde_json::Error> {
        Ok(Record {
            prev: self.prev,
            seq: self.seq,
            ts: self.ts.clone().into_owned(),
            kind: self.kind.clone().into_owned(),
            v: self.v,
            what: self.read()?,
            who: self.who.clone().into_owned(),
        })
    }
}

/// Why a line is not the next record of this chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No line feed at the end.
    #[error("record {seq}: the line is cut off")]
    Torn {
        /// Which record.
        seq: u64,
    },
    /// Longer than [`LINE_CAP`].
    #[error("record {seq}: the line is longer than 64 KiB")]
    TooLong {
        /// Which record.
        seq: u64,
    },
    /// Not a record, or a float, or an unknown field.
    #[error("record {seq}: not a record: {why}")]
    NotARecord {
        /// Which record.
        seq: u64,
        /// What the parser said.
        why: String,
    },
    /// The same record would be written with other bytes.
    #[error("record {seq}: not in canonical spelling, from byte {at} on")]
    Spelling {
        /// Which record.
        seq: u64,
        /// First byte of the line that differs.
        at: usize,
    },
    /// `seq` is not the next number.
    #[error("record {seq}: it says it is number {said}")]
    Order {
        /// Which record was expected.
        seq: u64,
        /// What the line says.
        said: u64,
    },
    /// `prev` is not the hash of the previous line.
    #[error(
        "record {seq}: it does not follow from the record before it: one of the two is not what was written"
    )]
    Link {
        /// Which record.
        seq: u64,
    },
    /// A number that other programs would read differently.
    #[error("record {seq}: a number is not an integer of at most 53 bits")]
    Number {
        /// Which record.
        seq: u64,
    },
}

/// Where a chain stands: the number and predecessor of the next record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// Hash of the newest line, [`Hash::ZERO`] before the first.
    pub head: Hash,
    /// Number of the next record = how many there are.
    pub next: u64,
}

impl Default for Chain {
    fn default() -> Self {
        Chain {
            head: Hash::ZERO,
            next: 0,
        }
    }
}

impl Chain {
    /// Writes the next record as a line and moves on. `what` must hold integers only.
    pub fn write(
        &mut self,
        ts: &str,
        kind: &str,
        v: u32,
        what: Value,
        who: &str,
    ) -> Result<Vec<u8>, ChainError> {
        let line = spelled(&Spelled {
            prev: self.head,
            seq: self.next,
            ts,
            kind,
            v,
            what: &what,
            who,
        })?;
        Ok(self.moved_to(line))
    }

    /// The same from the fields' JSON text. Where that happens to be canonical no tree is built of it, which
    /// is what a sweep of thousands of facts is written by; any other spelling of an object is put in order.
    pub fn write_text(
        &mut self,
        ts: &str,
        kind: &str,
        v: u32,
        what: &str,
        who: &str,
    ) -> Result<Vec<u8>, ChainError> {
        let seq = self.next;
        let not_a_record = |e: serde_json::Error| ChainError::NotARecord {
            seq,
            why: e.to_string(),
        };
        let mut line = Vec::with_capacity(what.len() + 256);
        let text = |line: &mut Vec<u8>, text: &str| serde_json::to_writer(line, text).map_err(not_a_record);
        line.extend_from_slice(format!("{{\"prev\":\"{}\",\"seq\":{seq},\"ts\":", self.head).as_bytes());
        text(&mut line, ts)?;
        line.extend_from_slice(b",\"type\":");
        text(&mut line, kind)?;
        line.extend_from_slice(format!(",\"v\":{v},\"what\":{what},\"who\":").as_bytes());
        text(&mut line, who)?;
        line.push(b'}');
        // The scan takes the fields for what they are only where the text is one value and nothing beside it.
        let canonical = scan::scan(&line).is_some_and(|places| places.what_is(what.len()));
        if !canonical {
            let what = serde_json::from_str(what).map_err(not_a_record)?;
            return self.write(ts, kind, v, what, who);
        }
        line.push(b'\n');
        if line.len() > LINE_CAP {
            return Err(ChainError::TooLong { seq });
        }
        Ok(self.moved_to(line))
    }

    /// The chain after this line, which is handed back.
    fn moved_to(&mut self, line: Vec<u8>) -> Vec<u8> {
        *self = Chain {
            head: Hash::of(&line),
            next: self.next + 1,
        };
        line
    }

    /// Checks that `line` (line feed included) is the next record, moves on, and hands it back.
    pub fn check(&mut self, line: &[u8]) -> Result<Record, ChainError> {
        let seq = self.next;
        let not_a_record = |e: serde_json::Error| ChainError::NotARecord {
            seq,
            why: e.to_string(),
        };
        self.check_line(line)?.record().map_err(not_a_record)
    }

    /// Like [`Chain::check`], without reading meaning into the record: several times faster.
    pub fn check_line<'a>(&mut self, line: &'a [u8]) -> Result<Line<'a>, ChainError> {
        self.check_ahead(line, &Ahead::of(line))
    }

    /// Like [`Chain::check_line`], with what was found out about this line beforehand.
    pub fn check_ahead<'a>(&mut self, line: &'a [u8], ahead: &Ahead) -> Result<Line<'a>, ChainError> {
        let seq = self.next;
        if line.len() > LINE_CAP {
            return Err(ChainError::TooLong { seq });
        }
        let Some((b'\n', body)) = line.split_last() else {
            return Err(ChainError::Torn { seq });
        };
        let mut checked = match ahead.places.as_ref().and_then(|places| places.line(body)) {
            Some(checked) => checked,
            None => parse_strictly(seq, line, body)?,
        };
        if checked.seq != seq {
            return Err(ChainError::Order {
                seq,
                said: checked.seq,
            });
        }
        if checked.prev != self.head {
            return Err(ChainError::Link { seq });
        }
        checked.hash = ahead.hash;
        *self = Chain {
            head: ahead.hash,
            next: seq + 1,
        };
        Ok(checked)
    }

    /// Where the chain must stand before `first` for `first` to follow: what it claims, not what is proved.
    ///
    /// A journal that continues a damaged one does not begin at 0; see `journal.continued`.
    pub fn before(first: &[u8]) -> Option<Chain> {
        let line = scan::scan(first.strip_suffix(b"\n")?)?;
        Some(Chain {
            head: line.prev,
            next: line.seq,
        })
    }
}

/// What can be found out about a line without the one before it: the greater part of checking it.
pub struct Ahead {
    hash: Hash,
    places: Option<scan::Places>,
}

impl Ahead {
    /// Looks at a line, its line feed included.
    pub fn of(line: &[u8]) -> Ahead {
        Ahead {
            hash: Hash::of(line),
            places: line.strip_suffix(b"\n").and_then(scan::scan),
        }
    }
}

/// A line's parts, neither its place in a chain nor its hash looked at; `None` where it is not canonical.
pub fn parts(line: &[u8]) -> Option<Line<'_>> {
    let body = line.strip_suffix(b"\n")?;
    let quick = scan::scan(body).and_then(|places| places.line(body));
    quick.or_else(|| parse_strictly(0, line, body).ok())
}

/// The definition of canonical: parse, write again, compare.
fn parse_strictly(seq: u64, line: &[u8], body: &[u8]) -> Result<Line<'static>, ChainError> {
    let not_a_record = |e: serde_json::Error| ChainError::NotARecord {
        seq,
        why: e.to_string(),
    };
    let record: Record = serde_json::from_slice(body).map_err(not_a_record)?;
    let again = line_of(&record).map_err(|_| ChainError::Number { seq })?;
    if again != line {
        let at = again.iter().zip(line).take_while(|(a, b)| a == b).count();
        return Err(ChainError::Spelling { seq, at });
    }
    Ok(Line {
        hash: Hash::ZERO,
        prev: record.prev,
        seq: record.seq,
        ts: record.ts.into(),
        kind: record.kind.into(),
        v: record.v,
        what: serde_json::to_string(&record.what).map_err(not_a_record)?.into(),
        who: record.who.into(),
    })
}

/// What a line is spelled from: a [`Record`] that owns nothing.
#[derive(Serialize)]
struct Spelled<'a> {
    prev: Hash,
    seq: u64,
    ts: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    v: u32,
    what: &'a Value,
    who: &'a str,
}

/// The line of a record, line feed included.
fn line_of(record: &Record) -> Result<Vec<u8>, ChainError> {
    spelled(&Spelled {
        prev: record.prev,
        seq: record.seq,
        ts: &record.ts,
        kind: &record.kind,
        v: record.v,
        what: &record.what,
        who: &record.who,
    })
}

fn spelled(record: &Spelled<'_>) -> Result<Vec<u8>, ChainError> {
    let seq = record.seq;
    if !integers_only(record.what) {
        return Err(ChainError::Number { seq });
    }
    let mut line = serde_json::to_vec(record).map_err(|e| ChainError::NotARecord {
        seq,
        why: e.to_string(),
    })?;
    line.push(b'\n');
    if line.len() > LINE_CAP {
        return Err(ChainError::TooLong { seq });
    }
    Ok(line)
}

fn integers_only(value: &Value) -> bool {
    const LIMIT: u64 = 1 << 53;
    match value {
        Value::Number(n) => {
            n.as_u64().is_some_and(|n| n < LIMIT) || n.as_i64().is_some_and(|n| n.unsigned_abs() < LIMIT)
        }
        Value::Array(items) => items.iter().all(integers_only),
        Value::Object(fields) => fields.iter().all(|(k, v)| k.is_ascii() && integers_only(v)),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// The kind of a line by its place alone, unchecked: for lists that must be cheap.
pub fn kind_of(line: &[u8]) -> Option<&str> {
    const PREFIX: usize = "{\"prev\":\"".len() + 64 + "\",\"seq\":".len();
    let rest = std::str::from_utf8(line.get(PREFIX..)?).ok()?;
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let (_ts, rest) = rest.strip_prefix(",\"ts\":\"")?.split_once("\",\"type\":\"")?;
    rest.split_once('"').map(|(kind, _)| kind)
}

/// Splits a journal into lines, line feeds included; a last line without one is handed out as it is.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|b| *b == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn three() -> Vec<u8> {
        let mut chain = Chain::default();
        let mut bytes = Vec::new();
        for n in 0..3 {
            let line = chain.write(
                "2026-11-22T03:14:07.120Z",
                "note.added",
                1,
                json!({"n": n, "text": "é\u{1}\"x"}),
                "ana",
            );
            bytes.extend(line.unwrap());
        }
        bytes
    }

    fn verdict(bytes: &[u8]) -> Result<u64, ChainError> {
        let mut chain = Chain::default();
        lines(bytes).try_for_each(|l| chain.check(l).map(|_| ()))?;
        Ok(chain.next)
    }

    #[test]
    fn a_hash_is_64_lower_case_digits() {
        let hash = Hash::of(b"x");
        let text = hash.to_string();
        assert_eq!(Hash::parse(&text), Some(hash));
        for bad in [
            &text[1..],
            &text.to_uppercase(),
            &text.replacen('d', "g", 1),
            &"é".repeat(32),
        ] {
            assert_eq!(Hash::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_written_checks() {
        assert_eq!(verdict(&three()), Ok(3));
    }

    #[test]
    fn from_text_the_same_line_is_written_as_from_a_tree() {
        let tree: Value = json!({"a": [1, -2, "é\u{1}\"\\"], "b": {"c": null, "d": true}});
        for text in [
            tree.to_string(),
            "{\"b\":{\"d\":true,\"c\":null},\"a\":[1,-2,\"\\u00e9\\u0001\\\"\\\\\"]}".to_owned(),
            format!(" {} ", tree.to_string().replace(':', " : ")),
        ] {
            let (mut one, mut other) = (Chain::default(), Chain::default());
            let line = one.write_text("t", "x", 1, &text, "a\"b").unwrap();
            assert_eq!(
                line,
                other.write("t", "x", 1, tree.clone(), "a\"b").unwrap(),
                "{text}"
            );
            assert_eq!(one, other);
        }
        for bad in [
            "",
            "{\"a\":1.5}",
            "{\"a\":9007199254740993}",
            "{},\"who\":\"eve\"",
            "{}}",
            "{\"a\":1",
        ] {
            let mut chain = Chain::default();
            assert!(chain.write_text("t", "x", 1, bad, "a").is_err(), "{bad}");
            assert_eq!(chain, Chain::default());
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(LINE_CAP));
        let refused = Chain::default().write_text("t", "x", 1, &long, "a");
        assert_eq!(refused, Err(ChainError::TooLong { seq: 0 }));
    }

    #[test]
    fn no_flipped_byte_is_accepted_before_the_last_line() {
        let good = three();
        let last = good
            .iter()
            .rev()
            .skip(1)
            .position(|b| *b == b'\n')
            .map(|p| good.len() - 1 - p)
            .unwrap();
        for at in 0..last {
            for bit in [0x01, 0x20, 0x80] {
                let mut bad = good.clone();
                bad[at] ^= bit;
                assert!(verdict(&bad).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let zeros = "0".repeat(64);
        let line = |what: &str| {
            format!(
                "{{\"prev\":\"{zeros}\",\"seq\":0,\"ts\":\"t\",\"type\":\"x\",\"v\":1,\"what\":{what},\"who\":\"a\"}}\n"
            )
        };
        assert_eq!(verdict(line("{\"a\":1}").as_bytes()), Ok(1));
        for bad in [
            "{\"a\":1,\"a\":1}",
            "{\"a\":1.0}",
            "{\"a\":1e0}",
            "{\"a\":\"\\u0061\"}",
            "{ \"a\":1}",
            "{\"b\":1,\"a\":1}",
            "{\"a\":9007199254740993}",
        ] {
            assert!(verdict(line(bad).as_bytes()).is_err(), "{bad}");
        }
    }
}

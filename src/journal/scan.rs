//! The quick way to a checked line: walk its bytes once and demand the canonical spelling on the way.
//!
//! It takes nothing that parsing and writing again would refuse; where it is not sure it gives up, and
//! [`super::Chain::check_line`] goes the slow way. The test at the end holds the two against each other.

use std::borrow::Cow;
use std::ops::Range;

use super::{Hash, Line};

/// Deeper nesting is left to the slow way, which has its own limit.
const DEPTH: u32 = 64;
const NUMBER_LIMIT: u64 = 1 << 53;

/// Where the parts of a record stand in its line. Texts are without their quotes.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub prev: Hash,
    pub seq: u64,
    pub v: u32,
    ts: Range<usize>,
    kind: Range<usize>,
    what: Range<usize>,
    who: Range<usize>,
}

/// Walks a record's line without its line feed; `None` where it is not certainly canonical.
pub(super) fn scan(body: &[u8]) -> Option<Places> {
    let mut at = Cursor {
        text: std::str::from_utf8(body).ok()?,
        at: 0,
    };
    at.expect("{\"prev\":\"")?;
    let prev = Hash::parse(at.text.get(at.at..at.at + 64)?)?;
    at.at += 64;
    at.expect("\",\"seq\":")?;
    let seq = at.natural()?;
    at.expect(",\"ts\":")?;
    let ts = at.string()?;
    at.expect(",\"type\":")?;
    let kind = at.string()?;
    at.expect(",\"v\":")?;
    let v = u32::try_from(at.natural()?).ok()?;
    at.expect(",\"what\":")?;
    let start = at.at;
    at.value(0)?;
    let what = start..at.at;
    at.expect(",\"who\":")?;
    let who = at.string()?;
    at.expect("}")?;
    (at.at == at.text.len()).then_some(Places {
        prev,
        seq,
        v,
        ts,
        kind,
        what,
        who,
    })
}

impl Places {
    /// True where the event's fields take this many bytes.
    pub fn what_is(&self, long: usize) -> bool {
        self.what.len() == long
    }

    /// The line again, all but its hash, from the bytes that were walked.
    pub fn line<'a>(&self, body: &'a [u8]) -> Option<Line<'a>> {
        let text = std::str::from_utf8(body).ok()?;
        let string = |place: &Range<usize>| {
            let raw = text.get(place.clone())?;
            if !raw.contains('\\') {
                return Some(Cow::Borrowed(raw));
            }
            let quoted = text.get(place.start.checked_sub(1)?..place.end + 1)?;
            serde_json::from_str(quoted).ok().map(Cow::Owned)
        };
        Some(Line {
            hash: Hash::ZERO,
            prev: self.prev,
            seq: self.seq,
            ts: string(&self.ts)?,
            kind: string(&self.kind)?,
            v: self.v,
            what: Cow::Borrowed(text.get(self.what.clone())?),
            who: string(&self.who)?,
        })
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, token: &str) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(token.as_bytes()).then(|| self.at += token.len())
    }

    /// An unsigned integer below 2^53, without leading zeros.
    fn natural(&mut self) -> Option<u64> {
        let start = self.at;
        let mut n: u64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            n = n.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            self.at += 1;
        }
        let digits = &self.text.as_bytes()[start..self.at];
        let plain = match digits {
            [] => false,
            [b'0', _, ..] => false,
            _ => n < NUMBER_LIMIT,
        };
        plain.then_some(n)
    }

    /// A string as it stands between its quotes, and whether an escape is in it.
    fn raw_string(&mut self) -> Option<(&'a str, bool)> {
        self.expect("\"")?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            match *bytes.get(self.at)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += escape(&bytes[self.at..])?;
                }
                0..0x20 => return None,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some((&self.text[start..self.at - 1], escaped))
    }

    /// Where a string stands, without its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at + 1;
        self.raw_string()?;
        Some(start..self.at - 1)
    }

    fn value(&mut self, depth: u32) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        match self.peek()? {
            b'"' => self.raw_string().map(|_| ()),
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b't' => self.expect("true"),
            b'f' => self.expect("false"),
            b'n' => self.expect("null"),
            b'-' => {
                self.at += 1;
                // `-0` would be read as a float.
                (self.natural()? != 0).then_some(())
            }
            _ => self.natural().map(|_| ()),
        }
    }

    fn array(&mut self, depth: u32) -> Option<()> {
        self.at += 1;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.value(depth + 1)?;
            let next = self.peek()?;
            self.at += 1;
            match next {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// An object whose keys are ASCII, without escapes, and strictly ascending: no duplicates then.
    fn object(&mut self, depth: u32) -> Option<()> {
        self.at += 1;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        let mut before: Option<&str> = None;
        loop {
            let (key, escaped) = self.raw_string()?;
            if escaped || !key.is_ascii() || before.is_some_and(|b| b >= key) {
                return None;
            }
            before = Some(key);
            self.expect(":")?;
            self.value(depth + 1)?;
            let next = self.peek()?;
            self.at += 1;
            match next {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }
}

/// Length of the escape at the start of `bytes`, where it is the one spelling RFC 8785 allows.
fn escape(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => match bytes.get(2..6)? {
            // \b \t \n \f \r have their short forms.
            [b'0', b'0', b'0', b'8' | b'9' | b'a' | b'c' | b'd'] => None,
            [b'0', b'0', b'0' | b'1', b'0'..=b'9' | b'a'..=b'f'] => Some(6),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Chain, Record, line_of};
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Parse, write again, compare: the definition the scanner must keep to.
    fn slow(line: &[u8]) -> Option<Record> {
        let record: Record = serde_json::from_slice(line.strip_suffix(b"\n")?).ok()?;
        (line_of(&record).ok()? == line).then_some(record)
    }

    fn quick(line: &[u8]) -> Option<Record> {
        let body = line.strip_suffix(b"\n")?;
        scan(body)?.line(body)?.record().ok()
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-(1_i64 << 53) + 1..1_i64 << 53).prop_map(Value::from),
            "\\PC*|[\u{0}-\u{20}\"\\\\é\u{7f}\u{2028}😀]*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z_]{0,4}", inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_written_line_goes_the_quick_way(what in values(), who in "\\PC*") {
            let line = Chain::default().write("t", "note.added", 1, what, &who).unwrap();
            let record = quick(&line);
            prop_assert!(record.is_some());
            prop_assert_eq!(record, slow(&line));
        }

        #[test]
        fn what_the_quick_way_takes_the_slow_way_takes(
            what in values(), at in any::<prop::sample::Index>(), with in prop::collection::vec(any::<u8>(), 0..3), cut in 0_usize..3,
        ) {
            let mut line = Chain::default().write("t", "note.added", 1, what, "ana").unwrap();
            let at = at.index(line.len());
            let end = (at + cut).min(line.len());
            line.splice(at..end, with);
            if let Some(record) = quick(&line) {
                prop_assert_eq!(Some(record), slow(&line));
            }
        }
    }

    #[test]
    fn no_single_byte_change_divides_the_two_ways() {
        let what = json!({"a": [1, -2, "é\u{1}\"\\\n"], "b": {"c": null, "d": true}, "e": 9_007_199_254_740_991_u64});
        let good = Chain::default().write("t", "x", 1, what, "a\tb").unwrap();
        for at in 0..good.len() {
            for byte in 0..=255 {
                let mut line = good.clone();
                line[at] = byte;
                assert_eq!(quick(&line), slow(&line), "byte {at} as {byte:#x}");
            }
        }
    }

    #[test]
    fn deep_nesting_is_left_to_the_slow_way() {
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        let line = Chain::default().write("t", "x", 1, deep, "a").unwrap();
        assert_eq!(quick(&line), None);
        assert!(Chain::default().check(&line).is_ok());
    }
}

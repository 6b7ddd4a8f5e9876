//! Finds secrets of known shapes: one search for the words of all of them, and a close look at the few places found.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use regex::bytes::{Regex, RegexBuilder};

use super::RedactError;
use super::folds::{Fold, base64_begins, base64_ends, line_end};
use super::named;
use super::table::{Begins, Check, SHAPES, Shape};

/// Prefixes of secrets that are also recognised inside base64.
const PREFIXES: [&str; 22] = [
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "sk-ant-",
    "sk-proj-",
    "sk_live_",
    "xoxb-",
    "xoxp-",
    "hvs.",
    "npm_",
    "pypi-Ag",
    "AKIA",
    "dckr_pat_",
    "-----BEGIN ",
    "postgres://",
    "postgresql://",
    "mysql://",
    "password",
    "PASSWORD",
    "_TOKEN=",
];

/// The shape of these, whose words are their pieces.
const BASE64: Shape = Shape {
    name: "base64",
    words: &[],
    begins: Begins::Here,
    pattern: "",
    check: Check::Base64,
};

/// Longest base64 text that is decoded around such a prefix, in characters each way.
const DECODED: usize = 8 << 10;

/// One secret of a known shape.
pub struct Hit {
    /// Where its match began, the name before it included.
    pub from: usize,
    /// The secret itself.
    pub span: Range<usize>,
    /// The shape.
    pub rule: &'static str,
}

/// A row of the table, ready to use.
struct Ready {
    shape: &'static Shape,
    pattern: String,
    /// Built when first needed: most shapes never turn up.
    regex: OnceLock<Option<Regex>>,
}

/// All shapes, and the one search that finds their words.
pub struct Shapes {
    words: AhoCorasick,
    /// Which shapes have the word of this number.
    of_word: Vec<Vec<usize>>,
    all: Vec<Ready>,
    /// What tells a secret inside base64, for text whose lines are joined.
    pieces: AhoCorasick,
    base64: GeneralPurpose,
}

/// What came of looking for a shape in one place.
enum Look {
    /// It is there: where the secret is, and where the match ends.
    There(Range<usize>, usize),
    /// It would be there, but it is no secret; where the match ends.
    Harmless(usize),
    /// It is not there.
    Absent,
}

/// Longest run of signs in which more than [`TRIES`] beginnings may come to nothing, in bytes.
const RUN: usize = 4 << 10;
/// Beginnings in a longer one, each of which may look at all of it, before the rest of it is taken out unseen:
/// text that was made to be slow.
const TRIES: u32 = 64;

impl Shapes {
    /// The table, compiled when first needed and kept: that takes a few milliseconds.
    ///
    /// `None` where it cannot be compiled, which a test rules out; nothing is to be let through then.
    pub fn compiled() -> Option<&'static Shapes> {
        static COMPILED: OnceLock<Option<Shapes>> = OnceLock::new();
        COMPILED.get_or_init(|| Shapes::new().ok()).as_ref()
    }

    fn new() -> Result<Self, RedactError> {
        let pieces = base64_pieces();
        let mut words: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, shape) in SHAPES.iter().enumerate() {
            for word in shape.words {
                words.entry(word.to_ascii_lowercase()).or_default().push(number);
            }
        }
        for piece in &pieces {
            words
                .entry(piece.to_ascii_lowercase())
                .or_default()
                .push(SHAPES.len());
        }
        let why = |e: aho_corasick::BuildError| RedactError(e.to_string());
        let search = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(words.keys())
            .map_err(why)?;
        let ready = |shape: &'static Shape, pattern: &str| Ready {
            shape,
            pattern: format!(r"\A(?:{pattern})"),
            regex: OnceLock::new(),
        };
        let telling = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::DFA))
            .build(&pieces)
            .map_err(why)?;
        let mut all: Vec<Ready> = SHAPES.iter().map(|shape| ready(shape, shape.pattern)).collect();
        let pieces: Vec<String> = pieces.iter().map(|piece| regex::escape(piece)).collect();
        all.push(ready(&BASE64, &pieces.join("|")));
        Ok(Shapes {
            words: search,
            of_word: words.into_values().collect(),
            all,
            pieces: telling,
            base64: GeneralPurpose::new(
                &alphabet::STANDARD,
                GeneralPurposeConfig::new()
                    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
                    .with_decode_allow_trailing_bits(true),
            ),
        })
    }

    /// Every hit whose word stands at or after `at`, in the order of the words.
    ///
    /// The text is searched once for all words; a shape is looked for only where one of its words is, and a
    /// match of it is never looked at twice: that keeps it linear, and quick where there is little.
    pub fn find(&self, text: &[u8], at: usize) -> Vec<Hit> {
        let mut hits: Vec<Hit> = Vec::new();
        let mut passed = vec![at; self.all.len()];
        let mut decoded_to = 0;
        let mut run = Run::default();
        for word in self.words.find_overlapping_iter(Input::new(text).range(at..)) {
            let place = word.start();
            // What stands in a secret goes with it.
            if hits.iter().rev().take(4).any(|hit| hit.span.contains(&place)) {
                continue;
            }
            for number in self.of_word.get(word.pattern().as_usize()).into_iter().flatten() {
                let (Some(ready), Some(passed)) = (self.all.get(*number), passed.get_mut(*number)) else {
                    continue;
                };
                let Some(start) = ready
                    .shape
                    .begins
                    .seen_from(text, place)
                    .filter(|start| start >= passed)
                else {
                    continue;
                };
                if ready.shape.check == Check::Named && !named::may_follow(text, word.range()) {
                    continue;
                }
                match self.look(ready, text, start, &mut decoded_to) {
                    Look::There(span, end) => {
                        *passed = end;
                        let rule = ready.shape.name;
                        hits.push(Hit {
                            from: start.min(span.start),
                            span,
                            rule,
                        });
                        break;
                    }
                    Look::Harmless(end) => *passed = end,
                    Look::Absent => {
                        if let Some(rest) = run.fruitless(text, place) {
                            hits.push(Hit {
                                from: rest.start,
                                span: rest,
                                rule: "unreadable",
                            });
                            break;
                        }
                    }
                }
            }
        }
        hits
    }

    /// Secrets in base64 text of several lines, beginning at or after `at`: where the telling piece is itself cut by the
    /// end of a line; and anywhere where something stands before each line, which is looked over here alone.
    pub fn folded(&self, text: &[u8], at: usize, folds: &[Fold]) -> Vec<Hit> {
        let mut hits = Vec::new();
        for fold in folds {
            let mut decoded_to = 0;
            for piece in self.pieces.find_overlapping_iter(&fold.signs) {
                let piece = piece.range();
                let place = match fold.prefixed {
                    true => fold.place(piece.clone()),
                    false => fold.broken(piece.clone()),
                };
                let Some(place) = place.filter(|place| place.start >= at) else {
                    continue;
                };
                let span = match fold.prefixed {
                    true => self.inside_fold(fold, piece, &mut decoded_to),
                    false => self.inside_base64(text, place, &mut decoded_to),
                };
                hits.extend(span.map(|span| Hit {
                    from: span.start,
                    span,
                    rule: BASE64.name,
                }));
            }
        }
        hits
    }

    /// Values of no known shape that look as tokens do, beginning at or after `at`.
    pub fn varied(text: &[u8], mut at: usize) -> Vec<Hit> {
        let mut hits = Vec::new();
        while let Some(mark) = text.get(at..).and_then(|rest| memchr::memchr2(b':', b'=', rest)) {
            let mark = at + mark;
            at = mark + 1;
            if let Some(word) = named::long_word(text, mark) {
                at = word.end;
                hits.extend(named::varied(text, mark, word).map(|span| Hit {
                    from: mark,
                    span,
                    rule: "entropy",
                }));
            }
        }
        hits
    }

    /// Looks for a shape that would begin here.
    fn look(&self, ready: &Ready, text: &[u8], start: usize, decoded_to: &mut usize) -> Look {
        let (shape, rest) = (&ready.shape, text.get(start..).unwrap_or_default());
        let regex = ready.regex.get_or_init(|| compile(&ready.pattern).ok());
        // A test compiles them all; were one missing, what it might have found must not pass.
        let Some(regex) = regex else {
            return Look::There(start..text.len(), text.len());
        };
        let Some(found) = regex.find(rest) else {
            return Look::Absent;
        };
        let end = start + found.end();
        let groups = match regex.captures_len() {
            1 => None,
            _ => regex.captures(rest),
        };
        let group = |n| {
            let group = groups.as_ref()?.get(n)?;
            Some(start + group.start()..start + group.end())
        };
        let whole = group(1).unwrap_or(start..end);
        let bytes = text.get(whole.clone()).unwrap_or_default();
        let has = |test: fn(&u8) -> bool| bytes.iter().any(test);
        let span = match shape.check {
            Check::Sure => Some(whole),
            Check::Digit => has(u8::is_ascii_digit).then_some(whole),
            Check::Mixed => {
                (has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase))
                    .then_some(whole)
            }
            Check::Value => (!named::is_placeholder(bytes)).then_some(whole),
            Check::Flag => group(2).filter(|value| {
                let name = match String::from_utf8_lossy(bytes) {
                    name if name == "-pass" || name == "--pass" => "the-pass".into(),
                    name => name,
                };
                named::flag(&name, text.get(value.clone()).unwrap_or_default())
            }),
            Check::Named => named::secret(text, start..end),
            Check::Base64 => self.inside_base64(text, start..end, decoded_to),
        };
        match span {
            Some(span) => {
                let end = end.max(span.end);
                Look::There(span, end)
            }
            None => Look::Harmless(end),
        }
    }

    /// The base64 text around a telling piece, where it really holds a secret.
    fn inside_base64(&self, text: &[u8], hit: Range<usize>, decoded_to: &mut usize) -> Option<Range<usize>> {
        if hit.start < *decoded_to {
            return None;
        }
        let start = base64_begins(
            text,
            hit.start,
            (*decoded_to).max(hit.start.saturating_sub(DECODED)),
        );
        let end = base64_ends(text, hit.end, text.len().min(hit.end + DECODED));
        let body = text.get(start..end)?;
        *decoded_to = end;
        let mut signs: Vec<u8> = Vec::with_capacity(body.len());
        let mut rest = body;
        while let Some(sign) = rest.first() {
            match line_end(rest) {
                0 => {
                    signs.push(standard(sign));
                    rest = rest.get(1..)?;
                }
                n => rest = rest.get(n..)?,
            }
        }
        self.holds_a_secret(&signs).then_some(start..end)
    }

    /// The same where something stands before each line.
    fn inside_fold(&self, fold: &Fold, piece: Range<usize>, decoded_to: &mut usize) -> Option<Range<usize>> {
        if piece.start < *decoded_to {
            return None;
        }
        let start = piece.start.saturating_sub(DECODED).max(*decoded_to);
        let end = fold.signs.len().min(piece.end + DECODED);
        *decoded_to = end;
        let signs = fold.signs.get(start..end)?.iter();
        let standard: Vec<u8> = signs.map(standard).collect();
        self.holds_a_secret(&standard).then(|| fold.place(start..end))?
    }

    /// True for base64 text in which a secret is written.
    fn holds_a_secret(&self, signs: &[u8]) -> bool {
        // Where the text began earlier than we look back, one of four beginnings is the right one.
        (0..4).any(|skip| {
            let part = signs.get(skip..).unwrap_or_default();
            let whole = part.get(..part.len() - usize::from(part.len() % 4 == 1));
            let inner = self.base64.decode(whole.unwrap_or_default());
            inner.is_ok_and(|inner| !self.find(&inner, 0).is_empty())
        })
    }
}

/// The sign in the usual alphabet.
fn standard(sign: &u8) -> u8 {
    match sign {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    }
}

/// The run of signs in which shapes were last looked for in vain.
#[derive(Default)]
struct Run {
    end: usize,
    tries: u32,
}

impl Run {
    /// Counts one more beginning that came to nothing. `Some` with the rest of the run where they are too many.
    fn fruitless(&mut self, text: &[u8], at: usize) -> Option<Range<usize>> {
        if at >= self.end {
            let rest = text.get(at..).unwrap_or_default();
            let len = rest
                .iter()
                .take_while(|b| !b.is_ascii_whitespace() && !b"\"'<>".contains(b))
                .count();
            *self = Run {
                end: at + len,
                tries: 0,
            };
        }
        if self.end - at < RUN {
            return None;
        }
        self.tries += 1;
        (self.tries > TRIES).then_some(at..self.end)
    }
}

impl Begins {
    /// Where a match would begin whose word is at `at`; `None` where none can.
    fn seen_from(self, text: &[u8], at: usize) -> Option<usize> {
        let back = |most: usize, test: fn(&u8) -> bool| {
            let before = text.get(..at).unwrap_or_default().iter().rev();
            at - before.take(most).take_while(|b| test(b)).count()
        };
        let before = |at: usize| at.checked_sub(1).and_then(|at| text.get(at)).copied();
        match self {
            Begins::Here => Some(at),
            Begins::Word => begins_word(text, at).then_some(at),
            Begins::Before(n) => at.checked_sub(n).filter(|at| begins_word(text, *at)),
            Begins::AtDigits => Some(back(11, u8::is_ascii_digit)).filter(|at| begins_word(text, *at)),
            Begins::InQuery => {
                let rest = text.get(..at)?;
                let rest = rest.strip_suffix(b"amp;").unwrap_or(rest);
                matches!(rest.last(), Some(b'?' | b'&')).then_some(at)
            }
            Begins::AtDash => {
                let flag = back(27, |b| b.is_ascii_alphabetic() || *b == b'-');
                let dash = flag < at && text.get(flag) == Some(&b'-');
                let parted = before(flag).is_some_and(|b| b.is_ascii_whitespace() || b"\"'".contains(&b));
                (dash && parted).then(|| flag - 1)
            }
            Begins::AtTag => {
                let name = back(31, |b| b.is_ascii_alphabetic() || b":_-".contains(b));
                (before(name) == Some(b'<')).then(|| name - 1)
            }
            Begins::AtLine => {
                let host = back(256, |b| b.is_ascii_alphanumeric() || b"_.*-".contains(b));
                let rest = text.get(..host)?;
                let rest = rest.strip_suffix(b"\xEF\xBB\xBF").unwrap_or(rest);
                matches!(rest.last(), None | Some(b'\n')).then_some(host)
            }
        }
    }
}

/// True where a word begins here, also behind an escaped line end or blank, as JSON and shells write
/// them: in `\nghp_…` the letter is no part of the word.
fn begins_word(text: &[u8], at: usize) -> bool {
    let word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let before = text.get(..at).unwrap_or_default();
    if word(before.last()) != word(text.get(at)) {
        return true;
    }
    let ends = |rest: &[u8]| rest.last() == Some(&b'\\');
    let low = |hex: &[u8]| matches!(hex, [b'0' | b'1', digit] if digit.is_ascii_hexdigit());
    match before {
        [rest @ .., b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'0'] if ends(rest) => true,
        [rest @ .., b'u', b'0', b'0', a, b] if low(&[*a, *b]) && ends(rest) => true,
        [rest @ .., b'x', a, b] => low(&[*a, *b]) && ends(rest),
        _ => false,
    }
}

/// Room for the compiled patterns and for their caches, in bytes.
const SIZE: usize = 64 << 20;
const DFA: usize = 16 << 20;

fn compile(pattern: &str) -> Result<Regex, RedactError> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(SIZE)
        .dfa_size_limit(DFA)
        .build()
        .map_err(|why| RedactError(why.to_string()))
}

/// What the prefixes look like inside base64, at each of the three places a byte can begin.
fn base64_pieces() -> Vec<String> {
    let plain = base64::engine::general_purpose::STANDARD_NO_PAD;
    let mut pieces: Vec<String> = PREFIXES
        .iter()
        .flat_map(|prefix| (0..3).map(move |lead| (prefix, lead)))
        .filter_map(|(prefix, lead)| {
            let shifted = [&vec![0; lead][..], prefix.as_bytes()].concat();
            let text = plain.encode(&shifted);
            let piece = text.get((lead * 4).div_ceil(3)..shifted.len() * 8 / 6)?;
            Some(piece.to_owned())
        })
        .collect();
    pieces.sort();
    pieces.dedup();
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_compiles() {
        let shapes = Shapes::compiled().unwrap();
        assert!(shapes.all.len() > 60);
        for ready in &shapes.all {
            assert!(compile(&ready.pattern).is_ok(), "{}", ready.shape.name);
        }
    }

    #[test]
    fn a_word_begins_where_one_does_and_behind_what_is_escaped() {
        for (text, begins) in [
            ("@", true),
            (" @", true),
            ("-@", true),
            ("a@", false),
            ("_@", false),
            (r"\n@", true),
            (r"\\t@", true),
            (r"\u000a@", true),
            (r"\x1b@", true),
            (r"\x7b@", false),
            (r"\q@", false),
            ("xn@", false),
        ] {
            let at = text.find('@').unwrap();
            let text = text.replace('@', "ghp");
            assert_eq!(begins_word(text.as_bytes(), at), begins, "{text}");
        }
    }

    #[test]
    fn a_long_run_of_beginnings_goes_unseen_and_a_short_one_stays() {
        let shapes = Shapes::compiled().unwrap();
        let hits = shapes.find(&b"eyJ-".repeat(5_000), 0);
        assert_eq!(hits.len(), 1);
        assert_eq!((hits[0].rule, hits[0].span.end), ("unreadable", 20_000));
        assert!(hits[0].span.start < 1_000);
        assert!(shapes.find(&b"eyJ-".repeat(900), 0).is_empty());
        assert!(shapes.find(&b"eyJ- ".repeat(5_000), 0).is_empty());
    }
}

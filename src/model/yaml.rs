//! YAML as a tree with places, so that every mistake in a file is shown at once, each with its caret.
//!
//! The parser is serde-saphyr (declared as `serde_yaml`, see Cargo.toml) with strict options: a
//! duplicate key, a merge key, an unknown tag or an alias bomb is an error, never silently a lost
//! safeguard. Decoding is by hand through [`Fields`]: serde stops at the first mistake, people
//! at 3 a.m. should not have to.

use std::cell::RefCell;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

use super::diagnostic::{Diagnostic, Place};

/// Longest file that is read, in bytes.
pub const FILE_CAP: usize = 1 << 20;

/// One value of the file and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it starts.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What a node is. Plain scalars stay text as written: `1.20` is never turned into `1.2`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// Any scalar, as written.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Where it starts.
    pub place: Place,
    /// The key.
    pub text: String,
}

/// Reads a file into a tree, or says where it is not YAML.
pub fn parse(file: &str, source: &str) -> Result<Node, Diagnostic> {
    let diagnostic = |place, message: String| Diagnostic {
        file: file.to_owned(),
        place,
        message,
        remedy: None,
    };
    if source.len() > FILE_CAP {
        return Err(diagnostic(
            Place::default(),
            "the file is longer than 1 MiB".into(),
        ));
    }
    if let Some((at, _)) = source
        .match_indices('\r')
        .find(|(at, _)| !source[*at..].starts_with("\r\n"))
    {
        // A line break for YAML, none for an editor: what is read would not be what is seen.
        let before = &source[..at];
        let start = before.rfind('\n').map_or(0, |n| n + 1);
        let small = |n: usize| u32::try_from(n + 1).unwrap_or(0);
        let place = Place {
            line: small(before.matches('\n').count()),
            column: small(before[start..].chars().count()),
        };
        let message = "a carriage return stands alone in this line";
        return Err(diagnostic(place, message.into()));
    }
    let options = serde_yaml::options! {
        strict_booleans: true,
        duplicate_keys: serde_yaml::options::DuplicateKeyPolicy::Error,
        merge_keys: serde_yaml::options::MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        with_snippet: false,
        budget: serde_yaml::budget! { max_nodes: 20_000, max_depth: 32, max_aliases: 50, max_events: 100_000 },
    };
    let raw: RawNode = serde_yaml::from_str_with_options(source, options).map_err(|e| {
        let place = e.location().map_or(Place::default(), |l| place_of(&l));
        diagnostic(place, first_sentence(&e.to_string()))
    })?;
    Ok(raw.cooked(source))
}

fn place_of(location: &serde_yaml::Location) -> Place {
    let small = |n: u64| u32::try_from(n).unwrap_or(0);
    Place {
        line: small(location.line()),
        column: small(location.column()),
    }
}

/// The parser's message without the place it repeats and its advice to programmers.
fn first_sentence(text: &str) -> String {
    let line = text
        .lines()
        .next()
        .unwrap_or("not YAML")
        .trim_start_matches("error: ");
    let line = match line.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
        Some((_, message)) => message,
        None => line,
    };
    let end = [" at line ", ", set ", " by configured policy"]
        .into_iter()
        .filter_map(|words| line.find(words))
        .min()
        .unwrap_or(line.len());
    line[..end].to_owned()
}

/// A node as serde hands it over: typed scalars have lost their spelling, which the span brings back.
struct RawNode {
    at: serde_yaml::Location,
    /// Where it is written, which for an alias is at its anchor.
    defined: serde_yaml::Location,
    value: Raw,
}

enum Raw {
    Null,
    Plain,
    Text(String),
    List(Vec<RawNode>),
    Map(Vec<(Spanned<String>, RawNode)>),
}

impl RawNode {
    fn cooked(self, source: &str) -> Node {
        let place = place_of(&self.at);
        let value = match self.value {
            Raw::Null => Value::Null,
            Raw::Plain => Value::Text(spelling(source, &self.defined)),
            Raw::Text(text) => Value::Text(text),
            Raw::List(items) => Value::List(items.into_iter().map(|n| n.cooked(source)).collect()),
            Raw::Map(fields) => Value::Map(
                fields
                    .into_iter()
                    .map(|(k, v)| {
                        (
                            Key {
                                place: place_of(&k.referenced),
                                text: k.value,
                            },
                            v.cooked(source),
                        )
                    })
                    .collect(),
            ),
        };
        Node { place, value }
    }
}

/// The plain scalar at this place, as written.
fn spelling(source: &str, at: &serde_yaml::Location) -> String {
    let start = at.span().byte_offset().and_then(|n| usize::try_from(n).ok());
    let rest = start.and_then(|n| source.get(n..)).unwrap_or("");
    rest.split([',', ']', '}', ' ', '\t', '\r', '\n', '#'])
        .next()
        .unwrap_or("")
        .to_owned()
}

impl<'de> Deserialize<'de> for RawNode {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Raw>::deserialize(d)?;
        Ok(RawNode {
            at: spanned.referenced,
            defined: spanned.defined,
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Raw;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw::Text(text.to_owned()))
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_none<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Raw, D::Error> {
                Raw::deserialize(d)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Raw::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Raw::Map(fields))
            }
        }
        d.deserialize_any(Any)
    }
}

/// Collects the mistakes of one file.
#[derive(Debug)]
pub struct Mistakes {
    file: String,
    found: RefCell<Vec<Diagnostic>>,
}

impl Mistakes {
    /// No mistakes yet.
    pub fn of(file: &str) -> Self {
        Mistakes {
            file: file.to_owned(),
            found: RefCell::default(),
        }
    }

    /// Notes one mistake.
    pub fn add(&self, place: Place, message: impl Into<String>, remedy: Option<String>) {
        self.found.borrow_mut().push(Diagnostic {
            file: self.file.clone(),
            place,
            message: message.into(),
            remedy,
        });
    }

    /// All of them, in the order of the file.
    pub fn into_sorted(self) -> Vec<Diagnostic> {
        let mut all = self.found.into_inner();
        all.sort_by_key(|d| d.place);
        all
    }

    /// How many so far.
    pub fn count(&self) -> usize {
        self.found.borrow().len()
    }
}

/// The fields of one mapping, taken one by one; what is left over at the end is a mistake.
pub struct Fields<'n, 'm> {
    /// Where the mapping starts.
    pub place: Place,
    what: &'static str,
    left: Vec<&'n (Key, Node)>,
    known: Vec<&'static str>,
    mistakes: &'m Mistakes,
}

impl<'n, 'm> Fields<'n, 'm> {
    /// Opens a mapping; `what` names it in messages, as in `a step`.
    pub fn of(node: &'n Node, what: &'static str, mistakes: &'m Mistakes) -> Option<Self> {
        match &node.value {
            Value::Map(fields) => Some(Fields {
                place: node.place,
                what,
                left: fields.iter().collect(),
                known: Vec::new(),
                mistakes,
            }),
            Value::Null => Some(Fields {
                place: node.place,
                what,
                left: Vec::new(),
                known: Vec::new(),
                mistakes,
            }),
            _ => {
                mistakes.add(
                    node.place,
                    format!("{what} must be a mapping (`key: value`)"),
                    None,
                );
                None
            }
        }
    }

    /// Where the mistakes go.
    pub fn mistakes(&self) -> &'m Mistakes {
        self.mistakes
    }

    /// The node under `key`, if it is there.
    pub fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        let at = self.left.iter().position(|(k, _)| k.text == key)?;
        Some(&self.left.remove(at).1)
    }

    /// The node under `key`; its absence is a mistake.
    pub fn need(&mut self, key: &'static str, remedy: &str) -> Option<&'n Node> {
        let found = self.take(key);
        if found.is_none() {
            let message = format!("{} has no `{key}`", self.what);
            self.mistakes.add(self.place, message, Some(remedy.to_owned()));
        }
        found
    }

    /// Text under `key`.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let node = self.take(key)?;
        text(node, key, self.mistakes)
    }

    /// A list of texts under `key`, empty where it is missing.
    pub fn texts(&mut self, key: &'static str) -> Vec<String> {
        self.take(key)
            .map(|n| texts(n, key, self.mistakes))
            .unwrap_or_default()
    }

    /// `true` or `false` under `key`.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        let node = self.take(key)?;
        match text(node, key, self.mistakes)?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                self.mistakes.add(
                    node.place,
                    format!("`{key}: {other}` is neither true nor false"),
                    None,
                );
                None
            }
        }
    }

    /// A whole number under `key`.
    pub fn number(&mut self, key: &'static str) -> Option<u64> {
        let node = self.take(key)?;
        let given = text(node, key, self.mistakes)?;
        let number = given.parse().ok();
        if number.is_none() {
            self.mistakes.add(
                node.place,
                format!("`{key}: {given}` is not a whole number"),
                None,
            );
        }
        number
    }

    /// A whole number under `key`, within these bounds.
    pub fn number_in(&mut self, key: &'static str, bounds: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let found = self.left.iter().find(|(k, _)| k.text == key);
        let place = found.map_or(self.place, |(_, node)| node.place);
        let number = self.number(key)?;
        if bounds.contains(&number) {
            return Some(number);
        }
        let remedy = Some(format!(
            "write a number from {} to {}",
            bounds.start(),
            bounds.end()
        ));
        self.mistakes
            .add(place, format!("`{key}: {number}` is out of bounds"), remedy);
        None
    }

    /// A span such as `30m` under `key`, in milliseconds.
    pub fn span(&mut self, key: &'static str) -> Option<u64> {
        let node = self.take(key)?;
        let given = text(node, key, self.mistakes)?;
        let span = super::time::parse_span(&given);
        // Beyond a year it is a slip, and beyond 2^53 ms the record could not hold it.
        if span.is_some_and(|ms| ms > 366 * 86_400_000) {
            let remedy = Some("write at most `366d`".to_owned());
            self.mistakes.add(
                node.place,
                format!("`{key}: {given}` is longer than a year"),
                remedy,
            );
            return None;
        }
        if span.is_none() {
            let remedy = Some("write a number and `ms`, `s`, `m`, `h` or `d`, as in `30m`".to_owned());
            self.mistakes.add(
                node.place,
                format!("`{key}: {given}` is not a span of time"),
                remedy,
            );
        }
        span
    }

    /// Reports every field nobody asked for.
    pub fn finish(self) {
        for (key, _) in self.left {
            let near = nearest(&key.text, &self.known);
            let remedy = match near {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            self.mistakes.add(
                key.place,
                format!("{} has no field `{}`", self.what, key.text),
                Some(remedy),
            );
        }
    }
}

/// The text of a scalar; anything else is a mistake.
pub fn text(node: &Node, key: &str, mistakes: &Mistakes) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Null => {
            mistakes.add(node.place, format!("`{key}` is empty"), None);
            None
        }
        Value::List(_) | Value::Map(_) => {
            mistakes.add(node.place, format!("`{key}` must be a single value"), None);
            None
        }
    }
}

/// The texts of a list; anything else is a mistake.
pub fn texts(node: &Node, key: &str, mistakes: &Mistakes) -> Vec<String> {
    match &node.value {
        Value::List(items) => items.iter().filter_map(|n| text(n, key, mistakes)).collect(),
        _ => {
            let remedy = Some(format!("write `{key}: [a, b]`"));
            mistakes.add(node.place, format!("`{key}` must be a list"), remedy);
            Vec::new()
        }
    }
}

/// The nodes of a list; anything else is a mistake.
pub fn items<'n>(node: &'n Node, key: &str, mistakes: &Mistakes) -> &'n [Node] {
    match &node.value {
        Value::List(items) => items,
        Value::Null => &[],
        _ => {
            mistakes.add(node.place, format!("`{key}` must be a list (`- …`)"), None);
            &[]
        }
    }
}

/// The nearest known word at most two edits away.
pub fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    known
        .iter()
        .map(|k| (edits(word, k), *k))
        .filter(|(n, k)| *n <= 2 && *n < k.len())
        .min()
        .map(|(_, k)| k)
}

fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_keep_their_spelling() {
        let node = parse(
            "t",
            "a: [1.20, 017, yes, NO, 1_000, \"x: y\", plain words]\nb: true\n",
        )
        .unwrap();
        let mistakes = Mistakes::of("t");
        let mut fields = Fields::of(&node, "the file", &mistakes).unwrap();
        assert_eq!(
            fields.texts("a"),
            ["1.20", "017", "yes", "NO", "1_000", "x: y", "plain words"]
        );
        assert_eq!(fields.flag("b"), Some(true));
        fields.finish();
        assert_eq!(mistakes.count(), 0);
    }

    #[test]
    fn what_could_lose_a_safeguard_is_refused() {
        for bad in [
            "a: 1\na: 2\n",
            "base: &b {x: 1}\na:\n  <<: *b\n",
            "a: !secret x\n",
            "a: *nope\n",
            "a: b: c\n",
            "---\na: 1\n---\nb: 2\n",
        ] {
            assert!(parse("t", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_left_over_field_names_its_neighbour() {
        let node = parse("t", "effcets: 1\n").unwrap();
        let mistakes = Mistakes::of("t");
        let mut fields = Fields::of(&node, "a step", &mistakes).unwrap();
        assert!(fields.take("effects").is_none());
        fields.finish();
        let found = mistakes.into_sorted();
        assert_eq!(found[0].place, Place { line: 1, column: 1 });
        assert_eq!(found[0].remedy.as_deref(), Some("did you mean `effects`?"));
    }
}

//! Values this run has read itself, in the encodings they usually travel in.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use regex::bytes::{Regex, RegexBuilder};

use super::RedactError;

/// Shortest value that is looked for, in bytes.
pub const SHORTEST: usize = 4;

/// Shortest encoded piece that is looked for: shorter ones turn up by chance.
const SHORTEST_PIECE: usize = 8;

/// Spellings of the known values, each with its value's fingerprint.
#[derive(Default)]
pub struct Known {
    spellings: BTreeMap<Vec<u8>, String>,
}

impl Known {
    /// Adds a value in all its spellings.
    pub fn add(&mut self, value: &str, fingerprint: &str) {
        let value = value.trim_end_matches(['\r', '\n']);
        if value.len() < SHORTEST {
            return;
        }
        for spelling in spellings(value) {
            self.spellings
                .entry(spelling)
                .or_insert_with(|| fingerprint.to_owned());
        }
    }

    /// One search for all spellings; the longest first, so that none hides a longer one.
    pub fn regex(&self) -> Result<Option<Regex>, RedactError> {
        if self.spellings.is_empty() {
            return Ok(None);
        }
        let mut all: Vec<&Vec<u8>> = self.spellings.keys().collect();
        all.sort_by_key(|s| std::cmp::Reverse(s.len()));
        let any: Vec<String> = all.into_iter().map(|s| escaped(s)).collect();
        RegexBuilder::new(&format!("(?-u)(?:{})", any.join("|")))
            .size_limit(256 << 20)
            .build()
            .map(Some)
            // The message of the regex crate would quote the pattern: the secrets.
            .map_err(|_| RedactError("the known values are too many or too long".into()))
    }

    /// The fingerprint of the value that was found in this spelling.
    pub fn fingerprint(&self, spelling: &[u8]) -> String {
        self.spellings.get(spelling).cloned().unwrap_or_default()
    }
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("\\x{b:02x}")).collect()
}

fn spellings(value: &str) -> Vec<Vec<u8>> {
    let bytes = value.as_bytes();
    let hex = |upper: bool| -> String {
        let digit = |b: &u8| {
            if upper {
                format!("{b:02X}")
            } else {
                format!("{b:02x}")
            }
        };
        bytes.iter().map(digit).collect()
    };
    let percent = |plain: &dyn Fn(u8) -> bool, upper: bool| -> String {
        let code = |&b: &u8| match (plain(b), upper) {
            (true, _) => char::from(b).to_string(),
            (_, true) => format!("%{b:02X}"),
            (_, false) => format!("%{b:02x}"),
        };
        bytes.iter().map(code).collect()
    };
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let alphanumeric = |b: u8| b.is_ascii_alphanumeric();
    let json = serde_json::to_string(value).unwrap_or_default();
    let json = json.trim_matches('"').to_owned();
    let ascii: String = json
        .chars()
        .flat_map(|c| -> Vec<char> {
            if c.is_ascii() {
                vec![c]
            } else {
                let units = c.encode_utf16(&mut [0; 2]).to_vec();
                units
                    .iter()
                    .flat_map(|u| format!("\\u{u:04x}").chars().collect::<Vec<_>>())
                    .collect()
            }
        })
        .collect();
    let mut texts = vec![
        percent(&unreserved, true),
        percent(&unreserved, false),
        percent(&alphanumeric, true),
        percent(&unreserved, true).replace("%20", "+"),
        // JSON inside JSON.
        serde_json::to_string(&json)
            .unwrap_or_default()
            .trim_matches('"')
            .to_owned(),
        json.replace('/', "\\/"),
        json,
        ascii,
    ];
    if bytes.len() >= SHORTEST_PIECE {
        texts.extend([hex(true), hex(false)]);
    }
    let mut all: Vec<Vec<u8>> = vec![bytes.to_vec()];
    all.extend(texts.into_iter().map(String::into_bytes));
    all.extend(base64_pieces(bytes));
    all.push(value.encode_utf16().flat_map(u16::to_le_bytes).collect());
    all.push(value.encode_utf16().flat_map(u16::to_be_bytes).collect());
    all.sort();
    all.dedup();
    all
}

/// What stands in base64 text for the value, wherever in a longer text it began.
///
/// The characters at either end that also depend on the neighbours are left out.
fn base64_pieces(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    for lead in 0..3 {
        let mut shifted = vec![0; lead];
        shifted.extend_from_slice(bytes);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(&shifted);
            let skip = (lead * 4).div_ceil(3);
            let whole = shifted.len() * 8 / 6;
            let piece = text.as_bytes().get(skip..whole).unwrap_or_default();
            if piece.len() >= SHORTEST_PIECE {
                pieces.push(piece.to_vec());
            }
            if lead == 0 && text.len() >= SHORTEST_PIECE {
                pieces.push(text.into_bytes());
            }
        }
    }
    pieces
}

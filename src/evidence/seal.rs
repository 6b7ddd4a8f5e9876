//! What the signature vouches for, in one small text: so many records, with this head.

use sha2::{Digest, Sha256};

use crate::journal::Hash;
use crate::model::ids::IncidentId;

/// Namespace of a seal's signature; that of a drill differs, so that a drill never passes for real.
pub fn seal_namespace(incident: &IncidentId) -> &'static str {
    match incident.is_drill() {
        true => "seal-drill@incident-v1",
        false => "seal@incident-v1",
    }
}

/// Namespace of a sign-off's signature.
pub fn signoff_namespace(incident: &IncidentId) -> &'static str {
    match incident.is_drill() {
        true => "signoff-drill@incident-v1",
        false => "signoff@incident-v1",
    }
}

/// Namespace of the receipt that somebody signs who takes the record over.
pub fn handover_namespace(incident: &IncidentId) -> &'static str {
    match incident.is_drill() {
        true => "handover-drill@incident-v1",
        false => "handover@incident-v1",
    }
}

/// `SEAL.txt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Which incident.
    pub incident: IncidentId,
    /// How many records the sealed journal has.
    pub records: u64,
    /// Hash of the last one.
    pub head: Hash,
    /// Root of the RFC 6962 tree over the lines: three records of nine hundred can be shown with a proof.
    pub root: Hash,
    /// Who sealed, as they say.
    pub sealed_by: String,
    /// When, as they say; RFC 3339 with milliseconds.
    pub sealed_at: String,
    /// The program and its version.
    pub tool: String,
}

impl Seal {
    /// The text, one `key: value` a line in fixed order.
    pub fn render(&self) -> String {
        format!(
            "incident-seal v1\nincident: {}\njournal-records: {}\njournal-head: {}\nrfc6962-root: {}\n\
             sealed-by: {}\nsealed-at: {}\ntool: {}\n",
            self.incident, self.records, self.head, self.root, self.sealed_by, self.sealed_at, self.tool
        )
    }

    /// Reads the text back; any other spelling is an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
        let get = |key: &str| {
            let value = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(": "));
            value.ok_or_else(|| format!("`{key}` is missing"))
        };
        let hash = |key: &str| Hash::parse(get(key)?).ok_or_else(|| format!("`{key}` is not a SHA-256"));
        let seal = Seal {
            incident: IncidentId::new(get("incident")?).map_err(|e| e.to_string())?,
            records: get("journal-records")?
                .parse()
                .map_err(|_| "`journal-records` is not a number".to_owned())?,
            head: hash("journal-head")?,
            root: hash("rfc6962-root")?,
            sealed_by: get("sealed-by")?.to_owned(),
            sealed_at: get("sealed-at")?.to_owned(),
            tool: get("tool")?.to_owned(),
        };
        let one_line = [&seal.sealed_by, &seal.sealed_at, &seal.tool]
            .iter()
            .all(|v| is_one_line(v));
        match one_line && seal.render().as_bytes() == bytes {
            true => Ok(seal),
            false => Err("not in the one spelling of a seal".to_owned()),
        }
    }

    /// `bag-info.txt`: what BagIt wants to know, all of it following from the seal and the payload.
    pub fn bag_info(&self, payload_bytes: u64, payload_files: u64) -> String {
        let day: String = self.sealed_at.chars().take(10).collect();
        format!(
            "Bag-Software-Agent: {}\nBagging-Date: {day}\nExternal-Identifier: {}\nPayload-Oxum: {payload_bytes}.{payload_files}\n",
            self.tool, self.incident
        )
    }
}

/// True for printable ASCII without line breaks or outer spaces: what may stand in a seal.
pub fn is_one_line(text: &str) -> bool {
    let plain = text.trim() == text && !text.is_empty() && text.len() <= 200;
    plain && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// The root of an RFC 6962 tree, built as the leaves arrive, in memory for one hash a level.
#[derive(Debug, Default)]
pub struct Tree {
    /// Roots of whole subtrees with their height, high ones first.
    stack: Vec<(u32, Hash)>,
}

impl Tree {
    /// Adds a leaf.
    pub fn add(&mut self, leaf: &[u8]) {
        let mut top = (0, tagged(0, &[leaf]));
        while let Some((height, left)) = self.stack.pop_if(|(height, _)| *height == top.0) {
            top = (height + 1, tagged(1, &[&left.0, &top.1.0]));
        }
        self.stack.push(top);
    }

    /// The root over all leaves so far.
    pub fn root(&self) -> Hash {
        let mut hashes = self.stack.iter().rev().map(|(_, hash)| *hash);
        let Some(last) = hashes.next() else {
            return Hash::of(b"");
        };
        hashes.fold(last, |right, left| tagged(1, &[&left.0, &right.0]))
    }
}

fn tagged(tag: u8, parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([tag]);
    parts.iter().for_each(|part| hasher.update(part));
    Hash(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962, 2.1, word for word: split at the largest power of two below n.
    fn by_definition(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => Hash::of(b""),
            [one] => tagged(0, &[one]),
            many => {
                let k = many.len().next_power_of_two() / 2;
                tagged(1, &[&by_definition(&many[..k]).0, &by_definition(&many[k..]).0])
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition() {
        for n in 0..70u8 {
            let leaves: Vec<Vec<u8>> = (0..n).map(|i| vec![i; usize::from(i)]).collect();
            let mut tree = Tree::default();
            leaves.iter().for_each(|leaf| tree.add(leaf));
            assert_eq!(tree.root(), by_definition(&leaves), "{n} leaves");
        }
    }

    #[test]
    fn a_seal_has_one_spelling() {
        let seal = Seal {
            incident: IncidentId::new("INC-20261122-0314-k7qf").unwrap(),
            records: 3,
            head: Hash::of(b"a"),
            root: Hash::of(b"b"),
            sealed_by: "ana@example.com".to_owned(),
            sealed_at: "2026-11-22T03:14:07.120Z".to_owned(),
            tool: "incident 0.1.0".to_owned(),
        };
        let text = seal.render();
        assert_eq!(Seal::parse(text.as_bytes()), Ok(seal));
        for bad in [
            text.replace("records: 3", "records: 03"),
            text.replace("records: 3\n", "records: 3\njournal-records: 4\n"),
            format!("{text}more: 1\n"),
            text.replace('\n', "\r\n"),
            text.replace("journal-head: ", "journal-head: 0"),
        ] {
            assert!(Seal::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

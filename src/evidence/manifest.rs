//! Lists of names and hashes, in the one spelling that BagIt and `sha256sum -c` both read.

use super::escape;
use crate::journal::Hash;

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name below the top folder.
    pub name: Box<str>,
    /// Hash of its bytes.
    pub sha256: Hash,
    /// Bytes.
    pub len: u64,
    /// Where its contents begin in the archive; 0 in a folder.
    pub offset: u64,
}

impl Entry {
    /// An entry whose place in an archive is not known, or that is in a folder.
    pub fn new(name: &str, sha256: Hash, len: u64) -> Self {
        Entry {
            name: name.into(),
            sha256,
            len,
            offset: 0,
        }
    }

    /// An entry of which only the name is known.
    pub fn named(name: &str) -> Self {
        Entry::new(name, Hash::ZERO, 0)
    }
}

/// One line, line feed included.
pub fn line(name: &str, sha256: &Hash) -> String {
    format!("{sha256}  {name}\n")
}

/// Reads a list. Names must pass `rule`, stand in byte order, and once. Sizes and offsets are not known yet.
pub fn parse(text: &[u8], rule: fn(&str) -> Result<(), &'static str>) -> Result<Vec<Entry>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8".to_owned())?;
    let mut entries: Vec<Entry> = Vec::new();
    for (n, row) in text.split_inclusive('\n').enumerate() {
        let number = n + 1;
        let (sha256, name) = row
            .strip_suffix('\n')
            .and_then(|row| row.split_once("  "))
            .and_then(|(hash, name)| Some((Hash::parse(hash)?, name)))
            .ok_or_else(|| format!("line {number}: not `<sha256>  <name>`"))?;
        rule(name).map_err(|why| format!("line {number}: `{}`: {why}", escape(name)))?;
        if let Some(before) = entries.last() {
            match (*before.name).cmp(name) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Err(format!("line {number}: `{name}` is listed twice")),
                std::cmp::Ordering::Greater => {
                    return Err(format!("line {number}: `{name}` is out of order"));
                }
            }
        }
        entries.push(Entry::new(name, sha256, 0));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::names::check_payload;

    #[test]
    fn a_list_is_read_back_and_other_lists_are_refused() {
        let hash = Hash::of(b"x");
        let good = line("data/a", &hash) + &line("data/b", &hash);
        assert_eq!(parse(good.as_bytes(), check_payload).unwrap().len(), 2);
        for (bad, why) in [
            (
                line("data/b", &hash) + &line("data/a", &hash),
                "line 2: `data/a` is out of order",
            ),
            (
                line("data/a", &hash).repeat(2),
                "line 2: `data/a` is listed twice",
            ),
            (good.trim_end().to_owned(), "line 2: not `<sha256>  <name>`"),
            (good.replace("  ", " *"), "line 1: not `<sha256>  <name>`"),
            (
                good.replace("data/b", "data/B"),
                "line 2: `data/B`: upper-case letters could be twins of another name",
            ),
        ] {
            assert_eq!(parse(bad.as_bytes(), check_payload).unwrap_err(), why);
        }
    }
}

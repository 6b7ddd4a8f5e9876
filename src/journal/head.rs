//! The head of a record in one line: what is pasted, stamped and signed elsewhere.

use super::Hash;

/// A record that stands for everything up to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Which incident.
    pub incident: String,
    /// Number of the record.
    pub seq: u64,
    /// Hash of its line.
    pub hash: Hash,
}

impl Head {
    /// `incident-head v1 <id> <seq> <hash>` and a line feed: the exact bytes that time stamps are made over.
    pub fn line(&self) -> String {
        format!("incident-head v1 {} {} {}\n", self.incident, self.seq, self.hash)
    }

    /// Eight digits to read out or paste: `1f0c-92ab`.
    pub fn code(&self) -> String {
        self.hash.short()
    }

    /// Reads the line back; `None` for any other spelling.
    pub fn parse(bytes: &[u8]) -> Option<Head> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut words = text.trim_end().split(' ').skip(2);
        let head = Head {
            incident: words.next()?.to_owned(),
            seq: words.next()?.parse().ok()?,
            hash: Hash::parse(words.next()?)?,
        };
        (head.line().as_bytes() == bytes).then_some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_one_spelling() {
        let head = Head {
            incident: "INC-20261122-0314-k7qf".to_owned(),
            seq: 43,
            hash: Hash::of(b"x"),
        };
        let line = head.line();
        assert_eq!(Head::parse(line.as_bytes()), Some(head));
        for bad in [
            line.trim_end().to_owned(),
            line.replace(" 43 ", " 043 "),
            line.replace(" 43 ", "  43 "),
            line.replace("v1", "v2"),
            line.replace('\n', " x\n"),
        ] {
            assert_eq!(Head::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}

//! Signed sign-offs inside a record: this incident, heads this journal has, a good signature.
//!
//! What a sign-off allowed is another room's question; here it is a witness of the journal.

use std::collections::BTreeMap;

use super::chain::Journal;
use super::escape;
use super::manifest::Entry;
use super::read::{Container, TAG_CAP};
use super::report::SignoffCheck;
use super::seal::signoff_namespace;
use super::verify::Check;
use super::write::SIGNATURE_CAP;
use crate::journal::Hash;
use crate::model::ids::IncidentId;
use crate::model::time::parse_rfc3339;

/// A statement and its signature, as they stand in `signoffs/`.
pub(super) struct Signed {
    file: String,
    statement: Vec<u8>,
    armored: Vec<u8>,
}

/// Records a statement says it knows: number and hash, by the name of the field.
pub(super) struct Claims {
    incident: String,
    pub(super) heads: Vec<(&'static str, u64, Hash)>,
}

impl Check {
    /// The signed sign-offs. A signature without its statement is a fault.
    pub(super) fn signed(&mut self, container: &Container, tags: &[Entry]) -> Vec<Signed> {
        let mut signed = Vec::new();
        for sig in tags {
            let Some(file) = sig
                .name
                .strip_suffix(".txt.sig")
                .filter(|name| name.starts_with("signoffs/"))
            else {
                continue;
            };
            let file = format!("{file}.txt");
            let Some(statement) = tags.iter().find(|e| *e.name == file) else {
                self.fault(&sig.name, "the statement it signs is not there");
                continue;
            };
            let both = container
                .read(statement, TAG_CAP)
                .and_then(|statement| Ok((statement, container.read(sig, SIGNATURE_CAP)?)));
            match both {
                Ok((statement, armored)) => signed.push(Signed {
                    file,
                    statement,
                    armored,
                }),
                Err(fault) => self.report.faults.push(fault),
            }
        }
        signed
    }

    pub(super) fn claims(&mut self, signed: &[Signed]) -> BTreeMap<String, Claims> {
        let mut all = BTreeMap::new();
        for one in signed {
            match claims(&one.statement) {
                Ok(claims) => drop(all.insert(one.file.clone(), claims)),
                Err(why) => self.fault(&one.file, why),
            }
        }
        all
    }

    /// Each sign-off: this incident, heads that this journal has, a good signature by somebody known.
    pub(super) fn signoffs(
        &mut self,
        signed: Vec<Signed>,
        claims: &BTreeMap<String, Claims>,
        journal: &Journal,
        incident: &IncidentId,
    ) {
        for Signed {
            file,
            statement,
            armored,
        } in signed
        {
            let Some(claims) = claims.get(&file) else { continue };
            if claims.incident != incident.as_str() {
                self.fault(
                    &file,
                    format!("it is about another incident, {}", claims.incident),
                );
                continue;
            }
            let wrong = claims
                .heads
                .iter()
                .find(|(_, seq, hash)| journal.marks.get(seq).is_none_or(|mark| mark.hash != *hash));
            if let Some((what, seq, _)) = wrong {
                self.fault(&file, format!("its {what} is not record {seq} of this journal"));
                continue;
            }
            let newest = claims
                .heads
                .iter()
                .map(|(_, seq, _)| *seq)
                .max()
                .unwrap_or_default();
            let at_ms = journal
                .marks
                .get(&newest)
                .and_then(|mark| parse_rfc3339(&mark.ts));
            let namespace = signoff_namespace(incident);
            let signer = self.signer(&armored, &statement, namespace, at_ms.unwrap_or_default());
            match signer {
                Err(why) => self.fault(&format!("{file}.sig"), why),
                Ok(signer) => self.report.signoffs.push(SignoffCheck {
                    file,
                    signer,
                    head_seq: newest,
                }),
            }
        }
    }
}

/// What a statement says of the journal, from the lines before its act.
fn claims(statement: &[u8]) -> Result<Claims, String> {
    let text = std::str::from_utf8(statement).map_err(|_| "not UTF-8".to_owned())?;
    let mut fields = BTreeMap::new();
    for line in text.lines().take_while(|line| !line.starts_with("act:")) {
        let Some((key, value)) = line.split_once(": ") else {
            continue;
        };
        // A second value for the same key would let a reader and a signer see different things.
        let twice = fields.insert(key, value).is_some();
        if twice && ["incident", "head-seq", "head-hash", "request-seq", "request-hash"].contains(&key) {
            return Err(format!("`{key}` stands in it twice"));
        }
    }
    let get = |key: &str| {
        fields
            .get(key)
            .copied()
            .ok_or_else(|| format!("`{key}` is missing"))
    };
    let head = |what: &'static str, seq: &str, hash: &str| {
        let number = get(seq)?
            .parse()
            .map_err(|_| format!("`{seq}` is not a number"))?;
        let hash = Hash::parse(get(hash)?).ok_or_else(|| format!("`{hash}` is not a SHA-256"))?;
        Ok::<_, String>((what, number, hash))
    };
    Ok(Claims {
        incident: escape(get("incident")?),
        heads: vec![
            head("request", "request-seq", "request-hash")?,
            head("head", "head-seq", "head-hash")?,
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_tells_which_records_it_knows() {
        let hash = Hash::of(b"x");
        let good = format!(
            "incident-signoff v1\nincident: INC-1\nrequest-seq: 4\nrequest-hash: {hash}\nhead-seq: 5\nhead-hash: {hash}\nact: 1 of 1\nhead-seq: 9\n"
        );
        let read = claims(good.as_bytes()).unwrap();
        assert_eq!(read.incident, "INC-1");
        assert_eq!(read.heads, [("request", 4, hash), ("head", 5, hash)]);
        let twice = good.replace("head-seq: 5\n", "head-seq: 5\nhead-seq: 6\n");
        assert_eq!(
            claims(twice.as_bytes()).err().unwrap(),
            "`head-seq` stands in it twice"
        );
        assert_eq!(claims(b"x: 1").err().unwrap(), "`incident` is missing");
    }
}

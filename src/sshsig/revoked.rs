//! Keys that no longer count: a list of public keys, or OpenSSH's key revocation list (KRL).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};
use ssh_key::{HashAlg, PublicKey};

const MAGIC: &[u8] = b"SSHKRL\n\0";

/// Why a list of revoked keys is not used. A list that is read in part would let a revoked key count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevokedError {
    /// A line of a list is no public key.
    #[error("line {line} is no public key: {why}")]
    Line {
        /// 1-based.
        line: usize,
        /// Why.
        why: String,
    },
    /// A KRL that is damaged.
    #[error("the key revocation list is cut short or damaged")]
    Damaged,
    /// A KRL of a kind that is not read here.
    #[error(
        "the key revocation list holds {0}, which is not read here; make one of public keys with `ssh-keygen -k`"
    )]
    Unsupported(&'static str),
}

/// Revoked keys, by fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revoked {
    fingerprints: BTreeSet<String>,
}

impl Revoked {
    /// Reads what `ssh-keygen -Y verify -r` takes: a KRL, or a public key a line.
    pub fn parse(bytes: &[u8]) -> Result<Revoked, RevokedError> {
        if let Some(krl) = bytes.strip_prefix(MAGIC) {
            return Revoked::krl(krl);
        }
        let mut revoked = Revoked::default();
        for (n, line) in String::from_utf8_lossy(bytes).lines().enumerate() {
            let text = line.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let key = PublicKey::from_openssh(text).map_err(|why| RevokedError::Line {
                line: n + 1,
                why: why.to_string(),
            })?;
            revoked
                .fingerprints
                .insert(key.fingerprint(HashAlg::Sha256).to_string());
        }
        Ok(revoked)
    }

    /// True where the key of this fingerprint (`SHA256:…`) is revoked.
    pub fn has(&self, fingerprint: &str) -> bool {
        self.fingerprints.contains(fingerprint)
    }

    /// Source: OpenSSH, PROTOCOL.krl. Certificates are skipped: nothing signed with one counts here.
    fn krl(bytes: &[u8]) -> Result<Revoked, RevokedError> {
        const HEAD: usize = 4 + 8 + 8 + 8;
        let mut revoked = Revoked::default();
        let (head, mut rest) = bytes.split_at_checked(HEAD).ok_or(RevokedError::Damaged)?;
        if head[..4] != [0, 0, 0, 1] {
            return Err(RevokedError::Unsupported("another version"));
        }
        let mut next = || super::verify::string(&mut rest).ok_or(RevokedError::Damaged);
        next()?;
        next()?;
        while let Some((kind, after)) = rest.split_first() {
            rest = after;
            let mut section = super::verify::string(&mut rest).ok_or(RevokedError::Damaged)?;
            match kind {
                1 => continue,
                2 | 5 => {}
                3 if section.is_empty() => continue,
                3 => return Err(RevokedError::Unsupported("SHA-1 fingerprints")),
                4 => return Err(RevokedError::Unsupported("a signature")),
                _ => return Err(RevokedError::Unsupported("an extension")),
            }
            while !section.is_empty() {
                let item = super::verify::string(&mut section).ok_or(RevokedError::Damaged)?;
                let hash = match kind {
                    2 => Sha256::digest(item).to_vec(),
                    _ => item.to_vec(),
                };
                let text = STANDARD_NO_PAD.encode(hash);
                revoked.fingerprints.insert(format!("SHA256:{text}"));
            }
        }
        Ok(revoked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDOAHvtFhwqdnrrdKX7PFyXiJPGLCqMvEtTpVHm1ap9Y";

    #[test]
    fn a_list_of_keys_is_read_whole_or_not_at_all() {
        let fingerprint = PublicKey::from_openssh(KEY)
            .unwrap()
            .fingerprint(HashAlg::Sha256)
            .to_string();
        let list = format!("# left in June\n\n{KEY} ana's old laptop\n");
        assert!(Revoked::parse(list.as_bytes()).unwrap().has(&fingerprint));
        assert!(!Revoked::parse(b"").unwrap().has(&fingerprint));
        assert!(matches!(
            Revoked::parse(format!("{KEY}\nssh-ed25519 AAAA\n").as_bytes()),
            Err(RevokedError::Line { line: 2, .. })
        ));
    }

    #[test]
    fn a_revocation_list_is_read_whole_or_not_at_all() {
        let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
        let blob = PublicKey::from_openssh(KEY).unwrap().to_bytes().unwrap();
        let fingerprint = PublicKey::from_openssh(KEY)
            .unwrap()
            .fingerprint(HashAlg::Sha256)
            .to_string();
        let head = [MAGIC, &[0, 0, 0, 1], &[0; 24], &string(b""), &string(b"comment")].concat();
        let list = |kind: u8, item: &[u8]| [&head[..], &[kind], &string(&string(item))].concat();
        let explicit = list(2, &blob);
        assert!(Revoked::parse(&explicit).unwrap().has(&fingerprint));
        assert!(
            Revoked::parse(&list(5, &Sha256::digest(&blob)))
                .unwrap()
                .has(&fingerprint)
        );
        assert!(!Revoked::parse(&list(1, &blob)).unwrap().has(&fingerprint));
        for cut in head.len() + 1..explicit.len() {
            assert_eq!(
                Revoked::parse(&explicit[..cut]),
                Err(RevokedError::Damaged),
                "{cut}"
            );
        }
        for kind in [3, 4, 255] {
            assert!(matches!(
                Revoked::parse(&list(kind, &blob)),
                Err(RevokedError::Unsupported(_))
            ));
        }
    }
}

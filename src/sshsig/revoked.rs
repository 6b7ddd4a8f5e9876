//! Keys that no longer count: a list of public keys, or OpenSSH's key revocation list (KRL).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};
use ssh_key::{HashAlg, PublicKey};

use super::certificate::{Certificate, number};
use super::verify::VerifiedKey;

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

/// Revoked keys by fingerprint, and revoked certificates by number or name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revoked {
    fingerprints: BTreeSet<String>,
    certificates: Vec<Certificates>,
}

/// What one section says of an authority's certificates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Certificates {
    /// `SHA256:…` of the authority; `None` = of any.
    authority: Option<String>,
    /// First and last number of each range.
    serials: Vec<(u64, u64)>,
    key_ids: BTreeSet<String>,
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

    /// True where everything that `other` takes back is taken back here, too.
    pub fn holds_all(&self, other: &Revoked) -> bool {
        self.fingerprints.is_superset(&other.fingerprints)
            && other.certificates.iter().all(|c| self.certificates.contains(c))
    }

    /// True where the key of this fingerprint (`SHA256:…`) is revoked.
    pub fn has(&self, fingerprint: &str) -> bool {
        self.fingerprints.contains(fingerprint)
    }

    /// True where a signer's key, its certificate or the authority behind that is revoked.
    pub fn has_key(&self, key: &VerifiedKey) -> bool {
        let of_certificate = |certificate: &Certificate| {
            self.has(&certificate.authority) || self.certificates.iter().any(|c| c.hold(certificate))
        };
        self.has(&key.fingerprint) || key.certificate.as_ref().is_some_and(of_certificate)
    }

    /// Source: OpenSSH, PROTOCOL.krl.
    fn krl(bytes: &[u8]) -> Result<Revoked, RevokedError> {
        const HEAD: usize = 4 + 8 + 8 + 8;
        let mut revoked = Revoked::default();
        let (head, mut rest) = bytes.split_at_checked(HEAD).ok_or(RevokedError::Damaged)?;
        if head[..4] != [0, 0, 0, 1] {
            return Err(RevokedError::Unsupported("another version"));
        }
        take(&mut rest)?;
        take(&mut rest)?;
        while let Some((kind, after)) = rest.split_first() {
            rest = after;
            let mut section = take(&mut rest)?;
            match kind {
                1 => {
                    revoked.certificates.push(Certificates::read(section)?);
                    continue;
                }
                2 | 5 => {}
                3 if section.is_empty() => continue,
                3 => return Err(RevokedError::Unsupported("SHA-1 fingerprints")),
                4 => return Err(RevokedError::Unsupported("a signature")),
                _ => return Err(RevokedError::Unsupported("an extension")),
            }
            while !section.is_empty() {
                let item = take(&mut section)?;
                let hash = match kind {
                    2 => Sha256::digest(item).to_vec(),
                    _ => item.to_vec(),
                };
                revoked.fingerprints.insert(fingerprint(&hash));
            }
        }
        Ok(revoked)
    }
}

impl Certificates {
    fn read(mut section: &[u8]) -> Result<Certificates, RevokedError> {
        let authority = take(&mut section)?;
        let mut found = Certificates {
            authority: (!authority.is_empty()).then(|| fingerprint(&Sha256::digest(authority))),
            ..Certificates::default()
        };
        take(&mut section)?;
        while let Some((kind, after)) = section.split_first() {
            section = after;
            let mut items = take(&mut section)?;
            match kind {
                0x20 => {
                    while !items.is_empty() {
                        let serial = serial(&mut items)?;
                        found.serials.push((serial, serial));
                    }
                }
                0x21 => {
                    found.serials.push((serial(&mut items)?, serial(&mut items)?));
                    if !items.is_empty() {
                        return Err(RevokedError::Damaged);
                    }
                }
                0x22 => {
                    let first = serial(&mut items)?;
                    let bits = take(&mut items)?;
                    // A positive number, the highest bits first.
                    for (n, byte) in (0_u64..).zip(bits.iter().rev()) {
                        let set = (0..8).filter(|bit| byte & (1 << bit) != 0);
                        let of = set.filter_map(|bit| first.checked_add(n * 8 + bit));
                        found.serials.extend(of.map(|serial| (serial, serial)));
                    }
                    if !items.is_empty() {
                        return Err(RevokedError::Damaged);
                    }
                }
                0x23 => {
                    while !items.is_empty() {
                        let name = take(&mut items)?;
                        found.key_ids.insert(String::from_utf8_lossy(name).into_owned());
                    }
                }
                _ => return Err(RevokedError::Unsupported("an extension")),
            }
        }
        Ok(found)
    }

    fn hold(&self, certificate: &Certificate) -> bool {
        let ours = self
            .authority
            .as_ref()
            .is_none_or(|a| *a == certificate.authority);
        // Number 0 means that the authority gave none.
        let numbered = |(first, last): &(u64, u64)| {
            certificate.serial != 0 && (*first..=*last).contains(&certificate.serial)
        };
        ours && (self.key_ids.contains(&certificate.key_id) || self.serials.iter().any(numbered))
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], RevokedError> {
    super::verify::string(rest).ok_or(RevokedError::Damaged)
}

fn serial(rest: &mut &[u8]) -> Result<u64, RevokedError> {
    number::<8>(rest).ok_or(RevokedError::Damaged)
}

fn fingerprint(hash: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(hash))
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
        assert_eq!(Revoked::parse(&list(1, &blob)), Err(RevokedError::Damaged));
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

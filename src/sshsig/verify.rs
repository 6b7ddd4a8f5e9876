//! One detached signature, and whether its key really signed this message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents};
use serde::{Deserialize, Serialize};
use ssh_key::public::{KeyData, RsaPublicKey};
use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};

use super::certificate::{self, Certificate};

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// Largest armoured signature that is looked at, in bytes; the largest honest one (RSA 16384) has 6 KiB.
const ARMOUR_CAP: usize = 16 * 1024;

/// Smallest RSA modulus that counts, in bits.
const RSA_BITS: usize = 3072;

/// Why a signature proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigError {
    /// There is no armour in what was given.
    #[error("this is no SSH signature: it does not start with `{BEGIN}` and end with `{END}`")]
    NotArmoured,
    /// The armour holds something else.
    #[error("the SSH signature is damaged: {0}")]
    Malformed(String),
    /// Signed with a certificate that vouches for something else.
    #[error("it was signed with an SSH certificate of {0}")]
    CertificateOf(&'static str),
    /// A key or signature type that is not read here.
    #[error("signatures of type `{0}` are not supported; sign with an ed25519, ecdsa or FIDO key")]
    Unsupported(String),
    /// The key and the signature are of different types.
    #[error("a key of type `{key}` cannot make a signature of type `{signature}`")]
    TypeMismatch {
        /// Type of the key in the signature.
        key: String,
        /// Type the signature gives itself.
        signature: String,
    },
    /// RSA with too few bits.
    #[error("the RSA key has {bits} bits; at least {RSA_BITS} are needed")]
    WeakRsa {
        /// Bits of the modulus.
        bits: usize,
    },
    /// Made for another purpose.
    #[error("it was made for `{found}`, not for `{wanted}`")]
    Namespace {
        /// Namespace in the signature.
        found: String,
        /// Namespace that was asked for.
        wanted: String,
    },
    /// The mathematics says no.
    #[error("the signature does not fit this text: one of the two was changed, or another text was signed")]
    Mismatch,
}

/// A signature that was read but proves nothing yet.
#[derive(Debug, Clone)]
pub struct Signature {
    sig: SshSig,
    certificate: Option<Certificate>,
    blob: Vec<u8>,
}

impl Signature {
    /// Reads armoured text as `ssh-keygen -Y sign` writes it.
    ///
    /// Line ends and white space may have been changed on the way (chat, mail); nothing else may.
    pub fn parse(armoured: &[u8]) -> Result<Self, SigError> {
        let text = std::str::from_utf8(armoured)
            .ok()
            .filter(|text| text.len() <= ARMOUR_CAP)
            .ok_or(SigError::NotArmoured)?;
        let body: String = text
            .trim()
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(END))
            .ok_or(SigError::NotArmoured)?
            .split_ascii_whitespace()
            .collect();
        let blob = STANDARD
            .decode(body)
            .map_err(|why| SigError::Malformed(why.to_string()))?;
        let (sig, certificate) = decode(&blob)?;
        Ok(Signature {
            sig,
            certificate,
            blob,
        })
    }

    /// The namespace it was made for, such as `signoff@incident-v1`.
    pub fn namespace(&self) -> &str {
        self.sig.namespace()
    }

    /// `SHA256:…` of the key it names; a claim until [`verify`] has agreed.
    pub fn fingerprint(&self) -> String {
        self.sig.public_key().fingerprint(HashAlg::Sha256).to_string()
    }

    /// Fingerprint of the authority that vouches for the key, where it signed with a certificate. Proves nothing yet.
    pub fn authority(&self) -> Option<&str> {
        self.certificate.as_ref().map(|c| c.authority.as_str())
    }

    /// The armoured text in the one spelling `ssh-keygen` writes; what is filed.
    pub fn armoured(&self) -> String {
        let body = STANDARD.encode(&self.blob);
        let mut text = format!("{BEGIN}\n");
        for line in body.as_bytes().chunks(70) {
            text.extend(line.iter().map(|&b| char::from(b)));
            text.push('\n');
        }
        text + END + "\n"
    }
}

/// Reads the wire form. Source: OpenSSH, PROTOCOL.sshsig.
///
/// Ours and not `SshSig::decode`, which lets an inner length point past its field: the same
/// signature would have many spellings.
fn decode(blob: &[u8]) -> Result<(SshSig, Option<Certificate>), SigError> {
    let odd = |what: &str| SigError::Malformed(what.to_owned());
    let foreign = |why: ssh_key::Error| SigError::Malformed(why.to_string());
    let mut rest = blob
        .strip_prefix(b"SSHSIG\0\0\0\x01")
        .ok_or_else(|| odd("it is not of version 1"))?;
    let mut next = || string(&mut rest).ok_or_else(|| odd("a field is cut short"));
    let (key, namespace, reserved, hash, sig) = (next()?, next()?, next()?, next()?, next()?);
    if !rest.is_empty() || !reserved.is_empty() {
        return Err(odd("there is more in it than a signature"));
    }

    let (key, certificate) = match certificate::is_one(key) {
        true => certificate::read(key).map(|(key, vouched)| (key, Some(vouched)))?,
        false => (key.to_vec(), None),
    };
    let public = PublicKey::from_bytes(&key).map_err(foreign)?;
    if public.to_bytes().map_err(foreign)? != key {
        return Err(odd("its key is not in the usual form"));
    }

    let signature = raw(sig)?;
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| odd("a name in it is not text"));
    let hash = match hash {
        b"sha256" => HashAlg::Sha256,
        b"sha512" => HashAlg::Sha512,
        _ => return Err(odd("its hash is neither sha256 nor sha512")),
    };
    let sig = SshSig::new(public.key_data().clone(), text(namespace)?, hash, signature).map_err(foreign)?;
    Ok((sig, certificate))
}

/// The innermost part of a signature: algorithm, numbers, and of a FIDO key its flags and counter.
pub(super) fn raw(mut sig: &[u8]) -> Result<ssh_key::Signature, SigError> {
    let odd = |what: &str| SigError::Malformed(what.to_owned());
    let foreign = |why: ssh_key::Error| SigError::Malformed(why.to_string());
    let mut part = || string(&mut sig).ok_or_else(|| odd("its signature is cut short"));
    let (algorithm, number) = (part()?, part()?);
    let algorithm = std::str::from_utf8(algorithm).map_err(|_| odd("a name in it is not text"))?;
    let algorithm = Algorithm::new(algorithm).map_err(foreign)?;
    // What is left is the flags and the counter of a FIDO key, one byte and four.
    let fido = matches!(algorithm, Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256);
    if sig.len() != if fido { 5 } else { 0 } {
        return Err(odd("its signature is of the wrong length"));
    }
    ssh_key::Signature::new(algorithm, [number, sig].concat()).map_err(foreign)
}

/// One length-prefixed field, taken off the front.
pub(super) fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, after) = rest.split_first_chunk::<4>()?;
    let (field, after) = after.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    *rest = after;
    Some(field)
}

/// A key that has signed the message it was checked against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifiedKey {
    /// `SHA256:` and the unpadded base64 of the key's digest, as OpenSSH prints it.
    pub fingerprint: String,
    /// The key's type in OpenSSH's words, such as `ssh-ed25519`.
    pub algorithm: String,
    /// FIDO: somebody touched the device. `None` for keys that cannot say.
    pub user_presence: Option<bool>,
    /// FIDO: the device asked for a PIN or a finger. `None` for keys that cannot say.
    pub user_verified: Option<bool>,
    /// FIDO: how often the device has signed; a fall means a copied key. `None` for keys that cannot say.
    pub counter: Option<u32>,
    /// Who vouches for the key, where it signed with a certificate.
    #[serde(skip)]
    pub certificate: Option<Certificate>,
}

/// Checks that the key named in the signature signed exactly this message for this namespace.
///
/// Whose key it is stays unknown: ask the [`Roster`](super::Roster).
pub fn verify(sig: &Signature, message: &[u8], namespace: &str) -> Result<VerifiedKey, SigError> {
    let Signature { sig, certificate, .. } = sig;
    if sig.namespace() != namespace {
        return Err(SigError::Namespace {
            found: sig.namespace().escape_default().take(80).collect(),
            wanted: namespace.to_owned(),
        });
    }
    let key = sig.public_key();
    let fits = match key.algorithm() {
        Algorithm::Rsa { .. } => matches!(sig.algorithm(), Algorithm::Rsa { hash: Some(_) }),
        same => same == sig.algorithm(),
    };
    if !fits {
        return Err(SigError::TypeMismatch {
            key: key.algorithm().to_string(),
            signature: sig.algorithm().to_string(),
        });
    }
    match key {
        KeyData::Rsa(rsa) => verify_rsa(sig, rsa, message)?,
        KeyData::Ed25519(_) | KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_) => {
            verify_plain(sig, message)?;
        }
        KeyData::Ecdsa(ec) if ec.curve() != ssh_key::EcdsaCurve::NistP521 => {
            verify_plain(sig, message)?;
        }
        other => return Err(SigError::Unsupported(other.algorithm().to_string())),
    }
    let fido = fido(sig);
    let wants_pin = certificate.as_ref().is_some_and(|c| c.verify_required);
    if wants_pin && fido.is_none_or(|(flags, _)| flags & 0x04 == 0) {
        return Err(SigError::CertificateOf(
            "a key that must ask for its PIN, and did not",
        ));
    }
    let algorithm = match certificate {
        Some(_) => key.algorithm().to_certificate_type(),
        None => key.algorithm().to_string(),
    };
    Ok(VerifiedKey {
        fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        algorithm,
        user_presence: fido.map(|(flags, _)| flags & 0x01 != 0),
        user_verified: fido.map(|(flags, _)| flags & 0x04 != 0),
        counter: fido.map(|(_, counter)| counter),
        certificate: certificate.clone(),
    })
}

/// `SHA256:…` of a public key as it stands in a `.pub` file; `None` where it is none.
pub fn fingerprint_of(public: &str) -> Option<String> {
    let key = PublicKey::from_openssh(public.trim()).ok()?;
    Some(key.fingerprint(HashAlg::Sha256).to_string())
}

fn verify_plain(sig: &SshSig, message: &[u8]) -> Result<(), SigError> {
    PublicKey::from(sig.public_key().clone())
        .verify(sig.namespace(), message, sig)
        .map_err(|_| SigError::Mismatch)
}

fn verify_rsa(sig: &SshSig, key: &RsaPublicKey, message: &[u8]) -> Result<(), SigError> {
    let signed = SshSig::signed_data(sig.namespace(), sig.hash_alg(), message)
        .map_err(|why| SigError::Malformed(why.to_string()))?;
    rsa(key, sig.signature(), &signed)
}

/// RSA by ring: `ssh-key` would need the `rsa` crate, which is open to a timing attack.
pub(super) fn rsa(key: &RsaPublicKey, sig: &ssh_key::Signature, signed: &[u8]) -> Result<(), SigError> {
    let odd = || SigError::Malformed("its RSA key is not a pair of positive numbers".into());
    let n = key.n.as_positive_bytes().ok_or_else(odd)?;
    let e = key.e.as_positive_bytes().ok_or_else(odd)?;
    let leading = n.first().ok_or_else(odd)?.leading_zeros() as usize;
    let bits = n.len() * 8 - leading;
    if bits < RSA_BITS {
        return Err(SigError::WeakRsa { bits });
    }
    let parameters = match sig.algorithm() {
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha256),
        } => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        } => &RSA_PKCS1_2048_8192_SHA512,
        other => return Err(SigError::Unsupported(other.to_string())),
    };
    // OpenSSH drops leading zeros of the number; ring wants them back.
    let short = n.len().saturating_sub(sig.as_bytes().len());
    let mut number = vec![0; short];
    number.extend_from_slice(sig.as_bytes());
    RsaPublicKeyComponents { n, e }
        .verify(parameters, signed, &number)
        .map_err(|_| SigError::Mismatch)
}

/// Flags and counter, the last five bytes of a FIDO signature. They are part of what was signed.
fn fido(sig: &SshSig) -> Option<(u8, u32)> {
    let sk = matches!(
        sig.public_key(),
        KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_)
    );
    match sig.signature_bytes().last_chunk::<5>() {
        Some(&[flags, a, b, c, d]) if sk => Some((flags, u32::from_be_bytes([a, b, c, d]))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_armour_is_named_as_such() {
        for text in [
            "",
            "hello",
            "-----BEGIN PGP SIGNATURE-----\nAA==\n-----END PGP SIGNATURE-----",
        ] {
            assert_eq!(
                Signature::parse(text.as_bytes()).unwrap_err(),
                SigError::NotArmoured
            );
        }
        let long = format!("{BEGIN}\n{}\n{END}", "A".repeat(ARMOUR_CAP));
        assert_eq!(
            Signature::parse(long.as_bytes()).unwrap_err(),
            SigError::NotArmoured
        );
        assert_eq!(Signature::parse(&[0xff; 64]).unwrap_err(), SigError::NotArmoured);
    }

    #[test]
    fn damaged_armour_is_named_as_such() {
        for body in ["", "!!!!", "AAAA", "U1NIU0lHAAAAAQ=="] {
            let text = format!("{BEGIN}\n{body}\n{END}\n");
            assert!(
                matches!(Signature::parse(text.as_bytes()), Err(SigError::Malformed(_))),
                "{body}"
            );
        }
    }
}

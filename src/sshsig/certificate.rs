//! OpenSSH certificates: an authority's word that a key is a person's, for a time.
//!
//! Source: OpenSSH, PROTOCOL.certkeys. Read by hand, because what the authority signed are these bytes.

use signature::Verifier as _;
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey};

use super::verify::{SigError, raw, rsa, string};

const SUFFIX: &[u8] = b"-cert-v01@openssh.com";

/// What an authority vouches for. Its own signature has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// `SHA256:…` of the authority's key.
    pub authority: String,
    /// Its number, chosen by the authority; 0 where it gave none.
    pub serial: u64,
    /// Its name, chosen by the authority.
    pub key_id: String,
    /// Whose key it is.
    pub principals: Vec<String>,
    /// First valid second since the epoch.
    pub valid_after: u64,
    /// First second in which it is no longer valid.
    pub valid_before: u64,
    /// True where the authority asks for a PIN or a finger each time.
    pub verify_required: bool,
}

/// True where a public key's bytes are a certificate.
pub(super) fn is_one(key: &[u8]) -> bool {
    string(&mut &*key).is_some_and(|kind| kind.ends_with(SUFFIX))
}

/// The plain public key inside, as bytes, and what is vouched for.
pub(super) fn read(blob: &[u8]) -> Result<(Vec<u8>, Certificate), SigError> {
    let odd = |what: &str| SigError::Malformed(format!("its certificate is damaged: {what}"));
    let mut rest = blob;
    let mut next = |what: &str| string(&mut rest).ok_or_else(|| odd(what));
    let kind = next("its type is cut short")?;
    let plain = kind.strip_suffix(SUFFIX).unwrap_or(kind);
    let (plain, fields): (Vec<u8>, usize) = match plain {
        b"ssh-ed25519" => (plain.to_vec(), 1),
        b"ssh-rsa" | b"ecdsa-sha2-nistp256" | b"ecdsa-sha2-nistp384" => (plain.to_vec(), 2),
        b"sk-ssh-ed25519" => ([plain, b"@openssh.com"].concat(), 2),
        b"sk-ecdsa-sha2-nistp256" => ([plain, b"@openssh.com"].concat(), 3),
        other => return Err(SigError::Unsupported(String::from_utf8_lossy(other).into_owned())),
    };
    next("its nonce is cut short")?;
    let mut public = field(&plain);
    for _ in 0..fields {
        public.extend(field(next("its key is cut short")?));
    }
    let serial = number::<8>(&mut rest).ok_or_else(|| odd("its serial is cut short"))?;
    let user = number::<4>(&mut rest).ok_or_else(|| odd("its kind is cut short"))?;
    if user != 1 {
        return Err(SigError::CertificateOf("a host, not of a person"));
    }
    let mut next = |what: &str| string(&mut rest).ok_or_else(|| odd(what));
    let key_id = String::from_utf8_lossy(next("its name is cut short")?).into_owned();
    let mut names = next("its principals are cut short")?;
    let mut principals = Vec::new();
    while !names.is_empty() {
        let name = string(&mut names).ok_or_else(|| odd("a principal is cut short"))?;
        let name = std::str::from_utf8(name).map_err(|_| odd("a principal is no text"))?;
        principals.push(name.to_owned());
    }
    let valid_after = number::<8>(&mut rest).ok_or_else(|| odd("its dates are cut short"))?;
    let valid_before = number::<8>(&mut rest).ok_or_else(|| odd("its dates are cut short"))?;
    let mut next = |what: &str| string(&mut rest).ok_or_else(|| odd(what));
    let mut options = next("its options are cut short")?;
    let mut verify_required = false;
    while !options.is_empty() {
        let name = string(&mut options).ok_or_else(|| odd("an option is cut short"))?;
        string(&mut options).ok_or_else(|| odd("an option is cut short"))?;
        // An option that is not obeyed must not be passed over: that is what `critical` means.
        match name {
            b"verify-required" => verify_required = true,
            b"force-command" => return Err(SigError::CertificateOf("a key for one command only")),
            b"source-address" => return Err(SigError::CertificateOf("a key for some addresses only")),
            _ => {
                return Err(SigError::CertificateOf(
                    "a key with a restriction that is not known here",
                ));
            }
        }
    }
    next("its extensions are cut short")?;
    next("it is cut short")?;
    let authority = next("its authority is cut short")?;
    let signed = blob.len() - rest.len();
    let signature = string(&mut rest).ok_or_else(|| odd("its signature is cut short"))?;
    if !rest.is_empty() || is_one(authority) {
        return Err(odd("there is more in it than a certificate"));
    }
    let authority = PublicKey::from_bytes(authority).map_err(|why| odd(&why.to_string()))?;
    let text = blob.get(..signed).unwrap_or_default();
    vouched(authority.key_data(), text, signature)?;
    let certificate = Certificate {
        authority: authority.fingerprint(HashAlg::Sha256).to_string(),
        serial,
        key_id,
        principals,
        valid_after,
        valid_before,
        verify_required,
    };
    Ok((public, certificate))
}

/// Whether the authority signed these bytes.
fn vouched(key: &KeyData, text: &[u8], signature: &[u8]) -> Result<(), SigError> {
    let forged = || SigError::CertificateOf("nobody: its authority did not sign it");
    let signature = raw(signature)?;
    match key {
        KeyData::Rsa(key) => rsa(key, &signature, text).map_err(|why| match why {
            SigError::Mismatch => forged(),
            other => other,
        }),
        other => other.verify(text, &signature).map_err(|_| forged()),
    }
}

/// A field with its length in front.
fn field(bytes: &[u8]) -> Vec<u8> {
    // No key comes near 4 GiB.
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&len.to_be_bytes(), bytes].concat()
}

/// A big-endian number of N bytes, taken off the front.
pub(super) fn number<const N: usize>(rest: &mut &[u8]) -> Option<u64> {
    let (bytes, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(bytes.iter().fold(0, |all, b| (all << 8) | u64::from(*b)))
}

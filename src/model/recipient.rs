//! To whom originals are sealed: a person, and a key of theirs that only opens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::montgomery::MontgomeryPoint;
use serde::{Deserialize, Serialize};

/// Somebody who can read what the redactor took out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// Their name, as they would act in an incident.
    pub person: String,
    /// Their key.
    pub key: SealKey,
}

/// A public key that `age` can open for: `age1…`, or an `ssh-ed25519` one.
///
/// What it is stands in its text; two keys are the same key where their [`SealKey::point`]s are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SealKey {
    text: String,
    point: [u8; 32],
    wire: Option<Vec<u8>>,
}

/// Why nothing can be sealed to a key. Never quotes it: people paste the private one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// The private half.
    #[error("this is a private key, and whoever reads this file has it now")]
    Private,
    /// RSA.
    #[error("nothing can be sealed to an RSA key here: RSA in Rust leaks by its timing (RUSTSEC-2023-0071)")]
    Rsa,
    /// ECDSA, DSA.
    #[error("a key of this kind can only sign, so nothing sealed to it could be opened")]
    OnlySigns,
    /// A key in hardware that signs for SSH.
    #[error(
        "the hardware behind an `sk-` key can sign but not decrypt, so nothing sealed to it could be opened"
    )]
    Hardware,
    /// A recipient of a plugin or of the post-quantum kind.
    #[error("this kind of age recipient needs a plugin or a newer age, which may not be at hand in years")]
    Plugin,
    /// Mistyped, or cut short.
    #[error("this key is mistyped or cut short: its check fails")]
    Damaged,
    /// Anything else.
    #[error("this is no key that can be sealed to")]
    Unknown,
}

/// What to write where a key cannot be used.
pub const REMEDY: &str =
    "write an `age1…` recipient, as `age-keygen` prints it, or an `ssh-ed25519 AAAA…` key";

impl SealKey {
    /// Reads a key; a comment behind an SSH key is dropped.
    pub fn parse(text: &str) -> Result<SealKey, NoKey> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("age-secret-key-") || lower.contains("private key") {
            return Err(NoKey::Private);
        }
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (text, point, wire) = match kind {
            "ssh-ed25519" => {
                let body = rest.split_whitespace().next().unwrap_or_default();
                let wire = STANDARD.decode(body).map_err(|_| NoKey::Damaged)?;
                let public = ed25519_of(&wire).ok_or(NoKey::Damaged)?;
                (
                    format!("ssh-ed25519 {body}"),
                    montgomery(&public).ok_or(NoKey::Damaged)?,
                    Some(wire),
                )
            }
            "ssh-rsa" => return Err(NoKey::Rsa),
            "ssh-dss" => return Err(NoKey::OnlySigns),
            kind if kind.starts_with("ecdsa-sha2-") => return Err(NoKey::OnlySigns),
            kind if kind.starts_with("sk-") => return Err(NoKey::Hardware),
            _ if lower.starts_with("age1") => match bech32(&lower).ok_or(NoKey::Damaged)? {
                ("age", bytes) => (
                    lower,
                    <[u8; 32]>::try_from(bytes).map_err(|_| NoKey::Damaged)?,
                    None,
                ),
                _ => return Err(NoKey::Plugin),
            },
            _ => return Err(NoKey::Unknown),
        };
        // A point of low order gives everybody the same shared secret.
        if MontgomeryPoint(point).mul_clamped([1; 32]).to_bytes() == [0; 32] {
            return Err(NoKey::Damaged);
        }
        Ok(SealKey { text, point, wire })
    }

    /// The key as text, such as `age1…`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The point on Curve25519 that secrets are agreed with. An `ssh-ed25519` key and the `age1…` key
    /// made of it have the same.
    pub fn point(&self) -> &[u8; 32] {
        &self.point
    }

    /// The bytes of an SSH key as SSH sends them; `None` for a key of age itself.
    pub fn ssh_wire(&self) -> Option<&[u8]> {
        self.wire.as_deref()
    }
}

impl TryFrom<String> for SealKey {
    type Error = NoKey;

    fn try_from(text: String) -> Result<Self, NoKey> {
        SealKey::parse(&text)
    }
}

impl From<SealKey> for String {
    fn from(key: SealKey) -> String {
        key.text
    }
}

/// The point of Curve25519 that belongs to an Ed25519 public key; `None` where it is none.
pub fn montgomery(ed25519: &[u8; 32]) -> Option<[u8; 32]> {
    let point = CompressedEdwardsY(*ed25519).decompress()?;
    Some(point.to_montgomery().to_bytes())
}

/// The 32 bytes of an `ssh-ed25519` key: name and key, each behind its length. Source: RFC 8709, 4.
fn ed25519_of(wire: &[u8]) -> Option<[u8; 32]> {
    let rest = wire.strip_prefix(b"\0\0\0\x0bssh-ed25519\0\0\0\x20")?;
    rest.try_into().ok()
}

/// The human part and the bytes of a Bech32 text in small letters, where its checksum is right.
/// Source: BIP 173, without its limit on the length.
fn bech32(text: &str) -> Option<(&str, Vec<u8>)> {
    const SIGNS: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let (hrp, data) = text.rsplit_once('1')?;
    let values: Vec<u8> = data
        .chars()
        .map(|c| SIGNS.find(c).and_then(|at| u8::try_from(at).ok()))
        .collect::<Option<_>>()?;
    let high = hrp.bytes().map(|b| b >> 5);
    let low = hrp.bytes().map(|b| b & 31);
    let all = high.chain([0]).chain(low).chain(values.iter().copied());
    (all.fold(1, polymod) == 1).then_some(())?;
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for value in values.get(..values.len().checked_sub(6)?)? {
        held = (held << 5) | u32::from(*value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    // What is left over is padding: shorter than a sign, and zero.
    (bits < 5 && held == 0).then_some((hrp, bytes))
}

fn polymod(sum: u32, value: u8) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = sum >> 25;
    let shifted = (sum & 0x01ff_ffff) << 5 ^ u32::from(value);
    GENERATOR
        .iter()
        .enumerate()
        .filter(|(bit, _)| top >> bit & 1 == 1)
        .fold(shifted, |sum, (_, generator)| sum ^ generator)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the format's own description.
    const AGE: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
    const SSH: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAdkeAODVRlh9R8Ce0Zxjb4DK7YhRnVKlPYh1NEw7BxF kim@vendor.example";

    #[test]
    fn keys_are_read_and_written_as_they_were() {
        let age = SealKey::parse(AGE).unwrap();
        assert_eq!((age.as_str(), age.ssh_wire()), (AGE, None));
        assert_eq!(SealKey::parse(&AGE.to_uppercase()).unwrap(), age);
        let json = serde_json::to_string(&age).unwrap();
        assert_eq!(json, format!("\"{AGE}\""));
        assert_eq!(serde_json::from_str::<SealKey>(&json).unwrap(), age);
    }

    #[test]
    fn one_wrong_sign_is_seen() {
        for at in 4..AGE.len() {
            let mut wrong = AGE.to_owned();
            let other = if AGE.as_bytes()[at] == b'q' { "p" } else { "q" };
            wrong.replace_range(at..=at, other);
            assert_eq!(SealKey::parse(&wrong), Err(NoKey::Damaged), "{wrong}");
        }
        assert_eq!(SealKey::parse(&AGE[..40]), Err(NoKey::Damaged));
    }

    #[test]
    fn every_other_key_says_why_not() {
        for (text, why) in [
            ("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZ", NoKey::Private),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", NoKey::Private),
            ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB kim", NoKey::Rsa),
            ("ecdsa-sha2-nistp256 AAAAE2VjZHNh", NoKey::OnlySigns),
            ("ssh-dss AAAAB3NzaC1kc3M", NoKey::OnlySigns),
            ("sk-ssh-ed25519@openssh.com AAAAGnNr", NoKey::Hardware),
            ("ssh-ed25519 AAAA", NoKey::Damaged),
            ("ssh-ed25519", NoKey::Damaged),
            (
                "age1yubikey1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqjrljxx",
                NoKey::Plugin,
            ),
            ("hunter2", NoKey::Unknown),
            ("", NoKey::Unknown),
        ] {
            let refused = SealKey::parse(text).unwrap_err();
            assert_eq!(refused, why, "{text}");
            assert!(text.is_empty() || !refused.to_string().contains(text));
        }
        // A point of low order, behind a good checksum.
        let zero = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z";
        assert_eq!(SealKey::parse(zero), Err(NoKey::Damaged));
    }

    #[test]
    fn an_ssh_key_and_the_age_key_made_of_it_are_one_key() {
        let ssh = SealKey::parse(SSH).unwrap();
        assert!(!ssh.as_str().contains("kim"));
        let wire = ssh.ssh_wire().unwrap();
        let public: [u8; 32] = wire[wire.len() - 32..].try_into().unwrap();
        assert_eq!(montgomery(&public).as_ref(), Some(ssh.point()));
    }
}

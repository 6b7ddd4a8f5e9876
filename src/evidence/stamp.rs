//! RFC 3161 time stamps: the request, what an authority answered, and whether its key really said so.
//!
//! The authority's own certificate is handed in from outside; whether somebody vouches for that
//! certificate (its chain, its revocation) is asked of `openssl ts -verify`, not here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDateTime;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::der::{BITS, Der, FIRST, INTEGER, OCTETS, OID, SEQUENCE, SET, SHORT_TIME, TIME, value};
use super::escape;
use crate::journal::Hash;

/// Largest answer that is read, in bytes; honest ones have some five thousand.
pub const REPLY_CAP: u64 = 256 * 1024;

const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const RSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c];
const RSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];

/// Why an answer is no time stamp. The text is safe to print.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// It is something else.
    #[error("it is no answer to a time-stamp request (RFC 3161, DER): {0}")]
    Shape(&'static str),
    /// The authority said no.
    #[error("the authority refused: status {status}{}", .words.as_ref().map(|w| format!(", {w}")).unwrap_or_default())]
    Refused {
        /// Its number: 2 rejection, 3 waiting, 4 and 5 revocation.
        status: u8,
        /// Its words.
        words: Option<String>,
    },
    /// It stamps another kind of hash.
    #[error("it is about a hash that is not SHA-256")]
    OtherHash,
    /// The certificates handed in hold no certificate.
    #[error("there is no certificate in it (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
}

/// A request for a time stamp: SHA-256, with a nonce, the authority's certificate asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StampRequest {
    /// What is to be stamped.
    pub imprint: Hash,
    /// What the answer must repeat.
    pub nonce: [u8; 16],
}

impl StampRequest {
    /// A request with this randomness in its nonce.
    pub fn new(imprint: Hash, random: [u8; 16]) -> Self {
        let mut nonce = random;
        // An INTEGER of exactly 16 bytes: positive, and without a leading zero.
        nonce[0] = nonce[0] & 0x7f | 0x40;
        StampRequest { imprint, nonce }
    }

    /// The request as DER.
    pub fn der(&self) -> Vec<u8> {
        let algorithm = value(SEQUENCE, &[&value(OID, &[SHA256]), &[0x05, 0]]);
        let imprint = value(SEQUENCE, &[&algorithm, &value(OCTETS, &[&self.imprint.0])]);
        let nonce = value(INTEGER, &[&self.nonce]);
        value(SEQUENCE, &[&[INTEGER, 1, 1], &imprint, &nonce, &[0x01, 1, 0xff]])
    }

    /// Reads a request as this program writes it.
    pub fn parse(der: &[u8]) -> Option<StampRequest> {
        let mut request = Der(der).inside(SEQUENCE)?;
        request.take(INTEGER)?;
        let imprint = imprint(&mut request).ok()?;
        let nonce = request.take(INTEGER)?.try_into().ok()?;
        let request = StampRequest { imprint, nonce };
        (request.der() == der).then_some(request)
    }
}

/// What an authority answered. A claim until [`Stamp::signed_by`] has agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// What is stamped.
    pub imprint: Hash,
    /// The nonce of the request, as the bytes of its INTEGER.
    pub nonce: Vec<u8>,
    /// When, ms since the epoch, as the authority says.
    pub at_ms: i64,
    /// The signed `TSTInfo`.
    info: Vec<u8>,
    signer: SignerInfo,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SignerInfo {
    digest: Vec<u8>,
    /// The signed attributes as they are signed: a SET.
    attributes: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl Stamp {
    /// Reads an answer. Nothing in it is proven yet.
    pub fn parse(der: &[u8]) -> Result<Stamp, StampError> {
        const SHORT: StampError = StampError::Shape("it is cut short, or something else");
        let mut outer = Der(der);
        let mut reply = outer.inside(SEQUENCE).ok_or(SHORT)?;
        if !outer.0.is_empty() {
            return Err(StampError::Shape("something follows after its end"));
        }
        let mut status = reply.inside(SEQUENCE).ok_or(SHORT)?;
        match status.take(INTEGER) {
            Some([0 | 1]) => {}
            Some([status_number]) => {
                let words = status.optional(SEQUENCE).and_then(|all| Der(all).any());
                return Err(StampError::Refused {
                    status: *status_number,
                    words: words.map(|(_, text, _)| escape(&String::from_utf8_lossy(text))),
                });
            }
            _ => return Err(SHORT),
        }
        token(&mut reply).ok_or(SHORT)?
    }

    /// True where it answers this request.
    pub fn answers(&self, request: &StampRequest) -> bool {
        self.imprint == request.imprint && self.nonce == request.nonce
    }

    /// Whether one of these certificates (PEM) holds the key that signed it, and was valid then.
    ///
    /// `Ok(Err(why))` = none of them did.
    pub fn signed_by(&self, authority: &[u8]) -> Result<Result<(), &'static str>, StampError> {
        let certificates = certificates(authority);
        if certificates.is_empty() {
            return Err(StampError::NoCertificate);
        }
        let mut why = "no certificate can be read";
        for certificate in certificates {
            match self.signed_with(&certificate) {
                Ok(()) => return Ok(Ok(())),
                Err(no) => why = no,
            }
        }
        Ok(Err(why))
    }

    fn signed_with(&self, certificate: &[u8]) -> Result<(), &'static str> {
        let certificate = Certificate::parse(certificate).ok_or("a certificate cannot be read")?;
        if self.at_ms < certificate.from_ms || self.at_ms > certificate.until_ms {
            return Err("the certificate was not valid at the time it names");
        }
        let digest = |bytes: &[u8]| match &*self.signer.digest {
            SHA256 => Some(Sha256::digest(bytes).to_vec()),
            SHA384 => Some(Sha384::digest(bytes).to_vec()),
            SHA512 => Some(Sha512::digest(bytes).to_vec()),
            _ => None,
        };
        let wanted = digest(&self.info).ok_or("it was made with a hash that is not read here")?;
        if attribute(&self.signer.attributes, CONTENT_TYPE, OID) != Some(TST_INFO)
            || attribute(&self.signer.attributes, MESSAGE_DIGEST, OCTETS) != Some(&wanted)
        {
            return Err("what it signs is not what it says");
        }
        let algorithm = self.algorithm(&certificate);
        let algorithm = algorithm.ok_or("it was made with a kind of key that is not read here")?;
        UnparsedPublicKey::new(algorithm, &certificate.key)
            .verify(&self.signer.attributes, &self.signer.signature)
            .map_err(|_| "no certificate handed in holds the key that signed it")
    }

    fn algorithm(&self, certificate: &Certificate) -> Option<&'static dyn VerificationAlgorithm> {
        let rsa = certificate.kind == RSA;
        let curve = &*certificate.curve;
        Some(match (&*self.signer.algorithm, &*self.signer.digest) {
            (RSA_SHA256, SHA256) | (RSA, SHA256) if rsa => &signature::RSA_PKCS1_2048_8192_SHA256,
            (RSA_SHA384, SHA384) | (RSA, SHA384) if rsa => &signature::RSA_PKCS1_2048_8192_SHA384,
            (RSA_SHA512, SHA512) | (RSA, SHA512) if rsa => &signature::RSA_PKCS1_2048_8192_SHA512,
            (ECDSA_SHA256, SHA256) if curve == P256 => &signature::ECDSA_P256_SHA256_ASN1,
            (ECDSA_SHA384, SHA384) if curve == P256 => &signature::ECDSA_P256_SHA384_ASN1,
            (ECDSA_SHA256, SHA256) if curve == P384 => &signature::ECDSA_P384_SHA256_ASN1,
            (ECDSA_SHA384, SHA384) if curve == P384 => &signature::ECDSA_P384_SHA384_ASN1,
            _ => return None,
        })
    }
}

/// `ContentInfo` to `TSTInfo` and its one signer. `None` = cut short.
fn token(reply: &mut Der<'_>) -> Option<Result<Stamp, StampError>> {
    let mut content = reply.inside(SEQUENCE)?;
    if content.take(OID)? != SIGNED_DATA {
        return Some(Err(StampError::Shape("its token is not signed data")));
    }
    let mut signed = content.inside(FIRST)?.inside(SEQUENCE)?;
    signed.take(INTEGER)?;
    signed.take(SET)?;
    let mut inner = signed.inside(SEQUENCE)?;
    if inner.take(OID)? != TST_INFO {
        return Some(Err(StampError::Shape("its token holds no time stamp")));
    }
    let info = inner.inside(FIRST)?.take(OCTETS)?;
    signed.optional(FIRST);
    signed.optional(FIRST + 1);
    let mut signers = signed.inside(SET)?;
    let signer = signer(signers.inside(SEQUENCE)?)?;
    if !signers.0.is_empty() {
        return Some(Err(StampError::Shape("it has several signers")));
    }

    let mut fields = Der(info).inside(SEQUENCE)?;
    fields.take(INTEGER)?;
    fields.take(OID)?;
    let imprint = match imprint(&mut fields) {
        Ok(imprint) => imprint,
        Err(why) => return Some(Err(why)),
    };
    fields.take(INTEGER)?;
    let at_ms = time(TIME, fields.take(TIME)?)?;
    fields.optional(SEQUENCE);
    fields.optional(0x01);
    let nonce = fields.optional(INTEGER).unwrap_or_default().to_vec();
    Some(Ok(Stamp {
        imprint,
        nonce,
        at_ms,
        info: info.to_vec(),
        signer,
    }))
}

fn signer(mut fields: Der<'_>) -> Option<SignerInfo> {
    fields.take(INTEGER)?;
    fields.any()?;
    let digest = fields.inside(SEQUENCE)?.take(OID)?.to_vec();
    let attributes = value(SET, &[fields.take(FIRST)?]);
    let algorithm = fields.inside(SEQUENCE)?.take(OID)?.to_vec();
    Some(SignerInfo {
        digest,
        attributes,
        algorithm,
        signature: fields.take(OCTETS)?.to_vec(),
    })
}

/// The one value of an attribute; `None` where it is not there exactly once.
fn attribute<'a>(attributes: &'a [u8], kind: &[u8], tag: u8) -> Option<&'a [u8]> {
    let mut all = Der(attributes).inside(SET)?;
    let mut found = None;
    while !all.0.is_empty() {
        let mut one = all.inside(SEQUENCE)?;
        if one.take(OID)? != kind {
            continue;
        }
        let mut values = one.inside(SET)?;
        let value = values.take(tag)?;
        if found.replace(value).is_some() || !values.0.is_empty() {
            return None;
        }
    }
    found
}

fn imprint(fields: &mut Der<'_>) -> Result<Hash, StampError> {
    let read = |fields: &mut Der<'_>| {
        let mut imprint = fields.inside(SEQUENCE)?;
        let kind = imprint.inside(SEQUENCE)?.take(OID)?;
        Some((kind.to_vec(), imprint.take(OCTETS)?.to_vec()))
    };
    let (kind, bytes) = read(fields).ok_or(StampError::Shape("its imprint is cut short"))?;
    match (&*kind, bytes.try_into()) {
        (SHA256, Ok(hash)) => Ok(Hash(hash)),
        _ => Err(StampError::OtherHash),
    }
}

/// `20261122034007Z` or `20261122034007.12Z`, for `UTCTime` without the century; ms since the epoch.
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let text = match tag {
        SHORT_TIME => {
            let century = if text.get(..2)?.parse::<u8>().ok()? < 50 {
                "20"
            } else {
                "19"
            };
            format!("{century}{text}")
        }
        _ => text.to_owned(),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let at = NaiveDateTime::parse_from_str(whole, "%Y%m%d%H%M%S").ok()?;
    let ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some(at.and_utc().timestamp_millis() + ms)
}

/// What of a certificate is needed here.
struct Certificate {
    from_ms: i64,
    until_ms: i64,
    kind: Vec<u8>,
    curve: Vec<u8>,
    key: Vec<u8>,
}

impl Certificate {
    fn parse(der: &[u8]) -> Option<Certificate> {
        let mut fields = Der(der).inside(SEQUENCE)?.inside(SEQUENCE)?;
        fields.optional(FIRST);
        fields.take(INTEGER)?;
        fields.take(SEQUENCE)?;
        fields.take(SEQUENCE)?;
        let mut valid = fields.inside(SEQUENCE)?;
        let mut moment = || {
            let (tag, text, _) = valid.any()?;
            time(tag, text)
        };
        let (from_ms, until_ms) = (moment()?, moment()?);
        fields.take(SEQUENCE)?;
        let mut public = fields.inside(SEQUENCE)?;
        let mut algorithm = public.inside(SEQUENCE)?;
        let kind = algorithm.take(OID)?.to_vec();
        let curve = match &*kind {
            EC => algorithm.take(OID)?.to_vec(),
            _ => Vec::new(),
        };
        let key = public.take(BITS)?.strip_prefix(&[0])?.to_vec();
        Some(Certificate {
            from_ms,
            until_ms,
            kind,
            curve,
            key,
        })
    }
}

/// The certificates of a PEM file, as DER.
fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(pem);
    text.split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .filter_map(|part| part.split_once("-----END CERTIFICATE-----"))
        .filter_map(|(body, _)| {
            let body: String = body.split_ascii_whitespace().collect();
            STANDARD.decode(body).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_spelling() {
        for first in [0, 0x7f, 0x80, 0xff] {
            let request = StampRequest::new(Hash::of(b"x"), [first; 16]);
            let der = request.der();
            assert_eq!(StampRequest::parse(&der), Some(request));
            for cut in 0..der.len() {
                assert_eq!(StampRequest::parse(&der[..cut]), None);
            }
            let mut longer = der.clone();
            longer.push(0);
            assert_eq!(StampRequest::parse(&longer), None);
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_authority() {
        let words = value(SEQUENCE, &[&value(0x0c, &["busy\u{1b}[2J".as_bytes()])]);
        let status = value(SEQUENCE, &[&[INTEGER, 1, 2], &words]);
        let error = Stamp::parse(&value(SEQUENCE, &[&status])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the authority refused: status 2, busy\\u{1b}[2J"
        );
        assert!(matches!(Stamp::parse(b"hello"), Err(StampError::Shape(_))));
    }

    #[test]
    fn times_are_read_to_the_millisecond() {
        let wanted = 1_795_318_847_120;
        assert_eq!(time(TIME, b"20261122034047.12Z"), Some(wanted));
        assert_eq!(time(TIME, b"20261122034047Z"), Some(wanted - 120));
        assert_eq!(time(SHORT_TIME, b"261122034047Z"), Some(wanted - 120));
        for bad in [
            &b"20261122034047"[..],
            b"20261322034047Z",
            b"x",
            b"2026112203404.7Z",
        ] {
            assert_eq!(time(TIME, bad), None);
        }
    }
}

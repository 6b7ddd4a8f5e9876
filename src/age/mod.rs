//! Writes files that the program `age` opens: originals, sealed to people who are not here.
//!
//! Only the writing half of `age-encryption.org/v1`, for two kinds of recipients: X25519 and `ssh-ed25519`.
//! Constant memory, one pass. Absent from this room: opening, files, where random bytes come from.
//!
//! Source: <https://c2sp.org/age>; the stanza of `ssh-ed25519` as the program of that name writes it.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use curve25519_dalek::montgomery::MontgomeryPoint;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::model::recipient::SealKey;

/// Bytes of the original in each sealed chunk.
const CHUNK: usize = 64 << 10;

/// Fills a buffer with random bytes that nobody else knows.
pub type Random<'r> = &'r mut dyn FnMut(&mut [u8]) -> io::Result<()>;

/// A writer that seals what is written through it. Without [`Sealer::finish`] the file has no end, and
/// `age` says so.
#[must_use = "what is held back is written by `finish`"]
pub struct Sealer<W: Write> {
    inner: W,
    key: LessSafeKey,
    /// How many chunks are written.
    chunk: u64,
    /// The original since then; a chunk is sealed once it is known whether it is the last.
    held: Zeroizing<Vec<u8>>,
}

impl<W: Write> Sealer<W> {
    /// Writes the header, for these keys, each of which alone will open the file.
    pub fn begin(mut inner: W, to: &[&SealKey], random: Random<'_>) -> io::Result<Self> {
        let mut file_key = Zeroizing::new([0; 16]);
        random(&mut *file_key)?;
        let mut header = "age-encryption.org/v1\n".to_owned();
        for key in to {
            header.push_str(&stanza(key, &file_key, random)?);
        }
        header.push_str("---");
        let mac_key = derived(&[], &*file_key, b"header")?;
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*mac_key), header.as_bytes());
        let mut nonce = [0; 16];
        random(&mut nonce)?;
        writeln!(inner, "{header} {}", STANDARD_NO_PAD.encode(mac))?;
        inner.write_all(&nonce)?;
        let key = sealing_key(&*derived(&nonce, &*file_key, b"payload")?)?;
        // One more byte tells a chunk that is full from one that is the last.
        let held = Zeroizing::new(Vec::with_capacity(CHUNK + 16));
        Ok(Sealer {
            inner,
            key,
            chunk: 0,
            held,
        })
    }

    /// What is written to.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// Seals the rest as the last chunk and hands the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&self.chunk.to_be_bytes());
        nonce[11] = u8::from(last);
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(nonce, Aad::empty(), &mut *self.held)
            .map_err(|_| broken())?;
        self.inner.write_all(&self.held)?;
        self.held.clear();
        self.chunk += 1;
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, input: &[u8]) -> io::Result<usize> {
        // The last chunk may be full but not empty: only more input shows that a full one is not the last.
        if self.held.len() == CHUNK && !input.is_empty() {
            self.seal(false)?;
        }
        let now = input.len().min(CHUNK - self.held.len());
        self.held.extend_from_slice(&input[..now]);
        Ok(now)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The file's key, wrapped for one recipient.
fn stanza(key: &SealKey, file_key: &[u8; 16], random: Random<'_>) -> io::Result<String> {
    let mut secret = Zeroizing::new([0; 32]);
    random(&mut *secret)?;
    let share = MontgomeryPoint::mul_base_clamped(*secret).to_bytes();
    let mut shared = Zeroizing::new(MontgomeryPoint(*key.point()).mul_clamped(*secret).to_bytes());
    let (arguments, label) = match key.ssh_wire() {
        None => ("X25519".to_owned(), &b"age-encryption.org/v1/X25519"[..]),
        Some(wire) => {
            let label = b"age-encryption.org/v1/ssh-ed25519";
            // Binds what is sealed to the SSH key itself, and not only to its point.
            let tweak = derived(wire, &[], label)?;
            *shared = MontgomeryPoint(*shared).mul_clamped(*tweak).to_bytes();
            let tag = STANDARD_NO_PAD.encode(&Sha256::digest(wire)[..4]);
            (format!("ssh-ed25519 {tag}"), &label[..])
        }
    };
    if *shared == [0; 32] {
        return Err(io::Error::other("this key gives everybody the same secret"));
    }
    let salt = [share, *key.point()].concat();
    let wrap = sealing_key(&*derived(&salt, &*shared, label)?)?;
    let mut body = Zeroizing::new(file_key.to_vec());
    wrap.seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut *body)
        .map_err(|_| broken())?;
    let (share, body) = (STANDARD_NO_PAD.encode(share), STANDARD_NO_PAD.encode(&*body));
    Ok(format!("-> {arguments} {share}\n{body}\n"))
}

/// HKDF-SHA-256, 32 bytes.
fn derived(salt: &[u8], from: &[u8], label: &[u8]) -> io::Result<Zeroizing<[u8; 32]>> {
    let mut out = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(from)
        .expand(&[label], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut *out))
        .map_err(|_| broken())?;
    Ok(out)
}

fn sealing_key(bytes: &[u8; 32]) -> io::Result<LessSafeKey> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).map_err(|_| broken())?;
    Ok(LessSafeKey::new(key))
}

/// What ring says without saying why; lengths are ours, so it is never met.
fn broken() -> io::Error {
    io::Error::other("the cipher refused its input")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(parts: &[&[u8]]) -> Vec<u8> {
        let key = SealKey::parse("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj").unwrap();
        let mut n = 0;
        let mut random = |buffer: &mut [u8]| {
            n += 1;
            buffer.fill(n);
            Ok(())
        };
        let mut sealer = Sealer::begin(Vec::new(), &[&key], &mut random).unwrap();
        for part in parts {
            sealer.write_all(part).unwrap();
        }
        sealer.finish().unwrap()
    }

    fn payload(file: &[u8]) -> usize {
        let at = file.windows(4).position(|w| w == b"--- ").unwrap();
        file.len() - (at + 4 + 43 + 1) - 16
    }

    #[test]
    fn each_chunk_has_its_tag_and_a_full_last_one_no_empty_one_behind() {
        for (len, chunks) in [(0, 1), (1, 1), (CHUNK, 1), (CHUNK + 1, 2), (3 * CHUNK, 3)] {
            assert_eq!(
                payload(&sealed(&[&vec![7; len]])),
                len + 16 * chunks,
                "{len} bytes"
            );
        }
    }

    #[test]
    fn where_the_input_is_cut_does_not_show() {
        let text = vec![5; 2 * CHUNK + 9];
        let whole = sealed(&[&text]);
        assert_eq!(sealed(&[&text[..1], &text[1..CHUNK], &[], &text[CHUNK..]]), whole);
        assert!(!whole.windows(8).any(|w| w == [5; 8]));
    }

    #[test]
    fn without_random_bytes_nothing_is_sealed() {
        let key = SealKey::parse("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj").unwrap();
        let mut none = |_: &mut [u8]| Err(io::Error::other("none"));
        assert!(Sealer::begin(Vec::new(), &[&key], &mut none).is_err());
    }
}

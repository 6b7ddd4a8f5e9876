//! Randomness from a seed: same seed, same bytes.

use std::cell::RefCell;

use sha2::{Digest, Sha256};

use crate::world::Entropy;
use crate::world::entropy::NoEntropy;

/// A generator whose bytes are SHA-256 over seed, label and a counter. Never used outside drills.
pub struct Seeded {
    key: [u8; 32],
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    counter: u64,
    left: Vec<u8>,
}

impl Seeded {
    /// The stream of this name. Streams of one seed do not disturb each other.
    pub fn new(seed: u64, label: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"incident drill entropy v1\0");
        hash.update(seed.to_be_bytes());
        hash.update(label.as_bytes());
        Seeded {
            key: hash.finalize().into(),
            state: RefCell::default(),
        }
    }

    /// The next `N` bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.pour(&mut out);
        out
    }

    /// A number below `limit`; 0 where `limit` is 0.
    pub fn below(&self, limit: u64) -> u64 {
        u64::from_be_bytes(self.bytes()).checked_rem(limit).unwrap_or(0)
    }

    /// `2 * n` lower-case hexadecimal digits.
    pub fn hex(&self, n: usize) -> String {
        let mut bytes = vec![0; n];
        self.pour(&mut bytes);
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// A version 4 UUID.
    pub fn uuid(&self) -> String {
        let mut b: [u8; 16] = self.bytes();
        b[6] = b[6] & 0x0f | 0x40;
        b[8] = b[8] & 0x3f | 0x80;
        let hex: String = b.iter().map(|b| format!("{b:02x}")).collect();
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    fn pour(&self, out: &mut [u8]) {
        let mut state = self.state.borrow_mut();
        for slot in out {
            if state.left.is_empty() {
                let mut hash = Sha256::new();
                hash.update(self.key);
                hash.update(state.counter.to_be_bytes());
                state.left = hash.finalize().to_vec();
                state.counter += 1;
            }
            *slot = state.left.pop().unwrap_or(0);
        }
    }
}

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        self.pour(buffer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_every_byte() {
        let (a, b) = (Seeded::new(7, "ids"), Seeded::new(7, "ids"));
        assert_eq!(a.bytes::<100>(), b.bytes::<100>());
        assert_eq!(a.uuid(), b.uuid());
        assert_ne!(a.hex(16), Seeded::new(8, "ids").hex(16));
        assert_ne!(Seeded::new(7, "x").hex(16), Seeded::new(7, "y").hex(16));
    }

    #[test]
    fn asking_in_pieces_gives_the_same_stream() {
        let (a, b) = (Seeded::new(1, ""), Seeded::new(1, ""));
        let whole: [u8; 64] = a.bytes();
        let pieces: [[u8; 16]; 4] = [b.bytes(), b.bytes(), b.bytes(), b.bytes()];
        assert_eq!(whole.as_slice(), pieces.concat());
    }

    #[test]
    fn below_stays_below() {
        let seeded = Seeded::new(3, "");
        assert!((0..200).all(|_| seeded.below(6) < 6));
        assert_eq!(seeded.below(0), 0);
    }
}

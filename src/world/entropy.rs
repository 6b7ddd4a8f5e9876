//! Randomness for nonces, keys and ids.

/// Fills buffers with random bytes.
pub trait Entropy {
    /// Fills the whole buffer, or says why it cannot.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy>;
}

/// The system gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoEntropy;

/// The operating system's generator.
pub struct RealEntropy;

impl Entropy for RealEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        use ring::rand::SecureRandom;
        ring::rand::SystemRandom::new()
            .fill(buffer)
            .map_err(|_| NoEntropy)
    }
}

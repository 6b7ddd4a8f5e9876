//! Ctrl-C, as a number that others look at.

/// How often the responder pressed Ctrl-C.
pub trait Interrupt {
    /// 0 = go on; 1 = start nothing new; 2 or more = leave now.
    fn count(&self) -> u32;
}

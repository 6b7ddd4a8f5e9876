//! Secrets out of text, with a receipt for each.

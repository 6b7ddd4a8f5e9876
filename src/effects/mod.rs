//! Text to effects: what an act would change, read out of the act itself.

//! Agents' own records of what they did.

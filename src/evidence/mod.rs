//! Exhibits, the ledger, the seal, and the bundle: written, read and verified.

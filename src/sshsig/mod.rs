//! OpenSSH signatures and rosters: parsed and verified in process.

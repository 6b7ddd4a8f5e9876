//! Every byte of a case on disk: folder, locks, append, objects, spool.

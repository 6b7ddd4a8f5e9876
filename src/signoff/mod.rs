//! Escalation requests, the statement to be signed, and what makes an answer count.

//! The inventory of what agents hold, and the scan that finds it.

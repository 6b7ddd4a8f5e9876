//! Adapters to whoever issues credentials: tables run by one engine, and a few in code.

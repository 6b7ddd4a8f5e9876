//! The loop: advance, stop, capture, act, plan, record. Asks, never prints.

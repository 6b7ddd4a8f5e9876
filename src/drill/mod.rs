//! A simulated world, its scenarios and players, and the score read from the record.

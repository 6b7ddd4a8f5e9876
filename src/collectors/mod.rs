//! Look, don't touch. Collectors return what they saw; the engine files it.

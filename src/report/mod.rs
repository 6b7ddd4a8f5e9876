//! Facts to words: Markdown and JSON from a template. Never asks the time.

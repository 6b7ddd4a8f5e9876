//! Commands, screens and prompts. All printing and prompting; decides nothing.

//! One mistake in a file somebody wrote: where it is, what is wrong, what to write instead.

use std::fmt;

/// A place in a file: 1-based line and column, in characters; zero where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// 1-based line, 0 = unknown.
    pub line: u32,
    /// 1-based column in characters, 0 = unknown.
    pub column: u32,
}

/// One mistake, ready to be drawn with a caret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as the user would name it.
    pub file: String,
    /// Where the mistake starts.
    pub place: Place,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub remedy: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.place.line, self.place.column, self.message
        )?;
        if let Some(remedy) = &self.remedy {
            write!(f, " ({remedy})")?;
        }
        Ok(())
    }
}

//! One mistake in a file somebody wrote: where it is, what is wrong, what to write instead.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

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

/// Mistakes drawn at a time; the rest is counted.
const DRAWN: usize = 40;
/// A mistake further to the right is named without its line, which nobody could read anyway.
const WIDEST: usize = 2_000;
/// Characters of a source line shown from the mistake on.
const AFTER: usize = 60;

/// Draws mistakes for people: place, line, caret, message, remedy, in the order given.
///
/// `clean` takes the secrets out of a line before it is shown (`Redactor::scrub`). A line that looks as
/// if it held a secret, and the line of a mistake about secrets, are not shown at all: somebody who
/// wrote a password into the wrong file should not find it in the log of a CI job as well.
pub fn render(found: &[Diagnostic], source: &str, clean: &dyn Fn(&str) -> String) -> String {
    let lines: Vec<&str> = source.lines().collect();
    let renderer = Renderer::plain();
    let mut drawn: Vec<String> = found
        .iter()
        .take(DRAWN)
        .map(|d| renderer.render(&groups(d, &lines, clean)))
        .collect();
    if found.len() > DRAWN {
        drawn.push(format!("and {} more", found.len() - DRAWN));
    }
    drawn.join("\n\n")
}

fn groups<'a>(found: &Diagnostic, lines: &[&str], clean: &dyn Fn(&str) -> String) -> Vec<Group<'a>> {
    let file = escaped(&found.file);
    let number = usize::try_from(found.place.line).unwrap_or(0);
    let column = usize::try_from(found.place.column).unwrap_or(0);
    let title = Level::ERROR.primary_title(escaped(&found.message));
    let line = number.checked_sub(1).and_then(|n| lines.get(n)).copied();
    let shown = line
        .filter(|line| {
            (1..WIDEST).contains(&column) && !found.message.contains("secret") && !may_hold_secret(line)
        })
        .map(|line| excerpt(line, column - 1, clean));
    let group = match shown {
        Some((text, span)) => title.element(
            Snippet::source(text)
                .line_start(number)
                .path(file)
                .annotation(AnnotationKind::Primary.span(span)),
        ),
        None if number == 0 => title.element(Origin::path(file)),
        None => title.element(Origin::path(file).line(number).char_column(column)),
    };
    let mut groups = vec![group];
    if let Some(remedy) = &found.remedy {
        groups.push(Group::with_title(Level::HELP.secondary_title(escaped(remedy))));
    }
    groups
}

/// A line up to a little behind a column, fit for a terminal, and the bytes the caret marks.
fn excerpt(line: &str, column: usize, clean: &dyn Fn(&str) -> String) -> (String, std::ops::Range<usize>) {
    let window: String = line.chars().take(column + AFTER).map(plain).collect();
    // Whoever cleans may also shorten or trim; a line in which nothing was taken out is shown as it is.
    let cleaned = match clean(window.trim()) {
        same if window.trim() == same => window.clone(),
        other => other,
    };
    let (before, rest) = match cleaned.char_indices().nth(column) {
        Some((at, _)) => cleaned.split_at(at),
        None => (cleaned.as_str(), ""),
    };
    let at = before.len();
    let marked = rest
        .find(|c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}' | ':'))
        .unwrap_or(rest.len());
    // Where something was taken out before the mistake, no caret is better than a wrong one.
    let end = match rest.chars().next() {
        Some(first) if window.starts_with(before) => at + marked.max(first.len_utf8()),
        _ => at,
    };
    (cleaned, at..end)
}

/// One column on every terminal: control characters and what reorders text become one visible mark.
fn plain(c: char) -> char {
    match c {
        '\t' => ' ',
        c if hidden(c) => '\u{fffd}',
        c => c,
    }
}

fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match hidden(c) {
            true => c.escape_unicode().to_string(),
            false => c.to_string(),
        })
        .collect()
}

/// True for what a terminal obeys instead of showing: controls, direction marks, zero width.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// True where a line names a secret, or holds a word long and mixed enough to be one.
fn may_hold_secret(line: &str) -> bool {
    const NAMES: [&str; 9] = [
        "secret", "token", "passw", "pwd", "apikey", "api_key", "api-key", "private", "bearer",
    ];
    let lower = line.to_lowercase();
    if NAMES.iter().any(|name| lower.contains(name)) {
        return true;
    }
    let word = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '=' | '.'));
    line.split(word).any(|w| {
        let digits = w.chars().filter(char::is_ascii_digit).count();
        let letters = w.chars().filter(char::is_ascii_alphabetic).count();
        w.len() >= 20 && digits >= 4 && letters >= 4
    }) || line.contains("://") && line.contains('@')
}

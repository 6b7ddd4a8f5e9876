//! Everything that reaches the terminal goes through here: one place for colour, width and broken pipes.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::error::CliError;
use crate::evidence::escape;

/// What a word means; colours follow from it, in this one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// A heading.
    Head,
    /// Proved.
    Good,
    /// Open, waiting, unproved.
    Warn,
    /// Still dangerous, refused, failed.
    Bad,
    /// Beside the point.
    Dim,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Tone::Plain => Style::new(),
            Tone::Head => Style::new().bold(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Warn => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Dim => Style::new().dimmed(),
        }
    }
}

/// The screen, or what stands for it.
pub struct Ui {
    /// True where standard output carries JSON and nothing else.
    pub json: bool,
    /// Columns to write into.
    pub width: usize,
}

impl Ui {
    /// Looks at the terminal once.
    pub fn new(json: bool) -> Self {
        let (_, columns) = console::Term::stderr().size();
        let width = usize::from(columns).clamp(40, 120);
        let attended = std::io::stdout().is_terminal() || std::io::stderr().is_terminal();
        Ui {
            json,
            width: if attended { width } else { 100 },
        }
    }

    /// A line of the answer: standard output, or standard error beside JSON.
    pub fn line(&self, text: &str) {
        if self.json {
            self.aside(text);
        } else {
            quiet(writeln!(anstream::stdout().lock(), "{text}"));
        }
    }

    /// A line of the answer in a tone.
    pub fn tone(&self, tone: Tone, text: &str) {
        self.line(&styled(tone, text));
    }

    /// A line beside the answer: standard error.
    pub fn aside(&self, text: &str) {
        quiet(writeln!(anstream::stderr().lock(), "{text}"));
    }

    /// Bytes of the answer as they are (a report, a script).
    pub fn raw(&self, bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        quiet(out.write_all(bytes).and_then(|()| out.flush()));
    }

    /// True where standard output is a terminal.
    pub fn at_terminal(&self) -> bool {
        std::io::stdout().is_terminal()
    }

    /// Bytes of the answer that are made piece by piece; an error where they cannot be made or taken.
    pub fn pieces(&self, make: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> std::io::Result<()> {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        match make(&mut out).and_then(|()| out.flush()) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => {
                quiet(Err(e));
                Ok(())
            }
            made => made,
        }
    }

    /// One JSON value on a line of its own.
    pub fn value(&self, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(value) {
            quiet(writeln!(std::io::stdout().lock(), "{text}"));
        }
    }

    /// Long text, wrapped at words and indented.
    pub fn wrapped(&self, indent: usize, text: &str) {
        for line in wrap(text, self.width.saturating_sub(indent)) {
            self.line(&format!("{:indent$}{line}", ""));
        }
    }

    /// Long text behind a heading, wrapped at words; every further line begins under the text.
    pub fn hanging(&self, tone: Tone, head: &str, text: &str) {
        for line in self.hung(head, text) {
            self.tone(tone, &line);
        }
    }

    /// The same, beside the answer.
    pub fn hanging_aside(&self, tone: Tone, head: &str, text: &str) {
        for line in self.hung(head, text) {
            self.aside(&styled(tone, &line));
        }
    }

    fn hung(&self, head: &str, text: &str) -> Vec<String> {
        let indent = console::measure_text_width(head);
        let lines = wrap(text, self.width.saturating_sub(indent));
        let hung = lines.iter().enumerate().map(|(n, line)| match n {
            0 => format!("{head}{line}"),
            _ => format!("{:indent$}{line}", ""),
        });
        hung.collect()
    }

    /// An error: what happened, why, what stands, what to do next.
    pub fn error(&self, error: &CliError) {
        if self.json {
            let value = serde_json::json!({
                "error": error.message, "because": error.causes, "stands": error.stands, "hint": error.hints, "exit": error.exit.code(),
            });
            self.value(&value);
        }
        let told = |indent: &str, tone, head: &str, texts: &[String]| {
            for text in texts {
                self.said(indent, tone, head, &escape(text));
            }
        };
        told("", Tone::Bad, "Error:", std::slice::from_ref(&error.message));
        told("  ", Tone::Dim, "because", &error.causes);
        told("  ", Tone::Dim, "so far:", &error.stands);
        told("  ", Tone::Head, "next:", &error.hints);
    }

    /// Words behind a heading on standard error, wrapped where that is a terminal: a log wants whole lines.
    fn said(&self, indent: &str, tone: Tone, head: &str, text: &str) {
        let margin = format!("{indent}{head} ").len();
        let width = match std::io::stderr().is_terminal() {
            true => self.width.saturating_sub(margin),
            false => usize::MAX,
        };
        for (n, line) in wrap(text, width).iter().enumerate() {
            match n {
                0 => self.aside(&format!("{indent}{} {line}", styled(tone, head))),
                _ => self.aside(&format!("{:margin$}{line}", "")),
            }
        }
    }
}

/// Text in a tone. Escape codes are taken out again where the stream shows none.
pub fn styled(tone: Tone, text: &str) -> String {
    let style = tone.style();
    format!("{style}{text}{style:#}")
}

/// Breaks text at words so that no line is wider than `width` columns, if its words allow it. What stands
/// between backticks is a command, and one word: it can be copied from one line.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(20);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in words(paragraph) {
            let needed = console::measure_text_width(&line) + 1 + console::measure_text_width(&word);
            if !line.is_empty() && needed > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        lines.push(line);
    }
    lines
}

/// The words of a line. A backtick without its partner joins nothing.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut inside = false;
    let paired = line.matches('`').count().is_multiple_of(2);
    for word in line.split_whitespace() {
        match words.last_mut().filter(|_| inside) {
            Some(command) => {
                command.push(' ');
                command.push_str(word);
            }
            None => words.push(word.to_owned()),
        }
        inside ^= paired && !word.matches('`').count().is_multiple_of(2);
    }
    words
}

/// A reader that went away (`incident list | head`) is no error of ours.
fn quiet(written: std::io::Result<()>) {
    if let Err(e) = written
        && e.kind() == std::io::ErrorKind::BrokenPipe
    {
        super::leave_quietly();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_not_broken_and_a_lone_backtick_joins_nothing() {
        let text = "Seal a baseline first: `incident seal --quick now`. Then go on";
        assert_eq!(
            wrap(text, 30),
            [
                "Seal a baseline first:",
                "`incident seal --quick now`.",
                "Then go on"
            ]
        );
        assert_eq!(
            wrap("one ` two three four five six", 20),
            ["one ` two three four", "five six"]
        );
    }
}

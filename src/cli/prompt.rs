//! Questions to the person at the keyboard. No terminal, no prompt: what is missing is named.

use std::io::{IsTerminal, Read};

use zeroize::Zeroizing;

use super::error::CliError;
use super::exit::Exit;
use crate::model::secret::Secret;
use crate::world::terminal::{forget_typed, pasted_on};

/// Asks.
pub trait Prompter {
    /// True where somebody can answer.
    fn attended(&self) -> bool;
    /// Yes or no; there is no default. `flag` answers it where nobody can.
    fn confirm(&mut self, question: &str, flag: &str) -> Result<bool, CliError>;
    /// A line of text; may be empty.
    fn line(&mut self, question: &str, flag: &str) -> Result<String, CliError>;
    /// One of several.
    fn select(&mut self, question: &str, choices: &[String], flag: &str) -> Result<usize, CliError>;
    /// Just Enter.
    fn enter(&mut self, invitation: &str, flag: &str) -> Result<(), CliError>;
    /// Secrets: pasted hidden, or a line each on standard input where nobody is at a terminal.
    fn secrets(&mut self, invitation: &str) -> Result<Vec<Secret>, CliError>;
}

/// The one for where we are.
pub fn here() -> Box<dyn Prompter> {
    // dialoguer draws on standard error and reads the terminal: both must be one.
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        Box::new(Terminal)
    } else {
        Box::new(Nobody)
    }
}

/// Yes or no from the terminal itself, also where standard input carries something else.
pub fn confirm_at_terminal(question: &str, flag: &str) -> Result<bool, CliError> {
    match std::io::stderr().is_terminal() {
        true => Terminal.confirm(question, flag),
        false => Nobody.confirm(question, flag),
    }
}

/// A person at a terminal.
struct Terminal;

/// Nobody: every question is an error that names the flag.
struct Nobody;

fn interrupted(e: dialoguer::Error) -> CliError {
    // Ctrl-C reaches us as an error because a handler is installed; the cursor must not stay hidden, nor
    // what follows stand behind the question.
    let term = console::Term::stderr();
    let _ = term.show_cursor().and_then(|()| term.write_line(""));
    let dialoguer::Error::IO(e) = e;
    match e.kind() {
        std::io::ErrorKind::Interrupted => CliError::new(Exit::Interrupted, "interrupted at a question")
            .hint("Everything so far is on record; `incident resume` goes on here"),
        _ => CliError::new(Exit::Failed, format!("the terminal does not answer: {e}")),
    }
}

/// Puts no colon behind a question mark or a full stop.
struct Plain;

impl dialoguer::theme::Theme for Plain {
    fn format_input_prompt(
        &self,
        f: &mut dyn std::fmt::Write,
        prompt: &str,
        _default: Option<&str>,
    ) -> std::fmt::Result {
        write!(f, "{}", asking(prompt))
    }

    fn format_input_prompt_selection(
        &self,
        f: &mut dyn std::fmt::Write,
        prompt: &str,
        given: &str,
    ) -> std::fmt::Result {
        write!(f, "{}{given}", asking(prompt))
    }
}

/// A question with what divides it from the answer.
fn asking(question: &str) -> String {
    let end = if question.ends_with('?') { " " } else { ": " };
    format!("{question}{end}")
}

/// A question that would leave no room to answer beside it is shown above; what is left to prompt with.
fn shortened(question: &str) -> String {
    const ROOM: usize = 24;
    let ui = super::ui::Ui::new(false);
    let asked = console::measure_text_width(question);
    if asked + ROOM <= ui.width {
        return question.to_owned();
    }
    ui.hanging_aside(super::ui::Tone::Plain, "", question);
    "Answer".to_owned()
}

impl Prompter for Terminal {
    fn attended(&self) -> bool {
        true
    }

    fn confirm(&mut self, question: &str, _flag: &str) -> Result<bool, CliError> {
        forget_typed();
        // With Enter, as everywhere: an Enter that is pressed out of habit would answer the next question.
        dialoguer::Confirm::new()
            .with_prompt(question)
            .wait_for_newline(true)
            .interact()
            .map_err(interrupted)
    }

    fn line(&mut self, question: &str, _flag: &str) -> Result<String, CliError> {
        forget_typed();
        let mut text = dialoguer::Input::<String>::with_theme(&Plain)
            .with_prompt(shortened(question))
            .allow_empty(true)
            .interact_text()
            .map_err(interrupted)?;
        let rest = more_lines();
        if !rest.is_empty() {
            text.push('\n');
            text.push_str(&rest);
            let lines = crate::report::words::count(rest.lines().count(), "more pasted line");
            super::ui::Ui::new(false).aside(&format!("  and {lines}"));
        }
        Ok(text)
    }

    fn select(&mut self, question: &str, choices: &[String], _flag: &str) -> Result<usize, CliError> {
        forget_typed();
        super::choose::one_of(question, choices).map_err(|e| interrupted(dialoguer::Error::IO(e)))
    }

    fn enter(&mut self, invitation: &str, _flag: &str) -> Result<(), CliError> {
        forget_typed();
        dialoguer::Input::<String>::with_theme(&Plain)
            .with_prompt(invitation)
            .allow_empty(true)
            .interact_text()
            .map(|_| ())
            .map_err(interrupted)
    }

    fn secrets(&mut self, invitation: &str) -> Result<Vec<Secret>, CliError> {
        let pasted = dialoguer::Password::new()
            .with_prompt(invitation)
            .allow_empty_password(true)
            .interact()
            .map_err(interrupted)?;
        let all = Zeroizing::new(format!("{}\n{}", *Zeroizing::new(pasted), *more_lines()));
        Ok(each_line(&all))
    }
}

/// The lines that were pasted behind the one that answered. Left where they are, they would answer what is asked
/// next, or run in the shell.
fn more_lines() -> Zeroizing<String> {
    let text = Zeroizing::new(String::from_utf8_lossy(&pasted_on()).into_owned());
    let lines: Vec<&str> = text.split(['\r', '\n']).map(str::trim_end).collect();
    Zeroizing::new(lines.join("\n").trim().to_owned())
}

/// A secret a line; empty lines are none.
fn each_line(text: &str) -> Vec<Secret> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| Secret::new(line.to_owned())).collect()
}

impl Nobody {
    fn missing<T>(question: &str, flag: &str) -> Result<T, CliError> {
        Err(CliError::new(Exit::Waiting, "there is no terminal to ask at")
            .because(format!("the question is: {question}"))
            .hint(format!("Answer it with {flag}")))
    }
}

impl Prompter for Nobody {
    fn attended(&self) -> bool {
        false
    }

    fn confirm(&mut self, question: &str, flag: &str) -> Result<bool, CliError> {
        Nobody::missing(question, flag)
    }

    fn line(&mut self, question: &str, flag: &str) -> Result<String, CliError> {
        Nobody::missing(question, flag)
    }

    fn select(&mut self, question: &str, _choices: &[String], flag: &str) -> Result<usize, CliError> {
        Nobody::missing(question, flag)
    }

    fn enter(&mut self, invitation: &str, flag: &str) -> Result<(), CliError> {
        Nobody::missing(invitation, flag)
    }

    fn secrets(&mut self, _invitation: &str) -> Result<Vec<Secret>, CliError> {
        /// Longest input that is read, in bytes.
        const CAP: u64 = 1 << 20;
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            // Typed here it would stand on the screen: standard error is not a terminal to draw on.
            return Err(
                CliError::new(Exit::Waiting, "there is no terminal to paste a secret at")
                    .hint("Pipe it in: `incident cut < FILE`, a secret a line"),
            );
        }
        let mut text = Zeroizing::new(String::new());
        let read = stdin.lock().take(CAP).read_to_string(&mut text);
        // What the system says of bytes that are no text does not quote them.
        read.map_err(|e| CliError::new(Exit::Usage, format!("standard input cannot be read: {e}")))?;
        Ok(each_line(&text))
    }
}

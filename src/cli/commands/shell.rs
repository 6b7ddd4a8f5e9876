//! `completions` and `man`: for the shell and the manual.

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::cli::{App, Cli, CliError, Exit};

/// Arguments of `completions`.
#[derive(clap::Args)]
pub struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    shell: Shell,
}

/// Arguments of `man`.
#[derive(clap::Args)]
pub struct ManArgs {
    /// The page of one command; without it, of the whole program
    command: Option<String>,
}

/// Writes a completion script.
pub fn completions(app: &App, args: &CompletionsArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "incident", &mut script);
    app.ui.raw(&script);
    Ok(Exit::Done)
}

/// Writes a manual page.
pub fn man(app: &App, args: &ManArgs) -> Result<Exit, CliError> {
    let mut whole = Cli::command();
    whole.build();
    let page: Command = match &args.command {
        None => whole,
        Some(name) => match whole.find_subcommand(name) {
            Some(found) => found.clone().name(format!("incident-{name}")),
            None => {
                return Err(
                    CliError::new(Exit::Usage, format!("there is no command `{name}`"))
                        .hint("`incident help` lists them"),
                );
            }
        },
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|e| CliError::new(Exit::Failed, format!("the page cannot be written: {e}")))?;
    app.ui.raw(&text);
    Ok(Exit::Done)
}

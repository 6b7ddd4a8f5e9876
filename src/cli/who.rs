//! Who is at the keyboard, where the name of the account is nobody on the roster.

use super::{App, CliError, Exit};
use crate::engine::{Engine, EngineError};

const QUESTION: &str = "Who are you, as in allowed_signers?";

impl App {
    /// Gives the record a name that the roster knows, where one is to be had by asking. What somebody said stands.
    pub(super) fn named(&self, engine: &Engine<'_>) -> Result<(), CliError> {
        let names = engine.names();
        if !self.said_who && !names.is_empty() && !names.iter().any(|n| n.eq_ignore_ascii_case(&self.who)) {
            engine.goes_by(&self.asked_who(&names)?);
        }
        Ok(())
    }

    /// The name of somebody who may be anywhere: as they said it, where the roster that is here knows it.
    pub(super) fn known(&self, names: &[String]) -> Result<Option<String>, CliError> {
        if !self.said_who {
            return Ok(None);
        }
        match names.iter().find(|name| name.eq_ignore_ascii_case(&self.who)) {
            None if !names.is_empty() => Err(EngineError::NobodyCalled {
                name: self.who.clone(),
                known: names.to_vec(),
            }
            .into()),
            found => Ok(Some(found.unwrap_or(&self.who).clone())),
        }
    }

    /// Asks; where nobody is at a terminal, says how to say it.
    pub(super) fn asked_who(&self, names: &[String]) -> Result<String, CliError> {
        let mut prompt = self.prompt.borrow_mut();
        if !prompt.attended() {
            let error = CliError::new(
                Exit::Waiting,
                format!(
                    "nobody said who does this: `{}` is an account of this host",
                    self.who
                ),
            );
            let (because, name) = match names {
                [] => (
                    "no roster is here that could tell by the key".to_owned(),
                    "PERSON",
                ),
                [first, ..] => (format!("the roster has: {}", names.join(", ")), first.as_str()),
            };
            return Err(error.because(because).stands("nothing was changed").hint(format!(
                "Say who you are, as there: --as {name}, or for this shell: export INCIDENT_AS={name}"
            )));
        }
        let name = match names {
            [] => prompt.line(QUESTION, "--as PERSON")?.trim().to_owned(),
            names => {
                let other = format!("somebody else: `{}`, whom no key proves", self.who);
                let choices: Vec<String> = names.iter().cloned().chain([other]).collect();
                let chosen = prompt.select(QUESTION, &choices, "--as PERSON")?;
                names.get(chosen).unwrap_or(&self.who).clone()
            }
        };
        match name.is_empty() {
            true => Err(CliError::new(Exit::Waiting, "nobody said who does this")
                .stands("nothing was changed")
                .hint("Say who you are, as in allowed_signers: --as PERSON")),
            false => Ok(name),
        }
    }
}

//! Bringing a request to a person. What carries it decides nothing: what counts is the signature that comes back.

use super::{Engine, EngineError};
use crate::model::secret::Secret;
use crate::signoff;
use crate::world::spawn::{Command, End};

/// Longest time a notify command may take.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(30);

/// What was brought to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged {
    /// What they paste on their own machine.
    pub text: String,
    /// The program that took it, or why it did not; `None` where the runbook names none for them.
    pub ran: Option<Result<String, String>>,
}

impl Engine<'_> {
    /// Brings a request to a person of the roster, by their notify command where they have one.
    pub fn page(&self, person: &str, request: u64) -> Result<Paged, EngineError> {
        let incident = self.incident()?;
        let policy = &incident.opened.policy;
        let human = policy.human(person);
        let roster = self.roster();
        let mut names = roster.entries().iter().flat_map(|e| &e.principals);
        if policy.person(person).is_none() && !names.any(|n| policy.human(n) == human) {
            return Err(EngineError::Escalation(format!(
                "nobody is called `{person}` in the roster or under `people:`, so their answer could not count"
            )));
        }
        let statement = self.statement_of(request)?;
        let state = incident.requests.get(&request).ok_or(EngineError::NoIncident)?;
        let steps: Vec<&str> = state.asked.steps.iter().map(|s| s.as_str()).collect();
        let text = format!(
            "{} asks you to sign for {} in {} ({} the boundary, request {request}). On your own machine:\n\n\
             incident sign <<'END'\n{}END\n\n\
             It shows everything before it asks. Send back what it prints; `incident refuse` says no.\n",
            state.asked.requester,
            steps.join(", "),
            incident.id(),
            state.asked.zone.word(),
            signoff::wrap(&statement),
        );
        let lent = incident.lent.iter().filter(|l| {
            let mine = state.asked.need.roles.contains(&l.filed.role) && policy.human(&l.filed.to) == human;
            mine && incident.lent_fell(l).is_none()
        });
        let lent: String = lent
            .map(|l| {
                let until = crate::model::time::rfc3339(l.filed.until_ms);
                format!(
                    "You sign as {}, lent by {} until {until}.\n",
                    l.filed.role, l.filed.from
                )
            })
            .collect();
        let text = text + &lent;
        let notify = policy
            .person(person)
            .map(|p| p.notify.clone())
            .unwrap_or_default();
        let ran = notify
            .first()
            .map(|program| self.notify(&notify, &text).map(|()| program.clone()));
        self.note(&match &ran {
            None => format!("request {request} was written out for {person}"),
            Some(Ok(program)) => format!("request {request} was given to {program} for {person}"),
            Some(Err(why)) => format!("request {request} did not reach {person}: {why}"),
        })?;
        Ok(Paged { text, ran })
    }

    fn notify(&self, argv: &[String], text: &str) -> Result<(), String> {
        let command = Command {
            argv: argv.to_vec(),
            cwd: Some(self.base.clone()),
            env: self.plain_env(),
            stdin: Some(Secret::new(text.to_owned())),
            deadline: DEADLINE,
            no_progress: None,
            cap: 16 << 10,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ran = self
            .world
            .wait(self.world.spawn.run(command, &mut out, &mut err, &mut |_| {}));
        let why = match ran.map(|r| r.end) {
            Some(End::Exit(0)) => return Ok(()),
            Some(End::Exit(code)) => format!("it ended with {code}"),
            Some(End::NotStarted(why)) => why,
            Some(End::Deadline) => "it took longer than 30 s".to_owned(),
            _ => "it was ended".to_owned(),
        };
        let err = String::from_utf8_lossy(&err);
        Err(match err.lines().last() {
            Some(last) => format!("{why}: {}", self.scrubbed(last)),
            None => why,
        })
    }
}

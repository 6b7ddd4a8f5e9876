//! One place that turns an error into what happened, why, what stands, and the next command.

use super::exit::Exit;
use crate::boundary::Refusal;
use crate::engine::{CloseBlock, EngineError};
use crate::model::diagnostic::Diagnostic;
use crate::store::StoreError;

/// An error for people.
#[derive(Debug)]
pub struct CliError {
    /// What happened, one sentence without a full stop.
    pub message: String,
    /// Why, one line each.
    pub causes: Vec<String>,
    /// What stands: what was done, or that nothing was.
    pub stands: Vec<String>,
    /// What to do next.
    pub hints: Vec<String>,
    /// The exit code.
    pub exit: Exit,
}

impl CliError {
    /// An error with nothing but a message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        CliError {
            message: message.into(),
            causes: Vec::new(),
            stands: Vec::new(),
            hints: Vec::new(),
            exit,
        }
    }

    /// Adds a cause.
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds what stands.
    pub fn stands(mut self, what: impl Into<String>) -> Self {
        self.stands.push(what.into());
        self
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Mistakes in a file.
    pub fn mistakes(file: &str, found: &[Diagnostic]) -> Self {
        let count = match found.len() {
            1 => "1 mistake".to_owned(),
            n => format!("{n} mistakes"),
        };
        let mut error = CliError::new(Exit::Usage, format!("{file} has {count}"));
        error.causes.extend(found.iter().map(ToString::to_string));
        error
    }
}

/// True where the disk takes nothing: read-only, full, or somebody else's.
fn unwritable(e: &std::io::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(
        e.kind(),
        PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull
    )
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::Store(e) if e.is_integrity() => CliError::new(Exit::Broken, message)
                .stands("nothing was changed")
                .hint("`incident repair` goes on in a new journal that names the damaged one"),
            EngineError::Store(StoreError::NoSuchCase { .. }) => {
                CliError::new(Exit::Usage, message).hint("`incident list` shows what there is")
            }
            EngineError::Store(StoreError::Io { source, .. }) if unwritable(&source) => CliError::new(Exit::Failed, message)
                .stands("what is on record stays there, and what was spooled elsewhere waits to be taken in")
                .hint("let the folder be written again, then the same command; `incident stop` goes on without it"),
            EngineError::Store(StoreError::Moved { to, .. }) => CliError::new(Exit::Failed, message)
                .stands("nothing was changed")
                .hint(format!("Make that folder reachable (is its disk mounted?), or name it: --store {}", to.display())),
            EngineError::Store(StoreError::ActRuns { .. }) => CliError::new(Exit::Waiting, message)
                .stands("nothing was moved")
                .hint("Wait for it, or look with `incident status`"),
            EngineError::Store(StoreError::Exists { .. }) => CliError::new(Exit::Usage, message)
                .stands("nothing was changed, and nothing is ever replaced")
                .hint("Name one that is not there yet"),
            EngineError::Store(StoreError::NoRoom { .. }) => CliError::new(Exit::Failed, message)
                .stands("nothing was moved")
                .hint("Name a folder on another disk"),
            EngineError::Fold(_) => CliError::new(Exit::Broken, "the record says something that cannot be")
                .because(message)
                .stands("nothing was changed")
                .hint("Read it with the program that wrote it; else `incident start` opens a new one, say in its first note which one it follows"),
            EngineError::NotGiven(why) => CliError::new(Exit::Usage, why.to_string())
                .hint("`incident capture --list` names every look and what it is given"),
            EngineError::TooLong(_) => CliError::new(Exit::Usage, message)
                .hint("`incident attach FILE` keeps a long text; then say in a few words what it is"),
            EngineError::OutOfOrder(why) => CliError::new(Exit::Refused, why)
                .stands("nothing was changed")
                .hint("`incident status` says what comes next"),
            EngineError::OtherRecord { .. } => {
                CliError::new(Exit::Broken, message).hint("Put the folder back under its own name")
            }
            EngineError::OtherWorld(_) => CliError::new(Exit::Usage, message)
                .stands("nothing was changed")
                .hint("`incident verify`, `incident evidence show` and `incident report` read what is over; name another with --incident"),
            EngineError::PinChanged { .. } => CliError::new(Exit::Broken, message)
                .hint("Put the file back as it was, or open a new incident; stop works all the same"),
            EngineError::NoIncident => CliError::new(Exit::Usage, message)
                .hint("Run `incident start`; `incident list` shows what there is"),
            EngineError::Blocked { step, undoes, verdict } => blocked(step.as_str(), undoes, &verdict),
            EngineError::PlanInForce(_) => CliError::new(Exit::Refused, message)
                .stands("it is as it was")
                .hint("`incident plan --amend \"WHY\" [STEP]…` changes it, `incident plan --abort \"WHY\"` gives it up"),
            EngineError::Alone(why) => {
                let error = CliError::new(Exit::Refused, message).stands("nothing was asked for, and nothing runs");
                error.hint(match why {
                    crate::boundary::Alone::Unproven => {
                        "Name your own signing key: --key ~/.ssh/id_ed25519, as it stands in allowed_signers"
                    }
                    _ => "`incident escalate STEP` writes what the other person signs; what is done elsewhere is recorded with `incident did \"…\"`",
                })
            }
            EngineError::NoPlan => CliError::new(Exit::Refused, message)
                .stands("nothing was changed")
                .hint("`incident plan --freeze` shows the plan and fixes it"),
            EngineError::NoWords(_) => CliError::new(Exit::Usage, message)
                .stands("nothing was changed")
                .hint("Say it in a few words: what you saw, or why; they stand in the record with your name"),
            EngineError::NoStep(_) => {
                CliError::new(Exit::Usage, message).hint("`incident runbook show` lists every step")
            }
            EngineError::NoTarget(_) => {
                CliError::new(Exit::Usage, message).hint("`incident status` lists them")
            }
            EngineError::NoSigners => CliError::new(Exit::Refused, message)
                .hint("Beforehand, `incident init` writes the roster: allowed_signers, and `people:` in the runbook")
                .hint("Today, what is done by hand elsewhere is recorded with `incident did \"…\"`"),
            EngineError::WrongKind { .. } => CliError::new(Exit::Usage, message),
            EngineError::Running => CliError::new(Exit::Waiting, message)
                .hint("Wait for it, or look with `incident status`; two terminals cannot run one act twice"),
            EngineError::OnlyInMemory => CliError::new(Exit::Failed, message)
                .stands("what is on record already stays there; `incident stop` goes on without a record")
                .hint("Write down by hand what you did and when, let the disk be written again (is it full, or mounted read-only?), then `incident did \"…\"`"),
            EngineError::NotDurable => CliError::new(Exit::Failed, message)
                .hint("Free some space or name another place with --store, then `incident resume`"),
            EngineError::Signoff(refusal) => {
                CliError::new(Exit::Refused, message).hint(refusal.remedy().trim_end_matches('.'))
            }
            EngineError::Delegation(_) => CliError::new(Exit::Refused, message)
                .stands("who may sign is as it was, and the try is on record")
                .hint("Whoever holds the role, and has no part in this response, lends it: incident delegate ROLE --to PERSON --until 4h"),
            EngineError::NobodyCalled { known, .. } => {
                let there = match known.as_slice() {
                    [] => "nobody stands there".to_owned(),
                    all => format!("there: {}", all.join(", ")),
                };
                CliError::new(Exit::Usage, message)
                    .because(there)
                    .stands("nothing was changed")
                    .hint("Name one of them, as written there")
            }
            EngineError::AgentSession(_) => CliError::new(Exit::Refused, message)
                .stands("nothing was signed")
                .hint("Sign in a terminal that no agent started, best on another machine"),
            EngineError::NotSigned(why) => CliError::new(Exit::Broken, why)
                .because("the record is a file on this machine; whoever can write it can add a line, but no signature")
                .stands("nothing was run")
                .hint("`incident verify` on the case folder names what is changed; ask again with `incident escalate STEP`"),
            EngineError::CannotClose(blocks) => {
                let mut error = CliError::new(Exit::Unproved, message);
                error.causes.extend(blocks.iter().map(ToString::to_string));
                match blocks.first() {
                    Some(first) => error.hint(way_on(first)),
                    None => error,
                }
            }
            EngineError::File { .. } => CliError::new(Exit::Failed, message)
                .stands("nothing of it is in the record")
                .hint("Name a file that can be read; a folder is taken by `incident capture --file FOLDER`"),
            EngineError::Anchor(why) => CliError::new(Exit::Failed, why)
                .stands("nothing was filed")
                .hint("`incident anchor` shows the newest head, `incident verify` what holds the record so far"),
            EngineError::NotRecovered(_) => CliError::new(Exit::Unproved, message)
                .hint("`incident prove` asks every probe and captures the after-state"),
            _ => CliError::new(Exit::Failed, message),
        }
    }
}

/// What takes away the first of what keeps an incident open.
fn way_on(block: &CloseBlock) -> String {
    match block {
        CloseBlock::Sweep => "`incident stop`".to_owned(),
        CloseBlock::Target(target, _) => {
            format!("A named person answers for it: `incident answer {target} \"WORDS\"`")
        }
        CloseBlock::Doubt(act, _) => {
            format!("Look, then `incident settle {act} --happened \"WORDS\"`, or `--did-not`")
        }
        CloseBlock::Alone(_, _, request) => {
            format!("Somebody who did not act signs request {request}: `incident signoff add FILE` files it")
        }
        CloseBlock::Request(request) => {
            format!(
                "`incident signoff add FILE` files an answer; `incident signoff withdraw {request} \"WHY\"` takes the question back"
            )
        }
    }
}

/// A step that may not run, with the way on.
fn blocked(step: &str, undoes: bool, verdict: &crate::boundary::Verdict) -> CliError {
    let crate::boundary::Answer::Refused(refusal) = &verdict.answer else {
        return CliError::new(Exit::Refused, format!("step `{step}` is blocked"));
    };
    let what = if undoes { "taking back step" } else { "step" };
    let mut error = CliError::new(Exit::Refused, format!("{what} `{step}` is blocked: {refusal}"));
    if let Refusal::NeedsSignoff {
        have,
        expired,
        refused_by,
        unproven,
        request,
        ..
    } = refusal
    {
        for because in verdict.because.iter().filter(|b| b.zone == verdict.zone) {
            error
                .causes
                .push(format!("{}: {} ({})", because.effect, because.text, because.rule));
        }
        if !have.is_empty() {
            error.causes.push(format!("signed so far: {}", have.join(", ")));
        }
        if *expired {
            error.causes.push("an earlier sign-off has run out".into());
        }
        if let Some(person) = refused_by {
            error.causes.push(format!(
                "{person} refused this act: it runs only with their own approval, or changed"
            ));
        }
        for name in unproven.iter().filter(|_| request.is_some()) {
            error.causes.push(format!(
                "one more for {name}: somebody acted under that name and no key proves who (`incident signoff me --as {name} --key FILE`)"
            ));
        }
    }
    let hint = match refusal {
        Refusal::Closed => "`incident start` opens a new one".to_owned(),
        Refusal::InDoubt { act, .. } => {
            format!("Look whether it happened, then `incident settle {act} --happened` or `--did-not` with your words")
        }
        Refusal::BeforeBaseline => {
            "Seal a baseline first: `incident seal`. Only `lane: protect` and `lane: first` steps run before it".to_owned()
        }
        Refusal::NotItsStage { belongs, .. } => format!("`incident resume` walks on to {belongs}"),
        Refusal::NoCaptureBefore | Refusal::NoReason => format!("`incident run {step} --why \"…\"`"),
        Refusal::NotForThisLane { .. } => "Seal a baseline first: `incident seal`".to_owned(),
        Refusal::NoPlan => "`incident plan --freeze` shows the plan and fixes it".to_owned(),
        Refusal::NotInPlan | Refusal::ChangedSincePlan | Refusal::Skipped => {
            "`incident plan --amend \"WHY\" STEP…` names the steps from here on, as they would run now".to_owned()
        }
        Refusal::NotNext { next } => format!("`incident run {next}`, or leave it out: `incident skip {next} \"WHY\"`"),
        Refusal::NotNewest { newest } => format!("`incident undo {newest}`, or all of it in order: `incident undo --plan`"),
        Refusal::Done => "`incident plan` shows what is left".to_owned(),
        Refusal::TriesUsed { .. } => {
            format!("`incident undo {step}`, `incident skip {step} \"WHY\"`, or `incident plan --amend \"WHY\"`, under which it may be tried again")
        }
        Refusal::NothingToUndo => "`incident status` shows what was done".to_owned(),
        Refusal::StillLive { targets } => {
            let first = targets.first().cloned().unwrap_or_default();
            format!("`incident stop` again, or a named person answers for it: `incident answer {first} \"WORDS\"`")
        }
        Refusal::NeedsSignoff { request: Some(request), .. } => {
            error.exit = Exit::Waiting;
            format!("Request {request} waits for signatures; file them with `incident signoff add FILE`")
        }
        Refusal::NeedsSignoff { request: None, .. } if step.starts_with("do-") => {
            "`incident escalate -- …` with the same words writes what the other person signs".to_owned()
        }
        Refusal::NeedsSignoff { request: None, .. } if undoes => {
            format!("`incident escalate --undo {step}` writes what the other person signs")
        }
        Refusal::NeedsSignoff { request: None, .. } => {
            format!("`incident escalate {step}` writes what the other person signs")
        }
    };
    error.hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fact::Proof;
    use crate::model::ids::TargetId;

    #[test]
    fn the_next_command_is_for_the_first_of_what_keeps_an_incident_open() {
        let target = CloseBlock::Target(TargetId::new("agent-token").unwrap(), Proof::Accepted);
        let alone = CloseBlock::Alone(34, "swap".into(), 21);
        for (first, command) in [
            (CloseBlock::Sweep, "incident stop"),
            (target.clone(), "incident answer agent-token"),
            (
                CloseBlock::Doubt(34, "swap".into()),
                "incident settle 34 --happened",
            ),
            (alone, "incident signoff add FILE"),
            (CloseBlock::Request(17), "incident signoff withdraw 17"),
        ] {
            let error = CliError::from(EngineError::CannotClose(vec![first, target.clone()]));
            assert_eq!((error.causes.len(), error.exit), (2, Exit::Unproved));
            assert!(error.hints[0].contains(command), "{:?}", error.hints);
        }
    }
}

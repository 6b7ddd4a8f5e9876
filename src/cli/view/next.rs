//! What is due next, and the command that does it.

use crate::boundary::{Answer, Refusal, Verdict};
use crate::engine::Next;
use crate::model::ids::StepId;
use crate::report::Due;

/// What keeps a step from running now.
fn refused(step: &StepId, verdict: &Verdict) -> Option<(String, String)> {
    let Answer::Refused(refusal) = &verdict.answer else {
        return None;
    };
    let command = match refusal {
        Refusal::NeedsSignoff { request: Some(_), .. } => "incident signoff add FILE".to_owned(),
        Refusal::NeedsSignoff { request: None, .. } => format!("incident escalate {step}"),
        Refusal::StillLive { .. } => "incident stop".to_owned(),
        _ => "incident resume".to_owned(),
    };
    Some((format!("step `{step}` is blocked: {refusal}"), command))
}

fn next_words(step: &StepId, verdict: &Verdict) -> String {
    match verdict.answer {
        Answer::Go { alone: true, .. } => format!("step `{step}` may be run by one person alone now"),
        _ => format!("step `{step}` is next"),
    }
}

/// A step that may have half happened, and everything that can be decided about it.
fn failed(step: &StepId, why: &str, again: Option<&Verdict>) -> (String, String) {
    let skip = format!("incident skip {step} \"WHY\"");
    let Some(again) = again else {
        return (
            format!("taking back step `{step}` failed: {why}"),
            format!("incident undo {step}, or {skip}"),
        );
    };
    let first = match &again.answer {
        Answer::Go { .. } => format!("incident run {step}"),
        Answer::Refused(Refusal::NeedsSignoff { request: Some(_), .. }) => {
            "incident signoff add FILE".to_owned()
        }
        Answer::Refused(Refusal::NeedsSignoff { request: None, .. }) => format!("incident escalate {step}"),
        Answer::Refused(Refusal::TriesUsed { .. } | Refusal::ChangedSincePlan) => {
            "incident plan --amend \"WHY\"".to_owned()
        }
        Answer::Refused(_) => "incident plan".to_owned(),
    };
    (
        format!("step `{step}` failed and may have half happened: {why}"),
        format!("{first}, incident undo {step}, or {skip}"),
    )
}

/// What is due, in a sentence and a command.
pub fn due(next: &Next) -> Due {
    let (what, command) = match next {
        Next::Stop => (
            "the agent is to be stopped".to_owned(),
            "incident stop".to_owned(),
        ),
        Next::Settle(d) => (
            format!("act {} (`{}`) is in doubt: did it happen?", d.act, d.step),
            format!("incident settle {} --happened \"WORDS\", or --did-not", d.act),
        ),
        Next::Ask { step, question } => (
            format!("a question waits: {question}"),
            format!("incident answer {step} \"…\""),
        ),
        Next::Capture { step } => (
            format!("the look `{step}` is to be taken"),
            format!("incident capture {step}"),
        ),
        Next::Seal => (
            "the baseline can be sealed".to_owned(),
            "incident seal".to_owned(),
        ),
        Next::Enter(stage) => (format!("{stage} can begin"), format!("incident enter {stage}")),
        Next::Run { step, verdict } => match refused(step, verdict) {
            Some(due) => due,
            None => (next_words(step, verdict), format!("incident run {step}")),
        },
        Next::Manual { step, verdict } => match refused(step, verdict) {
            Some(due) => due,
            None => (
                format!("step `{step}` is done by hand"),
                format!("incident done {step} \"WHAT YOU SAW\""),
            ),
        },
        Next::Broken { step, why } => (
            format!("step `{step}` cannot run: {why}"),
            format!("incident skip {step} \"WHY\""),
        ),
        Next::Failed { step, why, again } => failed(step, why, again.as_deref()),
        Next::Freeze(steps) => (
            format!("the recovery plan ({} steps) is to be fixed", steps.len()),
            "incident plan --freeze".to_owned(),
        ),
        Next::Prove => ("recovery is to be proved".to_owned(), "incident prove".to_owned()),
        Next::AnswerFor(u) => (
            format!("{} is {}: somebody must answer for it", u.target, u.proof),
            format!("incident answer {} \"WORDS\"", u.target),
        ),
        Next::Close => (
            "nothing keeps the incident open".to_owned(),
            "incident close \"WORDS\"".to_owned(),
        ),
        Next::Closed => (
            "it is closed".to_owned(),
            "incident report, incident bundle -o FILE".to_owned(),
        ),
    };
    Due { what, command }
}

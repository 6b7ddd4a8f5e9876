//! The walk: asks the engine what is due, shows it, asks the person, and calls the same operations as
//! the single commands. Everything it does can be done without it.

use std::path::Path;

use super::deeds;
use super::error::CliError;
use super::exit::Exit;
use super::prompt::Prompter;
use super::ui::{Tone, Ui};
use super::view::verdict;
use crate::boundary::{Answer, Refusal, Verdict};
use crate::engine::{DoubtAbout, Engine, Next, Unproved};
use crate::evidence::escape;
use crate::model::act::{Act, Stage, Undo};
use crate::model::ids::StepId;
use crate::model::incident::StepState;
use crate::report::words::count;
use crate::world::WorldKind;

/// What happens beside the walk before each step; true where what is due may have changed by it.
pub type Beside<'b> = dyn FnMut(&Engine<'_>, &Next) -> Result<bool, CliError> + 'b;

/// Walks on until the incident is closed or the person leaves.
pub fn walk(ui: &Ui, prompt: &mut dyn Prompter, engine: &Engine<'_>) -> Result<Exit, CliError> {
    walk_beside(ui, prompt, engine, &mut |_, _| Ok(false))
}

/// The walk with something going on beside it: in a drill, time passes and news comes in.
pub fn walk_beside(
    ui: &Ui,
    prompt: &mut dyn Prompter,
    engine: &Engine<'_>,
    beside: &mut Beside<'_>,
) -> Result<Exit, CliError> {
    loop {
        engine.due_probes()?;
        deeds::climb(ui, engine);
        let next = engine.next()?;
        if beside(engine, &next)? {
            continue;
        }
        if !prompt.attended() && needs_a_person(&next) {
            truth(ui, engine)?;
            ui.line(&missing(&next));
            return Ok(deeds::standing(engine)?.worst(Exit::Waiting));
        }
        if engine.world().interrupt.count() > 0 {
            let error =
                CliError::new(Exit::Interrupted, "interrupted").stands(super::view::next::due(&next).what);
            return Err(error.hint("`incident resume` goes on here"));
        }
        if needs_a_person(&next) || matches!(next, Next::Stop) {
            truth(ui, engine)?;
        }
        match step(ui, prompt, engine, next) {
            Ok(Some(exit)) => return Ok(exit),
            Ok(None) => {}
            // The walk goes on after a refusal: the person chooses what else to do.
            Err(e) if prompt.attended() && e.exit != Exit::Interrupted && e.exit != Exit::Broken => {
                ui.error(&e);
                let choices = ["Go on".to_owned(), leave_words(engine).to_owned()];
                if prompt.select("What now?", &choices, "incident resume")? == 1 {
                    return Ok(deeds::standing(engine)?.worst(e.exit));
                }
            }
            Err(e) => return Err(e),
        }
    }
}

/// The line of truth: where we are, and what is not proved.
fn truth(ui: &Ui, engine: &Engine<'_>) -> Result<(), CliError> {
    let incident = engine.incident()?;
    let line = super::view::truth::line(&incident, engine.world().clock.now());
    ui.line("");
    ui.tone(Tone::Head, &line);
    super::view::truth::lag(ui, engine)
}

fn needs_a_person(next: &Next) -> bool {
    !matches!(
        next,
        Next::Stop | Next::Capture { .. } | Next::Closed | Next::Enter(Stage::Assess)
    )
}

/// What a script would have to call where nobody can be asked.
fn missing(next: &Next) -> String {
    let due = super::view::next::due(next);
    let mut what = due.what.chars();
    let first = what.next().map(|c| c.to_uppercase().to_string());
    let end = if due.what.ends_with(['.', '?']) { "" } else { "." };
    format!(
        "{}{}{end}\n  next: {}",
        first.unwrap_or_default(),
        escape(what.as_str()),
        due.command
    )
}

/// One turn of the walk; `Some` ends it.
fn step(
    ui: &Ui,
    prompt: &mut dyn Prompter,
    engine: &Engine<'_>,
    next: Next,
) -> Result<Option<Exit>, CliError> {
    match next {
        Next::Stop => {
            if deeds::stop(ui, engine, &[])? == Exit::Interrupted {
                return Ok(Some(Exit::Interrupted));
            }
        }
        Next::Enter(stage) => deeds::enter(ui, engine, stage)?,
        Next::Settle(doubt) => return settle(ui, prompt, engine, &doubt),
        Next::Ask { step, question } => ask(ui, prompt, engine, &step, &question)?,
        Next::Capture { step } => {
            let purpose = purpose(engine)?;
            deeds::room(ui, engine);
            deeds::captured(ui, &engine.capture_step(&step, purpose)?);
        }
        Next::Seal => return seal(ui, prompt, engine),
        Next::Run { step, verdict } => return run(ui, prompt, engine, &step, &verdict, false),
        Next::Manual { step, verdict } => return run(ui, prompt, engine, &step, &verdict, true),
        Next::Broken { step, why } => {
            ui.tone(Tone::Bad, &format!("Step `{step}` cannot run: {}", escape(&why)));
            return skip_or_leave(ui, prompt, engine, &step);
        }
        Next::Failed { step, why, again } => {
            return failed(ui, prompt, engine, &step, &why, again.as_deref());
        }
        Next::Freeze(steps) => return freeze(ui, prompt, engine, &steps),
        Next::Prove => return prove_or_leave(ui, prompt, engine),
        Next::AnswerFor(unproved) => return answer_for(ui, prompt, engine, &unproved),
        Next::Close => {
            if let Some(waiting) = engine.pending()?.first() {
                return open_request(ui, prompt, engine, waiting.request);
            }
            ui.line("Nothing keeps the incident open.");
            let words = prompt.line(
                "Last words for the record (empty: leave it open)",
                "incident close \"WORDS\"",
            )?;
            if words.trim().is_empty() {
                return leave(engine);
            }
            engine.close(&words)?;
        }
        Next::Closed => {
            ui.tone(Tone::Good, "The incident is closed.");
            if engine.world().kind == WorldKind::Real {
                ui.line("  next: incident bundle -o FILE, incident report");
            }
            return Ok(Some(deeds::standing(engine)?));
        }
    }
    Ok(None)
}

/// How leaving is called: a drill cannot be taken up again.
fn leave_words(engine: &Engine<'_>) -> &'static str {
    match engine.world().kind {
        WorldKind::Drill => "Leave the drill",
        WorldKind::Real => "Leave here (incident resume)",
    }
}

fn leave(engine: &Engine<'_>) -> Result<Option<Exit>, CliError> {
    Ok(Some(deeds::standing(engine)?.worst(Exit::Waiting)))
}

/// A question to others that nobody needs answered any more keeps the incident open until it is taken back.
fn open_request(
    ui: &Ui,
    prompt: &mut dyn Prompter,
    engine: &Engine<'_>,
    request: u64,
) -> Result<Option<Exit>, CliError> {
    ui.line("Only a question to other people keeps the incident open:");
    deeds::waits(ui, engine)?;
    let choices = [
        format!("Take request {request} back"),
        leave_words(engine).to_owned(),
    ];
    let flag = format!("incident signoff withdraw {request} \"WHY\"");
    if prompt.select("What now?", &choices, &flag)? == 1 {
        return leave(engine);
    }
    let why = prompt.line("Why is it not needed any more?", &flag)?;
    engine.withdraw(request, &why)?;
    Ok(None)
}

fn settle(
    ui: &Ui,
    prompt: &mut dyn Prompter,
    engine: &Engine<'_>,
    doubt: &DoubtAbout,
) -> Result<Option<Exit>, CliError> {
    ui.tone(
        Tone::Bad,
        &format!(
            "Act {} (`{}`: {}) is in doubt.",
            doubt.act,
            doubt.step,
            escape(&doubt.title)
        ),
    );
    let incident = engine.incident()?;
    let ended = incident.acts.get(&doubt.act).and_then(|act| act.ended.as_ref());
    let how = match ended {
        Some(ended) => format!("It was begun, and this is how it ended: {}.", escape(&ended.why)),
        None => "It was begun, and nobody recorded how it ended.".to_owned(),
    };
    ui.wrapped(
        2,
        &format!("{how} Look for yourself before anything else changes."),
    );
    if doubt.still_running {
        ui.tone(Tone::Bad, "Its program is still running on this host.");
    }
    let choices = ["It happened", "It did not happen", leave_words(engine)].map(str::to_owned);
    let happened = match prompt.select("What did you see?", &choices, "incident settle")? {
        0 => true,
        1 => false,
        _ => return leave(engine),
    };
    let words = prompt.line("How do you know?", "incident settle ACT --happened \"WORDS\"")?;
    engine.settle(doubt.act, happened, &words)?;
    Ok(None)
}

fn ask(
    ui: &Ui,
    prompt: &mut dyn Prompter,
    engine: &Engine<'_>,
    step: &StepId,
    question: &str,
) -> Result<(), CliError> {
    ui.wrapped(0, &escape(question));
    if let Some(why) = engine.step(step).ok().and_then(|s| s.why.clone()) {
        for line in super::ui::wrap(&format!("why: {}", escape(&why)), ui.width.saturating_sub(2)) {
            ui.tone(Tone::Dim, &format!("  {line}"));
        }
    }
    let text = prompt.line(
        "Answer (empty: not known yet)",
        &format!("incident answer {step} \"…\""),
    )?;
    let text = if text.trim().is_empty() {
        "not known yet"
    } else {
        text.trim()
    };
    engine.answer(step, text)?;
    Ok(())
}

fn purpose(engine: &Engine<'_>) -> Result<&'static str, CliError> {
    Ok(if engine.incident()?.baseline.is_some() {
        "addendum"
    } else {
        "baseline"
    })
}

fn seal(ui: &Ui, prompt: &mut dyn Prompter, engine: &Engine<'_>) -> Result<Option<Exit>, CliError> {
    let incident = engine.incident()?;
    let holes = incident.holes().len();
    ui.line(&format!(
        "{}, {}. Later looks are addenda; the baseline stays as it is.",
        count(incident.captures.len(), "capture"),
        count(holes, "hole")
    ));
    if !prompt.confirm("Seal the baseline now?", "incident seal")? {
        return leave(engine);
    }
    let open = prompt.line(
        "What is not known yet? (empty: nothing to add)",
        "incident seal --unknown \"…\"",
    )?;
    let unknown = if open.trim().is_empty() {
        Vec::new()
    } else {
        vec![open]
    };
    engine.seal_baseline(unknown)?;
    deeds::kept(ui, engine, Tone::Good, "The baseline is sealed.");
    Ok(None)
}

fn run(
    ui: &Ui,
    prompt: &mut dyn Prompter,
    engine: &Engine<'_>,
    step: &StepId,
    verdict: &Verdict,
    by_hand: bool,
) -> Result<Option<Exit>, CliError> {
    let written = engine.step(step)?;
    ui.hanging(Tone::Head, &format!("{step}: "), &escape(&written.title));
    if let Some(why) = &written.why {
        ui.wrapped(2, &format!("why: {}", escape(why)));
    }
    verdict::act(ui, &engine.resolve(step)?);
    verdict::show(ui, verdict);
    match &verdict.answer {
        Answer::Go { .. } if by_hand => {
            let choices = ["I did it", "Skip it", leave_words(engine)].map(str::to_owned);
            match prompt.select(
                "Do it now; then:",
                &choices,
                &format!("incident done {step} \"WORDS\""),
            )? {
                0 => {
                    let words = prompt.line(
                        "What did you do, and what do you see?",
                        "incident done STEP \"WORDS\"",
                    )?;
                    deeds::by_hand(ui, step, &engine.done(step, &words)?);
                }
                1 => skip(ui, prompt, engine, step)?,
                _ => return leave(engine),
            }
        }
        Answer::Go { .. } => {
            let choices = ["Run it", "Skip it", leave_words(engine)].map(str::to_owned);
            match prompt.select("Run it now?", &choices, &format!("incident run {step}"))? {
                0 => {
                    ui.tone(Tone::Dim, "It runs; Ctrl-C ends it, and the record says so.");
                    deeds::acted(ui, &engine.run(step, None)?);
                }
                1 => skip(ui, prompt, engine, step)?,
                _ => return leave(engine),
            }
        }
        Answer::Refused(Refusal::NeedsSignoff { request, .. }) => {
            return signatures(ui, prompt, engine, step, *request);
        }
        Answer::Refused(Refusal::ChangedSincePlan | Refusal::NotInPlan) => {
            let choices = [
                "Change the plan: it holds this step, as it would run now",
                "Skip it",
                leave_words(engine),
            ];
            match prompt.select(
                "What now?",
                &choices.map(str::to_owned),
                "incident plan --amend \"WHY\" STEP…",
            )? {
                0 => amend(ui, prompt, engine, step)?,
                1 => skip(ui, prompt, engine, step)?,
                _ => return leave(engine),
            }
        }
        Answer::Refused(_) => return skip_or_leave(ui, prompt, engine, step),
    }
    Ok(None)
}

fn signatures(
    ui: &Ui,
    prompt: &mut dyn Prompter,
    engine: &Engine<'_>,
    step: &StepId,
    request: Option<u64>,
) -> Result<Option<Exit>, CliError> {
    if let Some(request) = request {
        super::view::asked::stands(ui, engine, request)?;
    }
    let first = match request {
        Some(_) => "File a signed answer",
        None => "Ask the others: write what they sign",
    };
    let choices = [first, "Skip it", leave_words(engine)].map(str::to_owned);
    match (
        prompt.select(
            "Other people must sign.",
            &choices,
            &format!("incident escalate {step}"),
        )?,
        request,
    ) {
        (0, None) => {
            // Where nobody can sign the answer is no; a key would not change it.
            let key = match engine.names().is_empty() {
                true => None,
                false => own_key(prompt, engine)?,
            };
            deeds::issued(ui, &engine.escalate(std::slice::from_ref(step), key.as_deref())?);
        }
        (0, Some(_)) => {
            let path = prompt.line("File with the signature (….sig)", "incident signoff add FILE")?;
            deeds::file_from(ui, engine, Path::new(path.trim()))?;
        }
        (1, _) => skip(ui, prompt, engine, step)?,
        _ => return leave(engine),
    }
    Ok(None)
}

/// The requester's own key: the one ssh-keygen would make, or another, or none.
fn own_key(prompt: &mut dyn Prompter, engine: &Engine<'_>) -> Result<Option<String>, CliError> {
    const USUAL: [&str; 3] = ["id_ed25519_sk", "id_ed25519", "id_ecdsa"];
    let world = engine.world();
    let ssh = world.host.home().map(|home| home.join(".ssh"));
    let mut paths = USUAL.iter().filter_map(|name| Some(ssh.as_ref()?.join(name)));
    let usual = paths.find(|path| world.files.stat(path).is_ok_and(|s| s.is_file));
    let empty = match &usual {
        Some(path) => format!("empty: {}; `none`: one more person must sign", path.display()),
        None => "empty: none, and one more person must sign".to_owned(),
    };
    let question = format!("Your own signing key, to prove who asks ({empty})");
    let given = prompt.line(&question, "--key FILE")?;
    Ok(match given.trim() {
        "" => usual.map(|path| path.display().to_string()),
        "none" => None,
        path => Some(path.to_owned()),
    })
}

/// A step that may have half happened: everything that can be decided about it.
fn failed(
    ui: &Ui,
    prompt: &mut dyn Prompter,
    engine: &Engine<'_>,
    step: &StepId,
    why: &str,
    again: Option<&Verdict>,
) -> Result<Option<Exit>, CliError> {
    const AGAIN: &str = "Try it again";
    const AMEND: &str = "Change the plan, so that it may be tried again";
    const UNDO: &str = "Take it back (undo)";
    const SKIP: &str = "Skip it";
    const ABORT: &str = "Give the plan up";
    let what = if again.is_none() {
        "Taking back step"
    } else {
        "Step"
    };
    ui.tone(Tone::Bad, &format!("{what} `{step}` failed: {}", escape(why)));
    ui.wrapped(
        2,
        "It may have half happened. Nothing after it runs until you decided about it.",
    );
    let mut choices = Vec::new();
    match again.map(|v| &v.answer) {
        Some(Answer::Go { .. } | Answer::Refused(Refusal::NeedsSignoff { .. })) => choices.push(AGAIN),
        Some(Answer::Refused(Refusal::TriesUsed { .. } | Refusal::ChangedSincePlan)) => choices.push(AMEND),
        _ => {}
    }
    if matches!(engine.step(step)?.undo, Undo::By(_) | Undo::ByHand(_)) {
        choices.push(UNDO);
    }
    choices.push(SKIP);
    if engine.incident()?.plan.is_some() {
        choices.push(ABORT);
    }
    choices.push(leave_words(engine));
    let words: Vec<String> = choices.iter().map(|c| (*c).to_owned()).collect();
    let chosen = prompt.select(
        "What now?",
        &words,
        &format!("incident run {step}, or incident undo {step}"),
    )?;
    match (choices.get(chosen).copied(), again) {
        (Some(AGAIN), Some(verdict)) => return run(ui, prompt, engine, step, verdict, false),
        (Some(AMEND), _) => amend(ui, prompt, engine, step)?,
        (Some(UNDO), _) => deeds::acted(ui, &engine.undo(step, None)?),
        (Some(SKIP), _) => skip(ui, prompt, engine, step)?,
        (Some(ABORT), _) => {
            let why = prompt.line("Why is the plan given up?", "incident plan --abort \"WHY\"")?;
            super::view::plan::replanned(ui, &engine.drop_plan(&why)?, true);
        }
        _ => return leave(engine),
    }
    Ok(None)
}

/// Changes the plan so that it holds this step, last where it did not, as it would run now.
fn amend(ui: &Ui, prompt: &mut dyn Prompter, engine: &Engine<'_>, step: &StepId) -> Result<(), CliError> {
    let mut steps = engine.plan_steps()?;
    if !steps.contains(step) {
        steps.push(step.clone());
    }
    let why = prompt.line("Why is the plan changed?", "incident plan --amend \"WHY\"")?;
    super::view::plan::replanned(ui, &engine.amend(&steps, &why)?, false);
    Ok(())
}

fn skip(ui: &Ui, prompt: &mut dyn Prompter, engine: &Engine<'_>, step: &StepId) -> Result<(), CliError> {
    let why = prompt.line(
        "Why is it skipped? (a skipped step satisfies no gate)",
        "incident skip STEP \"WHY\"",
    )?;
    deeds::skip(ui, engine, step, &why)
}

fn skip_or_leave(
    ui: &Ui,
    prompt: &mut dyn Prompter,
    engine: &Engine<'_>,
    step: &StepId,
) -> Result<Option<Exit>, CliError> {
    let choices = [leave_words(engine), "Skip it"].map(str::to_owned);
    if prompt.select("What now?", &choices, &format!("incident skip {step} \"WHY\""))? == 0 {
        return leave(engine);
    }
    skip(ui, prompt, engine, step)?;
    Ok(None)
}

fn freeze(
    ui: &Ui,
    prompt: &mut dyn Prompter,
    engine: &Engine<'_>,
    steps: &[StepId],
) -> Result<Option<Exit>, CliError> {
    ui.tone(Tone::Head, "The recovery plan, exactly as it would run:");
    let rows = engine.plan()?;
    let rows: Vec<_> = rows.into_iter().filter(|r| steps.contains(&r.step.id)).collect();
    super::view::plan::show(ui, &rows, true);
    let choices = ["Freeze this plan", "Skip a step", leave_words(engine)].map(str::to_owned);
    match prompt.select(
        "Nothing of it may change afterwards without freezing it again.",
        &choices,
        "incident plan --freeze",
    )? {
        0 => {
            engine.freeze(steps)?;
        }
        1 => {
            let names: Vec<String> = steps.iter().map(ToString::to_string).collect();
            let at = prompt.select("Which step is skipped?", &names, "incident skip STEP \"WHY\"")?;
            if let Some(step) = steps.get(at) {
                skip(ui, prompt, engine, step)?;
            }
        }
        _ => return leave(engine),
    }
    Ok(None)
}

fn prove_or_leave(ui: &Ui, prompt: &mut dyn Prompter, engine: &Engine<'_>) -> Result<Option<Exit>, CliError> {
    ui.line("Every step is through. The service's own probes decide whether it is recovered.");
    let standing = containment(engine)?;
    for step in &standing {
        ui.tone(Tone::Warn, &format!("  `{step}` still holds something back."));
    }
    let mut choices: Vec<String> = standing.iter().map(|s| format!("Take `{s}` back")).collect();
    choices.push("Probe now".to_owned());
    choices.push(leave_words(engine).to_owned());
    let chosen = prompt.select("Prove it?", &choices, "incident prove")?;
    if let Some(step) = standing.get(chosen) {
        deeds::acted(
            ui,
            &engine.undo(step, Some("the damage it contained is repaired"))?,
        );
        return Ok(None);
    }
    if chosen > standing.len() {
        return leave(engine);
    }
    match deeds::prove(ui, engine) {
        Ok(Exit::Done) => Ok(None),
        Ok(exit) => Ok(Some(exit)),
        Err(e) => Err(e),
    }
}

/// Containment by programs that nobody has taken back, the newest first.
fn containment(engine: &Engine<'_>) -> Result<Vec<StepId>, CliError> {
    let incident = engine.incident()?;
    let steps = engine.runbook().stage(Stage::Contain);
    let mut standing: Vec<StepId> = steps
        .filter(|step| matches!((&step.act, &step.undo), (Act::Run(_), Undo::By(_))))
        .filter(|step| matches!(incident.steps.get(&step.id), Some(StepState::Tried { .. })))
        .map(|step| step.id.clone())
        .collect();
    standing.reverse();
    Ok(standing)
}

fn answer_for(
    ui: &Ui,
    prompt: &mut dyn Prompter,
    engine: &Engine<'_>,
    unproved: &Unproved,
) -> Result<Option<Exit>, CliError> {
    let incident = engine.incident()?;
    let target = incident.stop.targets.get(&unproved.target);
    let what = target.map(crate::report::words::what_it_is).unwrap_or_default();
    ui.hanging(
        Tone::Warn,
        "",
        &format!(
            "{}{} is {}: nobody can prove it dead from here.",
            unproved.target,
            escape(&what),
            unproved.proof
        ),
    );
    deeds::elsewhere(ui, engine, std::slice::from_ref(&unproved.target))?;
    let words = prompt.line(
        "Who answers for it, and why is it safe? (empty: leave it open)",
        "incident answer TARGET \"WORDS\"",
    )?;
    if words.trim().is_empty() {
        return leave(engine);
    }
    engine.answer_for(&unproved.target, &words)?;
    Ok(None)
}

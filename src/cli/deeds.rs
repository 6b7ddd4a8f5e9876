//! What a command and the walk both do: call the engine, show what came of it, say how it stands.

use std::collections::BTreeMap;

use std::path::Path;

use super::error::CliError;
use super::exit::Exit;
use super::ui::{Tone, Ui, styled};
use super::view::proofs;
use crate::engine::{Acted, Captured, Engine, EngineError, Remote, SHIPPED_RUNBOOK_NAME};
use crate::evidence::escape;
use crate::model::act::{Act, Stage};
use crate::model::event::{CaptureItem, Event, ItemStatus, Outcome};
use crate::model::grant::Target;
use crate::model::ids::{StepId, TargetId};
use crate::model::trust::Trust;
use crate::report::words;

/// Lets the person see facts as they are recorded.
pub fn show_live(engine: &Engine<'_>) {
    let start = engine.world().clock.now().mono_us;
    let ui = Ui::new(false);
    engine.listen(Box::new(move |told| {
        // What hangs for a while would otherwise not be on the screen at all.
        if let Event::StopStarted(e) = told.event
            && !e.targets.is_empty()
        {
            let names = words::list(e.targets.iter().map(|aim| escape(aim.target.id().as_str())));
            ui.hanging_aside(Tone::Dim, "  at once   ", &names);
        }
        let Event::StopFacts(e) = told.event else { return };
        for observed in &e.facts {
            let Some(words) = proofs::words(&observed.fact) else {
                continue;
            };
            let ms = observed.at_us.saturating_sub(start) / 1000;
            let head = format!("  {:>8}  {:<18} ", crate::model::time::span(ms), e.target);
            ui.hanging_aside(Tone::Dim, &head, &format!("{}: {}", e.phase, escape(&words)));
        }
    }));
}

/// The sweep, shown while it runs and after.
pub fn stop(ui: &Ui, engine: &Engine<'_>, full: &[TargetId]) -> Result<Exit, CliError> {
    let report = engine.stop(full)?;
    let incident = engine.incident()?;
    let first = match report.first_cut_ms {
        Some(ms) => format!("first cut after {}", crate::model::time::span(ms)),
        None => "there was nothing to cut".into(),
    };
    ui.tone(
        Tone::Head,
        &format!("Stop took {}; {first}.", crate::model::time::span(report.ms)),
    );
    proofs::show(ui, &incident);
    let all: Vec<TargetId> = incident.stop.targets.keys().cloned().collect();
    elsewhere(ui, engine, &all)?;
    Ok(if report.interrupted {
        Exit::Interrupted
    } else {
        standing(engine)?
    })
}

/// How a person ends at its provider what is not proved dead and cannot be tried again from here: its secret was only
/// in memory, and is forgotten.
pub fn elsewhere(ui: &Ui, engine: &Engine<'_>, targets: &[TargetId]) -> Result<(), CliError> {
    let incident = engine.incident()?;
    let unproved = targets
        .iter()
        .filter_map(|id| incident.stop.targets.get(id))
        .filter(|target| !target.proof().is_dead());
    for target in unproved {
        let held = matches!(&target.aim.target, Target::Grant(grant) if grant.paste_line().is_some());
        if let (true, Some(Ok(adapter))) = (held, engine.registry().of(&target.aim.target)) {
            let text = format!("{}: {}", target.aim.target.id(), escape(&adapter.about().manual));
            ui.hanging(Tone::Plain, "  by hand  ", &text);
        }
    }
    Ok(())
}

/// Waits for windows that end soon, while the secrets are still in memory, and tries them again. False where
/// there was nothing to wait for.
pub fn wait_out(ui: &Ui, engine: &Engine<'_>, targets: &[TargetId]) -> Result<bool, CliError> {
    let Some(left) = engine.window_left(targets)? else {
        return Ok(false);
    };
    let ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    ui.hanging(
        Tone::Plain,
        "",
        &format!(
            "Trying again in {}, when it must have reached every server of its provider; after that the secret is forgotten. Ctrl-C leaves.",
            crate::model::time::span(ms)
        ),
    );
    engine.wait_and_try(left)?;
    proofs_of(ui, engine, targets)?;
    Ok(true)
}

/// A line for each of these targets.
pub fn proofs_of(ui: &Ui, engine: &Engine<'_>, targets: &[TargetId]) -> Result<(), CliError> {
    let incident = engine.incident()?;
    for (id, target) in targets
        .iter()
        .filter_map(|id| incident.stop.targets.get_key_value(id))
    {
        let word = styled(proofs::tone(target.proof()), target.proof().word());
        ui.hanging(
            Tone::Plain,
            &format!("  {word}  "),
            &format!("{id}: {}", escape(&proofs::because(target))),
        );
    }
    Ok(())
}

/// The sweep on another host, and what it proved there.
pub fn stop_on(ui: &Ui, engine: &Engine<'_>, remote: &Remote) -> Result<Exit, CliError> {
    let told = engine.stop_on(remote)?;
    ui.hanging(Tone::Head, "", &escape(&told.words));
    proofs::show(ui, &*engine.incident()?);
    if let Some(next) = &told.next {
        ui.line(&format!("  next: {}", escape(next)));
    }
    Ok(match told.interrupted {
        true => Exit::Interrupted,
        false => standing(engine)?,
    })
}

/// How things stand, as an exit code: nothing is better than what is proved.
pub fn standing(engine: &Engine<'_>) -> Result<Exit, CliError> {
    let incident = engine.incident()?;
    let none = incident.stop.targets.is_empty();
    let alive = incident
        .stop
        .targets
        .values()
        .any(|t| !t.proof().is_dead() && t.answered.is_none());
    let doubt = incident.in_doubt().next().is_some();
    let closed = incident.closed_ts.is_some();
    if none || alive || doubt || (closed && incident.recovered_us.is_none()) {
        return Ok(Exit::Unproved);
    }
    Ok(if closed { Exit::Done } else { Exit::Waiting })
}

/// Enters a stage, and gives the head a human witness.
pub fn enter(ui: &Ui, engine: &Engine<'_>, stage: Stage) -> Result<(), CliError> {
    engine.enter(stage)?;
    let what = match stage {
        Stage::Stop => "",
        Stage::Assess => "look, change nothing; a repair now would destroy the picture of what happened",
        Stage::Contain => "limit the damage with steps that can be undone",
        Stage::Recover => "put things right, by a plan that is fixed before it runs",
    };
    ui.tone(Tone::Head, &format!("— {} — {what}", stage.word()));
    if let Some((seq, head)) = engine.head() {
        ui.line(&format!(
            "Paste into the chat: {} record {seq} head {}",
            engine.incident()?.id(),
            head.short()
        ));
    }
    Ok(())
}

/// Says, before a look begins, where the disk of the record may not hold all of it.
pub fn room(ui: &Ui, engine: &Engine<'_>) {
    let Some(free) = engine.little_room() else { return };
    let left = match free >> 20 {
        0 => "less than 1 MiB".to_owned(),
        mib => format!("{mib} MiB"),
    };
    let text = format!(
        "the disk of the record has {left} left. Of what does not fit, only the beginning will be kept, and the ledger \
         will say so. Free some space, or `incident store move` takes everything to another disk"
    );
    ui.hanging_aside(Tone::Warn, "little room: ", &text);
}

/// What a capture came to: how much of each word, every hole with its reason, and who can open what is sealed.
pub fn captured(ui: &Ui, captured: &Captured) {
    let bytes: u64 = captured.items.iter().map(|i| i.bytes).sum();
    let redacted: u32 = captured.items.iter().map(|i| i.redactions).sum();
    let mut words: BTreeMap<ItemStatus, usize> = BTreeMap::new();
    for item in &captured.items {
        *words.entry(item.status).or_default() += 1;
    }
    let words: Vec<String> = words
        .iter()
        .map(|(status, n)| format!("{n} {}", status.word()))
        .collect();
    ui.line(&format!(
        "captured {}: {}; {bytes} bytes, {redacted} secrets taken out",
        captured.exhibit,
        words.join(", "),
    ));
    show_told(ui, &captured.items);
}

/// What is not whole, and what else is to be known of what is.
fn show_told(ui: &Ui, items: &[CaptureItem]) {
    /// Of a look that was cut short thousands may be missing, and the screen would hold nothing else.
    const NAMES: usize = 12;
    /// What was left out with a reason is no hole: a few names say what kind of thing it is.
    const FEW: usize = 3;
    // What has one reason stands in one line: thirty agents that were never here are one piece of news.
    let mut told: BTreeMap<(ItemStatus, &str), Vec<String>> = BTreeMap::new();
    for item in items {
        let why = match (item.status, item.why.as_deref()) {
            (ItemStatus::Collected, None) => continue,
            (_, why) => why.unwrap_or("the record does not say why"),
        };
        told.entry((item.status, why))
            .or_default()
            .push(escape(&item.name));
    }
    let mut left_out = false;
    for ((status, why), names) in told {
        let shown = if status.is_hole() { NAMES } else { FEW };
        let mut first = names.get(..shown).unwrap_or(&names).join(", ");
        if let Some(more @ 1..) = names.len().checked_sub(shown) {
            first.push_str(&format!(" and {more} more"));
            left_out = true;
        }
        let text = format!("{}, {}: {first}", status.word(), escape(why));
        let tone = if status.is_hole() { Tone::Warn } else { Tone::Plain };
        ui.hanging(tone, "  ", &text);
    }
    if left_out {
        ui.tone(Tone::Dim, "  every name: `incident evidence show`");
    }
}

/// What an act came to.
pub fn acted(ui: &Ui, acted: &Acted) {
    let tone = match acted.outcome {
        Outcome::Done => Tone::Good,
        Outcome::Failed => Tone::Bad,
        Outcome::InDoubt => Tone::Bad,
    };
    ui.tone(tone, &escape(&acted.why));
    if let Some(exhibit) = &acted.exhibit {
        ui.tone(Tone::Dim, &format!("  its output: data/{exhibit}"));
    }
    show_told(ui, &acted.output);
    match &acted.checked {
        Some((true, text)) => ui.tone(Tone::Good, &format!("  checked: {}", escape(text))),
        Some((false, text)) => ui.tone(Tone::Bad, &format!("  the check failed: {}", escape(text))),
        None => {}
    }
}

/// That something is on record, and where: a spool is not the case's own record yet.
pub fn kept(ui: &Ui, engine: &Engine<'_>, tone: Tone, words: &str) {
    match engine.spooled_to() {
        None => ui.hanging(tone, "", words),
        Some(place) => {
            ui.hanging(
                Tone::Warn,
                "",
                &format!("In a spool, not in the case's own record yet: {words}"),
            );
            let text =
                format!("it waits in {place}; the first command that can write the case folder takes it in");
            ui.hanging(Tone::Plain, "  ", &text);
        }
    }
}

/// What a person says they did. It stands in the record in their name; nothing here has looked.
pub fn by_hand(ui: &Ui, step: &StepId, acted: &Acted) {
    let words = acted.checked.as_ref().map_or("", |(_, words)| words);
    let text = format!("by hand, in your words: {}", escape(words));
    ui.hanging(Tone::Plain, &format!("`{step}` is on record as done "), &text);
}

/// Tells whoever is due to be told of a request, and says what came of it. It holds no command up that cannot.
pub fn climb(ui: &Ui, engine: &Engine<'_>) {
    match engine.climb() {
        Ok(told) => super::view::asked::told(ui, &told),
        Err(e) => ui.aside(&format!("Nobody could be told of what waits for signatures: {e}")),
    }
}

/// Records that a step is left out, and says which signatures that costs.
pub fn skip(ui: &Ui, engine: &Engine<'_>, step: &StepId, why: &str) -> Result<(), CliError> {
    let seq = engine.skip(step, why)?;
    ui.line(&format!("`{step}` is skipped; it satisfies no gate."));
    let incident = engine.incident()?;
    for (request, _) in incident.requests.iter().filter(|(_, r)| r.fell == Some(seq)) {
        let text = format!("request {request} fell: it was asked for under the plan that held `{step}`");
        ui.hanging(Tone::Warn, "  ", &text);
    }
    Ok(())
}

/// Takes back what recover did, the newest first, until something fails or a person must do it.
pub fn take_back(ui: &Ui, engine: &Engine<'_>, why: Option<&str>) -> Result<Exit, CliError> {
    loop {
        let back = engine.take_back()?;
        let Some(step) = back.next else {
            for (step, why) in &back.stays {
                let text = format!("`{step}` cannot be taken back and stays: {}", escape(why));
                ui.hanging(Tone::Warn, "", &text);
            }
            if back.stays.is_empty() {
                ui.line("Nothing of recover is in force any more.");
            }
            if engine.incident()?.plan.is_some() {
                ui.line("  next: incident plan --abort \"WHY\"; the plan itself is still in force");
            }
            return Ok(Exit::Done);
        };
        let act = engine.resolve_undo(&step)?;
        ui.tone(Tone::Head, &format!("Taking back {step}"));
        super::view::verdict::act(ui, &act);
        if matches!(act.act, Act::Manual(_)) {
            ui.line("A person does this.");
            ui.line(&format!(
                "  next: incident undo {step} --why \"WHAT YOU SAW\", then incident undo --plan goes on"
            ));
            return Ok(Exit::Waiting);
        }
        let acted = engine.undo(&step, why)?;
        self::acted(ui, &acted);
        match exit_of(&acted) {
            Exit::Done => {}
            exit => {
                ui.line(&format!("What came before `{step}` stands as it is."));
                ui.line(&format!(
                    "  next: incident undo {step}, or incident skip {step} \"WHY\""
                ));
                return Ok(exit);
            }
        }
    }
}

/// The exit code of an act.
pub fn exit_of(acted: &Acted) -> Exit {
    match (&acted.outcome, &acted.checked) {
        (Outcome::InDoubt, _) => Exit::Unproved,
        (Outcome::Failed, _) | (_, Some((false, _))) => Exit::Failed,
        (Outcome::Done, _) => Exit::Done,
    }
}

/// Shows a request and how to answer it.
pub fn issued(ui: &Ui, issued: &crate::engine::Issued) {
    ui.tone(Tone::Head, &format!("Request {} is written.", issued.request));
    let people = match issued.need.people {
        1 => "1 other person".to_owned(),
        n => format!("{n} other people"),
    };
    ui.line(&format!("  who      {people}"));
    for name in &issued.unproven {
        let text = format!("one of them because no key proves who acted as {}", escape(name));
        ui.hanging(Tone::Warn, "           ", &text);
    }
    if !issued.unproven.is_empty() {
        ui.hanging(
            Tone::Plain,
            "           ",
            "whoever it was spares that person: incident signoff me --as NAME --key FILE, then ask again",
        );
    }
    ui.line(&format!("  approve  {}", issued.approve_path));
    ui.line(&format!("  refuse   {}", issued.refuse_path));
    ui.line("Send them either file: they read and sign it with `incident sign FILE`, or with");
    ui.line(&format!("  {}", issued.command));
    ui.hanging(
        Tone::Plain,
        "",
        "For a chat: `incident page PERSON`. What comes back is filed with `incident signoff add`.",
    );
}

/// Files what a file holds: `FILE.sig` with its text beside it, the text itself with its `.sig`, or a saved message.
pub fn file_from(ui: &Ui, engine: &Engine<'_>, path: &Path) -> Result<(), CliError> {
    const CAP: u64 = 1 << 20;
    let files = &engine.world().files;
    let full = engine.world().host.cwd().join(path);
    let came = files.read(&full, CAP).map_err(|e| {
        CliError::new(Exit::Usage, format!("cannot read {}: {e}", path.display()))
            .hint("Name the file that came back, or give none and paste it")
    })?;
    if full.extension().is_some_and(|e| e == "sig") {
        let text = files.read(&full.with_extension(""), CAP).ok();
        return file_answer(ui, engine, &came, text.as_deref());
    }
    let name = full.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    match files.read(&full.with_file_name(format!("{name}.sig")), CAP) {
        Ok(signature) => file_answer(ui, engine, &signature, Some(&came)),
        Err(_) => file_answer(ui, engine, &came, None),
    }
}

/// Files what came back: a signature, with whatever words a chat put around it.
pub fn file_answer(ui: &Ui, engine: &Engine<'_>, came: &[u8], text: Option<&[u8]>) -> Result<(), CliError> {
    let damaged = |why: crate::signoff::BadPaste| {
        CliError::new(Exit::Usage, why.to_string())
            .stands("nothing was filed")
            .hint("Copy it again, from its BEGIN line to its END line")
    };
    if let Some((text, signature)) = crate::signoff::delegation_in(came).map_err(damaged)? {
        let lent = engine.add_delegation(&text, &signature)?;
        let until = crate::model::time::rfc3339(lent.until_ms);
        let (to, role, from) = (escape(&lent.to), escape(&lent.role), escape(&lent.from));
        ui.tone(
            Tone::Good,
            &format!("{to} may sign as {role} for {from} until {until}."),
        );
        ui.line("  What was signed before counts as it did; a lent role is not lent on, and falls where its giver acts.");
        return Ok(());
    }
    let found = crate::signoff::signature_in(came).map_err(damaged)?;
    // Words without a signature are refused by the same gate, and stand in the record.
    let signature = found.map_or_else(|| came.to_vec(), String::into_bytes);
    let accepted = engine.add_signoff(text, &signature)?;
    let did = match accepted.decision {
        crate::signoff::Decision::Approve => "approves",
        crate::signoff::Decision::Refuse => "refuses",
    };
    ui.tone(
        Tone::Good,
        &format!(
            "{} {did} request {}.",
            escape(&accepted.person),
            accepted.request_seq
        ),
    );
    let touched = match (accepted.key.user_presence, accepted.key.user_verified) {
        (Some(true), Some(true)) => "touched, PIN given",
        (Some(true), _) => "touched",
        (Some(false), _) => "not touched",
        (None, _) => "cannot say whether somebody was there",
    };
    let key = format!(
        "{} ({}; {touched})",
        accepted.key.fingerprint, accepted.key.algorithm
    );
    ui.hanging(Tone::Plain, "  key ", &key);
    waits(ui, engine)
}

/// A row for each request that still waits for somebody.
pub fn waits(ui: &Ui, engine: &Engine<'_>) -> Result<(), CliError> {
    for pending in engine.pending()? {
        let have = match pending.have.is_empty() {
            true => "nobody has yet".to_owned(),
            false => format!("signed by {}", escape(&words::list(&pending.have))),
        };
        let text = format!(
            "request {} ({}) waits for {}; {have}",
            pending.request,
            words::list(&pending.steps),
            words::need(&pending.need)
        );
        ui.hanging(Tone::Warn, "", &text);
        super::view::asked::stands(ui, engine, pending.request)?;
    }
    Ok(())
}

/// Probes, captures the after-state, and says recovered where both allow it.
pub fn prove(ui: &Ui, engine: &Engine<'_>) -> Result<Exit, CliError> {
    let mut passed = true;
    for run in engine.probe_services()? {
        let (tone, word) = if run.passed {
            (Tone::Good, "passed")
        } else {
            (Tone::Bad, "failed")
        };
        ui.line(&format!(
            "  {} {}: {}",
            styled(tone, word),
            run.id,
            escape(&run.text)
        ));
        passed &= run.passed;
    }
    for capture in engine.capture_after()? {
        captured(ui, &capture);
    }
    if !passed {
        ui.tone(Tone::Bad, "Not recovered: a probe failed.");
        return Ok(Exit::Unproved);
    }
    engine.recovered()?;
    ui.tone(
        Tone::Good,
        "Recovered: every probe passed, and the state after it is captured.",
    );
    Ok(Exit::Done)
}

/// Whether the files written in advance are what was trusted in peacetime; nothing where there are none.
pub fn trust(ui: &Ui, trust: Option<&Trust>) {
    let Some((well, words)) = trust.map(Trust::words) else {
        return;
    };
    let tone = if well { Tone::Dim } else { Tone::Warn };
    ui.hanging(tone, "  trust    ", &escape(&words));
    if !well {
        ui.hanging(
            tone,
            "           ",
            "in peacetime: incident runbook trust --key FILE",
        );
    }
}

/// Says it where the program that runs is not the one that was trusted in peacetime.
pub fn strange(ui: &Ui, words: Option<String>) {
    if let Some(words) = words {
        ui.hanging_aside(Tone::Bad, "  program  ", &escape(&words));
    }
}

/// Opens an incident, and says where its record is.
pub fn opened(ui: &Ui, engine: &Engine<'_>) -> Result<(), EngineError> {
    let incident = engine.incident()?;
    ui.tone(Tone::Head, &format!("{} is open.", incident.id()));
    if let Some(path) = engine.case_path() {
        ui.tone(Tone::Dim, &format!("  record   {}", path.display()));
    }
    ui.tone(Tone::Dim, &format!("  plan     {}", engine.runbook_name));
    if engine.runbook_name == SHIPPED_RUNBOOK_NAME {
        let from = engine.world().host.cwd();
        let text = format!(
            "no incident/runbook.yaml from {} upward; --config FOLDER names another",
            from.display()
        );
        ui.hanging(Tone::Dim, "           ", &escape(&text));
    }
    trust(ui, incident.opened.trust.as_ref());
    let (who, people) = (engine.who(), &incident.opened.policy.people);
    if !people.is_empty() && !people.contains_key(&who) {
        let text = format!(
            "{} is not on the roster: what you do costs one more signature later. --as PRINCIPAL says who you are",
            escape(&who)
        );
        ui.hanging(Tone::Warn, "  you      ", &text);
    }
    Ok(())
}

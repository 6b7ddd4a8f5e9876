//! `runbook lint`: every mistake at once, what will hurt on the day, and the boundary as a table.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::boundary::{Row, Stretch, idle, matrix, unlisted, unmet};
use crate::cli::ui::{Tone, Ui, styled};
use crate::cli::view::verdict;
use crate::cli::{App, CliError, Exit, wire};
use crate::engine::{Engine, EngineError, SHIPPED_RUNBOOK, SHIPPED_RUNBOOK_NAME, Written};
use crate::evidence::escape;
use crate::model::act::{Act, Resolved, ResolvedUndo, Stage};
use crate::model::diagnostic::{self, Diagnostic};
use crate::model::effect::{Effect, Zone};
use crate::model::hours::{WEEK, minute_word};
use crate::model::inventory::Inventory;
use crate::model::runbook::{Need, Policy, Runbook};
use crate::providers::Registry;
use crate::redact::Redactor;
use crate::report::words::{count, list as listed, need as need_words};
use crate::sshsig::Roster;

/// Mistakes of one file, with its text.
struct Linted<'a> {
    file: &'a str,
    text: String,
    mistakes: Vec<Diagnostic>,
}

/// Reads the files as they were found. `trusted` holds the same with what somebody trusted, where that is to be told.
pub fn run(app: &App, written: &Written, trusted: Option<&Written>, table: bool) -> Result<Exit, CliError> {
    let mut files = Vec::new();
    let shipped = (
        SHIPPED_RUNBOOK_NAME.to_owned(),
        SHIPPED_RUNBOOK.as_bytes().to_vec(),
    );
    let nothing = written.runbook.is_none() && written.access.is_none() && written.signers.is_none();
    let runbook = written.runbook.as_ref().or(nothing.then_some(&shipped));
    if let Some((file, bytes)) = runbook {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mistakes = Runbook::parse(file, &text).err().unwrap_or_default();
        files.push(Linted { file, text, mistakes });
    }
    if let Some((file, bytes)) = &written.access {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (inventory, mut mistakes) = Inventory::parse(file, &text);
        let mut registry = Registry::shipped();
        for (name, node) in &inventory.tables {
            mistakes.extend(registry.add_node(file, name, node).err().unwrap_or_default());
        }
        files.push(Linted { file, text, mistakes });
    }
    if let Some((file, bytes)) = &written.signers {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut mistakes = Roster::parse(bytes).err().unwrap_or_default();
        mistakes.iter_mut().for_each(|d| d.file.clone_from(file));
        files.push(Linted { file, text, mistakes });
    }
    let wrong: usize = files.iter().map(|f| f.mistakes.len()).sum();
    // Warnings need a runbook that can be read.
    let (mut warned, mut rows) = (Vec::new(), Vec::new());
    if runbook.is_some() && files.first().is_some_and(|f| f.mistakes.is_empty()) {
        let engine = app.desk().preview(written)?;
        warned = warnings(app, &engine, written)?;
        rows = matrix(&engine.runbook().policy);
    }
    if wrong == 0
        && let Some(trusted) = trusted
    {
        warned.extend(peacetime(&app.desk().preview(trusted)?)?);
    }
    let exit = if wrong > 0 { Exit::Usage } else { Exit::Done };
    if app.ui.json {
        let mistakes = files.iter().flat_map(|f| &f.mistakes).map(as_json);
        app.ui.value(&json!({
            "mistakes": mistakes.collect::<Vec<_>>(), "warnings": warned, "matrix": rows, "exit": exit.code(),
        }));
        return Ok(exit);
    }
    match rows.is_empty() {
        true if table => app.ui.tone(
            Tone::Warn,
            "The boundary cannot be shown: no runbook here can be read.",
        ),
        false if table => show(&app.ui, &rows),
        _ => {}
    }
    report(&app.ui, &files, &warned)?;
    Ok(exit)
}

fn as_json(d: &Diagnostic) -> Value {
    json!({ "file": d.file, "line": d.place.line, "column": d.place.column, "message": d.message, "remedy": d.remedy })
}

fn report(ui: &Ui, files: &[Linted<'_>], warned: &[String]) -> Result<(), CliError> {
    let redactor = Redactor::new([0; 32], &[]).map_err(EngineError::from)?;
    for file in files.iter().filter(|f| !f.mistakes.is_empty()) {
        let drawn = diagnostic::render(&file.mistakes, &file.text, &|line| redactor.scrub(line));
        drawn.lines().for_each(|line| ui.line(line));
        ui.line("");
    }
    for warning in warned {
        ui.hanging(Tone::Warn, "warning: ", &escape(warning));
    }
    for file in files {
        let words = match file.mistakes.len() {
            0 => styled(Tone::Good, "can be used"),
            n => styled(Tone::Bad, &format!("{} in it", count(n, "mistake"))),
        };
        ui.line(&format!("{}: {words}", escape(file.file)));
    }
    if !warned.is_empty() {
        ui.line(&count(warned.len(), "warning"));
    }
    Ok(())
}

/// The boundary, effect by effect, with the list or the rule that says so.
fn show(ui: &Ui, rows: &[Row]) {
    ui.tone(Tone::Head, &format!("{:<18} {:<8} {}", "effect", "zone", "says"));
    let zone = |zone: Zone| styled(verdict::tone(zone), &format!("{:<8}", zone.word()));
    for row in rows {
        let only = row
            .only
            .map(|only| format!(", {only}; else at"))
            .unwrap_or_default();
        ui.hanging(
            Tone::Plain,
            &format!("{:<18} {} ", row.effect.word(), zone(row.zone)),
            &format!("{}{only}", row.rule),
        );
        for rule in &row.rules {
            ui.hanging(
                Tone::Plain,
                &format!("{:<18} {} ", "", zone(rule.zone)),
                &escape(&format!("rules.{}: {}", rule.id, rule.when)),
            );
        }
    }
    ui.line("The strictest that holds wins; a rule inside wins over what is wider than it is.");
    ui.line("");
}

/// What was trusted and approved beforehand, where something about it will hurt.
fn peacetime(engine: &Engine<'_>) -> Result<Vec<String>, CliError> {
    let mut all = Vec::new();
    let trust = engine.trusted()?.map(|trust| trust.words());
    if let Some((false, words)) = trust {
        all.push(format!("{words} In peacetime: incident runbook trust --key FILE"));
    }
    let approvals = engine
        .mistakes
        .iter()
        .filter(|d| d.file.starts_with(wire::APPROVED));
    all.extend(approvals.map(|d| format!("{}: {}", d.file, d.message)));
    for row in engine.plan()? {
        if let Ok(act) = &row.resolved {
            let misfits = engine.misfits(act).into_iter();
            all.extend(misfits.map(|why| format!("step `{}`: {why}", row.step.id)));
        }
    }
    Ok(all)
}

/// What can be read and will hurt on the day.
fn warnings(app: &App, engine: &Engine<'_>, written: &Written) -> Result<Vec<String>, CliError> {
    let mut all = Vec::new();
    let mut zones = BTreeSet::new();
    let policy = &engine.runbook().policy;
    for row in engine.plan()? {
        let id = &row.step.id;
        let act = match &row.resolved {
            Ok(act) => act,
            Err(e) => {
                all.push(format!("{e}: it cannot run from this host"));
                continue;
            }
        };
        if !matches!(act.act, Act::Run(_) | Act::Manual(_)) {
            continue;
        }
        zones.extend(row.verdict.as_ref().map(|v| v.zone));
        if act.declared.is_none() && act.effects().contains(&Effect::Unknown) {
            all.push(format!(
                "step `{id}` is classified by nobody, so it is outside the boundary: write its `effects:`"
            ));
        }
        if row.step.stage == Stage::Contain && act.undo == ResolvedUndo::Unsaid {
            all.push(format!(
                "step `{id}` contains and has no `undo:`, so it counts as one-way: write how it is taken back, \
                 or `undo: {{never: REASON}}`"
            ));
        }
        if let Some(doubt) = act.backup.as_ref().and_then(|b| b.doubt()) {
            all.push(format!("step `{id}`: {doubt}, so it does not count as verified"));
        }
        all.extend(uncounted(policy, act).map(|rule| {
            format!(
                "step `{id}` does not say how much it changes, so the rule `{rule}` counts as holding for it"
            )
        }));
    }
    all.extend(of_boundary(app, engine.runbook()));
    all.extend(people(engine, written, &zones));
    if engine.runbook().probes.is_empty() {
        all.push("there are no `probes:`, so nothing can ever be called recovered".to_owned());
    }
    Ok(all)
}

/// Rules that ask how much, for an act whose words do not say it.
fn uncounted<'p>(policy: &'p Policy, act: &Resolved) -> impl Iterator<Item = &'p String> {
    let effects = act.effects();
    let scope = act.scope.clone();
    let rules = policy.rules.iter().filter(move |rule| {
        let unknown = rule.amount.is_some_and(|amount| {
            amount.rows.is_some() && scope.rows.is_none()
                || amount.objects.is_some() && scope.objects.is_none()
        });
        rule.zone != Zone::Inside && unknown && !rule.effects.is_disjoint(&effects)
    });
    rules.map(|rule| &rule.id)
}

/// Effects and rules of the boundary itself.
fn of_boundary(app: &App, runbook: &Runbook) -> Vec<String> {
    let policy = &runbook.policy;
    let mut all = Vec::new();
    let mut forgotten = unlisted(policy);
    forgotten.retain(|effect| !runbook.outside.contains(effect));
    if !forgotten.is_empty() {
        all.push(format!(
            "nobody wrote down where {} belong, so they are outside: write them under `inside`, `at` or `outside` of \
             `boundary:`",
            listed(&forgotten)
        ));
    }
    let idle = idle(policy, app.world.clock.now().utc_ms).into_iter();
    all.extend(idle.map(|(rule, why)| format!("rule `{rule}` never decides anything: {why}")));
    let everywhere = policy.rules.iter().filter(|rule| {
        policy.environments.is_empty() && !rule.environments.is_empty() && rule.zone != Zone::Inside
    });
    all.extend(everywhere.map(|rule| {
        format!(
            "rule `{}` names environments and nobody drew a map (`environments:`), so it holds everywhere",
            rule.id
        )
    }));
    all
}

/// People: who can sign, who cannot, and when nobody can be reached.
fn people(engine: &Engine<'_>, written: &Written, zones: &BTreeSet<Zone>) -> Vec<String> {
    let mut all = Vec::new();
    let policy = &engine.runbook().policy;
    let roster = engine.roster();
    let signers: BTreeSet<String> = policy
        .people
        .iter()
        .filter(|(who, person)| {
            let mut names = std::iter::once(*who).chain(&person.also);
            names.any(|name| roster.keys_of(name).next().is_some())
        })
        .map(|(who, _)| who.clone())
        .collect();
    if written.signers.is_some() || !policy.people.is_empty() {
        for who in policy.people.keys().filter(|who| !signers.contains(*who)) {
            all.push(format!(
                "{who} stands under `people:` and has no key in allowed_signers"
            ));
        }
    }
    for recipient in &policy.seal_originals_to {
        if let Some(other) = roster.another_holds(recipient) {
            all.push(format!(
                "the key named for {} under `seal-originals-to:` is {other}'s in allowed_signers: nothing will be sealed to it",
                recipient.person
            ));
        }
    }
    if let [one] = policy.seal_originals_to.as_slice()
        && policy.people.contains_key(&one.person)
    {
        all.push(format!(
            "only {} can open originals: where they act in an incident, nothing is sealed to them, and the originals are lost",
            one.person
        ));
    }
    for (zone, need) in [(Zone::At, &policy.need_at), (Zone::Outside, &policy.need_outside)] {
        if zones.contains(&zone) {
            let missing = people_missing(zone, need, &signers, policy);
            let told = missing.is_some();
            all.extend(missing);
            all.extend(asleep(zone, need, &signers, policy, told));
        }
    }
    all
}

/// Whoever acts in an incident does not count, so one person more is needed than signs.
fn people_missing(zone: Zone, need: &Need, signers: &BTreeSet<String>, policy: &Policy) -> Option<String> {
    let have = u32::try_from(signers.len()).unwrap_or(u32::MAX);
    let lacking = need.roles.iter().find(|role| {
        let holds = |who: &String| policy.people.get(who).is_some_and(|p| p.roles.contains(*role));
        !signers.iter().any(holds)
    });
    let steps = format!("steps {zone} the boundary need {}", need_words(need));
    match lacking {
        Some(role) => Some(format!("{steps}, and nobody who can sign has the role `{role}`")),
        None if have < need.people => Some(format!(
            "{steps}, and {} can sign: they stay blocked",
            count(signers.len(), "person")
                .replace("persons", "people")
                .replace("no person", "nobody")
        )),
        None if have == need.people => Some(format!(
            "{steps}, and exactly as many can sign: they stay blocked whenever one of these is the one on call"
        )),
        None => None,
    }
}

/// The hours of the week at which those who can be reached do not suffice. `told`: that there are too few anyway.
fn asleep(zone: Zone, need: &Need, signers: &BTreeSet<String>, policy: &Policy, told: bool) -> Vec<String> {
    if policy.people.values().all(|p| p.hours.is_none()) {
        return Vec::new();
    }
    let always: Vec<&String> = policy
        .people
        .iter()
        .filter(|(who, p)| p.hours.is_none() && signers.contains(*who))
        .map(|(who, _)| who)
        .collect();
    let always = match always.is_empty() {
        true => String::new(),
        false => format!(
            " ({} counts as there always: nobody wrote `hours:`)",
            listed(&always)
        ),
    };
    let steps = format!("steps {zone} the boundary need {}", need_words(need));
    let never = unmet(policy, need, signers, false);
    let perhaps = unmet(policy, need, signers, true);
    let mut all = Vec::new();
    let whole = matches!(never.as_slice(), [Stretch { from: 0, until: WEEK }]);
    let known = never.is_empty() || told && whole;
    if !known {
        all.push(format!(
            "{steps}, and too few can be reached on {}{always}",
            stretches(&never)
        ));
    }
    if perhaps != never && !told {
        all.push(format!(
            "{steps}, who did not act; where one of those who can be reached is the one who acts, it stays blocked on \
             {}{always}",
            stretches(&perhaps)
        ));
    }
    all
}

/// Stretches of the week in words; many of them by how many there are.
fn stretches(all: &[Stretch]) -> String {
    const MOST: usize = 7;
    if let [Stretch { from: 0, until: WEEK }] = all {
        return "every hour of the week".into();
    }
    let words = all
        .iter()
        .take(MOST)
        .map(|s| format!("{} to {}", minute_word(s.from), minute_word(s.until)));
    let mut words: Vec<String> = words.collect();
    if all.len() > MOST {
        words.push(format!("and {} more", all.len() - MOST));
    }
    listed(&words)
}

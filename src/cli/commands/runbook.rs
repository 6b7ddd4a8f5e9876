//! `runbook list|show|trust|approve|lint`: the files written in advance, before they are needed.

mod approve;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::ui::{Tone, Ui, styled};
use crate::cli::view::{plan, verdict};
use crate::cli::{App, CliError, Exit, wire};
use crate::engine::{Engine, EngineError, SHIPPED_RUNBOOK, SHIPPED_RUNBOOK_NAME, Written};
use crate::evidence::escape;
use crate::model::act::{Act, ResolvedUndo, Stage};
use crate::model::diagnostic::{self, Diagnostic};
use crate::model::effect::{Effect, Zone};
use crate::model::inventory::Inventory;
use crate::model::runbook::{Need, Runbook};
use crate::providers::Registry;
use crate::redact::Redactor;
use crate::report::words::{count, list as listed, need as need_words};
use crate::sshsig::Roster;

/// Arguments of `runbook`.
#[derive(clap::Args)]
pub struct RunbookArgs {
    #[command(subcommand)]
    command: RunbookCommand,
}

#[derive(Subcommand)]
enum RunbookCommand {
    /// List the runbooks that would be found from here; the first is the one in force
    List,
    /// Show a runbook as it would be judged on this host
    Show {
        /// A runbook, or the folder that holds one; without it, the one in force
        file: Option<PathBuf>,
        /// Print the file itself
        #[arg(long)]
        raw: bool,
    },
    /// Sign, in peacetime, for the files as they are now: an agent may be able to write the folder
    ///
    /// What is signed is kept outside the repository. When an incident opens and a file or a script is another, the
    /// trusted copies are in force, the boundary is the stricter of both, and the other script does not run.
    Trust {
        /// Your key in allowed_signers: the private key's file, or its public half for an agent
        #[arg(long, value_name = "FILE")]
        key: String,
    },
    /// Answer, in peacetime, for what nobody understands in an act: its exact words, files and effects
    ///
    /// An approval discharges `unknown` and nothing else: what is seen in the act counts all the same, and it counts
    /// for no quorum. It is signed with your key of the roster and kept beside the runbook, for the whole team.
    #[command(
        override_usage = "incident runbook approve STEP [--undo] [--key FILE]\n       incident runbook approve --effects EFFECTS [--key FILE] -- COMMAND…"
    )]
    Approve(approve::ApproveArgs),
    /// Show every mistake at once, and what will hurt on the day
    Lint {
        /// A file, or the folder that holds runbook.yaml, access.yaml and allowed_signers
        file: Option<PathBuf>,
    },
}

/// Lists, shows or lints.
pub fn run(app: &App, args: &RunbookArgs) -> Result<Exit, CliError> {
    match &args.command {
        RunbookCommand::List => list(app),
        RunbookCommand::Show { file, raw } => show(app, &meant(app, file.as_deref())?, *raw),
        RunbookCommand::Trust { key } => trust(app, key),
        RunbookCommand::Approve(args) => approve::run(app, args),
        RunbookCommand::Lint { file } => lint(app, &meant(app, file.as_deref())?),
    }
}

/// The files that are meant: a folder, one file of it, or what is in force here.
fn meant(app: &App, file: Option<&Path>) -> Result<Written, CliError> {
    // The file itself is meant, not what somebody trusted in its place.
    let as_found = |mut written: Written| {
        written.trust = None;
        written
    };
    let Some(file) = file else {
        return wire::written(&app.world, app.config.as_deref()).map(as_found);
    };
    let path = app.world.host.cwd().join(file);
    if app.world.files.stat(&path).is_ok_and(|s| s.is_dir) {
        return wire::written(&app.world, Some(&path)).map(as_found);
    }
    let bytes = wire::read(&app.world, &path)
        .map_err(|e| CliError::new(Exit::Usage, format!("cannot read {}: {e}", path.display())))?;
    let named = Some((file.display().to_string(), bytes));
    let mut written = Written {
        folder: path.parent().map(PathBuf::from),
        ..Written::default()
    };
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    match name.unwrap_or_default() {
        n if n.starts_with("allowed_signers") => written.signers = named,
        n if n.starts_with("access") => written.access = named,
        _ => written.runbook = named,
    }
    Ok(written)
}

fn list(app: &App) -> Result<Exit, CliError> {
    let mut rows: Vec<(String, Result<Runbook, usize>)> = Vec::new();
    for folder in wire::places(&app.world, app.config.as_deref()) {
        let path = folder.join("runbook.yaml");
        if let Ok(bytes) = wire::read(&app.world, &path) {
            let name = path.display().to_string();
            let read = Runbook::parse(&name, &String::from_utf8_lossy(&bytes)).map_err(|d| d.len());
            rows.push((name, read));
        }
    }
    let shipped = Runbook::parse(SHIPPED_RUNBOOK_NAME, SHIPPED_RUNBOOK).map_err(|d| d.len());
    rows.push((SHIPPED_RUNBOOK_NAME.to_owned(), shipped));
    if app.ui.json {
        let rows = rows.iter().enumerate().map(|(n, (name, read))| {
            json!({
                "file": name, "in_force": n == 0, "mistakes": read.as_ref().err(),
                "name": read.as_ref().ok().map(|r| &r.name), "steps": read.as_ref().ok().map(|r| r.steps.len()),
            })
        });
        app.ui.value(&json!({ "runbooks": rows.collect::<Vec<_>>() }));
        return Ok(Exit::Done);
    }
    for (n, (name, read)) in rows.iter().enumerate() {
        let mark = if n == 0 { "in force" } else { "" };
        let words = match read {
            Ok(runbook) => format!(
                "{}, {}",
                escape(&runbook.name),
                count(runbook.steps.len(), "step")
            ),
            Err(n) => format!("{}: incident runbook lint {name}", count(*n, "mistake")),
        };
        app.ui.line(&format!("{mark:<8}  {}", escape(name)));
        app.ui.wrapped(10, &words);
    }
    Ok(Exit::Done)
}

fn show(app: &App, written: &Written, raw: bool) -> Result<Exit, CliError> {
    if raw {
        let bytes = written.runbook.as_ref().map(|(_, bytes)| bytes.as_slice());
        app.ui.raw(bytes.unwrap_or(SHIPPED_RUNBOOK.as_bytes()));
        return Ok(Exit::Done);
    }
    let engine = app.desk().preview(written)?;
    // A broken runbook is replaced by the shipped one in an incident; somebody who looks must see the mistakes.
    if let (Some((name, _)), false) = (&written.runbook, engine.mistakes.is_empty()) {
        let mine: Vec<Diagnostic> = engine
            .mistakes
            .iter()
            .filter(|d| d.file == *name)
            .cloned()
            .collect();
        if !mine.is_empty() {
            return Err(CliError::mistakes(name, &mine).hint(format!("incident runbook lint {name}")));
        }
    }
    let rows = engine.plan()?;
    if app.ui.json {
        app.ui.value(&plan::json(&rows));
        return Ok(Exit::Done);
    }
    let policy = &engine.runbook().policy;
    app.ui.tone(
        Tone::Head,
        &format!(
            "{} ({})",
            escape(&engine.runbook().name),
            escape(&engine.runbook_name)
        ),
    );
    for (zone, need) in [(Zone::At, &policy.need_at), (Zone::Outside, &policy.need_outside)] {
        app.ui.line(&format!(
            "  {} needs {}, signed within {}",
            styled(verdict::tone(zone), &format!("{:<7}", zone.word())),
            need_words(need),
            crate::model::time::span(policy.valid_ms)
        ));
    }
    let people = listed(policy.people.keys());
    app.ui.wrapped(
        2,
        &format!(
            "people: {}",
            if people.is_empty() {
                "nobody".to_owned()
            } else {
                escape(&people)
            }
        ),
    );
    if !policy.seal_originals_to.is_empty() {
        let to = listed(policy.seal_originals_to.iter().map(|r| &r.person));
        let words = format!("originals of what is redacted: sealed to {}", escape(&to));
        app.ui.wrapped(2, &words);
    }
    for (n, rung) in engine.runbook().reach.ladder.iter().enumerate() {
        let ways: Vec<String> = rung.ways.iter().map(crate::model::runbook::Way::name).collect();
        let words = format!(
            "rung {}: {}, by {}, {} to answer; is sent: {}",
            n + 1,
            escape(&rung.name),
            escape(&ways.join(", ")),
            crate::model::time::span(rung.within_ms),
            escape(&rung.sends.words())
        );
        app.ui.wrapped(2, &words);
    }
    if let Some(lone) = &policy.lone {
        let after = crate::model::time::span(lone.after_ms);
        app.ui.line(&format!(
            "  alone: at the boundary, after {after}; countersigned before the end"
        ));
    }
    plan::show(&app.ui, &rows, false);
    for probe in &engine.runbook().probes {
        app.ui.line(&format!("probe {}", probe.id));
    }
    Ok(Exit::Done)
}

fn trust(app: &App, key: &str) -> Result<Exit, CliError> {
    let mut written = wire::written(&app.world, app.config.as_deref())?;
    if let Some(folder) = &mut written.folder {
        *folder = app.world.host.cwd().join(&*folder);
    }
    let hint = "Read what changed, put allowed_signers in order, then sign with a key that stands in it";
    let refused = |e: EngineError| {
        CliError::from(e)
            .because("nothing was trusted, and what was before still is")
            .hint(hint)
    };
    let (statement, signature, trusting) = app.desk().trust(&written, key).map_err(refused)?;
    let path = written
        .folder
        .as_ref()
        .and_then(|folder| wire::trust_path(&app.world, folder));
    let path =
        path.ok_or_else(|| CliError::new(Exit::Failed, "there is no home folder to keep the record in"))?;
    for (path, bytes) in [
        (wire::signature_of(&path), &signature),
        (path.clone(), &statement),
    ] {
        app.world.files.replace(&path, bytes, 0o600).map_err(|e| {
            CliError::new(Exit::Failed, format!("cannot write {}: {e}", path.display()))
                .because("until both the record and its signature are written, neither counts")
        })?;
    }
    if app.ui.json {
        app.ui.value(&json!({
            "by": trusting.by, "files": trusting.files, "scripts": trusting.scripts, "left": trusting.left,
            "record": path.display().to_string(),
        }));
        return Ok(Exit::Done);
    }
    let words = format!(
        "{} and {}",
        listed(&trusting.files),
        count(trusting.scripts.len(), "script")
    );
    let words = format!("{words}, by {}", escape(&trusting.by));
    app.ui.hanging(Tone::Good, "trusted  ", &words);
    app.ui
        .line("  trusted  this very program, by its SHA-256; a newer version is trusted anew");
    for script in &trusting.scripts {
        app.ui.line(&format!("         {}", escape(script)));
    }
    for left in &trusting.left {
        app.ui.hanging(Tone::Warn, "  left out  ", &escape(left));
    }
    app.ui.line(&format!("  kept in {}", path.display()));
    app.ui
        .line("  Every later change wants it again: incident runbook trust --key FILE");
    Ok(Exit::Done)
}

/// Mistakes of one file, with its text.
struct Linted<'a> {
    file: &'a str,
    text: String,
    mistakes: Vec<Diagnostic>,
}

fn lint(app: &App, written: &Written) -> Result<Exit, CliError> {
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
    let warned = match runbook.is_some() && files.first().is_some_and(|f| f.mistakes.is_empty()) {
        true => warnings(&app.desk().preview(written)?, written)?,
        false => Vec::new(),
    };
    let exit = if wrong > 0 { Exit::Usage } else { Exit::Done };
    if app.ui.json {
        let mistakes = files.iter().flat_map(|f| &f.mistakes).map(as_json);
        app.ui.value(&json!({
            "mistakes": mistakes.collect::<Vec<_>>(), "warnings": warned, "exit": exit.code(),
        }));
        return Ok(exit);
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

/// What can be read and will hurt on the day.
fn warnings(engine: &Engine<'_>, written: &Written) -> Result<Vec<String>, CliError> {
    let mut all = Vec::new();
    let mut zones = BTreeSet::new();
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
    }
    let policy = &engine.runbook().policy;
    let roster = engine.roster();
    let signers: BTreeSet<&String> = policy
        .people
        .keys()
        .filter(|who| roster.keys_of(who).next().is_some())
        .collect();
    if written.signers.is_some() || !policy.people.is_empty() {
        for who in policy.people.keys().filter(|who| !signers.contains(who)) {
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
            all.extend(people_missing(zone, need, &signers, engine.runbook()));
        }
    }
    if engine.runbook().probes.is_empty() {
        all.push("there are no `probes:`, so nothing can ever be called recovered".to_owned());
    }
    Ok(all)
}

/// Whoever acts in an incident does not count, so one person more is needed than signs.
fn people_missing(zone: Zone, need: &Need, signers: &BTreeSet<&String>, runbook: &Runbook) -> Option<String> {
    let have = u32::try_from(signers.len()).unwrap_or(u32::MAX);
    let lacking = need.roles.iter().find(|role| {
        let holds = |who: &&&String| {
            runbook
                .policy
                .people
                .get(**who)
                .is_some_and(|p| p.roles.contains(*role))
        };
        !signers.iter().any(|who| holds(&who))
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

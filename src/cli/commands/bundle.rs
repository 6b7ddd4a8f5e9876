//! `bundle`: the whole record and its evidence in one file that proves itself with plain tools.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::ui::{Tone, Ui};
use crate::cli::{App, CliError, Exit};
use crate::engine::{Engine, EngineError};
use crate::evidence::{self, BundleMeta, Plan, PlanError, WriteError, escape, seal_namespace};
use crate::model::event::Event;
use crate::report::Entry;
use crate::report::words::count;
use crate::store::{Case, Folder, free_in};

/// Arguments of `bundle`.
#[derive(clap::Args)]
#[command(
    after_help = "The sealing is a record of its own, the last one in the bundle; the same seal gives the same bytes."
)]
pub struct BundleArgs {
    /// Where it goes; never replaces anything
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Key to sign it with: your private key, or its public half for an agent; again for others who sign
    #[arg(long, value_name = "FILE")]
    key: Vec<String>,
    /// Hand on evidence that has changed since it was stored; whoever verifies is told which
    #[arg(long)]
    changed: bool,
}

/// One `bundle.sealed` record.
struct Sealed {
    /// Records up to and with it.
    records: u64,
    ts: String,
    who: String,
    signed: bool,
}

/// Largest signature that is read back, in bytes.
const SIGNATURE_CAP: u64 = 16 << 10;

impl From<PlanError> for CliError {
    fn from(error: PlanError) -> Self {
        let message = format!("there is no bundle: {error}");
        match error {
            PlanError::Gone { .. } => CliError::new(Exit::Broken, message).hint(
                "`incident verify` names every file that changed; `--changed` bundles them as they are now",
            ),
            PlanError::Journal(_) => CliError::new(Exit::Broken, message)
                .hint("`incident repair` goes on in a new journal that names the damaged one"),
            _ => CliError::new(Exit::Failed, message),
        }
    }
}

impl From<WriteError> for CliError {
    fn from(error: WriteError) -> Self {
        let message = error.to_string();
        match error {
            WriteError::Changed { .. } => CliError::new(Exit::Broken, message).hint(
                "`incident verify` names every file that changed; `--changed` bundles them as they are now",
            ),
            WriteError::Exists(_) => CliError::new(Exit::Usage, message).hint("Name another file"),
            _ => CliError::new(Exit::Failed, message)
                .stands("the seal is on record")
                .hint("The same command tries again"),
        }
    }
}

/// Seals, signs and writes.
pub fn run(app: &App, args: &BundleArgs) -> Result<Exit, CliError> {
    let path = app.world.host.cwd().join(&args.output);
    super::new_file(app, &path)?;
    let engine = app.desk().resume(&app.which_any()?)?;
    app.tell(&engine);
    let id = engine.incident()?.id().clone();
    let case = app.store.open_case(&id).map_err(EngineError::from)?;
    let (first, others) = match args.key.split_first() {
        Some((first, others)) => (Some(first), others),
        None => (None, [].as_slice()),
    };
    let seal = seal(app, &engine, &case, first.is_some())?;
    let plan = evidence::plan(
        case.path(),
        &BundleMeta {
            incident: id.clone(),
            sealed_by: seal.who.clone(),
            sealed_at: seal.ts.clone(),
            records: Some(seal.records),
            hash_anew: args.changed,
        },
    )?;
    room_for(&plan, &path)?;
    let signature = match first {
        Some(key) => Some(signature(&engine, &case, &seal, &plan, key)?),
        None => kept(&case, &seal),
    };
    evidence::write_file(&plan, signature.as_deref(), &path)?;
    let mut beside = Vec::new();
    for key in others {
        let signed = super::countersign::beside(app, &path, &id, plan.to_sign(), key);
        beside.push(signed.map_err(|e| e.stands("the bundle is written"))?);
    }
    if app.ui.json {
        let (files, bytes) = plan.payload();
        app.ui.value(&json!({ "bundle": {
            "path": path, "incident": id, "records": plan.seal.records, "head": plan.seal.head.to_string(),
            "files": files, "bytes": bytes, "signed": signature.is_some(),
            "beside": beside, "withheld": plan.ledger.withheld,
            "left_out": plan.ledger.foreign, "holes": plan.ledger.holes(),
        }}));
    } else {
        show(&app.ui, &plan, signature.is_some(), &args.output);
        for file in &beside {
            app.ui.line(&format!(
                "  beside it: {}, a signature of its own",
                file.display()
            ));
        }
    }
    Ok(app.finish(&engine, Exit::Done))
}

/// Refuses before anything is signed where the disk cannot hold the bundle.
fn room_for(plan: &Plan, path: &Path) -> Result<(), CliError> {
    let (needed, folder) = (plan.payload().1, path.parent().unwrap_or(Path::new("/")));
    let free = free_in(folder).map_err(EngineError::from)?;
    if free > needed {
        return Ok(());
    }
    let why = format!("{} has room for {free} bytes", folder.display());
    Err(CliError::new(
        Exit::Failed,
        format!("there is no bundle: it holds {needed} bytes of evidence, and {why}"),
    )
    .stands("the seal is on record, and no file was begun")
    .hint("Name a file on another disk with -o"))
}

/// The newest seal where nothing came after it and it serves, else a new one.
fn seal(app: &App, engine: &Engine<'_>, case: &Case, sign: bool) -> Result<Sealed, CliError> {
    if let (Some(seal), true) = newest(case)? {
        let serves = match sign {
            true => seal.signed,
            false => !seal.signed || kept(case, &seal).is_some(),
        };
        if serves && seal.who == app.who {
            return Ok(seal);
        }
    }
    engine.seal(sign)?;
    newest(case)?.0.ok_or_else(|| {
        CliError::new(
            Exit::Failed,
            "the sealing could not be recorded in the case, so there is no bundle",
        )
        .hint(
            "Free some space, or copy the case folder to a disk that can be written and name it with --store",
        )
    })
}

/// The newest seal, and whether it is the newest record.
fn newest(case: &Case) -> Result<(Option<Sealed>, bool), CliError> {
    let mut newest: Option<Sealed> = None;
    let read = case
        .read(|line| {
            if let Ok(Entry {
                event: Event::BundleSealed(e),
                ts,
                who,
                seq,
                ..
            }) = Entry::read(line)
            {
                newest = Some(Sealed {
                    records: seq + 1,
                    ts,
                    who,
                    signed: e.signed,
                });
            }
        })
        .map_err(EngineError::from)?;
    let is_last = newest.as_ref().is_some_and(|s| s.records == read.chain.next);
    Ok((newest, is_last))
}

/// Name of the kept signature. Its number is one past the seal's, so it is no part of the bundle it signs.
fn signature_name(seal: &Sealed) -> String {
    format!("{:08}.seal.sig", seal.records)
}

fn kept(case: &Case, seal: &Sealed) -> Option<Vec<u8>> {
    let path = Path::new(Folder::Anchors.name()).join(signature_name(seal));
    case.read_file(&path, SIGNATURE_CAP).ok()
}

/// The signature kept with the seal, else a new one, kept.
fn signature(
    engine: &Engine<'_>,
    case: &Case,
    seal: &Sealed,
    plan: &Plan,
    key: &str,
) -> Result<Vec<u8>, CliError> {
    if let Some(kept) = kept(case, seal) {
        return Ok(kept);
    }
    let namespace = seal_namespace(&plan.seal.incident);
    let signature = engine.ssh_sign(key, namespace, plan.to_sign()).map_err(|e| {
        CliError::from(e)
            .stands("the seal is on record")
            .hint("The same command with a working key signs it")
    })?;
    case.write_once(Folder::Anchors, &signature_name(seal), &signature)
        .map_err(EngineError::from)?;
    Ok(signature)
}

fn show(ui: &Ui, plan: &Plan, signed: bool, path: &Path) {
    let (files, bytes) = plan.payload();
    let files = count(usize::try_from(files).unwrap_or(usize::MAX), "evidence file");
    ui.tone(
        Tone::Good,
        &format!(
            "{} is sealed and written to {}.",
            plan.seal.incident,
            path.display()
        ),
    );
    ui.line(&format!(
        "  in it     {} records, {files} ({bytes} bytes), the files pinned at the start, sign-offs",
        plan.seal.records
    ));
    ui.line(&format!("  head      {}", plan.seal.head));
    let withheld: Vec<&str> = plan.ledger.withheld.iter().map(|out| out.path.as_str()).collect();
    ui.hanging(
        Tone::Plain,
        "  withheld  ",
        &format!("{}; ledger.json in it says why of each", withheld.join(", ")),
    );
    for out in &plan.ledger.foreign {
        ui.hanging(
            Tone::Warn,
            "  left out  ",
            &format!("{}: {}", escape(&out.path), escape(&out.why)),
        );
    }
    let holes = plan.ledger.holes().len();
    match holes {
        0 => ui.line("  holes     none"),
        n => ui.tone(
            Tone::Warn,
            &format!("  holes     {n}; ledger.json and `incident verify` name them"),
        ),
    }
    match signed {
        true => ui.line("  signed    yes: tagmanifest-sha256.txt.sig covers everything"),
        false => ui.tone(
            Tone::Warn,
            "  signed    no: it shows that it is unchanged, and nobody vouches for it (--key)",
        ),
    }
    ui.line("Anybody checks it without this program, with signers they trust:");
    ui.line(&format!(
        "  tar xf {} && cd {} && sh VERIFY.txt SIGNERS",
        path.display(),
        plan.seal.incident
    ));
    ui.line(&format!("  next: incident verify {}", path.display()));
}

//! `countersign` and `disclose`: what other people do with a bundle that somebody sealed.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit};
use crate::engine::ssh_sign;
use crate::evidence::{
    self, DiscloseError, Signer, VerifyOptions, VerifyReport, Vouched, escape, seal_namespace,
};
use crate::model::ids::IncidentId;
use crate::report::words::count;

/// Arguments of `countersign`.
#[derive(clap::Args)]
#[command(
    after_help = "The bundle is proved unchanged first and never touched. The signature goes into a file of its own \
beside it, BUNDLE.PRINCIPAL.sig, in the form that `ssh-keygen -Y verify` reads; `incident verify` finds it there."
)]
pub struct CountersignArgs {
    /// The bundle, or the folder it was unpacked into
    bundle: PathBuf,
    /// Your private key, or its public half for an agent
    #[arg(long, value_name = "FILE", required = true)]
    key: String,
}

/// Arguments of `disclose`.
#[derive(clap::Args)]
#[command(
    after_help = "The part proves that what is in it belongs to the sealed whole, and cannot pass for it: `incident \
verify` ends 12 and counts what is withheld. It holds the NAMES and hashes of all files, also of those withheld: names of \
evidence can be telling, and the hash of a short text can be guessed."
)]
pub struct DiscloseArgs {
    /// The bundle
    bundle: PathBuf,
    /// Exhibits (0003-host) or files (journal.jsonl, data/0003-host/stdout) to show
    #[arg(long, value_name = "EXHIBIT", required = true, num_args = 1..)]
    only: Vec<String>,
    /// Where the part goes; never replaces anything
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// The bytes that the seal of a bundle signs, and what verification found; refused where it is changed.
pub(super) fn sealed(app: &App, bundle: &Path) -> Result<(Vec<u8>, VerifyReport), CliError> {
    let path = app.world.host.cwd().join(bundle);
    let broken = |why: String| {
        CliError::new(
            Exit::Broken,
            format!("{} is not what was sealed: {why}", bundle.display()),
        )
        .stands("nothing was signed or written")
    };
    let report = evidence::verify(&path, &VerifyOptions::default()).map_err(|e| {
        CliError::new(Exit::Usage, e.to_string()).hint("Name a bundle, or the folder it was unpacked into")
    })?;
    if let Some(fault) = report.faults.first() {
        return Err(broken(format!("{}: {}", fault.place, fault.why)));
    }
    let bytes = evidence::to_countersign(&path).map_err(|f| broken(format!("{}: {}", f.place, f.why)))?;
    Ok((bytes, report))
}

/// Signs the seal of a bundle that is proved unchanged.
pub fn countersign(app: &App, args: &CountersignArgs) -> Result<Exit, CliError> {
    let (bytes, report) = sealed(app, &args.bundle)?;
    let id = report.incident.as_deref().and_then(|id| IncidentId::new(id).ok());
    let id = id.ok_or_else(|| CliError::new(Exit::Broken, "it does not say which incident it is of"))?;
    if !app.ui.json {
        let files = count(
            usize::try_from(report.files).unwrap_or(usize::MAX),
            "evidence file",
        );
        app.ui.line(&format!(
            "{id}: {files}, {} bytes, unchanged since it was sealed.",
            report.bytes
        ));
        if let Some(journal) = &report.journal {
            app.ui
                .line(&format!("  {} records, head {}", journal.records, journal.head));
        }
        let sealed = match &report.vouched {
            Vouched::SelfAsserted(signer) | Vouched::Pinned(signer) | Vouched::Unknown(signer) => {
                format!("sealed with {}", by(signer))
            }
            Vouched::Unsigned | Vouched::NotAsked => "sealed without a signature".to_owned(),
        };
        app.ui.line(&format!("  {sealed}"));
    }
    let path = app.world.host.cwd().join(&args.bundle);
    let written = beside(app, &path, &id, &bytes, &args.key)?;
    if app.ui.json {
        app.ui
            .value(&json!({ "countersigned": { "bundle": path, "incident": id, "signature": written } }));
        return Ok(Exit::Done);
    }
    app.ui.tone(
        Tone::Good,
        &format!("Your signature is in {}.", written.display()),
    );
    app.ui.line(&format!(
        "  next: incident verify {} --signers FILE",
        args.bundle.display()
    ));
    Ok(Exit::Done)
}

fn by(signer: &Signer) -> String {
    match &signer.principal {
        Some(who) => format!("{}, by its own roster {}", signer.fingerprint, escape(who)),
        None => signer.fingerprint.clone(),
    }
}

/// Signs, and writes `<bundle>.<principal>.sig`; the principal by the bundle's own roster, else the key's print.
pub(super) fn beside(
    app: &App,
    bundle: &Path,
    id: &IncidentId,
    bytes: &[u8],
    key: &str,
) -> Result<PathBuf, CliError> {
    let signature = ssh_sign(&app.world, key, seal_namespace(id), bytes)?;
    let whose = evidence::signer_name(bundle, &signature);
    // The folder of an unpacked bundle may be named by a path without a name, such as `.`.
    let path = bundle.canonicalize().unwrap_or_else(|_| bundle.to_owned());
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let out = path.with_file_name(format!("{name}.{whose}.sig"));
    super::new_file(app, &out)?;
    app.world
        .files
        .replace(&out, &signature, 0o644)
        .map_err(|e| CliError::new(Exit::Failed, format!("cannot write {}: {e}", out.display())))?;
    Ok(out)
}

/// Writes a part of a bundle.
pub fn disclose(app: &App, args: &DiscloseArgs) -> Result<Exit, CliError> {
    let out = app.world.host.cwd().join(&args.output);
    super::new_file(app, &out)?;
    let path = app.world.host.cwd().join(&args.bundle);
    // What is not there is not broken.
    app.world.files.stat(&path).map_err(|e| {
        CliError::new(Exit::Usage, format!("cannot read {}: {e}", path.display()))
            .stands("nothing was written")
            .hint("name a bundle as `incident bundle -o FILE` wrote it")
    })?;
    let part = evidence::disclose(&path, &args.only, &out).map_err(|e| match e {
        DiscloseError::Damaged(_) => CliError::new(Exit::Broken, e.to_string()).stands("nothing was written"),
        DiscloseError::Write(e) => CliError::new(Exit::Failed, e.to_string())
            .stands("the bundle is as it was, and no part was written")
            .hint("name a place that can be written with -o"),
        other => CliError::new(Exit::Usage, other.to_string())
            .stands("nothing was written")
            .hint(format!(
                "`incident evidence show --in {}` lists what is in it",
                path.display()
            )),
    })?;
    let (shown, withheld) = (part.shown.len(), part.of - part.shown.len());
    if app.ui.json {
        app.ui.value(&json!({ "part": {
            "path": out, "incident": part.incident, "shown": part.shown, "of": part.of, "signed": part.signed,
        }}));
        return Ok(Exit::Done);
    }
    let ui = &app.ui;
    ui.tone(
        Tone::Good,
        &format!(
            "{shown} of {} files of {} are in {}.",
            part.of,
            part.incident,
            args.output.display()
        ),
    );
    ui.line(&format!(
        "  withheld  {withheld}; DISCLOSURE.txt in it names them, and the names themselves may be telling"
    ));
    if !part.signed {
        ui.tone(
            Tone::Warn,
            "  signed    no: nobody vouches for the whole it is a part of",
        );
    }
    ui.line(&format!(
        "  next: incident verify {} --signers FILE   (ends 12: it is a part)",
        args.output.display()
    ));
    Ok(Exit::Done)
}

//! `verify`: is it unchanged, who vouches for it, is everything there?

use std::path::PathBuf;

use crate::cli::ui::{Tone, Ui};
use crate::cli::{App, CliError, Exit};
use crate::evidence::{self, Kind, VerifyError, VerifyOptions, VerifyReport, escape};
use crate::model::ids::IncidentId;
use crate::report::words::count;

/// Arguments of `verify`.
#[derive(clap::Args)]
#[command(
    after_help = "Three answers are kept apart: unchanged (ends 10 where not), vouched for (11 where not known), \
complete (12 where not). Nothing is unpacked and nothing in it is believed; signers must come from elsewhere."
)]
pub struct VerifyArgs {
    /// A bundle, the folder it was unpacked into, a case folder, or the id of an incident kept here
    path: Option<PathBuf>,
    /// An allowed_signers file that you got from somewhere else than the bundle
    #[arg(long, value_name = "FILE")]
    signers: Option<PathBuf>,
    /// Keys that never count: an OpenSSH revocation list (KRL), or a public key a line
    #[arg(long, value_name = "FILE")]
    revoked: Option<PathBuf>,
    /// A signature over the seal that must count; those beside the bundle (BUNDLE.*.sig) are found by themselves
    #[arg(long, value_name = "FILE")]
    signature: Vec<PathBuf>,
    /// The time-stamp authority's own certificate (PEM), got from elsewhere: proves time stamps
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
    /// A folder of batches, or one file of them, as it was fetched from the mirror: how far does it agree?
    #[arg(long, value_name = "FOLDER")]
    mirror: Option<PathBuf>,
}

/// Largest file with signers, revoked keys or certificates that is read, in bytes.
const SIGNERS_CAP: u64 = 1 << 20;
/// Faults and holes shown on screen; `--json` has all that were kept.
const SHOWN: usize = 10;

/// Verifies, and says what was found.
pub fn run(app: &App, args: &VerifyArgs) -> Result<Exit, CliError> {
    let path = match &args.path {
        Some(path) => here(app, path),
        None => app.store.root().join(app.which_any()?.as_str()),
    };
    let read = |file: &Option<PathBuf>| -> Result<Option<Vec<u8>>, CliError> {
        let Some(file) = file else { return Ok(None) };
        let file = app.world.host.cwd().join(file);
        let read = app.world.files.read(&file, SIGNERS_CAP);
        let unreadable = |e| {
            CliError::new(Exit::Usage, format!("cannot read {}: {e}", file.display()))
                .stands("nothing was verified")
                .hint("Name a file that you got from elsewhere, or leave it out: then nobody is vouched for")
        };
        read.map(Some).map_err(unreadable)
    };
    let (signers, revoked, authority) = (read(&args.signers)?, read(&args.revoked)?, read(&args.authority)?);
    let cwd = app.world.host.cwd();
    let signatures: Vec<PathBuf> = args.signature.iter().map(|file| cwd.join(file)).collect();
    let options = VerifyOptions {
        pinned_signers: signers.as_deref(),
        revoked: revoked.as_deref(),
        authority: authority.as_deref(),
        signatures: &signatures,
    };
    let report = evidence::verify(&path, &options).map_err(|e| match e {
        VerifyError::Signers(found) => {
            let named = args.signers.as_ref().map(|f| f.display().to_string());
            CliError::mistakes(&named.unwrap_or_default(), &found)
        }
        other @ (VerifyError::Revoked(_) | VerifyError::NoSeal(_)) => {
            CliError::new(Exit::Usage, other.to_string())
        }
        other => CliError::new(Exit::Usage, other.to_string()).hint(
            "Name a bundle, its unpacked folder, or a case folder; `incident list` shows what is kept here",
        ),
    })?;
    let mut exit = match report.exit_code() {
        10 => Exit::Broken,
        11 => Exit::NotVouched,
        12 => Exit::Incomplete,
        _ => Exit::Done,
    };
    let agreement = match &args.mirror {
        Some(copy) => Some(super::mirror::compared(app, &path, copy)?),
        None => None,
    };
    if agreement.as_ref().is_some_and(|a| a.differs.is_some()) {
        exit = Exit::Broken;
    }
    if app.ui.json {
        let mut value = serde_json::to_value(&report).unwrap_or_default();
        value["answers"] = serde_json::json!(report.words());
        value["mirror"] = serde_json::json!(agreement);
        value["exit"] = serde_json::json!(exit.code());
        app.ui.value(&value);
        return Ok(exit);
    }
    show(&app.ui, &report);
    if let Some(agreement) = &agreement {
        super::mirror::show_agreement(&app.ui, agreement);
    }
    if exit == Exit::Broken {
        app.ui
            .line("  next: keep this one; verify another copy: the mirror's, another person's");
    }
    if exit == Exit::NotVouched && signers.is_none() {
        let path = args
            .path
            .as_ref()
            .map(|p| format!(" {}", p.display()))
            .unwrap_or_default();
        app.ui.line(&format!(
            "  next: incident verify{path} --signers FILE, with signers you got from elsewhere"
        ));
    }
    Ok(exit)
}

/// The path as given, or the folder of the case of that name.
pub(super) fn here(app: &App, given: &std::path::Path) -> PathBuf {
    let path = app.world.host.cwd().join(given);
    let id = given.to_str().and_then(|text| IncidentId::new(text).ok());
    match id {
        Some(id) if app.world.files.stat(&path).is_err() => {
            let kept = app.store.root().join(id.as_str());
            match app.world.files.stat(&kept) {
                Ok(_) => kept,
                Err(_) => path,
            }
        }
        _ => path,
    }
}

fn show(ui: &Ui, report: &VerifyReport) {
    let kind = match report.kind {
        Kind::Bundle => "bundle",
        Kind::UnpackedBundle => "unpacked bundle",
        Kind::Case => "case folder",
        Kind::Part => "part of a bundle",
    };
    let files = usize::try_from(report.files).unwrap_or(usize::MAX);
    ui.tone(
        Tone::Head,
        &format!(
            "{} ({kind}, {}, {} bytes)",
            escape(
                report
                    .incident
                    .as_deref()
                    .unwrap_or("no incident that can be read")
            ),
            count(files, "evidence file"),
            report.bytes
        ),
    );
    let tones = [report.unchanged(), report.vouched_for(), report.complete()];
    for (n, sentence) in report.words().iter().enumerate() {
        let tone = match (n, tones.get(n)) {
            (_, Some(true)) => Tone::Good,
            (0, Some(false)) => Tone::Bad,
            (_, Some(false)) => Tone::Warn,
            (_, None) => Tone::Plain,
        };
        ui.hanging(tone, "  ", &escape(sentence));
    }
    for signoff in &report.signoffs {
        let who = match &signoff.signer.principal {
            Some(who) => escape(who),
            None => format!("an unknown key {}", signoff.signer.fingerprint),
        };
        ui.wrapped(
            4,
            &escape(&format!(
                "{} is signed by {who}, who saw record {}",
                signoff.file, signoff.head_seq
            )),
        );
    }
    for signed in &report.countersigned {
        ui.wrapped(4, &escape(&signed.words()));
    }
    for receipt in &report.receipts {
        ui.wrapped(4, &escape(&receipt.words()));
    }
    let faults = report.faults.iter().map(|f| format!("{}: {}", f.place, f.why));
    more(ui, "also changed", faults.skip(1).collect());
    let holes = report.holes.iter().map(|h| format!("{}: {}", h.what, h.why));
    more(ui, "also missing", holes.skip(1).collect());
    more(ui, "note", report.notes.clone());
}

fn more(ui: &Ui, label: &str, all: Vec<String>) {
    for text in all.iter().take(SHOWN) {
        ui.wrapped(4, &format!("{label}: {}", escape(text)));
    }
    if all.len() > SHOWN {
        ui.line(&format!(
            "    and {} more ({label}); --json has them",
            all.len() - SHOWN
        ));
    }
}

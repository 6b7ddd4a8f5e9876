//! `anchor`: the head of the record held where nobody here can change it. Nothing is sent from here.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit};
use crate::engine::Anchored;
use crate::evidence::{REPLY_CAP, StampRequest, escape};
use crate::journal::Hash;

/// Arguments of `anchor`.
#[derive(clap::Args)]
#[command(
    after_help = "Alone it prints the head line and its short code, to be pasted where the agent cannot reach: a chat, \
a ticket. A time stamp (RFC 3161) is asked for by file: --tsq writes the request, you carry it to an authority, --tsr \
files the answer. What reached an authority tells that, and when, there was an incident."
)]
pub struct AnchorArgs {
    /// Write a time-stamp request for the newest record into this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tsr", "note"])]
    tsq: Option<PathBuf>,
    /// File the authority's answer to a request of this record
    #[arg(long, value_name = "FILE", conflicts_with = "note")]
    tsr: Option<PathBuf>,
    /// Record where people were shown the head: "pasted in #incident at 03:40"
    #[arg(long, value_name = "WORDS")]
    note: Option<String>,
    /// Short code of the head they were shown, where it is not the newest
    #[arg(long, value_name = "CODE", requires = "note")]
    head: Option<String>,
    /// With --tsq: the seal of this bundle instead of a record; the answer goes beside it as BUNDLE.tsr
    #[arg(long, value_name = "BUNDLE", requires = "tsq")]
    bundle: Option<PathBuf>,
}

/// Prints the head, or files what holds it.
pub fn run(app: &App, args: &AnchorArgs) -> Result<Exit, CliError> {
    if let (Some(bundle), Some(out)) = (&args.bundle, &args.tsq) {
        return of_bundle(app, bundle, out);
    }
    let out = match &args.tsq {
        None => None,
        Some(out) => {
            let path = app.world.host.cwd().join(out);
            super::new_file(app, &path)?;
            Some((out, path))
        }
    };
    let engine = app.desk().resume(&app.which_any()?)?;
    app.tell(&engine);
    let told = match (&out, &args.tsr, &args.note) {
        (Some((_, path)), ..) => {
            let asked = engine.ask_stamp()?;
            write(app, path, &asked.bytes)?;
            asked
        }
        (_, Some(reply), _) => {
            let path = app.world.host.cwd().join(reply);
            let read = app.world.files.read(&path, REPLY_CAP);
            let reply = read.map_err(|e| {
                CliError::new(Exit::Usage, format!("cannot read {}: {e}", path.display()))
                    .stands("nothing was filed")
                    .hint("Name the authority's answer to a request that `incident anchor --tsq FILE` wrote")
            })?;
            engine.file_stamp(&reply)?
        }
        (_, _, Some(words)) => engine.witnessed(words, args.head.as_deref())?,
        _ => {
            let head = engine.head_line()?;
            Anchored {
                time: None,
                file: String::new(),
                about: String::new(),
                bytes: Vec::new(),
                head,
            }
        }
    };
    if app.ui.json {
        app.ui.value(&json!({ "anchor": {
            "head": told.head.line().trim_end(), "code": told.head.code(), "record": told.head.seq,
            "time": told.time, "file": told.file,
        }}));
        return Ok(app.finish(&engine, Exit::Done));
    }
    let (seq, code) = (told.head.seq, told.head.code());
    let ui = &app.ui;
    match (&out, &args.tsr, &args.note) {
        (Some((out, _)), ..) => carry(
            app,
            &format!("record {seq} ({code})"),
            out,
            "incident anchor --tsr ANSWER.tsr",
        ),
        (_, Some(_), _) => {
            let time = told.time.as_deref().unwrap_or_default();
            ui.tone(
                Tone::Good,
                &format!("A time stamp of record {seq} ({code}) is filed: it says {time}."),
            );
            ui.line("Its nonce and hash are those of a request of this record. Its signature is checked by");
            ui.line(&format!(
                "  openssl ts -verify -data {} -in {} -CAfile CA.pem",
                told.about, told.file
            ));
            ui.line("in the case folder, or by `incident verify --authority CERT.pem`.");
        }
        (_, _, Some(words)) => {
            let words = escape(words);
            ui.line(&format!(
                "On record: record {seq} ({code}) was shown to others: {words}"
            ));
            ui.line("They can say so later; this record alone cannot prove it.");
        }
        _ => {
            ui.line(told.head.line().trim_end());
            ui.line(&format!("short code: {code}"));
            ui.line("Paste it where the agent cannot reach, then say where:");
            ui.line(&format!(
                "  incident anchor --head {code} --note \"pasted in #incident at 03:40\""
            ));
        }
    }
    Ok(app.finish(&engine, Exit::Done))
}

/// A request for the time stamp of a sealed bundle. No record is needed or changed.
fn of_bundle(app: &App, bundle: &Path, out: &Path) -> Result<Exit, CliError> {
    let path = app.world.host.cwd().join(out);
    super::new_file(app, &path)?;
    let (whole, report) = super::countersign::sealed(app, bundle)?;
    let mut random = [0; 16];
    app.world
        .entropy
        .fill(&mut random)
        .map_err(crate::engine::EngineError::from)?;
    let request = StampRequest::new(Hash::of(&whole), random);
    write(app, &path, &request.der())?;
    let about = report.incident.unwrap_or_default();
    if app.ui.json {
        app.ui.value(&json!({ "anchor": { "incident": about, "imprint": request.imprint.to_string(), "request": path } }));
        return Ok(Exit::Done);
    }
    carry(
        app,
        &format!("the seal of {}", escape(&about)),
        out,
        &format!(
            "mv ANSWER.tsr {0}.tsr && incident verify {0} --authority CERT.pem",
            bundle.display()
        ),
    );
    Ok(Exit::Done)
}

fn carry(app: &App, what: &str, out: &Path, next: &str) {
    let ui = &app.ui;
    ui.line(&format!(
        "A request for a time stamp of {what} is in {}.",
        out.display()
    ));
    ui.line("Nothing was sent. Carry it to an authority, for example:");
    ui.line(&format!(
        "  curl -H 'Content-Type: application/timestamp-query' --data-binary @{} -o ANSWER.tsr URL",
        out.display()
    ));
    ui.line(&format!("  next: {next}"));
}

fn write(app: &App, path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let wrote = app.world.files.replace(path, bytes, 0o644);
    wrote.map_err(|e| CliError::new(Exit::Failed, format!("cannot write {}: {e}", path.display())))
}

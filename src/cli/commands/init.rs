//! `init`: the files written in advance, to fill in.

use std::path::PathBuf;

use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit};

/// Arguments of `init`.
#[derive(clap::Args)]
#[command(
    after_help = "Writes runbook.yaml, access.yaml, allowed_signers and boundary-tests.yaml, each with its explanations. Never replaces a file."
)]
pub struct InitArgs {
    /// Where; `incident/` in a repository is found from everywhere below it
    #[arg(default_value = "incident")]
    folder: PathBuf,
}

/// What is written, by name.
const FILES: [(&str, &str); 4] = [
    (
        "runbook.yaml",
        include_str!("../../../runbooks/init/runbook.yaml"),
    ),
    ("access.yaml", include_str!("../../../runbooks/init/access.yaml")),
    (
        "boundary-tests.yaml",
        include_str!("../../../runbooks/init/boundary-tests.yaml"),
    ),
    (
        "allowed_signers",
        include_str!("../../../runbooks/init/allowed_signers"),
    ),
];

/// Writes what is not there yet.
pub fn run(app: &App, args: &InitArgs) -> Result<Exit, CliError> {
    let folder = app.world.host.cwd().join(&args.folder);
    let mut written = Vec::new();
    let mut kept = Vec::new();
    for (name, text) in FILES {
        let path = folder.join(name);
        let shown = args.folder.join(name).display().to_string();
        if app.world.files.stat(&path).is_ok() {
            kept.push(shown);
            continue;
        }
        app.world
            .files
            .replace(&path, text.as_bytes(), 0o644)
            .map_err(|e| {
                let error = CliError::new(Exit::Failed, format!("cannot write {}: {e}", path.display()));
                match written.is_empty() {
                    true => error.because("nothing was written"),
                    false => error.because(format!("written so far: {}", written.join(", "))),
                }
            })?;
        written.push(shown);
    }
    if app.ui.json {
        app.ui
            .value(&serde_json::json!({ "written": written, "kept": kept }));
        return Ok(Exit::Done);
    }
    for path in &written {
        app.ui.tone(Tone::Good, &format!("written  {path}"));
    }
    for path in &kept {
        app.ui.line(&format!("kept     {path}: it was there already"));
    }
    let at = args.folder.display();
    app.ui.line("Fill them in, then:");
    app.ui.line(&format!("  next: incident runbook lint {at}"));
    app.ui.line("  next: incident access check");
    Ok(Exit::Done)
}

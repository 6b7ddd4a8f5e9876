//! `access add`: one more grant in access.yaml, the rest of the file left as it is.

use std::path::PathBuf;

use crate::access::add::add;
use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit, wire};
use crate::model::grant::{Grant, Shared};
use crate::model::ids::TargetId;
use crate::model::secret::SecretRef;

/// Arguments of `access add`.
#[derive(clap::Args)]
#[command(
    after_help = "SOURCE is env:NAME, file:PATH, process:NAME (a variable of the agent, read while it is frozen) or \
command:WORDS. A secret itself is never written down."
)]
pub struct AddArgs {
    /// Name of the grant in the record and on screen
    id: TargetId,
    /// The adapter that cuts it; `incident access providers` lists them
    #[arg(long, value_name = "NAME")]
    provider: String,
    /// Agent that holds it
    #[arg(long, value_name = "NAME", default_value = "agent")]
    agent: String,
    /// What the adapter needs to name it
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    with: Vec<(String, String)>,
    /// Where the responder's credential is read from
    #[arg(long, value_name = "SOURCE", value_parser = source)]
    auth: Option<SecretRef>,
    /// Where the agent's own secret is read from, to try it
    #[arg(long, value_name = "SOURCE", value_parser = source)]
    secret: Option<SecretRef>,
    /// Who else uses it: no, production or responder
    #[arg(long, value_name = "WHO", default_value = "no", value_parser = shared)]
    shared: Shared,
    /// What it reaches, in your words
    #[arg(long, value_name = "WHAT")]
    reaches: Vec<String>,
}

/// `KEY=VALUE`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn source(text: &str) -> Result<SecretRef, String> {
    // What is wrong is not repeated: it may be the secret.
    let wrong =
        || "write env:NAME, file:PATH, process:NAME or command:WORDS; never the secret itself".to_owned();
    let (kind, rest) = text
        .split_once(':')
        .filter(|(_, rest)| !rest.is_empty())
        .ok_or_else(wrong)?;
    Ok(match kind {
        "env" => SecretRef::Env(rest.to_owned()),
        "file" => SecretRef::File(PathBuf::from(rest)),
        "process" => SecretRef::Process(rest.to_owned()),
        "command" => SecretRef::Command(rest.split_whitespace().map(str::to_owned).collect()),
        _ => return Err(wrong()),
    })
}

fn shared(text: &str) -> Result<Shared, String> {
    match text {
        "no" => Ok(Shared::No),
        "production" => Ok(Shared::Production),
        "responder" => Ok(Shared::Responder),
        _ => Err("write no, production or responder".to_owned()),
    }
}

/// Writes the grant.
pub fn run(app: &App, args: &AddArgs) -> Result<Exit, CliError> {
    let world = &app.world;
    let written = wire::written(world, app.config.as_deref())?;
    let folder = written
        .folder
        .unwrap_or_else(|| world.host.cwd().join("incident"));
    let path = folder.join("access.yaml");
    let name = path.display().to_string();
    let known = app
        .desk()
        .preview(&wire::written(world, app.config.as_deref())?)?;
    known
        .registry()
        .find(&args.provider)
        .map_err(|e| CliError::new(Exit::Usage, e.to_string()).stands("nothing was written"))?;
    let mode = world.files.stat(&path).map_or(0o644, |s| s.mode);
    let text = match wire::read(world, &path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map_err(|_| CliError::new(Exit::Usage, format!("{name} is not UTF-8 text")))?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(CliError::new(Exit::Failed, format!("cannot read {name}: {e}"))),
    };
    let grant = Grant {
        id: args.id.clone(),
        provider: args.provider.clone(),
        agent: Some(args.agent.clone()),
        with: args.with.iter().cloned().collect(),
        auth: args.auth.clone(),
        secret: args.secret.clone(),
        shared: args.shared,
        reaches: args.reaches.clone(),
    };
    let changed = add(&name, &text, &grant).map_err(|e| {
        let mut error = CliError::new(Exit::Usage, e.to_string()).stands("nothing was written");
        error.hints.extend(e.lines.lines().map(str::to_owned));
        error
    })?;
    let no = |e: std::io::Error| CliError::new(Exit::Failed, format!("cannot write {name}: {e}"));
    world.files.replace(&path, changed.as_bytes(), mode).map_err(no)?;
    if app.ui.json {
        app.ui
            .value(&serde_json::json!({"written": name, "grant": grant.id}));
        return Ok(Exit::Done);
    }
    app.ui
        .tone(Tone::Good, &format!("{} is written to {name}", grant.id));
    app.ui.line("  next: incident access check");
    Ok(Exit::Done)
}

//! `access providers`: what can be cut elsewhere, what it takes, and what proves it.

use serde_json::json;

use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit};
use crate::evidence::escape;
use crate::providers::sheet::{Sheet, page};
use crate::providers::{Registry, UnknownProvider};

/// Arguments of `access providers`.
#[derive(clap::Args)]
pub struct ProvidersArgs {
    /// Show everything about this one
    provider: Option<String>,
    /// Write the page for the documentation
    #[arg(long, conflicts_with = "provider")]
    markdown: bool,
}

/// Lists the providers, or shows one.
pub fn run(app: &App, args: &ProvidersArgs, registry: &Registry) -> Result<Exit, CliError> {
    if args.markdown {
        // The documentation is about what ships, not about this team's own tables.
        app.ui.raw(page(&Registry::shipped()).as_bytes());
        return Ok(Exit::Done);
    }
    let wanted = match &args.provider {
        Some(name) => vec![Sheet::of(registry.find(name).map_err(unknown)?)],
        None => registry.all().map(Sheet::of).collect(),
    };
    if app.ui.json {
        app.ui.value(&json!({ "providers": wanted }));
        return Ok(Exit::Done);
    }
    match (&args.provider, wanted.as_slice()) {
        (Some(_), [sheet]) => one(app, sheet),
        (_, sheets) => {
            for sheet in sheets {
                let head = format!("{:<26} ", sheet.provider);
                app.ui.hanging(Tone::Plain, &head, &escape(&sheet.title));
            }
            app.ui
                .line("What one of them needs, and what proves it: incident access providers NAME");
            app.ui
                .line("A team's own provider is a table under `providers:` in access.yaml.");
        }
    }
    Ok(Exit::Done)
}

fn one(app: &App, sheet: &Sheet) {
    app.ui.tone(Tone::Head, &sheet.provider);
    app.ui.wrapped(2, &escape(&sheet.title));
    let row = |name: &str, text: &str| {
        if !text.is_empty() {
            app.ui
                .hanging(Tone::Plain, &format!("  {name:<12} "), &escape(text));
        }
    };
    row("kinds", &sheet.about.kinds.join(", "));
    row("you need", &sheet.about.permissions.join("; "));
    for (n, (key, is)) in sheet.about.needs.iter().enumerate() {
        let name = if n == 0 { "with" } else { "" };
        row(name, &format!("{key}: {is}"));
    }
    row("undo", sheet.undo());
    row("revives", sheet.revives.as_deref().unwrap_or(""));
    row("window", &sheet.window());
    row("check first", &sheet.check());
    row("proved by", sheet.proved());
    row("by hand", &sheet.about.manual);
}

fn unknown(error: UnknownProvider) -> CliError {
    let near = crate::model::yaml::nearest(
        &error.name,
        &error.known.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let hint = match near {
        Some(name) => format!("did you mean {name}?"),
        None => "incident access providers lists them".to_owned(),
    };
    let mut told = CliError::new(Exit::Usage, format!("no provider is named `{}`", error.name));
    told.hints.push(hint);
    told
}

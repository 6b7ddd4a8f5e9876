//! `capture`: look and keep what is seen; or say what a look would touch.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit, deeds};
use crate::collectors::{self, Item, Scene, TakeKind};
use crate::engine::EngineError;
use crate::evidence::escape;
use crate::model::act::{Act, CaptureSpec, Given};
use crate::model::ids::StepId;
use crate::model::secret::SecretRef;

/// Arguments of `capture`.
#[derive(clap::Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("what").args(["step", "list", "host", "file", "git"]).required(true))]
pub struct CaptureArgs {
    /// A step of the runbook, or a collector and what it is given
    #[arg(value_name = "STEP|COLLECTOR")]
    step: Option<StepId>,
    /// For a collector: NAME=VALUE, or NAME=env:VARIABLE and NAME=file:PATH for what is secret
    #[arg(requires = "step", value_name = "NAME=VALUE")]
    given: Vec<String>,
    /// For a collector: also an item that changes something
    #[arg(long, requires = "step", value_name = "ITEM")]
    changing: Vec<String>,
    /// Say what would be touched, and touch nothing
    #[arg(long)]
    plan: bool,
    /// Name the collectors and what they are given
    #[arg(long)]
    list: bool,
    /// This host
    #[arg(long)]
    host: bool,
    /// A file or a folder
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// A git repository
    #[arg(long, value_name = "PATH")]
    git: Option<PathBuf>,
}

/// Takes a look.
pub fn run(app: &App, args: &CaptureArgs) -> Result<Exit, CliError> {
    if args.list {
        list(app);
        return Ok(Exit::Done);
    }
    if args.plan {
        return plan(app, args);
    }
    let engine = app.engine()?;
    let purpose = if engine.incident()?.baseline.is_some() {
        "addendum"
    } else {
        "baseline"
    };
    deeds::room(&app.ui, &engine);
    let captured = match &args.step {
        Some(step) if engine.runbook().step(step).is_some() => {
            if !args.given.is_empty() || !args.changing.is_empty() {
                let words = format!("`{step}` is a step of the runbook: what it is given stands there");
                return Err(CliError::new(Exit::Usage, words));
            }
            engine.capture_step(step, purpose)?
        }
        _ => {
            let spec = spec(app, args)?;
            // What is missing is a question to whoever typed it, not a hole in the record.
            engine.capture_plan(&spec)?;
            engine.capture(&spec, None, purpose)?
        }
    };
    deeds::captured(&app.ui, &captured);
    if app.world.interrupt.count() > 0 {
        let words = "interrupted: what was kept until then is on record, and what is missing with its reason";
        return Err(CliError::new(Exit::Interrupted, words).hint("the same command looks again, beside it"));
    }
    let incident = engine.incident()?;
    let kept = incident
        .captures
        .get(&captured.capture)
        .is_some_and(|c| c.has_something());
    Ok(app.finish(&engine, if kept { Exit::Done } else { Exit::Failed }))
}

/// What the arguments say is looked at.
fn spec(app: &App, args: &CaptureArgs) -> Result<CaptureSpec, CliError> {
    let cwd = app.world.host.cwd();
    Ok(match (&args.step, &args.file, &args.git) {
        (Some(name), _, _) => collector(name.as_str(), args)?,
        (_, Some(path), _) => CaptureSpec::File { path: cwd.join(path) },
        (_, _, Some(path)) => CaptureSpec::Git { repo: cwd.join(path) },
        _ => CaptureSpec::Host,
    })
}

/// A collector with what is given on the command line.
fn collector(name: &str, args: &CaptureArgs) -> Result<CaptureSpec, CliError> {
    if collectors::by_name(name).is_none() {
        let known: Vec<&str> = collectors::names().collect();
        let near = crate::model::yaml::nearest(name, &known);
        let words = format!("`{name}` is neither a step of the runbook nor a collector");
        let mut error = CliError::new(Exit::Usage, words);
        error.hints.push(match near {
            Some(near) => format!("did you mean {near}?"),
            None => "`incident capture --list` names the collectors, `incident plan` the steps".to_owned(),
        });
        return Err(error);
    }
    let mut with = BTreeMap::new();
    for pair in &args.given {
        let Some((key, value)) = pair.split_once('=') else {
            let words = format!("`{}` is not NAME=VALUE", escape(pair));
            return Err(CliError::new(Exit::Usage, words)
                .stands("nothing was looked at")
                .hint("`incident capture --list` names every look and what it is given"));
        };
        with.insert(key.to_owned(), given(value));
    }
    let changing = args.changing.clone();
    Ok(CaptureSpec::Collector {
        name: name.to_owned(),
        with,
        changing,
    })
}

fn given(value: &str) -> Given {
    match value.split_once(':') {
        Some(("env", name)) => Given::Secret(SecretRef::Env(name.to_owned())),
        Some(("file", path)) => Given::Secret(SecretRef::File(path.into())),
        _ => Given::Text(value.to_owned()),
    }
}

/// What would be touched; needs no incident.
fn plan(app: &App, args: &CaptureArgs) -> Result<Exit, CliError> {
    let engine = app.engine().ok();
    let step = match (&args.step, &engine) {
        (Some(step), Some(engine)) => engine.runbook().step(step).cloned(),
        _ => None,
    };
    let spec = match step.map(|step| step.act) {
        Some(Act::Capture(spec)) => spec,
        Some(_) => return Err(CliError::new(Exit::Usage, "that step is no look".to_owned())),
        None => spec(app, args)?,
    };
    let items = match &engine {
        Some(engine) => engine.capture_plan(&spec)?,
        None => {
            let scene = Scene::of(&app.world, &app.world.host.cwd());
            collectors::plan(&spec, &scene).map_err(EngineError::from)?
        }
    };
    if app.ui.json {
        let items = items
            .iter()
            .map(|item| json!({ "name": item.name, "touches": item.touches }));
        app.ui.value(&json!({ "items": items.collect::<Vec<_>>() }));
        return Ok(Exit::Done);
    }
    for Item { name, touches } in &items {
        app.ui
            .hanging(Tone::Plain, &format!("{:<28} ", escape(name)), &escape(touches));
    }
    app.ui.line("In this order. Nothing was touched.");
    if let Some(engine) = &engine {
        deeds::room(&app.ui, engine);
    }
    Ok(Exit::Done)
}

/// Every collector, and what it is given.
fn list(app: &App) {
    let tables: Vec<_> = collectors::names().filter_map(collectors::by_name).collect();
    if app.ui.json {
        let rows = tables.iter().map(|table| {
            let takes = table.takes.iter().map(|(name, take)| {
                let secret = take.kind == TakeKind::Secret;
                json!({ "name": name, "about": take.about, "default": take.default, "secret": secret })
            });
            json!({
                "collector": table.name, "title": table.title, "permissions": table.permissions,
                "leaves": table.leaves, "takes": takes.collect::<Vec<_>>(), "collectors": table.parts,
            })
        });
        app.ui.value(&json!({ "collectors": rows.collect::<Vec<_>>() }));
        return;
    }
    for table in &tables {
        app.ui
            .hanging(Tone::Head, &format!("{:<12} ", table.name), &table.title);
        for (name, take) in &table.takes {
            let how = match (take.kind, &take.default) {
                (TakeKind::Secret, _) => format!("{name}=env:VARIABLE"),
                (_, Some(default)) if !default.is_empty() => format!("{name}={default}"),
                (_, Some(_)) => format!("[{name}=…]"),
                (_, None) => format!("{name}=…"),
            };
            app.ui.hanging(Tone::Plain, &format!("  {how}  "), &take.about);
        }
        for left in &table.leaves {
            app.ui.hanging(Tone::Plain, "  leaves  ", left);
        }
        if !table.parts.is_empty() {
            app.ui
                .hanging(Tone::Plain, "  consists of ", &table.parts.join(", "));
        }
    }
    app.ui.line("What one would touch: incident capture NAME --plan");
}

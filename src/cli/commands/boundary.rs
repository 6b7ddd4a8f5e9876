//! `boundary explain|test`: on which side an act lands and why. Needs no incident, runs nothing.

mod test;

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use crate::boundary::zone_of;
use crate::cli::ui::{Tone, styled};
use crate::cli::view::{explained, verdict};
use crate::cli::{App, CliError, Exit, wire};
use crate::engine::EngineError;
use crate::evidence::escape;
use crate::model::act::Resolved;
use crate::model::effect::Zone;
use crate::model::ids::StepId;
use crate::model::runbook::{Need, Policy};

/// Arguments of `boundary`.
#[derive(clap::Args)]
pub struct BoundaryArgs {
    #[command(subcommand)]
    command: BoundaryCommand,
}

#[derive(Subcommand)]
enum BoundaryCommand {
    /// Say on which side a step, or any command, lands, and which rule says so
    #[command(
        override_usage = "incident boundary explain STEP\n       incident boundary explain -- COMMAND…"
    )]
    Explain {
        /// A step of the runbook
        #[arg(required_unless_present = "argv", conflicts_with = "argv")]
        step: Option<StepId>,
        /// Program and arguments, after `--`
        #[arg(last = true, value_name = "COMMAND")]
        argv: Vec<String>,
    },
    /// Judge examples of what must be inside, at and outside; ends 1 where one lands elsewhere
    Test {
        /// A file of examples; without it, boundary-tests.yaml beside the runbook in force
        file: Option<PathBuf>,
    },
}

/// Explains.
pub fn run(app: &App, args: &BoundaryArgs) -> Result<Exit, CliError> {
    let (step, argv) = match &args.command {
        BoundaryCommand::Explain { step, argv } => (step, argv),
        BoundaryCommand::Test { file } => return test::run(app, file.as_deref()),
    };
    let written = wire::written(&app.world, app.config.as_deref())?;
    let engine = app.desk().preview(&written)?;
    let mut here = true;
    let act = match step {
        Some(step) => engine.resolve(step)?,
        None => match engine.resolve_ad_hoc(argv) {
            Err(EngineError::Unresolved { .. }) if is_missing(app, argv) => {
                here = false;
                engine.by_words(argv)?
            }
            resolved => resolved?,
        },
    };
    let incident = engine.incident()?;
    let policy = &incident.opened.policy;
    let (zone, because) = zone_of(policy, &act, app.world.clock.now());
    if app.ui.json {
        app.ui.value(&json!({
            "zone": zone, "effects": act.effects(),
            "because": explained::because(&because, &engine.explain(&act)),
            "runbook": engine.runbook_name, "program_found": here,
            "approved": act.approved, "not_approved": engine.misfits(&act),
        }));
        return Ok(Exit::Done);
    }
    show(app, &act, zone);
    explained::show(&app.ui, &because, &engine.explain(&act));
    for why in engine.misfits(&act) {
        app.ui.hanging(Tone::Warn, "  approval ", &escape(&why));
    }
    app.ui.line(&format!("  needs    {}", who(zone, policy)));
    app.ui.line(&format!("  plan     {}", engine.runbook_name));
    if let Some(trust) = engine.trusted()?.filter(|t| t.by.is_some()) {
        crate::cli::deeds::trust(&app.ui, Some(&trust));
    }
    if !here {
        app.ui.wrapped(
            2,
            "The program is not on this host: judged by its words alone, no script was read.",
        );
    }
    for mistake in &engine.mistakes {
        app.ui.tone(
            Tone::Warn,
            &format!("  not used: {}", escape(&mistake.to_string())),
        );
    }
    Ok(Exit::Done)
}

/// True where the program is not on this host.
fn is_missing(app: &App, argv: &[String]) -> bool {
    let Some(program) = argv.first() else { return true };
    match program.contains('/') {
        true => app.world.files.stat(&app.world.host.cwd().join(program)).is_err(),
        false => app.world.spawn.find(program).is_none(),
    }
}

fn show(app: &App, act: &Resolved, zone: Zone) {
    verdict::act(&app.ui, act);
    app.ui.line(&format!(
        "  zone     {}",
        styled(verdict::tone(zone), &format!("{} the boundary", zone.word()))
    ));
}

fn who(zone: Zone, policy: &Policy) -> String {
    let signatures = |need: &Need| crate::report::words::need(need);
    match zone {
        Zone::Inside => "nobody's signature".to_owned(),
        Zone::At => format!("the signature of {} who did not act", signatures(&policy.need_at)),
        Zone::Outside => format!(
            "the signatures of {} who did not act",
            signatures(&policy.need_outside)
        ),
    }
}

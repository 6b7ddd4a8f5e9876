//! `runbook approve`: in peacetime, somebody reads an act and answers for what nobody else understands in it.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::prompt::confirm_at_terminal;
use crate::cli::ui::{Tone, styled};
use crate::cli::view::verdict;
use crate::cli::{App, CliError, Exit, wire};
use crate::engine::{EngineError, MOST_APPROVALS, ToApprove, agent_session, usual_key};
use crate::evidence::escape;
use crate::model::approved::day;
use crate::model::effect::Effect;
use crate::model::ids::StepId;
use crate::model::time::{parse_rfc3339, parse_span};

/// How long an approval is good where nothing is said: half a year.
const GOOD_MS: i64 = 180 * 86_400_000;

/// Arguments of `runbook approve`.
#[derive(clap::Args)]
pub struct ApproveArgs {
    /// A step of the runbook
    #[arg(required_unless_present = "argv", conflicts_with = "argv")]
    step: Option<StepId>,
    /// What takes the step back
    #[arg(long, requires = "step")]
    undo: bool,
    /// What the command changes, as in `--effects service-restart,traffic`; a step says it in the runbook
    #[arg(long, value_name = "EFFECTS", value_delimiter = ',', conflicts_with = "step")]
    effects: Vec<Effect>,
    /// A file that it reads and does not name: it must stay as it is, too
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// How long it is good, as in `90d`, or its last day, as in `2027-03-01`; a year at most
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Your private key, or its public half for an agent; else the first of the usual ones
    #[arg(long, value_name = "FILE")]
    key: Option<String>,
    /// You have read it
    #[arg(long)]
    yes: bool,
    /// Program and arguments, after `--`
    #[arg(last = true, value_name = "COMMAND")]
    argv: Vec<String>,
}

/// Shows the very bytes, asks once, signs them, and keeps them beside the runbook.
pub fn run(app: &App, args: &ApproveArgs) -> Result<Exit, CliError> {
    let written = wire::written(&app.world, app.config.as_deref())?;
    let what = ToApprove {
        step: args.step.clone(),
        undo: args.undo,
        argv: args.argv.clone(),
        effects: args.effects.iter().copied().collect(),
        with: args.with.clone(),
        good_ms: good_ms(app, args.until.as_deref())?,
    };
    if what.step.is_none() && what.effects.is_empty() {
        return Err(
            CliError::new(Exit::Usage, "nothing says what this command changes")
                .stands("nothing was approved")
                .hint("Say it: incident runbook approve --effects service-restart -- COMMAND…"),
        );
    }
    let refused = |e: EngineError| CliError::from(e).stands("nothing was approved");
    let draft = app.desk().approval(&written, &what).map_err(refused)?;
    let folder = written.folder.as_ref().map(|f| app.world.host.cwd().join(f));
    let folder = folder.ok_or_else(|| CliError::new(Exit::Failed, "there is no folder to keep it in"))?;
    let path = folder.join(wire::APPROVED).join(format!("{}.json", draft.name));
    if written.approvals.len() >= MOST_APPROVALS && app.world.files.stat(&path).is_err() {
        let there = written.approvals.len() + written.approvals_left;
        return Err(CliError::new(
            Exit::Refused,
            format!("{there} approvals lie beside the runbook already"),
        )
        .because(format!(
            "an incident reads the first {MOST_APPROVALS} by name, so this one might never count"
        ))
        .stands("nothing was approved")
        .hint("Remove those that nobody needs: `incident runbook lint` names the ones that do not count"));
    }
    show(app, &draft.said.unknown, &draft.statement);
    if let Some(why) = agent_session(&app.world) {
        return Err(refused(EngineError::AgentSession(why)));
    }
    let Some(key) = args.key.clone().or_else(|| usual_key(&app.world)) else {
        return Err(CliError::new(
            Exit::Usage,
            "no key is named, and ~/.ssh holds none of the usual ones",
        )
        .stands("nothing was approved")
        .hint("Name yours: --key FILE"));
    };
    if !args.yes && !confirm_at_terminal("Answer for exactly this?", "--yes")? {
        app.ui.aside("Nothing was approved.");
        return Ok(Exit::Waiting);
    }
    let (signature, by) = app.desk().approve(&written, &draft, &key).map_err(refused)?;
    for (path, bytes) in [
        (wire::signature_of(&path), &signature),
        (path.clone(), &draft.statement),
    ] {
        app.world.files.replace(&path, bytes, 0o644).map_err(|e| {
            CliError::new(Exit::Failed, format!("cannot write {}: {e}", path.display()))
                .because("until both the approval and its signature are written, neither counts")
        })?;
    }
    if app.ui.json {
        app.ui.value(&json!({
            "by": by, "until": draft.said.until, "effects": draft.said.effects, "files": draft.said.files,
            "approval": path.display().to_string(),
        }));
        return Ok(Exit::Done);
    }
    let words = format!("approved  until {}, by {}", day(&draft.said.until), escape(&by));
    app.ui.tone(Tone::Good, &words);
    app.ui.line(&format!("  kept in {}", path.display()));
    app.ui.wrapped(
        2,
        "It counts in incidents opened from now on, while every word and file of it stays as it is, and where the \
         roster was trusted (incident runbook trust). It counts for no quorum.",
    );
    let step = args.step.as_ref().filter(|_| !args.undo);
    app.ui.line(&match step {
        Some(step) => format!("  next: incident boundary explain {step}"),
        None => format!(
            "  next: incident boundary explain -- {}",
            verdict::typed(&args.argv)
        ),
    });
    Ok(Exit::Done)
}

/// What nobody understood, and the very bytes that are signed.
fn show(app: &App, unknown: &std::collections::BTreeSet<String>, statement: &[u8]) {
    app.ui.aside(&styled(Tone::Head, "You would sign exactly this:"));
    app.ui.aside(String::from_utf8_lossy(statement).trim_end());
    for text in unknown {
        app.ui
            .hanging_aside(Tone::Warn, "  you answer for  ", &escape(text));
    }
    app.ui.hanging_aside(
        Tone::Dim,
        "  not bound       ",
        "whatever it reads or fetches that is no file in this list; --with FILE puts one into it",
    );
}

fn good_ms(app: &App, until: Option<&str>) -> Result<i64, CliError> {
    let Some(text) = until else { return Ok(GOOD_MS) };
    if let Some(ms) = parse_span(text).and_then(|ms| i64::try_from(ms).ok()) {
        return Ok(ms);
    }
    let last = parse_rfc3339(&format!("{text}T23:59:59Z"));
    let last = last.ok_or_else(|| {
        CliError::new(
            Exit::Usage,
            format!("`--until {text}` is neither a span nor a day"),
        )
        .stands("nothing was approved")
        .hint("Write `90d`, or a day such as 2027-03-01")
    })?;
    Ok(last.saturating_sub(app.world.clock.now().utc_ms))
}

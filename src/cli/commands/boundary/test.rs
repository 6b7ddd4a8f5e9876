//! `boundary test`: examples of what must be inside, at and outside, judged by their words. Runs none of them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::boundary::zone_of;
use crate::cli::ui::{Tone, styled};
use crate::cli::view::verdict;
use crate::cli::{App, CliError, Exit, wire};
use crate::evidence::escape;
use crate::model::effect::Zone;
use crate::model::examples::Example;
use crate::model::time::Moment;
use crate::report::words::count;

/// Its name beside the runbook.
const NAME: &str = "boundary-tests.yaml";

/// Judges every example; ends 1 where one lands elsewhere.
pub fn run(app: &App, file: Option<&Path>) -> Result<Exit, CliError> {
    let written = wire::written(&app.world, app.config.as_deref())?;
    let path: PathBuf = match (file, &written.folder) {
        (Some(file), _) => app.world.host.cwd().join(file),
        (None, Some(folder)) => folder.join(NAME),
        (None, None) => {
            let error = CliError::new(
                Exit::Usage,
                "there are no examples: nothing was written in advance here",
            );
            return Err(
                error.hint("incident init writes a beginning; or name a file: incident boundary test FILE")
            );
        }
    };
    let name = path.display().to_string();
    let bytes = wire::read(&app.world, &path).map_err(|e| {
        CliError::new(Exit::Usage, format!("cannot read {name}: {e}"))
            .because("nothing was tested")
            .hint("incident init writes a beginning; or name a file: incident boundary test FILE")
    })?;
    let examples = Example::parse(&name, &String::from_utf8_lossy(&bytes))
        .map_err(|mistakes| CliError::mistakes(&name, &mistakes).because("nothing was tested"))?;
    let engine = app.desk().preview(&written)?;
    let incident = engine.incident()?;
    let now = app.world.clock.now();
    let mut rows: Vec<Value> = Vec::new();
    let mut wrong = 0_usize;
    for example in &examples {
        let act = engine.example(example)?;
        let at = Moment {
            utc_ms: example.at_ms.unwrap_or(now.utc_ms),
            ..now
        };
        let (found, because) = zone_of(&incident.opened.policy, &act, at);
        let good = found == example.zone;
        wrong += usize::from(!good);
        if app.ui.json {
            rows.push(json!({
                "run": example.argv, "expected": example.zone, "found": found, "because": because, "why": example.why,
            }));
            continue;
        }
        let words = verdict::typed(&example.argv);
        let zone = |zone: Zone| styled(verdict::tone(zone), &format!("{:<7}", zone.word()));
        if good {
            app.ui.line(&format!("  ok    {}  {words}", zone(found)));
            continue;
        }
        app.ui.line(&format!(
            "  {} {}  {words}",
            styled(Tone::Bad, "WRONG"),
            zone(found)
        ));
        app.ui.line(&format!("        it must be {}", example.zone));
        if let Some(why) = &example.why {
            app.ui.wrapped(8, &escape(why));
        }
        verdict::because(&app.ui, &because);
    }
    let exit = if wrong == 0 { Exit::Done } else { Exit::Failed };
    if app.ui.json {
        app.ui
            .value(&json!({ "file": name, "examples": rows, "wrong": wrong, "exit": exit.code() }));
        return Ok(exit);
    }
    let words = match wrong {
        0 => styled(Tone::Good, "all land where they must"),
        n => styled(Tone::Bad, &format!("{n} land elsewhere")),
    };
    app.ui.line(&format!(
        "{} of {}: {words}",
        count(examples.len(), "example"),
        escape(&name)
    ));
    Ok(exit)
}

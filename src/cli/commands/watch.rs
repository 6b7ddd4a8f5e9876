//! `watch`: looks again and again, and says only what changed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::ui::{Tone, Ui, styled};
use crate::cli::view::{proofs, truth};
use crate::cli::{App, CliError, Exit, deeds};
use crate::engine::Engine;
use crate::evidence::escape;
use crate::model::fact::Proof;
use crate::model::ids::TargetId;
use crate::model::time::{parse_span, span};

/// Arguments of `watch`.
#[derive(clap::Args)]
#[command(
    after_help = "Looks in the foreground for respawned processes, revived credentials and re-enabled triggers, and \
cuts nothing. Every look goes on record. Ctrl-C ends it with code 130, --for with the code of how things stand."
)]
pub struct WatchArgs {
    /// Time between two looks
    #[arg(long, value_name = "SPAN", default_value = "5s", value_parser = interval)]
    every: Duration,
    /// End after this long; without it, Ctrl-C ends it
    #[arg(long = "for", value_name = "SPAN", value_parser = interval)]
    span: Option<Duration>,
}

fn interval(text: &str) -> Result<Duration, String> {
    parse_span(text)
        .filter(|ms| *ms > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| "write it as in 5s, 30m or 2h".to_owned())
}

/// What is known of each target.
type Seen = BTreeMap<TargetId, (Proof, String)>;

/// Looks until Ctrl-C or the end of the span.
pub fn run(app: &App, args: &WatchArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    let mut before = seen(&engine)?;
    if before.is_empty() {
        app.ui
            .line("There is nothing to watch: no sweep aimed at anything. That proves nothing.");
        app.ui
            .line("  next: incident stop, after naming what the agent holds in access.yaml");
        return Ok(app.finish(&engine, deeds::standing(&engine)?));
    }
    let now = || app.world.clock.now().mono_us;
    app.ui.tone(
        Tone::Head,
        &truth::line(&*engine.incident()?, app.world.clock.now()),
    );
    app.ui.line(&format!(
        "Watching {} every {}; only changes are shown. Ctrl-C ends it.",
        crate::report::words::count(before.len(), "target"),
        span(ms(args.every)),
    ));
    let end = args
        .span
        .map(|s| now().saturating_add(ms(s).saturating_mul(1000)));
    loop {
        engine.catch_up()?;
        engine.look_again()?;
        let after = seen(&engine)?;
        changes(&app.ui, &before, &after, &app.world.clock.now().rfc3339());
        before = after;
        let next = now().saturating_add(ms(args.every).saturating_mul(1000));
        if end.is_some_and(|end| next > end) {
            return Ok(app.finish(&engine, deeds::standing(&engine)?));
        }
        if !wait(app, next) {
            app.ui
                .line("Nobody watches any more; every look so far is on record.");
            return Ok(app.finish(&engine, Exit::Interrupted));
        }
    }
}

/// Waits until that moment; false where Ctrl-C came first.
fn wait(app: &App, until_us: u64) -> bool {
    const STEP: u64 = 100_000;
    while app.world.interrupt.count() == 0 {
        let left = until_us.saturating_sub(app.world.clock.now().mono_us);
        if left == 0 {
            return true;
        }
        app.world
            .wait(app.world.clock.sleep(Duration::from_micros(left.min(STEP))));
    }
    false
}

fn seen(engine: &Engine<'_>) -> Result<Seen, CliError> {
    let incident = engine.incident()?;
    let targets = incident.stop.targets.iter();
    Ok(targets
        .map(|(id, t)| (id.clone(), (t.proof(), proofs::because(t))))
        .collect())
}

fn changes(ui: &Ui, before: &Seen, after: &Seen, ts: &str) {
    let time = ts.get(11..19).unwrap_or(ts);
    for (id, (proof, because)) in after {
        let (tone, was) = match before.get(id) {
            Some((old, why)) if old == proof && (why == because || proof.is_dead()) => continue,
            Some((old, _)) if old.is_dead() && !proof.is_dead() => (Tone::Bad, format!("was {old}, ")),
            Some((old, _)) if old != proof => (proofs::tone(*proof), format!("was {old}, ")),
            Some(_) => (proofs::tone(*proof), String::new()),
            None => (proofs::tone(*proof), "new: ".to_owned()),
        };
        ui.line(&format!(
            "{time}  {}: {was}now {}; {}",
            id,
            styled(tone, proof.word()),
            escape(because)
        ));
        if *proof == Proof::StillLive {
            ui.line("          next: incident stop");
        }
    }
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

//! `watch`: looks again and again, and says only what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cli::ui::{Tone, Ui, styled};
use crate::cli::view::danger::minute;
use crate::cli::view::{proofs, truth};
use crate::cli::{App, CliError, Exit, deeds};
use crate::engine::Engine;
use crate::evidence::escape;
use crate::model::fact::Proof;
use crate::model::ids::TargetId;
use crate::model::incident::TargetState;
use crate::model::time::{Moment, parse_span, span};
use crate::report::still_dangerous;

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
type Seen = BTreeMap<TargetId, Known>;

/// What is known of one.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    proof: Proof,
    because: String,
    /// What stays dangerous about it, each with its next command.
    residue: BTreeMap<String, String>,
}

/// Looks until Ctrl-C or the end of the span.
pub fn run(app: &App, args: &WatchArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    let mut before = seen(&engine, app.world.clock.now())?;
    let mut news: BTreeSet<TargetId> = BTreeSet::new();
    if before.is_empty() && engine.pending()?.is_empty() {
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
        deeds::climb(&app.ui, &engine);
        let after = seen(&engine, app.world.clock.now())?;
        let ts = app.world.clock.now().rfc3339();
        changes(&app.ui, &before, &after, &ts);
        for (aim, words) in engine.news()? {
            let id = aim.target.id();
            if news.insert(id.clone()) {
                engine.note(&format!("watch found what no sweep aimed at: {id}, {words}"))?;
                say(
                    &app.ui,
                    Tone::Bad,
                    &ts,
                    &format!("{id}: new, and no sweep aimed at it; {words}"),
                );
                next(&app.ui, "incident stop");
            }
        }
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

fn seen(engine: &Engine<'_>, now: Moment) -> Result<Seen, CliError> {
    let incident = engine.incident()?;
    let dangers = still_dangerous(&incident, now);
    let known = |(id, t): (&TargetId, &TargetState)| {
        let head = format!("{id}: ");
        let mine = dangers.iter().filter_map(|d| {
            let text = d.what.strip_prefix(&head)?.to_owned();
            let until = d.deadline_ms.map(|at| format!(", until {}", minute(at)));
            Some((format!("{text}{}", until.unwrap_or_default()), d.next.clone()))
        });
        let known = Known {
            proof: t.proof(),
            because: proofs::because(t),
            residue: mine.collect(),
        };
        (id.clone(), known)
    };
    Ok(incident.stop.targets.iter().map(known).collect())
}

fn changes(ui: &Ui, before: &Seen, after: &Seen, ts: &str) {
    for (id, known) in after {
        let Known {
            proof,
            because,
            residue,
        } = known;
        let old = before.get(id);
        let none = BTreeMap::new();
        let open_before = old.map_or(&none, |o| &o.residue);
        for (what, command) in residue
            .iter()
            .filter(|(what, _)| !open_before.contains_key(*what))
        {
            say(ui, Tone::Warn, ts, &format!("{id}: {}", escape(what)));
            next(ui, command);
        }
        for what in open_before.keys().filter(|what| !residue.contains_key(*what)) {
            say(ui, Tone::Good, ts, &format!("{id}: over: {}", escape(what)));
        }
        let (tone, was) = match old {
            Some(old) if old.proof == *proof && (old.because == *because || proof.is_dead()) => continue,
            Some(old) if old.proof.is_dead() && !proof.is_dead() => {
                (Tone::Bad, format!("was {}, ", old.proof))
            }
            Some(old) if old.proof != *proof => (proofs::tone(*proof), format!("was {}, ", old.proof)),
            Some(_) => (proofs::tone(*proof), String::new()),
            None => (proofs::tone(*proof), "new: ".to_owned()),
        };
        let word = styled(tone, proof.word());
        say(
            ui,
            Tone::Plain,
            ts,
            &format!("{id}: {was}now {word}; {}", escape(because)),
        );
        if *proof == Proof::StillLive {
            next(ui, "incident stop");
        }
    }
}

/// One line with the time of day before it.
fn say(ui: &Ui, tone: Tone, ts: &str, text: &str) {
    ui.tone(tone, &format!("{}  {text}", ts.get(11..19).unwrap_or(ts)));
}

fn next(ui: &Ui, command: &str) {
    ui.line(&format!("          next: {}", escape(command)));
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

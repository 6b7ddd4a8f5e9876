//! `status`: where the incident is, what is proved, what is still dangerous, what comes next.

use serde_json::{Value, json};

use crate::cli::record::Record;
use crate::cli::ui::Tone;
use crate::cli::view::{danger, next, plan, proofs, truth};
use crate::cli::{App, CliError, Exit, deeds};
use crate::engine::{Engine, Ladder, Mirror};
use crate::evidence::escape;
use crate::model::incident::Incident;
use crate::model::time::{Moment, rfc3339};
use crate::report::{Due, still_dangerous, words};

/// Arguments of `status`.
#[derive(clap::Args)]
pub struct StatusArgs {
    /// Show every target, also those whose death is proved
    #[arg(long)]
    all: bool,
}

/// Looks, and probes again what is due for it.
pub fn run(app: &App, args: &StatusArgs) -> Result<Exit, CliError> {
    let id = app.which_any()?;
    if id.is_drill() {
        if app.incident.is_none() && !app.ui.json {
            app.ui.tone(
                Tone::Head,
                "No incident is open. What follows is the newest drill; nothing of it is real.",
            );
        }
        return of_record(app, &Record::read(app, &id)?, None, args);
    }
    let engine = app.desk().resume(&id)?;
    if engine.incident()?.closed_ts.is_some() {
        return of_record(app, &Record::read(app, &id)?, engine.mirror()?.as_ref(), args);
    }
    if let Err(e) = engine.due_probes() {
        app.ui.aside(&format!("What was due to be probed was not: {e}"));
    }
    deeds::climb(&app.ui, &engine);
    let incident = engine.incident()?;
    let exit = deeds::standing(&engine)?;
    let due = next::due(&engine.next()?);
    let now = app.world.clock.now();
    if app.ui.json {
        let mut value = json(&incident, &due, now, exit);
        value["mirror"] = json!(engine.mirror()?);
        value["waiting_for"] = waiting(&engine)?;
        value["head"] = json!(engine.head().map(|(_, hash)| hash.to_string()));
        app.ui.value(&value);
        return Ok(exit);
    }
    show(app, &incident, engine.mirror()?.as_ref(), now, args);
    deeds::waits(&app.ui, &engine)?;
    for trouble in engine.troubles() {
        app.ui
            .tone(Tone::Bad, &format!("The record: {}", escape(&trouble)));
    }
    app.ui.wrapped(0, &format!("Next: {}", escape(&due.what)));
    app.ui.line(&format!("  {}", due.command));
    Ok(exit)
}

/// A record that nobody walks any more: a closed incident, or a drill.
fn of_record(
    app: &App,
    record: &Record,
    mirror: Option<&Mirror>,
    args: &StatusArgs,
) -> Result<Exit, CliError> {
    let (incident, now) = (&record.incident, record.seen_at(app.world.clock.now()));
    let why = match (&incident.closed_ts, incident.opened.drill) {
        (Some(_), false) => "It is closed; nothing is probed any more.",
        (Some(_), true) => "It is the record of a drill, and over.",
        (None, _) => "It is the record of a drill that was left; it cannot be taken up again.",
    };
    let due = Due {
        what: why.to_owned(),
        command: format!("incident report --incident {}", incident.id()),
    };
    // What nobody listed is on every list; anything beside it was not proved when it was closed.
    let nothing_cut = incident.stop.targets.is_empty();
    let open = nothing_cut || incident.closed_unproved.len() > 1 || incident.closed_ts.is_none();
    let exit = if open { Exit::Unproved } else { Exit::Done };
    if app.ui.json {
        let mut value = json(incident, &due, now, exit);
        value["mirror"] = json!(mirror);
        value["head"] = json!(record.head.to_string());
        app.ui.value(&value);
        return Ok(exit);
    }
    show(app, incident, mirror, now, args);
    for open in &incident.closed_unproved {
        app.ui.tone(Tone::Warn, &format!("closed with {}", escape(open)));
    }
    app.ui.line(why);
    app.ui.line(&format!("  next: {}", due.command));
    Ok(exit)
}

fn show(app: &App, incident: &Incident, mirror: Option<&Mirror>, now: Moment, args: &StatusArgs) {
    let ui = &app.ui;
    ui.tone(Tone::Head, &truth::line(incident, now));
    if let Some(mirror) = mirror {
        truth::mirror(ui, mirror, app.world.clock.now());
    }
    ui.line(&format!("{}: {}", incident.id(), escape(&incident.opened.title)));
    if let Some(trust) = incident.opened.trust.as_ref().filter(|t| !t.words().0) {
        deeds::trust(ui, Some(trust));
    }
    ui.line("");
    ui.tone(Tone::Head, "Proofs");
    proofs::table(ui, incident, args.all);
    ui.line("");
    danger::show(ui, &still_dangerous(incident, now));
    ui.line("");
    let looks = incident.captures.len();
    let sealed = match &incident.baseline {
        Some((seq, _)) => format!("baseline sealed by record {seq}"),
        None => "baseline not sealed".to_owned(),
    };
    let holes = incident.holes();
    ui.line(&format!(
        "Evidence: {}, {}, {sealed}.",
        words::count(looks, "capture"),
        words::count(holes.len(), "hole")
    ));
    for gap in holes.iter().take(SHOWN) {
        let why = if gap.why.is_empty() {
            "no reason is on record"
        } else {
            gap.why
        };
        let names = match gap.names.as_slice() {
            [one] => (*one).to_owned(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
            [] => String::new(),
        };
        ui.wrapped(
            2,
            &escape(&format!("{}/{names} {}: {why}", gap.of, gap.status.word())),
        );
    }
    if holes.len() > SHOWN {
        ui.line(&format!("  and {} more", holes.len() - SHOWN));
    }
    plan::in_force(ui, incident);
}

/// Holes shown on screen; `--json` has all.
const SHOWN: usize = 5;

fn json(incident: &Incident, due: &Due, now: Moment, exit: Exit) -> Value {
    let targets = incident.targets().into_iter().map(|(id, t)| {
        json!({
            "id": id, "proof": t.proof().word(), "dead": t.proof().is_dead(), "found_by": t.aim.found_by,
            "answered_by": t.answered.as_ref().map(|(who, _)| who),
        })
    });
    let holes = incident.holes().into_iter().flat_map(|gap| {
        let row = move |name| json!({ "capture": gap.of, "name": name, "status": gap.status.word(), "why": gap.why });
        gap.names.clone().into_iter().map(row).collect::<Vec<_>>()
    });
    json!({
        "incident": incident.id(), "title": incident.opened.title, "drill": incident.opened.drill,
        "opened": incident.opened_ts, "closed": incident.closed_ts, "stage": incident.stage.word(),
        "targets": targets.collect::<Vec<_>>(),
        "unlisted_access": "unknown",
        "trust": incident.opened.trust,
        "still_dangerous": still_dangerous(incident, now),
        "captures": incident.captures.len(), "holes": holes.collect::<Vec<_>>(),
        "baseline": incident.baseline.as_ref().map(|(seq, _)| seq),
        "in_doubt": incident.in_doubt().map(|(seq, a)| json!({"act": seq, "step": a.step})).collect::<Vec<_>>(),
        "plan": plan::plan_json(incident),
        "recovered": incident.recovered_us.is_some(),
        "next": { "what": due.what, "command": due.command },
        "records": incident.records, "exit": exit.code(),
    })
}

fn waiting(engine: &Engine<'_>) -> Result<Value, CliError> {
    let incident = engine.incident()?;
    let mut rows = Vec::new();
    for p in engine.pending()? {
        let told = incident.notices_of(p.request).map(|(seq, n)| {
            json!({
                "notice": seq, "rung": n.begun.rung, "name": n.begun.name, "who": n.begun.who, "via": n.begun.via, "ts": n.ts,
                "sent": n.ended.as_ref().map(|(sent, _)| sent), "why": n.ended.as_ref().map(|(_, why)| why),
            })
        });
        let (rung, until) = match engine.ladder(&incident, p.request) {
            Ladder::Waits { rung, until_ms, .. } => (Some(rung), Some(rfc3339(until_ms))),
            Ladder::Due { rung } => (Some(rung), None),
            Ladder::None | Ladder::NobodyAnswered => (None, None),
        };
        let alone = incident
            .requests
            .get(&p.request)
            .is_some_and(|r| r.lone.is_some());
        rows.push(json!({
            "request": p.request, "steps": p.steps, "people": p.need.people, "roles": p.need.roles, "have": p.have,
            "told": told.collect::<Vec<_>>(), "rung": rung, "until": until,
            "alone": if alone { json!(engine.alone(p.request)?) } else { Value::Null },
        }));
    }
    Ok(Value::Array(rows))
}

//! `access scan`: what agents could read on this host.

use serde_json::json;

use crate::access::{Finding, Whose};
use crate::cli::ui::{Tone, styled};
use crate::cli::{App, CliError, Exit};
use crate::engine::Engine;
use crate::evidence::escape;

/// Looks, and shows each secret by its fingerprint.
pub fn run(app: &App, engine: &Engine<'_>) -> Result<Exit, CliError> {
    let scan = engine.scan()?;
    let exit = match scan.holes.is_empty() {
        true => Exit::Done,
        // What was not looked at may hold anything.
        false => Exit::Unproved,
    };
    if app.ui.json {
        let findings = scan.findings.iter().map(|f| {
            let places = f
                .places
                .iter()
                .map(|p| json!({"whose": whose(p.whose), "at": p.at, "key": p.key}));
            json!({
                "kind": f.kind, "adapters": f.adapters, "agent": f.agent, "fingerprint": f.fingerprint,
                "last4": f.last4, "agents_alone": f.is_agents_alone(), "places": places.collect::<Vec<_>>(),
            })
        });
        app.ui.value(&json!({
            "findings": findings.collect::<Vec<_>>(), "not_looked_at": scan.holes,
            "unlisted_access": "unknown", "exit": exit.code(),
        }));
        return Ok(exit);
    }
    for finding in &scan.findings {
        show(app, engine, finding);
    }
    for hole in &scan.holes {
        app.ui.hanging(Tone::Warn, "  not seen  ", &escape(hole));
    }
    if scan.findings.is_empty() {
        app.ui
            .line("No secret was found where agents and tools keep them. That proves nothing.");
    }
    app.ui
        .line("  next: incident access add writes one down, so that stop cuts it with a proof");
    Ok(exit)
}

fn show(app: &App, engine: &Engine<'_>, finding: &Finding) {
    let by_itself = finding
        .adapters
        .iter()
        .any(|name| engine.registry().find(name).is_ok_and(|a| a.by_itself()));
    let (tone, word) = match (finding.is_agents_alone(), by_itself) {
        (true, true) => (Tone::Good, "cut"),
        (false, true) => (Tone::Warn, "shared"),
        _ => (Tone::Warn, "by hand"),
    };
    let more = match finding.places.len() {
        0 | 1 => String::new(),
        2 => "; and in 1 more place".to_owned(),
        n => format!("; and in {} more places", n - 1),
    };
    app.ui.hanging(
        Tone::Plain,
        &format!("  {}  ", styled(tone, &format!("{word:<8}"))),
        &format!("{}{more}", escape(&finding.words())),
    );
}

fn whose(whose: Whose) -> &'static str {
    match whose {
        Whose::Process => "process",
        Whose::Agent => "agent",
        Whose::OtherAgent => "other-agent",
        Whose::Project => "project",
        Whose::Tool => "tool",
        Whose::Responder => "responder",
        Whose::Transcript => "transcript",
    }
}

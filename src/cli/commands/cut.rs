//! `cut`: "this token, now".

use serde_json::json;

use super::start;
use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit, deeds};
use crate::engine::{Again, Engine, Given};
use crate::evidence::escape;
use crate::model::ids::TargetId;
use crate::model::time::rfc3339;

/// Arguments of `cut`.
#[derive(clap::Args)]
#[command(
    after_help = "The secret is pasted at a hidden prompt, or piped in, one a line; never an argument, where every user of \
this host could read it. It is recognised by its shape, revoked with nothing but itself, tried, and forgotten. The record \
holds a keyed fingerprint. Joins the open incident, or opens one. Ends 0 only where every secret is proved dead."
)]
pub struct CutArgs {
    /// Whose secret it is, where its shape does not tell
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// What the provider needs besides, as in address=https://vault.example:8200
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::access::pair)]
    with: Vec<(String, String)>,
}

/// Reads, cuts, tries, forgets.
pub fn run(app: &App, args: &CutArgs) -> Result<Exit, CliError> {
    let secrets = app
        .prompt
        .borrow_mut()
        .secrets("Paste the secret; it is not shown")?;
    if secrets.is_empty() {
        return Err(CliError::new(Exit::Usage, "no secret was given")
            .stands("nothing was opened, nothing was cut")
            .hint("Paste it at the prompt, or pipe it in: `incident cut < FILE`, a secret a line"));
    }
    let engine = start::joined_or_new(app, "a secret was given to cut")?;
    app.tell(&engine);
    deeds::opened(&app.ui, &engine)?;
    if !app.ui.json {
        deeds::show_live(&engine);
    }
    let given = Given {
        provider: args.provider.clone(),
        with: args.with.iter().cloned().collect(),
    };
    let report = engine.cut(secrets, &given)?;
    deeds::proofs_of(&app.ui, &engine, &report.targets)?;
    if !report.interrupted {
        deeds::wait_out(&app.ui, &engine, &report.targets)?;
    }
    for left in &report.not_cut {
        let last4 = match left.last4.as_str() {
            "" => String::new(),
            last4 => format!(" …{last4}"),
        };
        let text = format!("{}{last4}: {}", left.fingerprint, escape(&left.why));
        app.ui.hanging(Tone::Bad, "  not cut  ", &text);
        app.ui.hanging(Tone::Plain, "           ", &escape(&left.how));
    }
    let incident = engine.incident()?;
    let again = engine.paste_again(&report.targets)?;
    by_hand(app, &engine, &report.targets, &again)?;
    let words: Vec<_> = report
        .targets
        .iter()
        .filter_map(|id| incident.stop.targets.get(id))
        .map(|t| (t.aim.target.id(), t.proof()))
        .collect();
    let dead = words.iter().all(|(_, proof)| proof.is_dead());
    let exit = match (report.interrupted, dead && report.not_cut.is_empty()) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Done,
        (false, false) => Exit::Unproved,
    };
    if app.ui.json {
        let cut = words
            .iter()
            .map(|(id, proof)| json!({"id": id, "proof": proof.word(), "dead": proof.is_dead()}));
        let not_cut = report
            .not_cut
            .iter()
            .map(|n| json!({"fingerprint": n.fingerprint, "last4": n.last4, "why": n.why, "next": n.how}));
        let again = again
            .iter()
            .map(|a| json!({"id": a.target, "after": rfc3339(a.after_ms), "next": a.line}));
        app.ui.value(&json!({
            "cut": cut.collect::<Vec<_>>(),
            "not_cut": not_cut.collect::<Vec<_>>(),
            "paste_again": again.collect::<Vec<_>>(),
        }));
    }
    if engine.case_path().is_some() {
        app.ui
            .line("  next: incident stop cuts what else the agent holds; incident resume walks on");
    }
    Ok(app.finish(&engine, exit))
}

/// Where a person does by hand what is not proved; the secret itself is forgotten by then.
fn by_hand(app: &App, engine: &Engine<'_>, targets: &[TargetId], again: &[Again]) -> Result<(), CliError> {
    let incident = engine.incident()?;
    let unproved = targets
        .iter()
        .filter_map(|id| incident.stop.targets.get(id))
        .filter(|target| !target.proof().is_dead());
    for target in unproved {
        if let Some(Ok(adapter)) = engine.registry().of(&target.aim.target) {
            let text = format!("{}: {}", target.aim.target.id(), escape(&adapter.about().manual));
            app.ui.hanging(Tone::Plain, "  by hand  ", &text);
            let next = match again.iter().find(|a| a.target == *target.aim.target.id()) {
                Some(again) => format!(
                    "the provider took it, and may take until {} to refuse it everywhere. The secret is forgotten, so nothing here can look again: paste it once more after that: {}",
                    rfc3339(again.after_ms),
                    escape(&again.line)
                ),
                None => "incident cut, and the secret once more; it was forgotten".to_owned(),
            };
            app.ui.hanging(Tone::Plain, "  next: ", &next);
        }
    }
    Ok(())
}

//! What was cut and by what proof, most dangerous first.

use std::collections::BTreeMap;

use comfy_table::{ContentArrangement, Table};

use crate::cli::ui::{Tone, Ui, styled, wrap};
use crate::evidence::escape;
use crate::model::fact::{Fact, Proof};
use crate::model::incident::{Incident, TargetState};
use crate::report::words;

/// The tone of a proof word.
pub fn tone(proof: Proof) -> Tone {
    match proof {
        _ if proof.is_dead() => Tone::Good,
        Proof::StillLive | Proof::Failed => Tone::Bad,
        _ => Tone::Warn,
    }
}

/// Proved targets that are shown one by one; where there are more, they are counted by word.
const SHOWN: usize = 6;
/// Names shown of each word where proved targets are counted.
const NAMED: usize = 3;

/// The table of targets, and what of them stays dangerous.
pub fn show(ui: &Ui, incident: &Incident) {
    table(ui, incident, false);
    for (id, target) in incident.targets() {
        for fact in target.residue() {
            let words = format!(
                "still dangerous: {}: {}",
                escape(id.as_str()),
                escape(&words::fact(fact))
            );
            for line in wrap(&words, ui.width) {
                ui.tone(Tone::Warn, &line);
            }
        }
    }
}

/// The table of targets, most dangerous first, and the row that is always there. What is not proved has a
/// row of its own; what is proved is counted where it would bury that, unless `all` is asked for.
pub fn table(ui: &Ui, incident: &Incident, all: bool) {
    let mut rows: Vec<(Tone, &str, String, String)> = Vec::new();
    let targets = incident.targets();
    let proved = targets.iter().filter(|(_, t)| t.proof().is_dead()).count();
    let counted = !all && proved > SHOWN;
    for (id, target) in &targets {
        let proof = target.proof();
        if counted && proof.is_dead() {
            continue;
        }
        let answered = match &target.answered {
            Some((who, words)) => format!("; {} answers for it: {}", escape(who), escape(words)),
            None => String::new(),
        };
        let what = match words::what_it_is(target) {
            what if proof.is_dead() || what.is_empty() => String::new(),
            what => format!("{}: ", escape(what.trim())),
        };
        let not_cut = match proof {
            Proof::StillLive => words::why_not_cut(target),
            _ => String::new(),
        };
        let because = format!("{what}{}{answered}", escape(&(because(target) + &not_cut)));
        rows.push((tone(proof), proof.word(), escape(id.as_str()), because));
    }
    let nobody = "nothing can prove that there is none".to_owned();
    rows.push((Tone::Warn, "unknown", "access nobody listed".to_owned(), nobody));
    if counted {
        let mut dead: BTreeMap<Proof, Vec<String>> = BTreeMap::new();
        for (id, target) in targets.iter().filter(|(_, t)| t.proof().is_dead()) {
            dead.entry(target.proof()).or_default().push(escape(id.as_str()));
        }
        for (proof, names) in dead {
            let more = match names.len().saturating_sub(NAMED) {
                0 => String::new(),
                n => format!(" and {n} more; incident status --all"),
            };
            let named = words::list(names.iter().take(NAMED));
            rows.push((
                tone(proof),
                proof.word(),
                words::count(names.len(), "target"),
                format!("{named}{more}"),
            ));
        }
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(ui.width).unwrap_or(100));
    for (_, word, name, because) in &rows {
        table.add_row([*word, name, because]);
    }
    // Colour comes after the columns are measured: a table would count its codes as letters.
    let mut words = rows.iter().map(|(tone, word, ..)| (*tone, *word)).peekable();
    for line in table.to_string().lines() {
        let line = line.trim_end();
        let coloured = words
            .next_if(|(_, word)| line.strip_prefix(' ').is_some_and(|rest| rest.starts_with(word)))
            .map(|(tone, word)| line.replacen(word, &styled(tone, word), 1));
        ui.line(coloured.as_deref().unwrap_or(line));
    }
}

/// The newest fact worth reading, in words; what was not tried does not stand alone for a word that something gave.
pub fn because(target: &TargetState) -> String {
    let newest = target.facts.iter().rev().find(|o| words(&o.fact).is_some());
    let telling = newest.and_then(|o| words(&o.fact));
    let given = match (target.proof(), newest.map(|o| &o.fact)) {
        (Proof::Confirmed, Some(Fact::NotTried { .. })) => words(&Fact::ReadBack { dead: true }),
        (Proof::Accepted, Some(Fact::NotTried { .. })) => words(&Fact::Accepted { status: 0 }),
        _ => None,
    };
    match (given, telling) {
        (Some(given), Some(why)) => format!("{given}; {why}"),
        (_, Some(telling)) => telling,
        (_, None) => "nothing was observed".into(),
    }
}

/// A fact in words; `None` for what says nothing about life or death.
pub fn words(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::Accepted { status: 0 } => "the request was taken".into(),
        Fact::Accepted { status } => format!("the request was taken ({status})"),
        Fact::AlreadyDone { .. } => "it was cut before".into(),
        Fact::ReadBack { dead: true } => "the record of its issuer says dead".into(),
        Fact::ReadBack { dead: false } => "the record of its issuer says alive".into(),
        Fact::TriedNew { refused: true } => "tried and refused".into(),
        Fact::TriedNew { refused: false } => "tried, and it still works".into(),
        Fact::TriedOpen { refused: true } => "a session opened before was tried and refused".into(),
        Fact::TriedOpen { refused: false } => "a session opened before still works".into(),
        Fact::Listed { live: 0 } => return None,
        Fact::Listed { live } => format!("{live} derived sessions are alive"),
        Fact::Silent { after_ms } => format!("no answer in {}", crate::model::time::span(*after_ms)),
        Fact::Error { text, .. } => text.clone(),
        Fact::Manual { how } => format!("by hand: {how}"),
        Fact::Spared { why } => why.clone(),
        Fact::LookedFor { found: 0, scope, .. } => format!("looked for and not found ({scope})"),
        Fact::LookedFor { found, scope, .. } => format!("{found} found alive ({scope})"),
        Fact::Frozen { count } => format!("{count} frozen"),
        Fact::Killed { count } => format!("{count} killed"),
        Fact::NotTried { why } => why.clone(),
        Fact::GivenBack { act } => format!("given back on purpose by act {act}"),
        Fact::NoSessions
        | Fact::Ended { .. }
        | Fact::Residual { .. }
        | Fact::InFlight { .. }
        | Fact::Window { .. }
        | Fact::Over { .. }
        | Fact::Revives { .. }
        | Fact::Starter { .. }
        | Fact::Saved { .. }
        | Fact::Renewed { .. }
        | Fact::Noted { .. } => {
            return None;
        }
    })
}

//! Why a step stands where it stands, and exactly what it would run.

use crate::boundary::{Answer, Because, Verdict};
use crate::cli::ui::{Tone, Ui, styled};
use crate::evidence::escape;
use crate::model::act::{Act, Resolved, ResolvedUndo};
use crate::model::effect::Zone;

/// The tone of a zone.
pub fn tone(zone: Zone) -> Tone {
    match zone {
        Zone::Inside => Tone::Good,
        Zone::At => Tone::Warn,
        Zone::Outside => Tone::Bad,
    }
}

/// An argument list as it could be typed, nothing hidden.
pub fn typed(argv: &[String]) -> String {
    let quoted = |arg: &String| {
        let plain = !arg.is_empty()
            && arg
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c));
        if plain {
            arg.clone()
        } else {
            format!("'{}'", escape(arg).replace('\'', r"'\''"))
        }
    };
    argv.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// The act, verbatim, with its targets and the way back.
pub fn act(ui: &Ui, act: &Resolved) {
    match &act.act {
        Act::Run(argv) => ui.line(&format!("  runs     {}", typed(argv))),
        Act::Manual(m) => {
            ui.line("  by hand");
            ui.wrapped(4, &escape(&m.what));
            if let Some(place) = &m.place {
                ui.wrapped(4, &format!("where: {}", escape(place)));
            }
            if let Some(see) = &m.see {
                ui.wrapped(4, &format!("worked, if: {}", escape(see)));
            }
        }
        Act::Restore(_) | Act::Renew(_) => {
            for (name, value) in act.targets.iter().filter(|(name, _)| *name != "host") {
                ui.hanging(Tone::Plain, &format!("  {name:<10} "), &escape(value));
            }
        }
        Act::Ask(_) | Act::Capture(_) | Act::Sweep(_) => {}
    }
    if matches!(act.act, Act::Run(_)) {
        ui.line(&format!("  in       {}", escape(&act.cwd)));
    }
    if let Some(backup) = &act.backup {
        let verified = match backup.doubt() {
            None => styled(Tone::Good, "verified"),
            Some(doubt) => styled(Tone::Bad, &escape(&doubt)),
        };
        ui.line(&format!("  backup   {} {verified}", escape(&backup.path)));
    }
    let amounts = [(act.scope.rows, "row"), (act.scope.objects, "object")];
    for (n, thing) in amounts.iter().filter_map(|(n, thing)| Some(((*n)?, thing))) {
        let some = if n == 1 { "" } else { "s" };
        ui.line(&format!("  changes  at most {n} {thing}{some}, by its words"));
    }
    if let Some(approved) = &act.approved {
        ui.hanging(Tone::Plain, "  approval ", &escape(&approved.words()));
    }
    let undo = match &act.undo {
        ResolvedUndo::By(argv) => typed(argv),
        ResolvedUndo::ByHand(m) => format!("by hand: {}", escape(&m.what)),
        ResolvedUndo::Never(why) => format!("never: {}", escape(why)),
        ResolvedUndo::Unsaid => "nobody wrote down how".into(),
    };
    ui.line(&format!("  undo     {undo}"));
}

/// Why, effect by effect.
pub fn because(ui: &Ui, reasons: &[Because]) {
    for because in reasons {
        let text = if because.text.is_empty() {
            String::new()
        } else {
            format!(": {}", escape(&because.text))
        };
        ui.wrapped(
            11,
            &format!("{} {} ({}){text}", because.zone, because.effect, because.rule),
        );
    }
}

/// Zone and reasons, and whether it may run now.
pub fn show(ui: &Ui, verdict: &Verdict) {
    ui.line(&format!(
        "  zone     {}",
        styled(tone(verdict.zone), verdict.zone.word())
    ));
    because(ui, &verdict.because);
    if let Answer::Refused(refusal) = &verdict.answer {
        ui.line(&format!(
            "  now      {}",
            styled(Tone::Warn, &refusal.to_string())
        ));
    }
}

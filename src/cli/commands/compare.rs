//! `compare`: what changed between the baseline and the state after the repair.

use serde_json::json;

use crate::cli::record::Record;
use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit};
use crate::engine::{Changed, Compared, EngineError, Line, Way, Whose, compare};
use crate::evidence::escape;
use crate::model::event::Apart;
use crate::model::incident::Change;
use crate::report::words::count;

/// Arguments of `compare`.
#[derive(clap::Args)]
pub struct CompareArgs {
    /// Two captures by the number of their record; without them, every look taken after the repair against the baseline
    #[arg(num_args = 2, value_names = ["BEFORE", "AFTER"])]
    captures: Vec<u64>,
    /// Show lines, by whose doing they are
    #[arg(long)]
    lines: bool,
}

/// Compares, and says what it means.
pub fn run(app: &App, args: &CompareArgs) -> Result<Exit, CliError> {
    let id = app.which_any()?;
    let record = Record::read(app, &id)?;
    let case = app.store.open_case(&id).map_err(EngineError::from)?;
    let pair = match args.captures.as_slice() {
        [before, after] => Some((*before, *after)),
        _ => None,
    };
    if let Some((before, after)) = pair {
        let ended = |seq: &u64| {
            let capture = record.incident.captures.get(seq);
            capture.is_some_and(|c| c.exhibit.is_some())
        };
        if let Some(seq) = [before, after].iter().find(|seq| !ended(seq)) {
            let words = format!("record {seq} is no capture that ended");
            return Err(CliError::new(Exit::Usage, words)
                .hint("`incident timeline` names the captures by the numbers of their records"));
        }
    }
    let all = compare(&record.incident, &case, pair)?;
    if app.ui.json {
        let rows = all.iter().map(as_json);
        app.ui.value(&json!({ "compared": rows.collect::<Vec<_>>() }));
        return Ok(Exit::Done);
    }
    if all.is_empty() {
        let words = "nothing was captured after the baseline that repeats one of its looks";
        return Err(CliError::new(Exit::Failed, words.to_owned())
            .hint("`incident prove` takes every look of the baseline again; or name two captures: incident compare 6 41"));
    }
    for compared in &all {
        show(app, compared, args.lines);
    }
    app.ui.wrapped(
        0,
        "What is the same was so before anybody repaired: the agent's doing, or older. What differs came after \
         the first of the two: by the acts named, by work outside the tool, or by itself.",
    );
    app.ui.wrapped(
        0,
        "A line is put to the agent where it names what only the agent held, at a time before the stop; to the \
         responders where it names what an act of the record was for. Whose the others are, nobody can tell.",
    );
    Ok(Exit::Done)
}

fn show(app: &App, compared: &Compared, lines: bool) {
    let Compared {
        before, after, name, ..
    } = compared;
    app.ui.tone(
        Tone::Head,
        &format!("{}: #{before} against #{after}", escape(name)),
    );
    for (seq, title, who) in &compared.acts {
        app.ui.hanging(
            Tone::Plain,
            &format!("  act #{seq}  "),
            &format!("{}, by {}", escape(title), escape(who)),
        );
    }
    for changed in &compared.changed {
        let how = match (&changed.unread, changed.change) {
            (Some(why), _) => format!("other bytes; lines are not compared: {why}"),
            (None, Change::Gone) => format!("no longer there, {}", count(size(changed.removed), "line")),
            (None, Change::New) => format!("new, {}", count(size(changed.added), "line")),
            (None, _) => format!(
                "{} more, {} fewer",
                count(size(changed.added), "line"),
                changed.removed
            ),
        };
        app.ui.hanging(
            Tone::Warn,
            &format!("  {:<24} ", escape(&changed.name)),
            &escape(&how),
        );
    }
    app.ui.line(&format!("  {} the same", compared.same));
    let Apart {
        agent,
        responders,
        unknown,
        ..
    } = &compared.apart;
    let acts = responders.iter().map(|(act, n)| format!("{n} by act #{act}"));
    let acts = acts.collect::<Vec<_>>().join(", ");
    for (kind, n, more) in [
        ("agent", *agent, "its access at work before the stop"),
        (
            "responders",
            responders.iter().map(|(_, n)| n).sum(),
            acts.as_str(),
        ),
        ("unknown", *unknown, "came or went, nobody can tell by whom"),
    ] {
        if n == 0 {
            continue;
        }
        app.ui.hanging(
            Tone::Plain,
            &format!("  {kind:<24} "),
            &format!("{}: {more}", count(size(n), "line")),
        );
        if lines {
            let of_it: Vec<&Line> = compared.lines.iter().filter(|l| word(&l.whose) == kind).collect();
            for line in &of_it {
                app.ui
                    .line(&format!("    {} {}", sign(line.way), escape(&line.text)));
            }
            let left = n.saturating_sub(of_it.len() as u64);
            if left > 0 {
                app.ui.line(&format!("    … {left} more"));
            }
        }
    }
}

fn word(whose: &Whose) -> &'static str {
    match whose {
        Whose::Agent(_) => "agent",
        Whose::Responders(_) => "responders",
        Whose::Unknown => "unknown",
    }
}

fn sign(way: Way) -> char {
    match way {
        Way::Came => '+',
        Way::Went => '-',
        Way::Stayed => '=',
    }
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn as_json(compared: &Compared) -> serde_json::Value {
    let changed = compared.changed.iter().map(|c: &Changed| {
        let change = match c.change {
            Change::Differs => "differs",
            Change::Gone => "gone",
            Change::New => "new",
            Change::Same => "same",
        };
        json!({
            "name": c.name, "change": change, "added": c.added, "removed": c.removed, "not_compared": c.unread,
        })
    });
    let lines = compared.lines.iter().map(|line: &Line| {
        let (names, acts) = match &line.whose {
            Whose::Agent(name) => (Some(name), &[][..]),
            Whose::Responders(acts) => (None, &acts[..]),
            Whose::Unknown => (None, &[][..]),
        };
        json!({
            "file": line.file, "way": sign(line.way).to_string(), "text": line.text, "whose": word(&line.whose),
            "names": names, "acts": acts,
        })
    });
    json!({
        "before": compared.before, "after": compared.after, "name": compared.name, "same": compared.same,
        "acts": compared.acts.iter().map(|(seq, _, _)| seq).collect::<Vec<_>>(), "changed": changed.collect::<Vec<_>>(),
        "apart": compared.apart, "lines": lines.collect::<Vec<_>>(),
    })
}

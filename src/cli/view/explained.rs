//! The place of an effect in the text of an act: a line, and carets under it.

use serde_json::{Value, json};

use crate::boundary::Because;
use crate::cli::ui::Ui;
use crate::effects::{Place, Source};
use crate::engine::Explained;
use crate::evidence::escape;

/// Where the lines of a reason begin.
const INDENT: usize = 13;

/// Everything that speaks for one reason: what was seen of its effect.
fn behind<'e>(because: &Because, all: &'e [Explained]) -> Vec<&'e Explained> {
    all.iter()
        .filter(|one| one.sight.seen.effect == because.effect)
        .collect()
}

/// Why, effect by effect, each place under the reasons that were read there.
pub fn show(ui: &Ui, reasons: &[Because], all: &[Explained]) {
    let mut reasons = reasons.iter().peekable();
    let mut shown: Vec<&Place> = Vec::new();
    while let Some(because) = reasons.next() {
        super::verdict::because(ui, std::slice::from_ref(because));
        let seen = behind(because, all);
        let next = reasons.peek().map(|next| behind(next, all));
        let places = |seen: &[&Explained]| seen.iter().map(|one| one.sight.place.clone()).collect::<Vec<_>>();
        if next.is_some_and(|next| places(&next) == places(&seen)) {
            continue;
        }
        for one in seen {
            // The whole act stands above already.
            let Place { source, from, to, .. } = &one.sight.place;
            let all_of_it = *source == Source::Command && to - from == one.text.len();
            if !all_of_it && !shown.contains(&&one.sight.place) {
                shown.push(&one.sight.place);
                place(ui, one);
            }
        }
    }
}

fn place(ui: &Ui, one: &Explained) {
    let (head, line, mark) = snippet(one, 80 - INDENT);
    ui.line(&format!("{:INDENT$}{head}", ""));
    ui.line(&format!("{:INDENT$}  {line}", ""));
    ui.line(&format!("{:INDENT$}  {mark}", ""));
}

/// The heading, the line, and the marks under it; the last two at most `width` columns wide with their margin.
fn snippet(one: &Explained, width: usize) -> (String, String, String) {
    let Place {
        source,
        from,
        to,
        exact,
    } = &one.sight.place;
    let text = &one.text;
    let before = text.get(..*from).unwrap_or_default();
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    let number = before.matches('\n').count() + 1;
    let lines = text.matches('\n').count();
    let end = text
        .get(*from..)
        .and_then(|rest| rest.find('\n'))
        .map_or(text.len(), |at| from + at);
    let part = |from: usize, to: usize| escape(text.get(from..to).unwrap_or_default());
    let (front, marked, back) = (
        part(begin, *from),
        part(*from, (*to).min(end)),
        part((*to).min(end), end),
    );

    let mut head = escape(&one.sight.path.join(" › "));
    let place = match source {
        Source::Command if lines == 0 => None,
        Source::Command => Some(format!("line {number}")),
        Source::Script(path) => Some(format!("{}:{number}", escape(path))),
        Source::Input => Some(format!("what it is fed, line {number}")),
    };
    let made = (!exact).then(|| "made of what stands here".to_owned());
    for more in place.into_iter().chain(made) {
        head = if head.is_empty() {
            more
        } else {
            format!("{head} · {more}")
        };
    }

    let room = width.saturating_sub(2);
    // The end of what stands in front, the marked words, and what still fits behind them.
    let marked = beginning(&marked, room.saturating_sub(2));
    let spare = room.saturating_sub(wide(&marked));
    let front = ending(&front, spare.saturating_sub(wide(&back).min(spare / 2)));
    let back = beginning(&back, spare.saturating_sub(wide(&front)));
    let mark = format!("{:1$}{2}", "", wide(&front), "^".repeat(wide(&marked).max(1)));
    (head, format!("{front}{marked}{back}"), mark)
}

fn wide(text: &str) -> usize {
    console::measure_text_width(text)
}

/// As many of these characters as `columns` hold, with an ellipsis where some are left out.
fn held(chars: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let mut left = columns.saturating_sub(1);
    let mut kept: Vec<char> = chars
        .take_while(|c| {
            let fits = wide(c.encode_utf8(&mut [0; 4])).max(1) <= left;
            left = left.saturating_sub(wide(c.encode_utf8(&mut [0; 4])));
            fits
        })
        .collect();
    kept.extend((columns > 0).then_some('…'));
    kept
}

fn beginning(text: &str, columns: usize) -> String {
    match wide(text) <= columns {
        true => text.to_owned(),
        false => held(text.chars(), columns).into_iter().collect(),
    }
}

fn ending(text: &str, columns: usize) -> String {
    match wide(text) <= columns {
        true => text.to_owned(),
        false => held(text.chars().rev(), columns).into_iter().rev().collect(),
    }
}

/// Why, for programs: each reason with everything that was seen of its effect, and where.
pub fn because(reasons: &[Because], all: &[Explained]) -> Vec<Value> {
    let one = |because: &Because| {
        let seen: Vec<Value> = behind(because, all).into_iter().map(sighting).collect();
        json!({
            "effect": because.effect, "zone": because.zone, "rule": because.rule, "text": because.text, "seen": seen,
        })
    };
    reasons.iter().map(one).collect()
}

fn sighting(one: &Explained) -> Value {
    let Place {
        source,
        from,
        to,
        exact,
    } = &one.sight.place;
    let before = one.text.get(..*from).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let place = match source {
        Source::Command => {
            let ((first, from), (last, to)) = (argument(&one.argv, *from), argument(&one.argv, *to));
            json!({"in": "command", "argument": first, "from": from, "last": last, "to": to, "line": line})
        }
        Source::Script(path) => json!({"in": "script", "path": path, "from": from, "to": to, "line": line}),
        Source::Input => json!({"in": "input", "from": from, "to": to, "line": line}),
    };
    json!({
        "rule": one.sight.seen.rule, "text": one.sight.seen.text, "through": one.sight.path,
        "place": place, "exact": exact,
    })
}

/// The argument in which a byte of the joined arguments lies, and the byte in it.
fn argument(argv: &[String], byte: usize) -> (usize, usize) {
    let mut begin = 0;
    for (n, arg) in argv.iter().enumerate() {
        if byte <= begin + arg.len() {
            return (n, byte.saturating_sub(begin));
        }
        begin += arg.len() + 1;
    }
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::Sight;
    use crate::model::effect::{Effect, Seen};

    fn marked(text: &str, words: &str, width: usize) -> String {
        let from = text.find(words).unwrap();
        let one = Explained {
            sight: Sight {
                seen: Seen {
                    effect: Effect::OneWay,
                    text: words.into(),
                    rule: "a.rule".into(),
                },
                path: vec!["sh -c".into()],
                place: Place {
                    source: Source::Command,
                    from,
                    to: from + words.len(),
                    exact: true,
                },
            },
            argv: vec![text.into()],
            text: text.into(),
        };
        let (head, line, mark) = snippet(&one, width);
        assert!(wide(&line) <= width && wide(&mark) <= width, "{line}");
        format!("{head}|{line}|{mark}")
    }

    #[test]
    fn the_marks_stand_under_the_words() {
        assert_eq!(marked("sh -c rm x", "rm x", 40), "sh -c|sh -c rm x|      ^^^^");
        assert_eq!(
            marked("ls; 数 rm x\ny; rm z", "rm z", 40),
            "sh -c · line 2|y; rm z|   ^^^^"
        );
        assert_eq!(marked("数 rm x", "rm x", 40), "sh -c|数 rm x|   ^^^^");
        let long = format!("{} rm x {}", "a".repeat(100), "b".repeat(100));
        assert_eq!(
            marked(&long, "rm x", 30),
            "sh -c|…aaaaaaaaaa rm x bbbbbbbbbb…|            ^^^^"
        );
        assert_eq!(
            marked(&format!("rm {}", "x".repeat(99)), "rm", 20),
            "sh -c|rm xxxxxxxxxxxxxx…|^^"
        );
        let all = format!("rm {}", "x".repeat(99));
        assert_eq!(marked(&all, &all, 20), "sh -c|rm xxxxxxxxxxxx…|^^^^^^^^^^^^^^^^");
    }
}

//! The corpus: what people and agents type, and where each act must land.

use incident::effects::{ActText, detect};
use incident::model::effect::{Effect, Effects, Seen, Zone};

/// What the corpus says of one act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// A read and nothing else.
    Read,
    /// Inside the boundary, and no more than that.
    Inside,
    /// At the boundary or further out.
    At,
    /// Outside.
    Outside,
}

/// One line of the corpus.
#[derive(Debug)]
pub struct Entry {
    /// Its line in the file.
    pub line: usize,
    /// Where it must land.
    pub label: Label,
    /// Written to look like less than it is.
    pub evasion: bool,
    /// What must be among the effects.
    pub effects: Effects,
    /// What a shell is given.
    pub text: String,
}

/// Every act of the corpus.
pub fn corpus() -> Vec<Entry> {
    let lines = include_str!("corpus.txt").lines().enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| {
            let (head, text) = line
                .split_once(" | ")
                .unwrap_or_else(|| panic!("line {}: no act", at + 1));
            let mut words = head.split(' ');
            let label = match words.next() {
                Some("read") => Label::Read,
                Some("inside") => Label::Inside,
                Some("at") => Label::At,
                Some("outside") => Label::Outside,
                other => panic!("line {}: no label {other:?}", at + 1),
            };
            let evasion = match words.next() {
                Some("plain") => false,
                Some("evasion") => true,
                other => panic!("line {}: no kind {other:?}", at + 1),
            };
            Entry {
                line: at + 1,
                label,
                evasion,
                effects: words.map(|word| word.parse().unwrap()).collect(),
                text: text.replace('␤', "\n").replace('␉', "\t"),
            }
        })
        .collect()
}

/// What is seen in a text that a shell is given.
pub fn seen(text: &str) -> Vec<Seen> {
    let argv = ["/bin/sh", "-c", text].map(str::to_owned);
    detect(&ActText {
        argv: &argv,
        scripts: &[],
        stdin: None,
    })
}

/// Where the boundary that is shipped puts an effect for which nothing else speaks; `shipped` compares.
pub fn zone_of(effect: Effect) -> Zone {
    use Effect as E;
    match effect {
        E::Read | E::Protect | E::ServiceRestart | E::Traffic => Zone::Inside,
        E::Unknown => Zone::Outside,
        _ => Zone::At,
    }
}

/// The worst zone of what was seen.
pub fn zone(seen: &[Seen]) -> Zone {
    seen.iter()
        .map(|one| zone_of(one.effect))
        .max()
        .unwrap_or(Zone::Outside)
}

#[test]
fn every_act_lands_where_it_must() {
    let mut wrong = Vec::new();
    for act in corpus() {
        let seen = seen(&act.text);
        let (zone, effects) = (
            zone(&seen),
            seen.iter().map(|one| one.effect).collect::<Effects>(),
        );
        let lands = match act.label {
            Label::Read => effects == Effects::from([Effect::Read]),
            Label::Inside => zone == Zone::Inside,
            Label::At => zone >= Zone::At,
            Label::Outside => zone >= Zone::Outside,
        };
        if !lands || !act.effects.is_subset(&effects) {
            let rules: Vec<String> = seen
                .iter()
                .map(|s| format!("{} ({})", s.effect, s.rule))
                .collect();
            wrong.push(format!(
                "{}: {:?} {}\n    {}",
                act.line,
                act.label,
                act.text,
                rules.join(", ")
            ));
        }
    }
    assert!(wrong.is_empty(), "{} acts:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_corpus_is_as_large_and_as_hostile_as_it_says() {
    let all = corpus();
    let count = |test: fn(&Entry) -> bool| all.iter().filter(|act| test(act)).count();
    let (evasions, stay) = (count(|a| a.evasion), count(|a| a.label <= Label::Inside));
    assert!(all.len() >= 1300, "{}", all.len());
    assert!(evasions * 2 >= all.len(), "{evasions} of {} evade", all.len());
    assert!(stay >= 200, "{stay} stay inside");
    let mut texts: Vec<&str> = all.iter().map(|act| act.text.as_str()).collect();
    texts.sort_unstable();
    let twice: Vec<_> = texts.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "listed twice: {twice:?}");
}

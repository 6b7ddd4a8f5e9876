//! Acts that are alike land alike: nothing that is put around, before or behind an act lowers its zone.

use std::sync::LazyLock;

use incident::effects::{ActText, detect};
use incident::model::effect::{Effect, Seen, Zone};
use proptest::prelude::*;

use super::corpus::{Entry, corpus, seen, zone};

/// The worst zone, and the worst where bulk changes are outside as well.
fn weight(seen: &[Seen]) -> (Zone, bool) {
    let worst = zone(seen);
    let bulk = seen
        .iter()
        .any(|one| matches!(one.effect, Effect::BulkData | Effect::Unknown));
    (worst, bulk)
}

fn lower(now: (Zone, bool), before: (Zone, bool)) -> bool {
    now.0 < before.0 || !now.1 && before.1
}

/// A text with an open quote or bracket: what is put behind it may close it.
fn unfinished(text: &str) -> bool {
    seen(text).iter().any(|one| one.rule == "shell.unfinished")
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The finished acts of the corpus, each with its weight.
fn acts() -> &'static [(Entry, (Zone, bool))] {
    static ACTS: LazyLock<Vec<(Entry, (Zone, bool))>> = LazyLock::new(|| {
        let finished = corpus().into_iter().filter(|act| !unfinished(&act.text));
        finished
            .map(|act| {
                let weight = weight(&seen(&act.text));
                (act, weight)
            })
            .collect()
    });
    &ACTS
}

/// Texts with the act in them, all of which do at least what the act does.
fn around(text: &str) -> Vec<String> {
    let q = quoted(text);
    vec![
        format!("sh -c {q}"),
        format!("bash -ec {q} name one"),
        format!("sudo -n -u root sh -c {q}"),
        format!("sudo -i {q}"),
        format!("env -i LANG=C sh -c {q}"),
        format!("nohup timeout -k 5 60 nice -n 5 setsid sh -c {q} &"),
        format!("ssh -p 22 db1 {q}"),
        format!("su - postgres -c {q}"),
        format!("docker exec -i box sh -c {q}"),
        format!("kubectl -n web exec pod/x -c main -- sh -c {q}"),
        format!("find . -exec sh -c {q} ;"),
        format!("watch -n 5 {q}"),
        format!("flock /tmp/lock -c {q}"),
        format!("tmux new-session -d {q}"),
        format!("frobnicate {q}"),
        format!("eval {q}"),
        format!("trap {q} EXIT"),
        format!("sh <<'THE-END-OF-IT'\n{text}\nTHE-END-OF-IT"),
        format!("cat <<'THE-END-OF-IT' | ssh db1 sh\n{text}\nTHE-END-OF-IT"),
        format!("  \t\n{text}"),
        format!("# only a comment\n{text}"),
        format!("ls; {text}"),
        format!("true && {text}"),
        format!("false || {text}"),
        format!("2>&1; {text}"),
        format!("{text}\nls"),
        format!("{text}\n# only a comment"),
        format!("{text}\n"),
        format!("( {text}\n)"),
        format!("{{ {text}\n}}"),
        format!("if true; then {text}\nfi"),
        format!("while true; do {text}\ndone"),
        format!("for x in 1; do {text}\ndone"),
        format!("case x in x) {text}\nesac"),
        format!("f() {{ {text}\n}}; f"),
        format!("echo \"$({text}\n)\""),
    ]
}

#[test]
fn nothing_around_an_act_lowers_its_zone() {
    let mut wrong = Vec::new();
    for (act, before) in acts() {
        let before = *before;
        for text in around(&act.text) {
            // A here-document ends where its word stands alone on a line, not before a bracket.
            let now = weight(&seen(&text));
            if lower(now, before) {
                wrong.push(format!("{}: {before:?} became {now:?}: {text:?}", act.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{} texts:\n{}", wrong.len(), wrong.join("\n"));
}

/// Letters of the first word in quotes, or behind a backslash: the shell takes them away again.
#[test]
fn quoting_a_command_lowers_nothing() {
    let mut wrong = Vec::new();
    for (act, before) in acts() {
        let before = *before;
        let end = act
            .text
            .find(|c: char| !c.is_ascii_alphanumeric() && !"-_./".contains(c))
            .unwrap_or(act.text.len());
        let (word, rest) = act.text.split_at(end);
        // `x=…` and `f()` are no commands, and quoting a keyword makes it a program that nobody knows.
        if word.is_empty()
            || rest.starts_with([
                '=', '(', '+', '[', ':', '\\', '$', '`', '\'', '"', '*', '?', '{', '}', '!', '~',
            ])
        {
            continue;
        }
        for at in 0..word.len() {
            let (front, back) = word.split_at(at);
            let (letter, back) = back.split_at(1);
            for quoted in [
                format!("{front}'{letter}'{back}{rest}"),
                format!("{front}\"{letter}\"{back}{rest}"),
                format!("{front}\\{letter}{back}{rest}"),
                format!("{front}''{letter}{back}{rest}"),
                format!("{front}\\\n{letter}{back}{rest}"),
            ] {
                let now = weight(&seen(&quoted));
                if lower(now, before) {
                    wrong.push(format!("{}: {before:?} became {now:?}: {quoted:?}", act.line));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} texts:\n{}", wrong.len(), wrong.join("\n"));
}

/// As words, and as a script on standard input, an act weighs as much as on a command line.
#[test]
fn standard_input_of_a_shell_is_no_way_around() {
    for (act, before) in acts() {
        let argv = ["bash".to_owned()];
        let fed = detect(&ActText {
            argv: &argv,
            scripts: &[],
            stdin: Some(act.text.as_bytes()),
        });
        assert!(!lower(weight(&fed), *before), "{}: {}", act.line, act.text);
    }
}

fn between() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["\n", "\n\n", "\n;", "\n: # x\n", "\n  "])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn two_acts_weigh_as_much_as_the_heavier(one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(), between in between()) {
        let ((one, first), (other, second)) = (one.get(acts()), other.get(acts()));
        let (one, other) = (&one.text, &other.text);
        let both = weight(&seen(&format!("{one}{between}{other}")));
        prop_assert!(!lower(both, *first), "{one:?} is lost before {other:?}");
        prop_assert!(!lower(both, *second), "{other:?} is lost behind {one:?}");
    }

    #[test]
    fn nothing_behind_an_act_lowers_its_zone(act in any::<prop::sample::Index>(), between in between(), noise in "\\PC{0,40}|[ -~\n]{0,60}") {
        let (act, before) = act.get(acts());
        let act = &act.text;
        let now = weight(&seen(&format!("{act}{between}{noise}")));
        prop_assert!(!lower(now, *before), "{act:?} is lost before {noise:?}: {now:?}");
    }

    #[test]
    fn wrapper_upon_wrapper_lowers_nothing(act in any::<prop::sample::Index>(), ways in prop::collection::vec(any::<prop::sample::Index>(), 1..5)) {
        let (act, before) = act.get(acts());
        let mut text = act.text.clone();
        for way in ways {
            text = way.get(&around(&text)).clone();
            if text.len() > 50_000 {
                break;
            }
        }
        let now = weight(&seen(&text));
        prop_assert!(!lower(now, *before), "{before:?} became {now:?}: {text:?}");
    }
}

//! Where an effect was seen: always in the text, on borders of characters, and beside the same answer as without.

use incident::effects::{ActText, ScriptText, Source, detect, explain};
use proptest::prelude::*;

use super::corpus::corpus;

/// What must hold of any act, and how many places were exact.
pub fn sound(act: &ActText<'_>) -> (usize, usize) {
    let sights = explain(act);
    let seen: Vec<_> = sights.iter().map(|sight| sight.seen.clone()).collect();
    assert_eq!(seen, detect(act), "an explanation says something else");
    let joined = act.argv.join(" ");
    for sight in &sights {
        let text = match &sight.place.source {
            Source::Command => &joined,
            Source::Script(path) => {
                let script = act.scripts.iter().find(|script| script.path == path).unwrap();
                std::str::from_utf8(script.bytes).unwrap_or_default()
            }
            Source::Input => std::str::from_utf8(act.stdin.unwrap()).unwrap_or_default(),
        };
        assert!(
            text.get(sight.place.from..sight.place.to).is_some(),
            "{sight:?}: {text:?}"
        );
        assert!(sight.path.len() <= 32, "{sight:?}");
    }
    (
        sights.iter().filter(|sight| sight.place.exact).count(),
        sights.len(),
    )
}

#[test]
fn every_place_is_in_the_text_and_nearly_all_are_exact() {
    let (mut exact, mut all) = (0, 0);
    for act in corpus() {
        let argv = ["/bin/sh", "-c", &act.text].map(str::to_owned);
        let counted = sound(&ActText {
            argv: &argv,
            scripts: &[],
            stdin: None,
        });
        exact += counted.0;
        all += counted.1;
        // The same as a script, and as what a shell is fed.
        let script = ["bash", "x.sh"].map(str::to_owned);
        let scripts = [ScriptText {
            path: "x.sh",
            bytes: act.text.as_bytes(),
        }];
        sound(&ActText {
            argv: &script,
            scripts: &scripts,
            stdin: None,
        });
        sound(&ActText {
            argv: &script[..1],
            scripts: &[],
            stdin: Some(act.text.as_bytes()),
        });
    }
    assert!(exact * 20 >= all * 19, "{exact} of {all} places are exact");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_place_is_never_off_the_text(act in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), noise in "\\PC{0,20}|[ -~\n]{0,30}") {
        let corpus = corpus();
        let mut text = act.get(&corpus).text.clone();
        let borders: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        text.insert_str(*cut.get(&borders), &noise);
        let argv = ["/bin/sh", "-c", &text].map(str::to_owned);
        sound(&ActText { argv: &argv, scripts: &[], stdin: None });
        let argv: Vec<String> = text.split(' ').map(str::to_owned).collect();
        sound(&ActText { argv: &argv, scripts: &[], stdin: Some(text.as_bytes()) });
    }
}

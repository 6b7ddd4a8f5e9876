//! Letters that a person cannot see, or cannot tell from others. Whoever signs must have read what runs.

use super::statement::Statement;

/// Something in a request that a reader would miss.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} holds U+{:04X}, {why}", u32::from(*.letter))]
pub struct Hidden {
    /// Where, in words.
    pub place: String,
    /// The letter.
    pub letter: char,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Statement {
    /// The first thing in it that cannot be read for what it is; `None` where all can.
    pub fn hidden(&self) -> Option<Hidden> {
        let one = |place: &str, text: &str| (place.to_owned(), text.to_owned());
        let mut all = vec![
            one("the title", &self.title),
            one("the rule", &self.rule),
            one("the requester", &self.requester),
        ];
        all.extend(self.unproven.iter().map(|name| one("a name", name)));
        all.extend(self.roles_needed.iter().map(|role| one("a role", role)));
        for act in &self.bound.acts {
            let args = (1..).zip(&act.args);
            all.extend(args.map(|(n, arg)| (format!("argument {n} of `{}`", act.step), arg.clone())));
            all.extend(act.env.iter().map(|name| one("the name of a variable", name)));
            all.extend(act.parts.iter().map(|part| one("the name of a part", &part.name)));
            let targets = act.targets.iter().flat_map(|t| [&t.kind, &t.value]);
            all.extend(targets.map(|text| (format!("a target of `{}`", act.step), text.clone())));
        }
        all.into_iter().find_map(|(place, text)| {
            let (letter, why) = odd(&text)?;
            Some(Hidden { place, letter, why })
        })
    }
}

const UNSEEN: &str = "which nobody can see";
const TURNS: &str = "which turns the order of the letters around it";
const TWIN: &str = "which looks like a plain letter or sign and is another";

/// The first letter of a text that a reader would miss or mistake.
pub fn odd(text: &str) -> Option<(char, &'static str)> {
    if let Some(found) = text.chars().find_map(|c| Some((c, alone(c)?))) {
        return Some(found);
    }
    // A dash that begins a word is an option to one reader and a name to a program.
    let dash = |c: char| matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}');
    let mut words = text.split(char::is_whitespace);
    let option = |word: &str| {
        let mut letters = word.chars();
        letters.next().filter(|c| dash(*c) && letters.next().is_some())
    };
    if let Some(c) = words.find_map(option) {
        return Some((c, TWIN));
    }
    text.split(|c: char| !c.is_alphanumeric()).find_map(mixed)
}

/// A letter that is odd wherever it stands.
fn alone(c: char) -> Option<&'static str> {
    match c {
        '\n' | '\t' => None,
        c if c.is_control() => Some("a control character"),
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some(TURNS)
        }
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => Some(UNSEEN),
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{206f}' => Some(UNSEEN),
        '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' => {
            Some(UNSEEN)
        }
        '\u{e0000}'..='\u{e0fff}' => Some(UNSEEN),
        ' ' => None,
        c if c.is_whitespace() => Some("a space that no program takes for one"),
        '\u{131}' | '\u{251}' | '\u{261}' | '\u{1c0}' | '\u{1c3}' | '\u{212a}' => Some(TWIN),
        '\u{24b6}'..='\u{24e9}' | '\u{ff01}'..='\u{ff5e}' | '\u{1d400}'..='\u{1d7ff}' => Some(TWIN),
        '\u{37e}' | '\u{2024}' | '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{a789}' => Some(TWIN),
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'.. => Some("to which no letter is assigned"),
        _ => None,
    }
}

/// A word of two scripts that share shapes, or wholly of letters that all have a Latin twin.
fn mixed(word: &str) -> Option<(char, &'static str)> {
    let foreign = |c: &char| {
        matches!(*c, '\u{370}'..='\u{58f}' | '\u{13a0}'..='\u{13ff}' | '\u{1c80}'..='\u{1c8f}'
            | '\u{1f00}'..='\u{1fff}' | '\u{2c80}'..='\u{2dff}' | '\u{a4d0}'..='\u{a4ff}'
            | '\u{a640}'..='\u{a69f}' | '\u{ab70}'..='\u{abbf}')
    };
    let first = word.chars().find(foreign)?;
    const TWINS: &str = "асеорхуіјѕһԁԛԝѵАВЕКМНОРСТХУІЈЅԌовαινορτυΑΒΕΖΗΙΚΜΝΟΡΤΥΧ";
    if word.chars().any(|c| c.is_ascii_alphabetic()) {
        return Some((first, "a letter of another alphabet among Latin ones"));
    }
    let letters = || word.chars().filter(|c| c.is_alphabetic());
    letters().all(|c| TWINS.contains(c)).then_some((first, TWIN))
}

#[cfg(test)]
mod tests {
    use super::super::read::tests::sample;
    use super::*;

    #[test]
    fn what_cannot_be_read_for_what_it_is_is_named() {
        for (text, letter) in [
            ("DROP TABLE x;\u{202e}--", '\u{202e}'),
            ("a\rb", '\r'),
            ("\u{1b}[2J", '\u{1b}'),
            ("ls\u{200b}", '\u{200b}'),
            ("rm\u{a0}-rf", '\u{a0}'),
            ("р\u{0430}ypal", 'р'),
            ("orders_рrod", 'р'),
            ("\u{441}\u{43e}\u{440}", '\u{441}'),
            ("\u{2013}dry-run", '\u{2013}'),
            ("run \u{2212}n", '\u{2212}'),
            ("ｒｍ", 'ｒ'),
            ("𝗋𝗆", '𝗋'),
            ("x\u{e0041}", '\u{e0041}'),
            ("f\u{131}le", '\u{131}'),
            ("a\u{2044}b", '\u{2044}'),
            ("\u{441}\u{43e}\u{440}1", '\u{441}'),
        ] {
            assert_eq!(odd(text).map(|(c, _)| c), Some(letter), "{text:?}");
        }
        for text in [
            "Müller, größer — und läßt es so",
            "select 'ы', 'Привет мир' -- λόγος",
            "注文データベース",
            "line one\n\tline two",
            "--dry-run a-b",
            "",
        ] {
            assert_eq!(odd(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_letter_that_nobody_sees_or_takes_for_another_is_odd_to_the_ends_of_its_kind() {
        let kinds: [(&str, &[(char, char)]); 4] = [
            (
                TURNS,
                &[
                    ('\u{61c}', '\u{61c}'),
                    ('\u{200e}', '\u{200f}'),
                    ('\u{202a}', '\u{202e}'),
                    ('\u{2066}', '\u{2069}'),
                ],
            ),
            (
                UNSEEN,
                &[
                    ('\u{ad}', '\u{ad}'),
                    ('\u{34f}', '\u{34f}'),
                    ('\u{115f}', '\u{1160}'),
                    ('\u{17b4}', '\u{17b5}'),
                    ('\u{180b}', '\u{180f}'),
                    ('\u{200b}', '\u{200d}'),
                    ('\u{2060}', '\u{2065}'),
                    ('\u{206a}', '\u{206f}'),
                    ('\u{3164}', '\u{3164}'),
                    ('\u{fe00}', '\u{fe0f}'),
                    ('\u{feff}', '\u{feff}'),
                    ('\u{ffa0}', '\u{ffa0}'),
                    ('\u{fff9}', '\u{fffb}'),
                    ('\u{e0000}', '\u{e0fff}'),
                ],
            ),
            (
                TWIN,
                &[
                    ('\u{251}', '\u{251}'),
                    ('\u{261}', '\u{261}'),
                    ('\u{1c0}', '\u{1c0}'),
                    ('\u{1c3}', '\u{1c3}'),
                    ('\u{212a}', '\u{212a}'),
                    ('\u{24b6}', '\u{24e9}'),
                    ('\u{ff01}', '\u{ff5e}'),
                    ('\u{1d400}', '\u{1d7ff}'),
                    ('\u{37e}', '\u{37e}'),
                    ('\u{2024}', '\u{2024}'),
                    ('\u{2215}', '\u{2215}'),
                    ('\u{29f8}', '\u{29f8}'),
                    ('\u{a789}', '\u{a789}'),
                ],
            ),
            (
                "to which no letter is assigned",
                &[('\u{e000}', '\u{f8ff}'), ('\u{f0000}', '\u{10ffff}')],
            ),
        ];
        for (why, ranges) in kinds {
            for c in ranges.iter().flat_map(|(first, last)| [*first, *last]) {
                assert_eq!(odd(&format!("a{c}b")), Some((c, why)), "{c:?}");
            }
        }
    }

    #[test]
    fn every_place_of_a_statement_is_looked_at() {
        let mut clean = sample();
        clean.bound.acts[0].args[2] = "orders; x".into();
        assert_eq!(clean.hidden(), None);
        type Change = fn(&mut Statement);
        let changes: [(&str, Change); 8] = [
            ("the title", |s| s.title.push('\u{200b}')),
            ("the rule", |s| s.rule.push('\u{200b}')),
            ("the requester", |s| s.requester.push('\u{200b}')),
            ("a name", |s| s.unproven.push("\u{200b}".into())),
            ("a role", |s| s.roles_needed.push("\u{200b}".into())),
            ("the name of a variable", |s| {
                s.bound.acts[0].env.push("\u{200b}".into())
            }),
            ("the name of a part", |s| {
                s.bound.acts[0].parts[0].name.push('\u{200b}')
            }),
            ("a target of `restore-beside`", |s| {
                s.bound.acts[0].targets[1].value.push('\u{200b}')
            }),
        ];
        for (place, change) in changes {
            let mut statement = clean.clone();
            change(&mut statement);
            assert_eq!(statement.hidden().map(|h| h.place).as_deref(), Some(place));
        }
        assert_eq!(
            sample().hidden().unwrap().to_string(),
            "argument 3 of `restore-beside` holds U+202E, which turns the order of the letters around it"
        );
    }
}

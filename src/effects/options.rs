//! Where a program's leading options end, and which verb follows them.

use crate::model::effect::Effect;

use super::eye::{Cmd, Eye};
use super::words::Word;

/// The options a program may have in front of its first other word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// Options that take a value, separated by spaces: `"-u --user"`.
    pub valued: &'static str,
    /// Options that stand alone.
    pub flags: &'static str,
}

fn listed(list: &str, option: &str) -> bool {
    list.split(' ').any(|known| known == option)
}

impl Options {
    /// How many words are leading options and their values, and whether all of them were known.
    pub fn skip(&self, args: &[Word]) -> (usize, bool) {
        let (mut at, mut known) = (0, true);
        while let Some(arg) = args.get(at) {
            if arg.text == "--" {
                return (at + 1, known);
            }
            if !arg.text.starts_with('-') || arg.text == "-" {
                // A word the run decides could turn out to be an option.
                known &= arg.fixed || !could_be_option(arg);
                break;
            }
            known &= arg.fixed;
            at += self.width(&arg.text, &mut known);
        }
        (at.min(args.len()), known)
    }

    /// How many words this option takes with its value.
    pub fn width(&self, option: &str, known: &mut bool) -> usize {
        let (name, attached) = option
            .split_once('=')
            .map_or((option, false), |(name, _)| (name, true));
        if listed(self.valued, name) {
            return if attached { 1 } else { 2 };
        }
        if listed(self.flags, name) {
            return 1;
        }
        if option.starts_with("--") {
            *known = false;
            return 1;
        }
        // `-nE`, `-uroot`: a cluster of letters, or a letter with its value attached.
        for (n, letter) in option.char_indices().skip(1) {
            let short = format!("-{letter}");
            if listed(self.valued, &short) {
                return if n + letter.len_utf8() == option.len() {
                    2
                } else {
                    1
                };
            }
            if !listed(self.flags, &short) {
                *known = false;
                return 1;
            }
        }
        1
    }
}

/// Whether a flag such as `--dry-run` stands there as a flag, and is not taken back.
///
/// Behind an option that is not one of `flags` it could be that option's value, and promise nothing.
pub(super) fn promises(args: &[Word], names: &[&str], flags: &'static str) -> bool {
    const TAKEN_BACK: [&str; 4] = ["--no-dry-run", "--no-dryrun", "--dry-run=none", "--dry-run=false"];
    let end = args.iter().position(|arg| arg.text == "--").unwrap_or(args.len());
    let own = args.get(..end).unwrap_or_default();
    let options = Options { valued: "", flags };
    let is_flag = |at: usize| {
        at.checked_sub(1)
            .and_then(|before| own.get(before))
            .is_none_or(|before| {
                let mut known = true;
                options.width(&before.text, &mut known);
                !before.text.starts_with('-') || before.text.contains('=') || known
            })
    };
    let promised = own
        .iter()
        .enumerate()
        .any(|(at, arg)| names.contains(&arg.as_str()) && is_flag(at));
    promised && !own.iter().any(|arg| TAKEN_BACK.contains(&arg.as_str()))
}

fn could_be_option(word: &Word) -> bool {
    word.text.starts_with(['$', '{', '[', '*', '?', '-'])
}

/// A program whose effects hang on the verb that follows its options.
pub(super) struct Verbs {
    /// The name that rules carry.
    pub tool: &'static str,
    /// Options that may stand before the verb.
    pub options: Options,
    /// Verb words and what they change; the longest match counts.
    pub rows: &'static [Row],
}

/// The words of a verb, such as `state rm`, and its effects. A trailing `*` matches any ending, a
/// last `$` that no further word follows.
pub(super) type Row = (&'static str, &'static [Effect]);

impl Verbs {
    /// The verb words of a command: those that are no options, and whether the options were known.
    pub fn words<'c>(&self, args: &'c [Word]) -> (Vec<&'c str>, bool) {
        let (start, mut known) = self.options.skip(args);
        let mut words: Vec<&str> = Vec::new();
        let mut at = start;
        let mut strange = false;
        while let Some(arg) = args.get(at).filter(|_| words.len() < 4) {
            if arg.text.starts_with('-') {
                let mut plain = true;
                at += self.options.width(&arg.text, &mut plain).max(1);
                strange |= !plain;
            } else {
                // An option that is not known may have taken this word as its value, and the verb
                // goes on behind it: `rollout --field-manager status restart`.
                known &= !strange || words.len() >= self.longest(words.first().copied());
                words.push(arg.text.as_str());
                at += 1;
            }
        }
        (words, known)
    }

    /// How many words the longest verb has that begins with `first`.
    fn longest(&self, first: Option<&str>) -> usize {
        let begins = |pattern: &str| Some(pattern.split(' ').next().unwrap_or_default()) == first;
        let lengths = self
            .rows
            .iter()
            .filter(|(pattern, _)| begins(pattern))
            .map(|(pattern, _)| pattern.split(' ').count());
        lengths.max().unwrap_or(1)
    }

    /// Notes the effects of the command's verb; the verb's words where a row matched.
    pub fn look(&self, eye: &mut Eye<'_>, cmd: &Cmd<'_>) -> Option<&'static str> {
        let text = cmd.text();
        let (words, known) = self.words(cmd.args);
        if !known {
            eye.unknown(&text, &format!("{}.option-not-known", self.tool));
        }
        let best = self
            .rows
            .iter()
            .filter(|(pattern, _)| matches(pattern, &words))
            .max_by_key(|(pattern, _)| (pattern.split(' ').count(), !pattern.ends_with('*'), pattern.len()));
        let Some((pattern, effects)) = best else {
            eye.unknown(&text, &format!("{}.verb-not-known", self.tool));
            return None;
        };
        let rule: String = pattern.replace(' ', "-").replace(['*', '$'], "");
        eye.see_all(
            effects,
            &text,
            &format!("{}.{}", self.tool, rule.trim_end_matches('-')),
        );
        Some(pattern)
    }
}

fn matches(pattern: &str, words: &[&str]) -> bool {
    let mut words = words.iter();
    pattern.split(' ').all(|wanted| {
        if wanted == "$" {
            return words.next().is_none();
        }
        words.next().is_some_and(|word| match wanted.strip_suffix('*') {
            Some(start) => word.starts_with(start),
            None => *word == wanted,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_with_values_are_stepped_over() {
        let options = Options {
            valued: "-u --user -C",
            flags: "-n -E --quiet",
        };
        let skip = |line: &str| {
            let args: Vec<Word> = line.split(' ').map(Word::fixed).collect();
            options.skip(&args)
        };
        assert_eq!(skip("-u root rm"), (2, true));
        assert_eq!(skip("-uroot -nE --user=x --quiet -- rm"), (5, true));
        assert_eq!(skip("-nu root rm"), (2, true));
        assert_eq!(skip("--other rm"), (1, false));
        assert_eq!(skip("-C"), (1, true));
    }
}

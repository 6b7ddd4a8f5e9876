//! Where in an act its effects were seen, for a person who asks. Judging needs none of it.

use std::collections::BTreeSet;
use std::path::Path;

use super::Engine;
use super::resolve::SCRIPT_CAP;
use crate::effects::{self, ActText, ScriptText, Sight, Source};
use crate::journal::Hash;
use crate::model::act::{Act, CaptureSpec, Resolved};
use crate::model::effect::Seen;

/// One effect with the place where it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The effect, the commands that led to it, the place.
    pub sight: Sight,
    /// The arguments that were read.
    pub argv: Vec<String>,
    /// The text in which the place lies.
    pub text: String,
}

impl Engine<'_> {
    /// Everything that was seen in a resolved act, each with its place. Only the files that it was judged by are read,
    /// and only where they are still the same.
    pub fn explain(&self, act: &Resolved) -> Vec<Explained> {
        let own = match &act.act {
            Act::Run(argv) | Act::Capture(CaptureSpec::Command { argv, .. }) => Some(argv),
            _ => None,
        };
        let check = act.verify.as_ref().map(|check| &check.run);
        let mut left: BTreeSet<Seen> = act.seen.iter().cloned().collect();
        let mut all = Vec::new();
        for argv in own.into_iter().chain(check) {
            let scripts = self.judged_by(act, argv);
            let scripts: Vec<ScriptText<'_>> = scripts
                .iter()
                .map(|(path, bytes)| ScriptText { path, bytes })
                .collect();
            let sights = effects::explain(&ActText {
                argv,
                scripts: &scripts,
                stdin: None,
            });
            let text = |source: &Source| match source {
                Source::Command => argv.join(" "),
                Source::Input => String::new(),
                Source::Script(path) => {
                    let script = scripts.iter().find(|script| script.path == path);
                    script.map_or_else(String::new, |s| String::from_utf8_lossy(s.bytes).into_owned())
                }
            };
            for sight in sights {
                if left.remove(&sight.seen) {
                    let text = text(&sight.place.source);
                    let argv = argv.clone();
                    all.push(Explained { sight, argv, text });
                }
            }
        }
        all
    }

    fn judged_by(&self, act: &Resolved, argv: &[String]) -> Vec<(String, Vec<u8>)> {
        let judged = |name: String| {
            let path = Path::new(&act.cwd).join(&name);
            let bytes = self.world.files.read(&path, SCRIPT_CAP).ok()?;
            let (path, sha256) = (path.display().to_string(), Hash::of(&bytes).to_string());
            let same = act.files.iter().any(|f| f.path == path && f.sha256 == sha256);
            same.then_some((name, bytes))
        };
        effects::script_paths(argv)
            .into_iter()
            .filter_map(judged)
            .collect()
    }
}

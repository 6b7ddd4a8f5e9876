//! Interpreters: their programs are not followed, only searched for what cannot be meant harmlessly.

use crate::model::effect::Effect::{self, BulkData, CredentialChange, DataWrite, OneWay, Read};

use crate::effects::eye::{Cmd, Eye, Stdin};

/// Whether a name is an interpreter with its version: `python3.12`, `perl5.36`, `ruby3.1`.
pub(super) fn is_versioned(name: &str) -> bool {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    bare != name && matches!(bare, "python" | "perl" | "ruby" | "lua" | "php" | "node")
}

/// `python -c …`, `node script.js`: never understood; text that can be seen is searched.
pub(super) fn look(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    if let [only] = cmd.args
        && matches!(only.text.as_str(), "--version" | "-V" | "-v" | "--help")
    {
        return eye.see(Read, &line, "interpreter.version");
    }
    eye.unknown(&line, "interpreter.not-followed");
    if let Some((script, args)) = cmd.args.split_first()
        && ["manage.py", "artisan", "rails", "rake"]
            .iter()
            .any(|name| script.text.ends_with(name))
    {
        super::projects::migrations(eye, &Cmd { args, ..*cmd });
    }
    for arg in cmd.args {
        search(eye, &arg.text);
        let path = !arg.text.starts_with('-')
            && arg.fixed
            && arg.text.len() < 4096
            && !arg.text.contains(['\n', ' ', '(']);
        if path
            && let Some(script) = eye
                .script(&arg.text)
                .and_then(|bytes| std::str::from_utf8(bytes).ok())
        {
            search(eye, script);
        }
    }
    if let Stdin::Bytes(bytes) = cmd.stdin
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        search(eye, text);
    }
}

/// The text of a script in another language than the shell's.
pub(in crate::effects) fn program_text(eye: &mut Eye<'_>, script: &str, line: &str) {
    eye.unknown(line, "interpreter.not-followed");
    search(eye, script);
}

/// Words whose meaning does not hang on the language around them.
fn search(eye: &mut Eye<'_>, text: &str) {
    const WORDS: &[(&str, &[Effect])] = &[
        ("drop table", &[Effect::SchemaChange, BulkData, OneWay]),
        ("drop database", &[Effect::SchemaChange, BulkData, OneWay]),
        ("drop schema", &[Effect::SchemaChange, BulkData, OneWay]),
        ("truncate table", &[BulkData, OneWay]),
        ("delete from", &[DataWrite]),
        ("rm -rf", &[BulkData, OneWay]),
        ("rmtree", &[BulkData, OneWay]),
        ("rmsync", &[BulkData, OneWay]),
        ("unlink(", &[DataWrite, OneWay]),
        ("os.remove", &[DataWrite, OneWay]),
        ("dropdatabase", &[BulkData, OneWay]),
        ("deletemany", &[BulkData, OneWay]),
        ("delete_bucket", &[Effect::InfraChange, OneWay]),
        ("delete_db_", &[Effect::InfraChange, BulkData, OneWay]),
        ("delete_snapshot", &[Effect::BackupChange, OneWay]),
        ("terminate_instances", &[Effect::InfraChange, OneWay]),
        ("flushall", &[BulkData, OneWay]),
        ("create_access_key", &[CredentialChange]),
    ];
    if !eye.afford(text) {
        return;
    }
    let lower = text.to_ascii_lowercase();
    for (word, effects) in WORDS {
        if lower.contains(word) {
            eye.see_all(effects, word, "interpreter.words-seen");
        }
    }
}

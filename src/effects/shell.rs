//! Shell text to commands: lists, pipes, keywords, assignments, redirections.
//!
//! Every command in the text is looked at, whether or not a condition would let it run. What a
//! shell computes (substitution, `eval`, aliases, functions) is not understood, but looked into.

use crate::model::effect::Effect;

use super::eye::{Cmd, Eye, Stdin, usual};
use super::places::Found;
use super::words::{Body, Lexed, Piece, Word, lex, substitutions};
use super::{paths, tools};

/// Variables that may be set in front of a command without changing what it does, only where or how.
const HARMLESS: [&str; 37] = [
    "LANG",
    "LANGUAGE",
    "TZ",
    "TERM",
    "NO_COLOR",
    "COLUMNS",
    "LINES",
    "USER",
    "PGUSER",
    "PGHOST",
    "PGPORT",
    "PGDATABASE",
    "PGPASSWORD",
    "PGSSLMODE",
    "PGCONNECT_TIMEOUT",
    "PGAPPNAME",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_DEFAULT_OUTPUT",
    "CLOUDSDK_CORE_PROJECT",
    "KUBECONFIG",
    "VAULT_ADDR",
    "VAULT_NAMESPACE",
    "VAULT_TOKEN",
    "RAILS_ENV",
    "NODE_ENV",
    "RACK_ENV",
    "APP_ENV",
    "TF_IN_AUTOMATION",
    "TF_INPUT",
    "DEBIAN_FRONTEND",
    "MYSQL_PWD",
    "RESTIC_REPOSITORY",
    "BORG_REPO",
    "GH_REPO",
    "GIT_TERMINAL_PROMPT",
];

/// Words that stand in front of a command and change nothing about its effects.
const KEYWORDS: [&str; 13] = [
    "if", "then", "else", "elif", "fi", "while", "until", "do", "done", "{", "}", "!", "esac",
];

/// Looks at everything in a shell text; its first command reads `stdin`.
pub(super) fn text(eye: &mut Eye<'_>, text: &str, stdin: &Stdin<'_>) {
    if eye.afford(text) {
        eye.reading(text, |eye| read(eye, text, stdin));
    }
}

fn read(eye: &mut Eye<'_>, text: &str, stdin: &Stdin<'_>) {
    let lexed = lex(text);
    if lexed.broken {
        eye.unknown(text, "shell.unfinished");
    }
    for inner in &lexed.inner {
        eye.among(std::slice::from_ref(inner), |eye| {
            eye.unknown(&inner.text, "shell.substitution");
            eye.deeper(&inner.text, |eye| self::text(eye, &inner.text, &Stdin::Unseen));
        });
    }
    let before = eye.sights();
    commands(eye, &lexed, stdin);
    // Comments, separators and redirections onto themselves: no command, so nothing is done.
    if eye.sights() == before {
        eye.see(Effect::Read, text, "shell.nothing");
    }
}

/// Looks at a script that is run by path, by its first line.
pub(super) fn script_file(eye: &mut Eye<'_>, cmd: &Cmd<'_>, bytes: &[u8]) {
    let line = cmd.text();
    let Ok(script) = std::str::from_utf8(bytes) else {
        return eye.unknown(&line, "script.not-text");
    };
    let Some(first) = script.strip_prefix("#!").and_then(|rest| rest.lines().next()) else {
        eye.unknown(&line, "script.no-interpreter");
        return text(eye, script, &cmd.stdin);
    };
    let mut words: Vec<&str> = first.split_whitespace().collect();
    if words.first().is_some_and(|program| program.ends_with("/env")) {
        words.remove(0);
        words.retain(|word| *word != "-S");
    }
    let program = words
        .first()
        .and_then(|program| program.rsplit('/').next())
        .unwrap_or_default();
    if is_shell(program) && words.first().is_some_and(|path| usual(path)) {
        text(eye, script, &cmd.stdin);
    } else if matches!(program, "psql" | "make" | "awk" | "sed") {
        eye.unknown(&line, "script.interpreter");
    } else {
        tools::interpreters::program_text(eye, script, &line);
    }
}

/// Whether a program reads shell text that we can follow.
pub(super) fn is_shell(name: &str) -> bool {
    matches!(
        name,
        "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "mksh" | "rbash"
    )
}

fn commands(eye: &mut Eye<'_>, lexed: &Lexed, stdin: &Stdin<'_>) {
    let mut words: Vec<Word> = Vec::new();
    let mut here: Vec<&Body> = Vec::new();
    let mut piped: Fed = match stdin {
        Stdin::Bytes(bytes) => (Some(bytes.to_vec()), None),
        Stdin::Unseen => (None, None),
    };
    let mut redirects: Vec<(&'static str, Word)> = Vec::new();
    let mut pieces = lexed.pieces.iter().peekable();
    loop {
        let piece = pieces.next();
        match piece {
            Some(Piece::Word(word)) => words.push(word.clone()),
            Some(Piece::Here(number)) => here.extend(lexed.bodies.get(*number)),
            Some(Piece::Redirect(op)) => match pieces.next_if(|next| matches!(next, Piece::Word(_))) {
                Some(Piece::Word(target)) => redirects.push((op, target.clone())),
                _ => eye.unknown(op, "shell.unfinished"),
            },
            Some(Piece::End("(")) if after_keywords(&words).len() == 1 => {
                // `name()` gives a word a new meaning for the rest of the text.
                eye.unknown(words.last().map_or("", Word::as_str), "shell.function");
                words.clear();
            }
            Some(Piece::End(_)) | None => {
                let pipe = matches!(piece, Some(Piece::End("|" | "|&")));
                let (bytes, at) = fed(
                    eye,
                    std::mem::take(&mut here),
                    std::mem::take(&mut piped),
                    &redirects,
                );
                let stdin = bytes.as_deref().map_or(Stdin::Unseen, Stdin::Bytes);
                let said = if pipe { echoed(&words, &stdin) } else { None };
                files(eye, &redirects, &words);
                eye.fed(bytes.as_deref(), at, |eye| {
                    eye.among(&words, |eye| simple(eye, &words, &stdin));
                });
                let at = said.as_ref().and_then(|said| eye.find(said, words.get(1..)?));
                piped = (said, at);
                words.clear();
                redirects.clear();
                if piece.is_none() {
                    return;
                }
            }
        }
    }
}

/// What is fed, and where it stands, as far as either is known.
type Fed = (Option<Vec<u8>>, Option<Found>);

/// What a command reads on standard input, where exactly one source feeds it and that was seen.
fn fed(eye: &mut Eye<'_>, here: Vec<&Body>, piped: Fed, redirects: &[(&'static str, Word)]) -> Fed {
    let word = |body: &Body| Word {
        at: Some(body.at),
        ..Word::open(&body.text)
    };
    for body in here.iter().filter(|body| !body.fixed) {
        eye.among(&[word(body)], |eye| {
            eye.unknown(&body.text, "shell.here-document-expands");
            eye.reading(&body.text, |eye| {
                for inner in substitutions(&body.text) {
                    eye.among(std::slice::from_ref(&inner), |eye| {
                        eye.deeper(&inner.text, |eye| text(eye, &inner.text, &Stdin::Unseen));
                    });
                }
            });
        });
    }
    let inputs: Vec<_> = redirects.iter().filter(|(op, _)| op.starts_with('<')).collect();
    match (here.as_slice(), inputs.as_slice()) {
        ([], []) => piped,
        ([body], []) => {
            let at = eye.find(body.text.as_bytes(), &[word(body)]);
            (Some(body.text.clone().into_bytes()), at)
        }
        ([], [("<<<", word)]) if word.fixed => {
            let at = eye.find(word.text.as_bytes(), std::slice::from_ref(word));
            (Some(word.text.clone().into_bytes()), at)
        }
        ([], [("<", word)]) if word.text == "/dev/null" => (Some(Vec::new()), None),
        ([], [("<", word)]) if word.fixed => match eye.script(&word.text) {
            Some(bytes) => (Some(bytes.to_vec()), eye.find(bytes, &[])),
            None => (None, None),
        },
        _ => (None, None),
    }
}

/// What `echo` or `cat` hand to the next command of a pipe, where that can be known.
fn echoed(words: &[Word], stdin: &Stdin<'_>) -> Option<Vec<u8>> {
    let (first, args) = words.split_first()?;
    match (first.text.as_str(), stdin) {
        ("echo" | "printf", _)
            if args.iter().all(|w| w.fixed && !w.text.contains(['\\', '%']))
                && !args.first().is_some_and(|first| first.text.starts_with('-')) =>
        {
            let parts: Vec<&str> = args.iter().map(Word::as_str).collect();
            Some(parts.join(" ").into_bytes())
        }
        ("cat", Stdin::Bytes(bytes)) if args.is_empty() => Some(bytes.to_vec()),
        _ => None,
    }
}

/// Redirections onto files are writes, whatever the command is.
fn files(eye: &mut Eye<'_>, redirects: &[(&'static str, Word)], words: &[Word]) {
    for (op, target) in redirects {
        eye.among(std::slice::from_ref(target), |eye| file(eye, op, target, words));
    }
}

fn file(eye: &mut Eye<'_>, op: &str, target: &Word, words: &[Word]) {
    let text = format!("{op} {}", target.text);
    let duplicate =
        matches!(op, ">&" | "<&") && (target.text == "-" || target.text.chars().all(|c| c.is_ascii_digit()));
    if duplicate || op == "<<<" {
        return;
    }
    if matches!(op, "<" | "<&") {
        if paths::secret(&target.text) {
            eye.see(Effect::CredentialChange, &text, "read.secret-file");
        }
        if target.text.starts_with("/dev/tcp/") || target.text.starts_with("/dev/udp/") {
            eye.unknown(&text, "shell.network-file");
        }
        return;
    }
    if !target.fixed {
        eye.unknown(&text, "shell.redirect-not-fixed");
    }
    if target.text.starts_with("/dev/tcp/") || target.text.starts_with("/dev/udp/") {
        eye.unknown(&text, "shell.network-file");
    }
    let Some(effects) = paths::touched(&target.text) else {
        return;
    };
    eye.writes(&target.text);
    eye.see_all(effects, &text, "shell.redirect");
    let empty = after_keywords(words)
        .first()
        .is_none_or(|w| matches!(w.text.as_str(), ":" | "true"));
    if empty && op != ">>" {
        eye.see_all(&[Effect::BulkData, Effect::OneWay], &text, "shell.truncate-file");
    }
}

/// The words behind `if`, `{`, `do` and their kind.
fn after_keywords(words: &[Word]) -> &[Word] {
    let keyword = |word: &&Word| word.bare && KEYWORDS.contains(&word.as_str());
    words
        .get(words.iter().take_while(keyword).count()..)
        .unwrap_or_default()
}

/// One command with its keywords and assignments in front.
pub(super) fn simple(eye: &mut Eye<'_>, words: &[Word], stdin: &Stdin<'_>) {
    let mut rest = words;
    while let Some((first, after)) = rest.split_first() {
        if first.bare && KEYWORDS.contains(&first.as_str()) {
            rest = after;
        } else if let Some(name) = assigned(first) {
            assigns(eye, first, name);
            rest = after;
        } else {
            break;
        }
    }
    let Some((first, args)) = rest.split_first() else {
        return;
    };
    // Shells evaluate the index in `x[$(…)]` even where it was quoted, in these commands.
    let evaluates = [
        "[[", "[", "test", "printf", "unset", "read", "export", "declare", "local", "readonly", "typeset",
    ];
    if evaluates.contains(&first.as_str())
        && args
            .iter()
            .any(|arg| arg.text.contains(['`', '$']) && arg.text.contains('['))
    {
        eye.unknown(&join(rest), "shell.index-may-run");
    }
    if !first.bare && !first.fixed {
        return eye.command(rest, stdin);
    }
    match first.text.as_str() {
        "for" | "select" if first.bare => {
            eye.see(Effect::Read, "for", "shell.loop");
            if let Some(name) = args.first() {
                environment(eye, &name.text);
            }
        }
        "case" | "function" | "coproc" if first.bare => {
            eye.unknown(&first.text, "shell.not-followed");
            // `function f { rm x`: the name is no command, what stands behind the bracket is one.
            let body = if first.text == "function" {
                args.get(1..).unwrap_or_default()
            } else {
                args
            };
            if !body.is_empty() && first.text != "case" {
                eye.deeper("", |eye| simple(eye, body, stdin));
            }
        }
        "alias" if !args.is_empty() => eye.unknown("alias", "shell.alias"),
        "eval" => {
            let joined = join(args);
            eye.unknown(&joined, "shell.eval");
            eye.deeper(&joined, |eye| text(eye, &joined, stdin));
        }
        "trap" => match args {
            [only] if only.text.starts_with('-') => eye.see(Effect::Read, "trap", "shell.builtin"),
            [action, ..] if action.fixed => {
                let action = action.text.clone();
                eye.see(Effect::Read, "trap", "shell.builtin");
                eye.deeper(&action, |eye| text(eye, &action, &Stdin::Unseen));
            }
            _ => eye.unknown("trap", "shell.trap"),
        },
        "." | "source" => source(eye, rest),
        "export" | "declare" | "local" | "readonly" | "typeset" => {
            eye.see(Effect::Read, &first.text, "shell.builtin");
            // `declare -n a=PATH` makes `a=` set another variable.
            if args
                .iter()
                .any(|arg| arg.text.starts_with('-') && arg.text.contains('n'))
                && first.text != "export"
            {
                eye.unknown(&join(rest), "shell.name-reference");
            }
            for arg in args.iter().filter(|arg| !arg.text.starts_with('-')) {
                match assigned(arg) {
                    Some(name) => assigns(eye, arg, name),
                    None => environment(eye, &arg.text),
                }
            }
        }
        "cd" | "set" | "unset" | "shift" | "exit" | "return" | "break" | "continue" | "wait" | "umask"
        | "pushd" | "popd" | "[[" | "getopts" | "jobs" | "times" | "read" => {
            if first.text == "read" || first.text == "unset" {
                for arg in args.iter().filter(|arg| !arg.text.starts_with('-')) {
                    environment(eye, &arg.text);
                }
            }
            if matches!(first.text.as_str(), "cd" | "pushd" | "popd") {
                eye.moves();
                eye.aim.set("PWD");
            }
            eye.see(Effect::Read, &first.text, "shell.builtin");
        }
        _ => eye.command(rest, stdin),
    }
}

/// `. FILE`: the file's text, where it was read.
pub(super) fn source(eye: &mut Eye<'_>, words: &[Word]) {
    let line = join(words);
    let script = words
        .get(1)
        .filter(|path| path.fixed)
        .and_then(|path| eye.script(&path.text));
    match script.and_then(|bytes| std::str::from_utf8(bytes).ok()) {
        Some(script) => eye.deeper(&line, |eye| text(eye, script, &Stdin::Unseen)),
        None => eye.unknown(&line, "shell.source"),
    }
}

/// The name in `NAME=value` or `NAME+=value`, where the word is an assignment.
pub(super) fn assigned(word: &Word) -> Option<&str> {
    let (name, _) = word.text.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    let good = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.chars().next().is_some_and(|c| !c.is_ascii_digit());
    good.then_some(name)
}

/// `NAME=value` in front of a command, or by itself.
pub(super) fn assigns(eye: &mut Eye<'_>, word: &Word, name: &str) {
    environment(eye, name);
    if name == "KUBECONFIG" {
        let value = word.text.split_once('=').map_or("", |(_, value)| value);
        tools::kubernetes::config_file(eye, value, &word.text);
    }
}

/// A variable that is set for what follows.
pub(super) fn environment(eye: &mut Eye<'_>, name: &str) {
    eye.aim.set(name);
    // Only the name is shown: the value may be a secret.
    let text = format!("{name}=");
    let upper = name.to_ascii_uppercase();
    if upper.contains("CONSENT")
        || upper.contains("DISABLE")
        || upper.contains("SKIP")
        || upper.contains("ALLOW_")
    {
        eye.see(Effect::SecurityConfig, &text, "shell.safety-variable");
        return eye.unknown(&text, "shell.environment");
    }
    // zsh ties the lower-case names to `PATH` and its kind.
    let tied = ["path", "fpath", "cdpath", "module_path"].contains(&name);
    // `TF_CLI_ARGS_plan` and `npm_config_script_shell` are read by programs; a script's own are lower-case.
    let own = name.chars().any(|c| c.is_ascii_lowercase())
        && !name.chars().any(|c| c.is_ascii_uppercase())
        && !name.ends_with("_proxy")
        && !name.starts_with("npm_")
        && !tied;
    if own || HARMLESS.contains(&name) || name.starts_with("LC_") || name.starts_with("TF_VAR_") {
        eye.see(Effect::Read, &text, "shell.assignment");
    } else {
        eye.unknown(&text, "shell.environment");
    }
}

/// Words in one line, as `eval` and `ssh` join them.
pub(super) fn join(words: &[Word]) -> String {
    let parts: Vec<&str> = words.iter().map(Word::as_str).collect();
    parts.join(" ")
}

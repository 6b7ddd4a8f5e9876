//! The arrows of the house (the map in `src/lib.rs`), checked on the text of the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Floors from the top; everything on one line stands on one floor.
const FLOORS: [&[&str]; 6] = [
    &["cli"],
    &["drill"],
    &["engine"],
    &[
        "boundary",
        "signoff",
        "store",
        "evidence",
        "collectors",
        "access",
        "providers",
        "local",
        "report",
    ],
    &["world", "effects", "sshsig", "redact", "journal", "age"],
    &["model"],
];

/// Uses on one floor or upwards that are decided, each with its reason.
const EXCEPTIONS: [(&str, &str, &str); 0] = [];

struct Source {
    path: PathBuf,
    room: String,
    /// Without comments, texts and test modules.
    code: String,
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&root, &mut all);
    all.sort();
    assert!(all.len() > 50, "the sources are not where they were");
    let source = |path: PathBuf| {
        let inner = path.strip_prefix(&root).unwrap().to_path_buf();
        let first = inner.components().next().unwrap().as_os_str().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = inner.file_stem().unwrap().to_str().unwrap();
        let test = name == "tests" || name.ends_with("_tests");
        Source {
            room: first.trim_end_matches(".rs").to_owned(),
            code: if test { String::new() } else { code(&text) },
            path: inner,
        }
    };
    all.into_iter().map(source).collect()
}

/// The text without comments, texts in quotes, and `#[cfg(test)] mod … { … }`.
fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let starts = |at: usize, word: &str| {
        word.chars()
            .enumerate()
            .all(|(n, c)| chars.get(at + n) == Some(&c))
    };
    while at < chars.len() {
        let ident_before = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
        if starts(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            while at < chars.len() && !starts(at, "*/") {
                at += 1;
            }
            at += 2;
        } else if !ident_before && chars[at] == 'r' && matches!(chars.get(at + 1), Some('"' | '#')) && {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            chars.get(at + 1 + hashes) == Some(&'"')
        } {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            let end: String = std::iter::once('"')
                .chain(std::iter::repeat_n('#', hashes))
                .collect();
            at += hashes + 2;
            while at < chars.len() && !starts(at, &end) {
                if chars[at] == '\n' {
                    out.push('\n');
                }
                at += 1;
            }
            at += end.len();
            out.push_str("\"\"");
        } else if chars[at] == '"' {
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                if chars[at] == '\n' {
                    out.push('\n');
                }
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
            out.push_str("\"\"");
        } else if chars[at] == '\'' && (chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\''))
        {
            at += 2;
            while at < chars.len() && chars[at] != '\'' {
                at += 1;
            }
            // '\'' has one more.
            at += if chars.get(at + 1) == Some(&'\'') { 2 } else { 1 };
            out.push_str("' '");
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    without_tests(&out)
}

fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..start]);
        let tail = &rest[start..];
        // Up to the end of the item: its closing brace, or the semicolon before any brace.
        let mut depth = 0_i32;
        let mut end = tail.len();
        for (at, c) in tail.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => {
                    depth -= 1;
                    if depth == 0 {
                        end = at + 1;
                        break;
                    }
                }
                ';' if depth == 0 => {
                    end = at + 1;
                    break;
                }
                _ => {}
            }
        }
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

/// Every first segment after `crate::`, groups (`crate::{a, b::c}`) and `super::` out of the room included.
fn rooms_used(source: &Source) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let ident = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    for (at, _) in source.code.match_indices("crate::") {
        let rest = &source.code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => {
                used.insert(ident(rest));
            }
            Some(group) => {
                let mut depth = 0;
                let mut fresh = true;
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => fresh = true,
                        c if fresh && !c.is_whitespace() => {
                            used.insert(ident(&group[at..]));
                            fresh = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    used
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

#[test]
fn arrows_point_down_and_rooms_never_import_each_other() {
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for source in sources() {
        let Some(mine) = floor(&source.room) else {
            assert!(
                ["lib", "main"].contains(&source.room.as_str()),
                "{} has no floor",
                source.room
            );
            continue;
        };
        for other in rooms_used(&source) {
            if other == source.room
                || EXCEPTIONS
                    .iter()
                    .any(|(a, b, _)| (*a, *b) == (&source.room, &other))
            {
                continue;
            }
            arrows += 1;
            match floor(&other) {
                Some(theirs) if theirs > mine => {}
                // World's ports are what pure readers of foreign text are handed; the five share a floor.
                Some(theirs) if theirs == mine && mine == 4 => {}
                Some(_) => wrong.push(format!(
                    "{}: {} may not use {other}",
                    source.path.display(),
                    source.room
                )),
                None => wrong.push(format!(
                    "{}: `crate::{other}` is on no floor",
                    source.path.display()
                )),
            }
        }
    }
    assert!(arrows > 100, "the scan sees hardly anything: {arrows} arrows");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_map_in_the_crate_docs_names_every_room() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = std::fs::read_to_string(root.join("lib.rs")).unwrap();
    let rooms: BTreeSet<&str> = FLOORS.iter().flat_map(|f| f.iter().copied()).collect();
    let declared: BTreeSet<&str> = lib
        .lines()
        .filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(
        declared, rooms,
        "a room without a floor, or a floor without a room"
    );
    let map: Vec<&str> = lib.lines().filter(|l| l.starts_with("//!")).collect();
    for room in rooms {
        let named = map
            .iter()
            .any(|l| l.split(|c: char| !c.is_alphanumeric()).any(|word| word == room));
        assert!(named, "{room} is not on the map");
    }
}

#[test]
fn only_the_wire_and_the_drill_build_a_world() {
    let builds: Vec<String> = sources()
        .iter()
        .filter(|s| {
            s.code.match_indices("World {").any(|(at, _)| {
                let before = s.code[..at].trim_end();
                let whole = !s.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                let word = before.rsplit(char::is_whitespace).next().unwrap_or("");
                let definition = word.starts_with(['&', '\''])
                    || ["struct", "impl", "for", ">"].contains(&word)
                    || word.ends_with('>');
                whole && !definition
            })
        })
        .map(|s| s.path.display().to_string())
        .filter(|p| p != "cli/wire.rs" && !p.starts_with("drill/"))
        .collect();
    assert_eq!(builds, Vec::<String>::new());
}

#[test]
fn only_the_cli_prints() {
    let mut wrong = Vec::new();
    for source in sources() {
        if source.room == "cli" || source.room == "main" {
            continue;
        }
        for word in [
            "println!",
            "eprintln!",
            "print!(",
            "eprint!(",
            "dbg!(",
            "io::stdout()",
            "io::stderr()",
        ] {
            if source.code.contains(word) {
                wrong.push(format!("{}: {word}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_has_grown_past_what_one_sitting_reads() {
    let mut long = BTreeMap::new();
    for source in sources() {
        let lines = source.code.lines().filter(|l| !l.trim().is_empty()).count();
        if lines > 500 {
            long.insert(source.path.display().to_string(), lines);
        }
    }
    for (path, lines) in &long {
        eprintln!("split soon: {path} has {lines} lines of code");
    }
    let too_long: Vec<_> = long.iter().filter(|(_, lines)| **lines > 700).collect();
    assert!(too_long.is_empty(), "split by concern: {too_long:?}");
}

#[test]
fn the_scan_sees_through_comments_texts_and_tests() {
    let text = r##"
        // crate::nobody
        use crate::{model::act, store::{Case, Folder}};
        fn f() { let s = "crate::text"; let c = '"'; let r = r#"crate::raw"#; crate::effects::detect(c, '\'', s) }
        #[cfg(test)]
        mod tests { use crate::hidden; fn g() { {} } }
        fn after() { crate::journal::f() }
    "##;
    let source = Source {
        path: PathBuf::new(),
        room: "x".into(),
        code: code(text),
    };
    let used: Vec<String> = rooms_used(&source).into_iter().collect();
    assert_eq!(used, ["effects", "journal", "model", "store"]);
}

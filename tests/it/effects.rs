//! Properties of the detectors: nothing hangs or panics, and no wrapper hides an effect.

mod alike;
mod contents;
pub mod corpus;
pub mod places;
mod shipped;
mod stack;

use std::time::Instant;

use incident::effects::{
    ActText, Dialect, SCRIPT_LIMIT, ScriptText, detect, detect_http, detect_sql, script_paths,
};
use incident::model::effect::{Effect, Effects, Seen};
use proptest::prelude::*;

fn seen(argv: &[String]) -> Vec<Seen> {
    detect(&ActText {
        argv,
        scripts: &[],
        stdin: None,
    })
}

fn effects(argv: &[String]) -> Effects {
    seen(argv).into_iter().map(|seen| seen.effect).collect()
}

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What every answer must be, whatever was asked.
fn well_formed(seen: &[Seen]) {
    assert!(!seen.is_empty());
    assert!(seen.is_sorted());
    let reads = seen.iter().filter(|seen| seen.effect == Effect::Read).count();
    assert!(
        reads == 0 || reads == seen.len(),
        "a read beside something else: {seen:?}"
    );
    for one in seen {
        assert!(one.text.chars().count() <= 200, "{one:?}");
        assert!(!one.text.chars().any(char::is_control), "{one:?}");
        assert!(one.rule.contains('.') || !one.rule.is_empty(), "{one:?}");
    }
}

/// Acts of every kind, the worst among them, as argument lists.
const ACTS: &[&[&str]] = &[
    &["ls", "-l"],
    &["rm", "-rf", "/srv/data"],
    &["rm", "file with space"],
    &["psql", "-c", "DROP TABLE x"],
    &["psql", "-Atc", "select count(*) from orders where a = 'it''s'"],
    &["psql", "-c", "delete from orders where id = 5"],
    &["git", "push", "origin", "+main"],
    &["kubectl", "--context", "x", "delete", "ns", "prod"],
    &["terraform", "destroy", "-auto-approve"],
    &[
        "aws",
        "rds",
        "delete-db-snapshot",
        "--db-snapshot-identifier",
        "x",
    ],
    &["systemctl", "restart", "web"],
    &["createdb", "orders_restored"],
    &[
        "curl",
        "-X",
        "DELETE",
        "https://api.example.com/v1/volumes/1?a=b&c=d",
    ],
    &["sh", "-c", "ls; rm -rf /srv && echo \"$HOME\""],
    &["find", "/srv", "-name", "*.db", "-delete"],
    &["python3", "-c", "import os; os.remove('x')"],
    &["restic", "forget", "--prune"],
    &["vault", "token", "revoke", "-self"],
    &["frobnicate", "--now"],
];

fn quoted(argv: &[String]) -> String {
    let quote = |word: &String| format!("'{}'", word.replace('\'', "'\\''"));
    argv.iter().map(quote).collect::<Vec<_>>().join(" ")
}

fn after(front: &[&str], rest: &[String]) -> Vec<String> {
    let mut out = argv(front);
    out.extend_from_slice(rest);
    out
}

fn with_text(front: &[&str], rest: &[String], end: &[&str]) -> Vec<String> {
    let mut out = argv(front);
    out.push(quoted(rest));
    out.extend(argv(end));
    out
}

/// One act inside one more wrapper.
fn wrap(kind: usize, inner: &[String]) -> Vec<String> {
    match kind {
        0 => with_text(&["sh", "-c"], inner, &[]),
        1 => with_text(&["/bin/bash", "-lc"], inner, &[]),
        2 => after(&["sudo", "-n", "-u", "root"], inner),
        3 => after(&["env", "-i", "LANG=C"], inner),
        4 => with_text(&["ssh", "-p", "22", "db1"], inner, &[]),
        5 => after(&["timeout", "-k", "5", "60"], inner),
        6 => after(&["xargs", "-n", "1"], inner),
        7 => after(&["nohup", "nice", "-n", "5"], inner),
        8 => after(&["docker", "exec", "-i", "box"], inner),
        9 => after(
            &["kubectl", "-n", "web", "exec", "pod/x", "-c", "main", "--"],
            inner,
        ),
        10 => with_text(&["su", "-", "postgres", "-c"], inner, &[]),
        11 => {
            let mut out = after(&["find", ".", "-exec"], inner);
            out.push(";".to_owned());
            out
        }
        12 => with_text(&["watch", "-n", "5"], inner, &[]),
        13 => after(&["sudo", "--never-heard-of"], inner),
        14 => after(&["chroot", "/mnt"], inner),
        15 => after(&["npx", "-y"], inner),
        16 => {
            let mut out = argv(&["sh", "-c"]);
            out.push(format!(
                "if true; then {{ {}; }} | cat; fi > /dev/null",
                quoted(inner)
            ));
            out
        }
        17 => with_text(&["bash", "-c"], inner, &["name", "one"]),
        _ => after(&["stdbuf", "-oL", "setsid", "-f", "time", "-p"], inner),
    }
}
const WRAPPERS: usize = 19;

#[test]
fn every_wrapper_shows_every_act() {
    for act in ACTS {
        let inner = argv(act);
        let bare = effects(&inner);
        for kind in 0..WRAPPERS {
            let wrapped = wrap(kind, &inner);
            let through = effects(&wrapped);
            let lost: Vec<_> = bare
                .iter()
                .filter(|effect| **effect != Effect::Read && !through.contains(effect))
                .collect();
            assert!(lost.is_empty(), "{wrapped:?} hides {lost:?}: {through:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nested_wrappers_never_lower_what_is_seen(act in 0..ACTS.len(), kinds in prop::collection::vec(0..WRAPPERS, 1..16)) {
        let inner = argv(ACTS[act]);
        let bare = effects(&inner);
        let mut wrapped = inner;
        for kind in kinds {
            wrapped = wrap(kind, &wrapped);
            // Each level of quoting can multiply the text; what is too long must be unknown, tested below.
            if wrapped.iter().map(String::len).sum::<usize>() > 100_000 {
                break;
            }
        }
        let through = effects(&wrapped);
        let kept = bare.iter().all(|effect| *effect == Effect::Read || through.contains(effect));
        prop_assert!(kept || through.contains(&Effect::Unknown), "{:?}: {:?}", wrapped, through);
    }

    #[test]
    fn no_bytes_break_a_detector(words in prop::collection::vec(any::<String>(), 0..6), bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        well_formed(&seen(&words));
        well_formed(&seen(&after(&["bash", "-c"], &words)));
        for front in [&["psql", "-c"][..], &["curl"], &["git"], &["kubectl", "exec"], &["ssh"], &["sudo"], &["find"], &["sed"], &["aws"], &["mysql", "-e"], &["xargs"], &["env"], &["docker", "run"]] {
            well_formed(&seen(&after(front, &words)));
        }
        let scripts = [ScriptText { path: "./x", bytes: &bytes }];
        let run = argv(&["./x"]);
        well_formed(&detect(&ActText { argv: &run, scripts: &scripts, stdin: None }));
        for program in [&["sh"][..], &["psql"], &["mysql"], &["python3"], &["xargs", "rm"]] {
            well_formed(&detect(&ActText { argv: &argv(program), scripts: &[], stdin: Some(&bytes) }));
        }
        let _ = script_paths(&words);
    }

    #[test]
    fn shell_shaped_noise_ends(text in "[a-z $`'\"\\\\(){}<>|&;\n*?=#!:/.-]{0,120}") {
        well_formed(&seen(&[String::from("sh"), String::from("-c"), text.clone()]));
        for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite, Dialect::Generic] {
            well_formed(&detect_sql(&text, dialect));
        }
        well_formed(&detect_http(&text, &text));
        well_formed(&seen(&[String::from("psql"), String::from("-c"), text]));
    }

    #[test]
    fn sql_shaped_noise_ends(parts in prop::collection::vec(prop::sample::select(vec![
        "select", "from", "where", "delete", "update", "insert into", "with", "as", "(", ")", ",", ";", "*", "1", "'a'", "x", "=", "or", "and",
        "explain", "analyze", "copy", "to", "drop", "table", "\\", "/*", "*/", "--", "\n", "$$", "$a$", "\"", "'", ":", "::", "f(", "cascade", "set",
    ]), 0..40)) {
        let text = parts.join(" ");
        for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite, Dialect::Generic] {
            well_formed(&detect_sql(&text, dialect));
        }
        well_formed(&seen(&[String::from("psql"), String::from("-c"), text]));
    }

    /// A statement that drops is seen to drop, whatever harmless statements stand around it.
    #[test]
    fn one_bad_statement_among_good_ones_is_seen(before in 0usize..30, after in 0usize..30, upper in any::<bool>()) {
        let mut sql = "select 1;".repeat(before);
        sql.push_str(if upper { "DROP TABLE x;" } else { "drop/* */table x;" });
        sql.push_str(&"select 2;".repeat(after));
        prop_assert!(detect_sql(&sql, Dialect::Postgres).iter().any(|seen| seen.effect == Effect::OneWay));
    }
}

#[test]
fn what_is_too_long_or_too_deep_is_unknown() {
    let long = format!("echo {}", "a".repeat(SCRIPT_LIMIT));
    assert!(effects(&argv(&["sh", "-c", &long])).contains(&Effect::Unknown));
    let many = "ls\n".repeat(10_000);
    assert!(effects(&argv(&["sh", "-c", &many])).contains(&Effect::Unknown));
    let deep = after(&vec!["sudo"; 3_000], &argv(&["ls"]));
    assert!(effects(&deep).contains(&Effect::Unknown));
    let brackets = "$(".repeat(50_000);
    assert!(effects(&argv(&["sh", "-c", &brackets])).contains(&Effect::Unknown));
    // A script that sources itself twice on every level would be read without end.
    let itself = ScriptText {
        path: "a",
        bytes: b". a\n. a\n. a\n. a\n",
    };
    let run = argv(&["sh", "a"]);
    assert!(
        detect(&ActText {
            argv: &run,
            scripts: &[itself],
            stdin: None
        })
        .iter()
        .any(|seen| seen.effect == Effect::Unknown)
    );
}

#[test]
fn a_text_cannot_steer_the_screen_that_shows_it() {
    let seen = seen(&argv(&["rm", "\u{1b}[2J\u{202e}evil\nsecond\u{200b}"]));
    assert!(seen.iter().all(|seen| {
        seen.text
            .chars()
            .all(|c| !c.is_control() && !('\u{200b}'..='\u{202e}').contains(&c))
    }));
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "a test's stopwatch is not the program's clock"
)]
fn plain_acts_take_microseconds() {
    let acts: Vec<Vec<String>> = ACTS.iter().map(|act| argv(act)).collect();
    let rounds = 50;
    let start = Instant::now();
    for _ in 0..rounds {
        for act in &acts {
            assert!(!seen(act).is_empty());
        }
    }
    let each = start.elapsed() / (rounds * u32::try_from(acts.len()).unwrap());
    // 100 µs in a release build; an unoptimised build on a busy machine is given twenty times that.
    assert!(each.as_micros() < 2_000, "{each:?}");
}

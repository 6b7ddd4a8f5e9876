//! Readers of files people write, of evidence, and of acts.

use std::io::Write;
use std::time::Duration;

use incident::effects::{ActText, Dialect, detect, detect_http, detect_sql, script_paths};
use incident::evidence::{search, show};
use incident::model::diagnostic::Diagnostic;
use incident::model::effect::{Effect, Seen};
use incident::model::examples::Example;
use incident::model::inventory::Inventory;
use incident::model::runbook::Runbook;
use incident::providers::rest::Rest;
use incident::redact::Redactor;

use super::mutant::{Mutant, Random};
use super::{as_is, feed, time};
use crate::effects::corpus::corpus;
use crate::effects::places::sound;
use crate::redact::in_base64;

const YAML: [&str; 14] = [
    "run: [",
    "undo: {never: x}",
    "effects: [",
    "stages:\n",
    "  - ",
    "{env: X}",
    "&a [",
    "*a",
    "<<: *a",
    "? ",
    "|\n",
    ">-\n",
    "%YAML 1.1\n",
    "---\n",
];

/// Every mistake has a place in the file.
fn placed(mistakes: &[Diagnostic], text: &str) {
    let rows = u32::try_from(text.split('\n').count()).unwrap();
    for mistake in mistakes {
        assert!(mistake.place.line <= rows + 1, "{mistake:?} in {rows} lines");
        assert!(!mistake.message.is_empty());
        let _ = mistake.to_string();
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn runbooks() {
    let seeds = [
        include_str!("../../../runbooks/default.yaml"),
        include_str!("../../../examples/orders/incident/runbook.yaml.in"),
        crate::cli::RUNBOOK,
    ];
    feed("runbooks", &Mutant::new(seeds, &YAML), as_is, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        match Runbook::parse("runbook.yaml", text) {
            Err(mistakes) => {
                assert!(!mistakes.is_empty());
                placed(&mistakes, text);
            }
            Ok(read) => {
                assert!(
                    Runbook::parse("runbook.yaml", text)
                        .is_ok_and(|again| format!("{again:?}") == format!("{read:?}"))
                );
            }
        }
    });
}

/// What a team expects of its boundary.
#[test]
#[ignore = "runs in a process of its own"]
fn boundary_examples() {
    let seeds = [
        "version: 1\nexamples:\n  - { run: [systemctl, restart, web], zone: inside }\n  - shell: \"rm -rf /srv\"\n    stage: contain\n    environment: production\n    effects: [bulk-data]\n    with: [undo, verified-backup]\n    zone: outside\n",
    ];
    feed("boundary examples", &Mutant::new(seeds, &YAML), as_is, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        match Example::parse("examples.yaml", text) {
            Err(mistakes) => {
                assert!(!mistakes.is_empty());
                placed(&mistakes, text);
            }
            Ok(read) => assert!(!read.is_empty(), "nothing would be tested"),
        }
    });
}

#[test]
#[ignore = "runs in a process of its own"]
fn inventories() {
    let seeds = [
        include_str!("../../../examples/orders/incident/access.yaml.in"),
        include_str!("../../../src/drill/scenarios/nine-seconds/access.yaml"),
    ];
    feed("inventories", &Mutant::new(seeds, &YAML), as_is, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        let (read, mistakes) = Inventory::parse("access.yaml", text);
        placed(&mistakes, text);
        let ids: Vec<_> = read.targets.iter().map(|t| t.id().clone()).collect();
        let mut once = ids.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), ids.len(), "two targets of one name");
        // What parses stays usable whatever stands behind it.
        let (more, _) = Inventory::parse("access.yaml", &format!("{text}\n# and a last line\n"));
        assert!(
            mistakes.is_empty() <= (more == read),
            "a comment changed what is stopped"
        );
    });
}

#[test]
#[ignore = "runs in a process of its own"]
fn provider_tables() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/providers/rest/tables");
    let tables = std::fs::read_dir(folder).unwrap();
    let mut seeds: Vec<String> = tables
        .map(|t| std::fs::read_to_string(t.unwrap().path()).unwrap())
        .collect();
    seeds.sort();
    let words = [
        "cut:\n",
        "{secret}",
        "{{",
        "hosts: [",
        "https://",
        "path: ",
        "method: DELETE",
        "status: ",
        "window: ",
        "lookup:\n",
    ];
    let mutant = Mutant::new(seeds, &[&YAML[..], &words[..]].concat());
    feed("provider tables", &mutant, as_is, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        if let Err(mistakes) = Rest::parse("table.yaml", text) {
            assert!(!mistakes.is_empty());
            placed(&mistakes, text);
        }
    });
}

/// However the text is cut, the same comes out; and what is known to be secret never does.
#[test]
#[ignore = "runs in a process of its own"]
fn redacted_streams() {
    const KNOWN: &str = "correct-horse-battery-staple-9";
    let redactor = Redactor::new([7; 32], &[KNOWN]).unwrap();
    let seeds = [
        format!("export TOKEN={KNOWN}\npassword: \"x{KNOWN}y\"\n{{\"token\": \"{KNOWN}\"}}\n"),
        format!("postgres://ana:{KNOWN}@db1/orders?x=1\ncurl -u ana:{KNOWN} https://x\n"),
        "AKIAIOSFODNN7EXAMPLE ghp_0123456789abcdefghijABCDEFGHIJ012345\n-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n".to_owned(),
        "just a log line, 2026-11-22T03:14:07Z id=5e55 sum=0123456789abcdef\n".repeat(20),
        // On two lines, the first of which ends within what tells the secret.
        in_base64().iter().rev().take(6).map(|(text, _)| format!("{text}\n")).collect(),
    ];
    let words = [
        KNOWN,
        "token=",
        "password: ",
        "://a:",
        "eyJhbGciOi.eyJ.x",
        "sk-",
        "Bearer ",
        "-----BEGIN PRIVATE KEY-----\n",
        "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZS05",
        "\n+",
        "\n> ",
        "\n2026-11-22T03:14:08Z ",
    ];
    let mutant = Mutant::new(seeds, &words);
    let cuts = std::cell::Cell::new(1);
    let cut = |random: &mut Random, input| {
        cuts.set(random.next());
        input
    };
    feed("redacted streams", &mutant, cut, |input| {
        let (whole, receipts) = redactor.redact(input);
        assert!(
            memchr::memmem::find(&whole, KNOWN.as_bytes()).is_none(),
            "a known secret came through"
        );
        assert!(
            receipts
                .iter()
                .all(|r| r.offset + r.len <= 3 * input.len() as u64 + 3),
            "{receipts:?}"
        );
        let mut random = Random::new(cuts.get());
        let mut stream = redactor.stream(Vec::new());
        let mut rest = input;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(1 + random.below(rest.len().min(700)));
            stream.write_all(now).unwrap();
            rest = later;
        }
        let (pieces, again) = stream.finish().unwrap();
        assert!(
            pieces == whole && again == receipts,
            "cut in pieces: {}",
            String::from_utf8_lossy(&pieces)
        );
    });
}

#[test]
#[ignore = "runs in a process of its own"]
fn shown_and_searched_bytes() {
    let seeds = [
        "plain\tline\nand another\n",
        "\u{1b}]52;c;ZXZpbA==\u{7}\r\u{202e}é💩\u{9b}2J",
        "a\0b\0c\n",
    ];
    let mutant = Mutant::new(
        seeds,
        &["\u{2066}", "\u{1b}[", "\u{9d}", "\u{feff}", "\u{2028}", "drop"],
    );
    let pattern = regex::bytes::Regex::new("(?i)drop|é$|^a").unwrap();
    feed("shown and searched bytes", &mutant, as_is, |input| {
        let mut out = Vec::new();
        show(input, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let acts =
            |c: char| c.is_control() && c != '\n' && c != '\t' || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!text.contains(acts), "{text:?}");
        assert_eq!(
            text.matches('\n').count(),
            input.iter().filter(|b| **b == b'\n').count()
        );
        let mut hits = Vec::new();
        let found = search(input, &pattern, &mut |hit, _| hits.push(hit.line)).unwrap();
        let wanted: Vec<u64> = (1..)
            .zip(input.split(|b| *b == b'\n'))
            .filter(|(_, l)| pattern.is_match(l))
            .map(|(n, _)| n)
            .collect();
        // The last line feed ends a line and begins none.
        let wanted: Vec<u64> = wanted
            .into_iter()
            .filter(|n| *n <= input.split_inclusive(|b| *b == b'\n').count() as u64)
            .collect();
        assert_eq!((found.lines, hits), (wanted.len() as u64, wanted));
    });
}

/// Where the boundary that is shipped puts an effect: free, inside, at, outside.
fn rank(effect: Effect) -> u8 {
    use Effect as E;
    match effect {
        E::Read => 0,
        E::Protect | E::ServiceRestart | E::Traffic | E::DataRestore | E::ConfigRollback => 1,
        E::BulkData | E::Unknown => 3,
        _ => 2,
    }
}

/// The worst of what was seen. Every answer is sorted, says something, and never calls a read what is more.
pub fn worst(seen: &[Seen]) -> u8 {
    assert!(!seen.is_empty() && seen.is_sorted());
    let reads = seen.iter().filter(|s| s.effect == Effect::Read).count();
    assert!(reads == 0 || reads == seen.len(), "{seen:?}");
    seen.iter().map(|s| rank(s.effect)).max().unwrap_or(3)
}

const SHELL: [&str; 12] = [
    "ls -l; rm -rf /srv/data && echo done",
    "sudo -u postgres psql -c \"DROP TABLE orders\" | tee /tmp/out",
    "kubectl --context prod delete ns shop; kubectl get pods -A",
    "for f in *.db; do sqlite3 \"$f\" 'select 1'; done",
    "cat <<EOF | ssh db1 sh\nsystemctl restart web\nEOF\n",
    "curl -X DELETE https://api.example.com/v1/volumes/1",
    "terraform destroy -auto-approve",
    "aws s3 rm --recursive s3://bucket/prefix",
    "if true; then git push --force origin main; fi",
    "case $x in a) rm b;; *) ls;; esac",
    "env A=1 nohup sh -c 'find / -name \"*.log\" -delete' &",
    "pg_dump orders > /backups/orders.dump",
];

#[test]
#[ignore = "runs in a process of its own"]
fn shell_lines() {
    let words = [
        "rm -rf ",
        "sudo ",
        "sh -c '",
        "$(rm x)",
        "`rm x`",
        "<(rm x)",
        "eval ",
        "xargs ",
        "ssh db1 ",
        "> /etc/passwd",
        "2>&1",
        "| sh",
        "\\\n",
        "{a,b}",
        "psql -c \"DELETE FROM x\"",
        "env ",
        "-- ",
    ];
    let seen = |text: &str| {
        let argv = ["/bin/sh", "-c", text].map(str::to_owned);
        let _ = script_paths(&argv);
        detect(&ActText {
            argv: &argv,
            scripts: &[],
            stdin: None,
        })
    };
    // Every act of the corpus is tried by itself elsewhere; in a short run some of them are seeds enough.
    let step = if time() < Duration::from_secs(10) { 8 } else { 1 };
    let corpus = corpus()
        .into_iter()
        .step_by(step)
        .map(|act| act.text.into_bytes());
    let seeds = SHELL.iter().map(|text| text.as_bytes().to_vec()).chain(corpus);
    feed("shell lines", &Mutant::new(seeds, &words), as_is, |input| {
        let text = String::from_utf8_lossy(input);
        // What was seen is never lost. Not understood may be: `2>&1` is no command, and `2>&1; ls` is one.
        let mut of_it = seen(&text);
        worst(&of_it);
        of_it.retain(|s| s.effect != Effect::Unknown);
        let alone = of_it.iter().map(|s| rank(s.effect)).max().unwrap_or(0);
        for more in ["; ls", "\nls\n", "; true"] {
            let both = worst(&seen(&format!("{text}{more}")));
            assert!(both >= alone, "{alone} alone, {both} with {more:?}");
        }
        // One of each for an input: another input has another length.
        let before = ["ls\n", "# a comment\n", "true\n"][input.len() % 3];
        let both = worst(&seen(&format!("{before}{text}")));
        assert!(both >= alone, "{alone} alone, {both} behind {before:?}");
        // A wrapper takes nothing away, what was not understood neither.
        let wrapper = [
            "sh -c",
            "sudo -u root bash -ec",
            "ssh db1",
            "docker exec box sh -c",
            "eval",
        ][input.len() % 5];
        let (whole, quoted) = (worst(&seen(&text)), format!("'{}'", text.replace('\'', "'\\''")));
        let wrapped = worst(&seen(&format!("{wrapper} {quoted}")));
        assert!(wrapped >= whole, "{whole} alone, {wrapped} in {wrapper}");
        let argv = ["/bin/sh", "-c", &text].map(str::to_owned);
        sound(&ActText {
            argv: &argv,
            scripts: &[],
            stdin: None,
        });
        // The same words as an act without a shell, and on standard input of one.
        let argv: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let _ = script_paths(&argv);
        worst(&detect(&ActText {
            argv: &argv,
            scripts: &[],
            stdin: Some(input),
        }));
    });
}

#[test]
#[ignore = "runs in a process of its own"]
fn sql() {
    let seeds = [
        "SELECT count(*) FROM orders WHERE id = 5; -- look",
        "BEGIN; DELETE FROM orders WHERE id < 10; COMMIT;",
        "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
        "DO $$ BEGIN EXECUTE 'drop table x'; END $$;",
        "EXPLAIN ANALYZE UPDATE orders SET total = 0",
        "INSERT INTO a SELECT * FROM b ON CONFLICT DO NOTHING;",
        "COPY orders TO PROGRAM 'rm -rf /'",
        "ALTER ROLE agent NOLOGIN; DROP SCHEMA shop CASCADE",
        "/*! DROP TABLE x */ SELECT 1",
    ];
    let words = [
        "DROP TABLE x",
        "SELECT ",
        "$$",
        "$a$",
        "E'\\''",
        "/*",
        "*/",
        "--",
        "\\!",
        "\\copy ",
        "INTO OUTFILE '",
        "pg_terminate_backend(1)",
        "(",
        ")",
        "UNION ",
        "CASE WHEN ",
    ];
    feed("SQL", &Mutant::new(seeds, &words), as_is, |input| {
        let text = String::from_utf8_lossy(input);
        for dialect in [
            Dialect::Postgres,
            Dialect::MySql,
            Dialect::Sqlite,
            Dialect::Generic,
        ] {
            let alone = worst(&detect_sql(&text, dialect));
            let both = worst(&detect_sql(&format!("{text}; SELECT 1"), dialect));
            assert!(
                both >= alone,
                "{dialect:?}: {alone} alone, {both} with a read behind it"
            );
        }
    });
}

#[test]
#[ignore = "runs in a process of its own"]
fn http_requests() {
    let seeds = [
        "GET https://api.example.com/v1/volumes?x=1",
        "DELETE https://api.example.com/v1/volumes/1",
        "POST http://user@[::1]:80/a/../b#c",
    ];
    let words = [
        "%2e%2e/",
        "\\",
        "@",
        "https://",
        "?_method=DELETE",
        "#",
        "HEAD ",
        "PATCH ",
        "X-HTTP-Method-Override",
    ];
    feed("HTTP requests", &Mutant::new(seeds, &words), as_is, |input| {
        let text = String::from_utf8_lossy(input);
        let (method, url) = text.split_once(' ').unwrap_or(("GET", &text));
        worst(&detect_http(method, url));
        for method in ["DELETE", "PUT", "PATCH"] {
            assert!(
                worst(&detect_http(method, url)) > 0,
                "{method} {url} is called a read"
            );
        }
    });
}

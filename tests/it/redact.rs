//! A planted corpus: every secret is found in every spelling, and what only looks like one stays.
//!
//! The secrets are made up at run time, so that no scanner finds one in this file.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use incident::redact::{Receipt, Redactor, SCRUB_CHARS, fingerprint};

const KEY: [u8; 32] = [7; 32];
const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &str = "0123456789abcdef";
const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// `len` signs that look random and are the same in every run.
fn made(signs: &str, len: usize, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let signs: Vec<char> = signs.chars().collect();
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            signs[(state % signs.len() as u64) as usize]
        })
        .collect()
}

fn a(len: usize) -> String {
    made(ALNUM, len, len as u64 + 1)
}

fn redactor(known: &[&str]) -> Redactor {
    Redactor::new(KEY, known).unwrap()
}

fn pem(kind: &str, lines: usize, end: &str) -> String {
    let body: Vec<String> = (0..lines).map(|n| made(ALNUM, 64, n as u64 + 9)).collect();
    format!(
        "-----BEGIN {kind}PRIVATE KEY-----{end}{}{end}{}=={end}-----END {kind}PRIVATE KEY-----",
        body.join(end),
        a(22)
    )
}

/// Tokens that are known by their shape alone.
fn tokens() -> Vec<String> {
    let jwt = format!("eyJ{}.eyJ{}.{}", a(33), a(80), a(43));
    vec![
        format!("ghp_{}", a(36)),
        format!("gho_{}", a(36)),
        format!("ghs_{}", a(36)),
        format!("github_pat_{}_{}", a(22), a(59)),
        format!("glpat-{}", a(20)),
        format!("gldt-{}", a(20)),
        format!("AKIA{}", made(BASE32, 16, 3)),
        format!("ASIA{}", made(BASE32, 16, 4)),
        format!("AIza{}", a(35)),
        format!("ya29.{}", a(60)),
        format!("GOCSPX-{}", a(28)),
        format!("xoxb-{}-{}", made("0123456789", 12, 1), a(24)),
        format!("xoxp-{}-{}", made("0123456789", 12, 2), a(32)),
        format!("xapp-1-{}", a(40)),
        format!("sk_live_{}", a(24)),
        format!("rk_test_{}", a(24)),
        format!("whsec_{}", a(32)),
        format!("sk-ant-api03-{}", a(93)),
        format!("sk-proj-{}", a(48)),
        format!("sk-{}", a(48)),
        format!("npm_{}", a(36)),
        format!("pypi-AgEIcHlwaS5vcmc{}", a(70)),
        format!("hvs.{}", a(24)),
        format!("hvb.{}", a(80)),
        format!("s.{}", a(24)),
        jwt,
        format!("SG.{}.{}", a(22), a(43)),
        format!("dop_v1_{}", made(HEX, 64, 5)),
        format!("dapi{}", made(HEX, 32, 6)),
        format!("dckr_pat_{}", a(27)),
        format!("hf_{}", a(34)),
        format!("{}.atlasv1.{}", a(14), a(67)),
        format!("shpat_{}", made(HEX, 32, 7)),
        format!("glsa_{}_{}", a(32), made(HEX, 8, 8)),
        format!(
            "AGE-SECRET-KEY-1{}",
            made("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58, 9)
        ),
        format!("{}:AA{}", made("123456789", 9, 10), a(33)),
        format!("tskey-auth-{}-{}", a(16), a(32)),
        pem("", 26, "\n"),
        pem("RSA ", 25, "\r\n"),
        pem("OPENSSH ", 6, "\n"),
        pem("EC ", 2, "\\n"),
        pem("", 26, "\\\\n"),
        pem("", 26, "\n    "),
        pem("RSA ", 25, "\n> "),
        pem("", 26, "\n+"),
        pem("", 26, "\n-"),
        pem("OPENSSH ", 6, "\n# "),
        pem("EC ", 2, "\n * "),
    ]
}

/// A secret in its surroundings: what stands around it, with `@` for the secret, and the secret.
fn in_context() -> Vec<(&'static str, String)> {
    let word = || "hunter2".to_owned();
    let word0 = || "correct-horse-9".to_owned();
    let odd = || "p;4(ss&w<rd".to_owned();
    vec![
        ("user bot on sanitize-payload #@ ~jobs:* +@all", made(HEX, 64, 60)),
        ("RAILWAY_API=@", mixed(36, 50)),
        ("  deploy_hook: @", mixed(40, 51)),
        ("{\"credential\":\"x\",\"upstream\":\"@\"}", mixed(48, 52)),
        ("\u{1b}[1mpassword\u{1b}[0m: \u{1b}[33m@\u{1b}[0m", word0()),
        ("DB_PASSWORD\u{1b}[0m=\u{1b}[32m@", word0()),
        (
            "DATABASE_URL=postgres://orders:@@db1.internal:5432/orders?sslmode=require",
            a(12),
        ),
        ("see mysql://root:@@10.0.0.5/shop", word()),
        ("redis://:@@cache:6379/0", a(16)),
        ("amqp://svc:@@mq/%2f and more", "pa@ss".to_owned()),
        ("git clone https://ci-bot:@@git.example.com/orders.git", a(20)),
        ("callback=postgres%3A%2F%2Forders%3A@%40db1", word()),
        ("Authorization: Bearer @", a(40)),
        ("> authorization: Basic @", STANDARD.encode("ana:correct horse")),
        (r#"{"Authorization": "token @", "x": 1}"#, a(40)),
        ("curl -H 'X-Vault-Token: @' https://vault", a(26)),
        ("PRIVATE-TOKEN: @", a(20)),
        ("Set-Cookie: session=@; HttpOnly", a(32)),
        ("PGPASSWORD=@ psql -h db1", word()),
        ("DB_PASS=@", odd()),
        ("export ADMIN_PASSWORD='@'", "it is a phrase".to_owned()),
        ("  password: @", odd()),
        ("  - password: \"@\"", "with \\\" a quote".to_owned()),
        (r#"{"user":"ana","password":"@","n":1}"#, "pa ss".to_owned()),
        (r#"{\"db\":{\"password\":\"@\"}}"#, word()),
        ("password = \"@\"  # toml", word()),
        ("spring.datasource.password=@", word()),
        ("smtp_password => '@'", word()),
        ("connect(host='db', password='@')", word()),
        ("Server=db1;User Id=sa;Password=@;Encrypt=true", word()),
        ("?user=ana&password=@&x=1", word()),
        ("password: |\n    @\nnext: 1", word()),
        ("AWS_SECRET_ACCESS_KEY=@", made(ALNUM, 38, 77) + "/+"),
        ("aws_session_token = @", a(120)),
        (
            "RAILWAY_TOKEN=@",
            "0b7f7a3e-6d7c-4b42-9f1e-2f7a1c9d8e55".to_owned(),
        ),
        (r#""apiKey": "@","#, a(32)),
        ("client_secret: @", a(32)),
        ("clientSecret=@", a(32)),
        ("SECRET_KEY_BASE=@", made(HEX, 128, 12)),
        ("api-key: '@'", made(HEX, 32, 13)),
        ("//registry.npmjs.org/:_authToken=@", a(36)),
        (r#""auth": "@""#, STANDARD.encode("ana:hunter2hunter2")),
        (
            "AccountKey=@;EndpointSuffix=core.windows.net",
            made(ALNUM, 86, 14) + "==",
        ),
        ("https://x.blob.core.windows.net/c?sv=2024&sig=@&se=1", a(44)),
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Signature=@",
            made(HEX, 64, 15),
        ),
        (
            "https://hooks.slack.com/services/@",
            format!("T{}/B{}/{}", a(8), a(8), a(24)),
        ),
        ("machine git.example.com login ana password @", word()),
        ("db1.internal:5432:orders:app:@", word()),
        ("mysql -u root -p@ shop", word()),
        ("mysql -h db1 --password=@ -porders shop", word()),
        ("curl -u ana:@ https://x", word()),
        ("login --password @ --user ana", word()),
        (r#"["vault","login","--token","@"]"#, a(26)),
        ("sshpass -p '@' ssh db1", word()),
        ("<Password>@</Password>", word()),
        ("<SecretAccessKey>@</SecretAccessKey>", made(ALNUM, 40, 16)),
    ]
}

/// Letters of both kinds and digits: no shape anybody knows.
fn mixed(len: usize, seed: u64) -> String {
    format!("q7Rk{}", made(ALNUM, len - 4, seed))
}

/// Everything planted: the text, and the secret in it.
pub fn planted() -> Vec<(String, String)> {
    let shapes = tokens().into_iter().flat_map(|token| {
        [
            "@",
            "found @ in the log",
            "{\"v\": \"@\"}",
            "x='@';",
            "{\"v\": \"a\\n@\\nb\"}",
            "b'\\\\t@\\x00'",
        ]
        .map(|around| (around.replace('@', &token), token.clone()))
    });
    // `@@` is a secret with a real at sign behind it.
    let contexts = in_context().into_iter().map(|(around, secret)| {
        let text = around
            .replace("@@", "\u{1}@")
            .replacen('@', "\u{1}", usize::from(!around.contains("@@")));
        (text.replacen('\u{1}', &secret, 1), secret)
    });
    shapes.chain(contexts).collect()
}

/// True where a telling part of the secret is still there.
pub fn leaks(clean: &[u8], secret: &str) -> bool {
    let holds = |part: &str| memchr::memmem::find(clean, part.as_bytes()).is_some();
    let tail = secret.len().saturating_sub(12);
    holds(secret) || (secret.len() >= 24 && holds(secret.get(tail..).unwrap_or(secret)))
}

fn streamed(r: &Redactor, text: &[u8], chunk: usize) -> (Vec<u8>, Vec<Receipt>) {
    let mut out = Vec::new();
    let mut stream = r.stream(&mut out);
    for part in text.chunks(chunk) {
        stream.write_all(part).unwrap();
    }
    let (_, receipts) = stream.finish().unwrap();
    (out, receipts)
}

pub fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let mark = if mark { "\u{feff}" } else { "" };
    format!("{mark}{text}")
        .encode_utf16()
        .flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() })
        .collect()
}

fn from_utf16(bytes: &[u8], big: bool) -> String {
    let units = bytes.chunks(2).map(|p| {
        if big {
            u16::from_be_bytes([p[0], p[1]])
        } else {
            u16::from_le_bytes([p[0], p[1]])
        }
    });
    char::decode_utf16(units).map(Result::unwrap).collect()
}

#[test]
fn nothing_planted_survives() {
    let r = redactor(&[]);
    let all = planted();
    assert!(all.len() >= 200, "{}", all.len());
    let mut leaked = Vec::new();
    for (text, secret) in &all {
        let (clean, receipts) = r.redact(text.as_bytes());
        if leaks(&clean, secret) || receipts.is_empty() {
            leaked.push(format!("{text}\n  -> {}", String::from_utf8_lossy(&clean)));
        }
        let (again, none) = r.redact(&clean);
        assert_eq!(
            (again, none.len()),
            (clean, 0),
            "redacting twice changes nothing: {text}"
        );
    }
    assert!(
        leaked.is_empty(),
        "{} leaked:\n{}",
        leaked.len(),
        leaked.join("\n")
    );
}

#[test]
fn nothing_survives_in_utf16() {
    let r = redactor(&[]);
    for (text, secret) in planted() {
        for (big, mark) in [(false, true), (true, true), (false, false), (true, false)] {
            let (clean, receipts) = streamed(&r, &utf16(&text, big, mark), 5);
            assert!(!receipts.is_empty(), "{text}");
            assert!(!leaks(from_utf16(&clean, big).as_bytes(), &secret), "{text}");
        }
    }
    let plain = "no secret, but \u{1f600} and ü".repeat(30);
    assert_eq!(
        streamed(&r, &utf16(&plain, false, true), 3).0,
        utf16(&plain, false, true)
    );
}

#[test]
fn the_cut_between_chunks_hides_nothing() {
    let r = redactor(&[]);
    for (text, _) in planted() {
        let whole = r.redact(text.as_bytes());
        for chunk in [1, 7] {
            assert_eq!(streamed(&r, text.as_bytes(), chunk), whole, "{text}");
        }
    }
    // Across the edges of the blocks that are looked at in one go, in every position.
    let token = format!("ghp_{}", a(36));
    let key = pem("RSA ", 60, "\n");
    for secret in [&token, &key] {
        for at in (192 * 1024 - secret.len()..192 * 1024 + 8).step_by(37) {
            let text = format!("{} {secret} {}", "x".repeat(at), "y\n".repeat(100_000));
            let (clean, receipts) = streamed(&r, text.as_bytes(), 4093);
            assert!(!leaks(&clean, secret), "{at}");
            assert_eq!(receipts.len(), 1, "{at}");
            assert_eq!(receipts[0].offset as usize, at + 1);
        }
    }
}

/// Tokens that begin with what is also looked for inside base64.
fn told_in_base64() -> Vec<String> {
    const PREFIXES: [&str; 15] = [
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat",
        "glpat",
        "AKIA",
        "sk-ant",
        "sk-proj",
        "sk_live",
        "xox",
        "hvs.",
        "npm_",
        "pypi",
        "dckr",
        "-----BEGIN",
    ];
    let mut tokens = tokens();
    tokens.retain(|t| PREFIXES.iter().any(|p| t.starts_with(p)));
    assert!(tokens.len() >= 15);
    tokens
}

/// A line of base64 with a secret in it, at each of the places a byte can begin, and the spelling of it; and
/// on several lines, where the end of one cuts the signs by which it is known.
pub fn in_base64() -> Vec<(String, String)> {
    let spelt = |token: &String| {
        ["", " ", "a:", "user:"].map(|lead| {
            let spelling = STANDARD.encode(format!("{lead}{token}\n"));
            (format!("data: {spelling} end"), spelling)
        })
    };
    let folded = |token: &String| {
        [(76, 55), (76, 56), (64, 46), (64, 47)].map(|(width, lead)| {
            let whole = STANDARD.encode(format!("{}{token}\n", ".".repeat(lead)));
            let (first, rest) = whole.split_at(width);
            (format!("data: {first}\n{rest} end"), rest.to_owned())
        })
    };
    let behind = |token: &String| {
        [("+", 76, 55), ("> ", 76, 56), ("2026-11-22T03:14:07Z ", 64, 46)].map(|(prefix, width, lead)| {
            let text = format!("{}{token}\n", ".".repeat(lead));
            let rest = STANDARD.encode(&text).split_off(width);
            (prefixed(&text, width, prefix, prefix, "\n") + " end", rest)
        })
    };
    // A key is longer than two lines; it is broken in a test of its own.
    let short = |token: &&String| !token.starts_with("-----");
    let all = told_in_base64();
    let one = all.iter().flat_map(spelt);
    one.chain(all.iter().filter(short).flat_map(folded))
        .chain(all.iter().filter(short).flat_map(behind))
        .collect()
}

#[test]
fn secrets_inside_base64_are_found() {
    let r = redactor(&[]);
    for (text, _) in in_base64() {
        let (clean, receipts) = r.redact(text.as_bytes());
        assert_eq!(receipts.len(), 1, "{text}");
        assert!(clean.len() < 80, "{text}");
    }
}

/// As the program `base64` and mail break it: a secret is on two lines, or its line among others.
#[test]
fn secrets_inside_base64_on_several_lines_are_found() {
    let r = redactor(&[]);
    let prose = "Nothing to be seen in this line, nor in the next one; only words of no weight. ".repeat(3);
    for token in told_in_base64() {
        for (width, end) in [(76, "\n"), (64, "\r\n"), (76, "\\n")] {
            for lead in 0..8 {
                let text = format!("{} {token} {prose}", &prose[..149 + lead * 7]);
                let whole = STANDARD.encode(text);
                let lines: Vec<&str> = whole
                    .as_bytes()
                    .chunks(width)
                    .map(|l| std::str::from_utf8(l).unwrap())
                    .collect();
                let from = 4 * (150 + lead * 7) / 3;
                let text = format!("first\n{}{end}#last", lines.join(end));
                let (clean, receipts) = r.redact(text.as_bytes());
                let clean = String::from_utf8(clean).unwrap();
                assert_eq!(receipts.len(), 1, "{width} {lead} {token}: {clean}");
                // All of it is gone: every line but those that are too far from it.
                let at = from / width;
                for line in &lines[at..(at + 2 + token.len() * 4 / 3 / width).min(lines.len())] {
                    assert!(
                        !clean.contains(&line[..line.len().min(24)]),
                        "{width} {lead} {token}: {clean}"
                    );
                }
                assert!(
                    clean.starts_with("first\n") && clean.ends_with("#last"),
                    "{clean}"
                );
            }
        }
    }
}

/// What stands before each line of a diff, a quoted mail, a comment, an indented block, a log; `0` is moved on.
pub const PREFIXES: [&str; 12] = [
    "+",
    "-",
    " ",
    "+    ",
    "> ",
    ">> ",
    "# ",
    "// ",
    " * ",
    "      ",
    "2026-11-22T03:14:0Z ",
    "Nov 22 03:14:0 db1 app[712]: ",
];

/// Base64 text of several lines with something before each, whose first line begins as this says.
pub fn prefixed(text: &str, width: usize, first: &str, prefix: &str, end: &str) -> String {
    let whole = STANDARD.encode(text);
    let lines = whole
        .as_bytes()
        .chunks(width)
        .map(|l| std::str::from_utf8(l).unwrap());
    let numbered = |(n, line)| {
        let before = if n == 0 { first } else { prefix };
        format!("{}{line}", before.replace(":0", &format!(":{:02}", n % 60)))
    };
    (0..).zip(lines).map(numbered).collect::<Vec<_>>().join(end)
}

/// Wherever the end of a line cuts it, and whether or not the text began on a line of its own.
#[test]
fn secrets_inside_base64_on_lines_that_begin_with_something_are_found() {
    let r = redactor(&["correct-horse-battery-staple-of-no-shape-at-all-99"]);
    let prose = "Nothing to be seen in this line, nor in the next one; only words of no weight. ".repeat(3);
    let known = "correct-horse-battery-staple-of-no-shape-at-all-99".to_owned();
    let secrets = [
        format!("ghp_{}", a(36)),
        format!("AKIA{}", made(BASE32, 16, 3)),
        known,
    ];
    for secret in &secrets {
        for prefix in PREFIXES {
            for (width, end) in [(76, "\n"), (64, "\r\n"), (76, "\\n")] {
                for first in [prefix.to_owned(), format!("{prefix}tls.key: ")] {
                    for lead in 0..20 {
                        let text = format!("{} {secret} {prose}", &prose[..149 + lead * 3]);
                        let text = prefixed(&text, width, &first, prefix, end);
                        let (clean, receipts) = r.redact(format!("first{end}{text}{end}#last").as_bytes());
                        let clean = String::from_utf8(clean).unwrap();
                        let all = format!("{width} {lead} {first:?} {prefix:?} {secret}: {clean}");
                        // What stands behind a colon may be taken out for its variety, line by line.
                        assert!(!receipts.is_empty(), "{all}");
                        assert!(clean.starts_with("first") && clean.ends_with("#last"), "{all}");
                        let joined = clean.replace(end, "").replace(prefix, "");
                        let spelling = STANDARD.encode(secret);
                        assert!(!joined.contains(&spelling[..16]), "{all}");
                        for offset in 0..3 {
                            let spelling = STANDARD.encode(format!("{}{secret}", "x".repeat(offset)));
                            assert!(!clean.contains(&spelling[8..28]), "{all}");
                        }
                    }
                }
            }
        }
    }
}

/// A value this run has read itself has no prefix to be known by, and is as often cut.
#[test]
fn known_values_inside_base64_on_several_lines_are_found() {
    let value = "correct-horse-battery-staple-of-no-shape-at-all-99";
    let r = redactor(&[value]);
    for (width, end) in [(76, "\n"), (64, "\r\n"), (76, "\\n"), (64, "\\r\\n")] {
        for lead in 0..60 {
            let whole = STANDARD.encode(format!("{}{value}{}", ".".repeat(100 + lead), "-".repeat(80)));
            let lines: Vec<&str> = whole
                .as_bytes()
                .chunks(width)
                .map(|l| std::str::from_utf8(l).unwrap())
                .collect();
            let (clean, receipts) = r.redact(format!("first\n{}{end}#last", lines.join(end)).as_bytes());
            let clean = String::from_utf8(clean).unwrap();
            assert_eq!(receipts.len(), 1, "{width} {lead}: {clean}");
            assert_eq!(receipts[0].rule, "known", "{width} {lead}: {clean}");
            assert_eq!(receipts[0].fingerprint, fingerprint(&KEY, value.as_bytes()));
            let joined = clean.replace(end, "");
            let spelling = STANDARD.encode(value);
            assert!(!joined.contains(&spelling[..16]), "{width} {lead}: {clean}");
        }
    }
}

/// Everything that looks like a secret and is none.
pub fn lookalikes() -> Vec<String> {
    let uuid = "0b7f7a3e-6d7c-4b42-9f1e-2f7a1c9d8e55";
    let bytes = made("\u{1}\u{2}azAZ09 .,;:-_", 3000, 21);
    let image = STANDARD.encode(&bytes);
    // What stands behind a colon in a log has the variety of a token, whatever it is.
    let quiet = PREFIXES.iter().filter(|prefix| !prefix.ends_with(": "));
    let lines = quiet.map(|prefix| prefixed(&bytes, 76, prefix, prefix, "\n"));
    let mut all = vec![
        format!("commit {}", made(HEX, 40, 1)),
        format!("sha256:{}", made(HEX, 64, 2)),
        format!("request {uuid} done"),
        format!("integrity sha512-{}==", made(ALNUM, 86, 3)),
        format!("<img src=\"data:image/png;base64,{image}\">"),
        format!("\"etag\": \"{}\"", made(HEX, 32, 4)),
        format!("SHA256:{} ana@example.com (ED25519)", a(43)),
        format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} ana@example.com", a(43)),
        format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----",
            a(64)
        ),
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", a(64)),
        "token_count: 12".into(),
        "max_tokens: 4096, temperature: 1.0".into(),
        "\"total_tokens\":18231,\"prompt_tokens\":1200".into(),
        "token: expired".into(),
        "tokenizer: cl100k_base_2024".into(),
        "nextPageToken: CAUQAA1x2y3z".into(),
        "eos_token: <|endoftext|>".into(),
        "password: ${DB_PASSWORD}".into(),
        "password: {{ vault_db_password }}".into(),
        "PGPASSWORD=$PGPASSWORD psql".into(),
        "password: ********".into(),
        "password: <your password here>".into(),
        "password: null".into(),
        "password: String,".into(),
        "let password = read_password()?;".into(),
        "password = config.db.password".into(),
        "postgres://orders:${PGPASSWORD}@db1/orders".into(),
        "postgres://orders:***@db1/orders".into(),
        "https://example.com:8443/users/ana@example.com".into(),
        "FATAL: password authentication failed for user \"orders\"".into(),
        "Enter password:".into(),
        "PWD=/srv/orders".into(),
        "OLDPWD=/home/ana".into(),
        "key: value".into(),
        "primary_key: id2026_orders".into(),
        "cache-key: orders:20261122:page:3".into(),
        "public_key: MCowBQYDK2VwAyEA1x2y3z4w5v6u7t8s9r".into(),
        "keyboard: QWERTY12345layout".into(),
        "monkey=banana12345678".into(),
        "secretName: orders-db-credentials".into(),
        "secret: orders-db-credentials-prod".into(),
        "secretRef: {name: orders-db-2026}".into(),
        "author: Ana B. Example 2026".into(),
        "auth: required".into(),
        "bypass=enabled12345".into(),
        "compass: north-12345678".into(),
        "sk-learn-pipeline-feature-selection".into(),
        "class=\"sk-folding-cube-container\"".into(),
        "task-4711-restore-orders-from-backup".into(),
        "version 1.95.0-nightly (59807616e 2026-04-14)".into(),
        "2026-11-22T03:14:07.120Z INFO restored 18231 rows".into(),
        "s.orders_restored_by_hand_at_noon".into(),
        "SG.something.else".into(),
        "10.0.0.5:5432 -> 10.0.0.7:51234".into(),
        "orders.rs:5432:17: error: mismatched types".into(),
        "eyJ is how a JWT begins".into(),
        "pip install pypi-simple==1.6.0".into(),
        "Cookie: none".into(),
        "Authorization: <redacted>".into(),
        "the bearer of this letter is the administrator".into(),
        format!("\"VersionId\": \"{}\"", mixed(32, 40)),
        format!("x-request-id: {}", mixed(44, 41)),
        format!("\"NextMarker\": \"{}\"", mixed(64, 42)),
        format!("\"eventID\": \"{uuid}\", \"lineage\": \"{uuid}\""),
        format!("image: registry.example/shop@sha256:{}", made(HEX, 64, 43)),
        format!("\"uid\": \"{}\"", mixed(40, 44)),
        format!("path: /srv/{}/data", mixed(40, 45)),
        format!("module: {}.handlers.orders", mixed(40, 46)),
        "error: this_is_a_rather_long_identifier_of_a_test_function_2026".into(),
        "kind: CustomResourceDefinitionConversionWebhookConfiguration".into(),
    ];
    all.extend(lines);
    all
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    let texts = lookalikes();
    assert!(texts.len() >= 60);
    let r = redactor(&[]);
    let mut taken = Vec::new();
    for text in texts {
        let (clean, _) = r.redact(text.as_bytes());
        if clean != text.as_bytes() {
            taken.push(format!("{text}\n  -> {}", String::from_utf8_lossy(&clean)));
        }
    }
    assert!(taken.is_empty(), "{} taken:\n{}", taken.len(), taken.join("\n"));
}

#[test]
fn known_values_are_found_in_every_encoding() {
    let value = "tr0ub4dor & \"drei\" ü/+";
    let r = redactor(&[value, "x"]);
    let json = serde_json::to_string(value).unwrap();
    let json = json.trim_matches('"').to_owned();
    let twice = serde_json::to_string(&json).unwrap();
    let percent: String = value
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    let hex: String = value.bytes().map(|b| format!("{b:02x}")).collect();
    let mut texts = vec![
        value.to_owned(),
        json.clone(),
        json.replace('ü', "\\u00fc"),
        twice.trim_matches('"').to_owned(),
        percent.clone(),
        percent.to_lowercase(),
        hex.to_uppercase(),
        hex,
        STANDARD.encode(value),
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value),
    ];
    texts.extend(["a", "ab", "abc", "user:"].map(|lead| STANDARD.encode(format!("{lead}{value}!"))));
    for text in &texts {
        let whole = format!("before {text} after");
        let (clean, receipts) = streamed(&r, whole.as_bytes(), 3);
        let shown = String::from_utf8_lossy(&clean).into_owned();
        assert_eq!(receipts.len(), 1, "{whole} -> {shown}");
        assert_eq!(receipts[0].rule, "known");
        assert_eq!(receipts[0].fingerprint, fingerprint(&KEY, value.as_bytes()));
        assert!(
            shown.starts_with("before ") && shown.ends_with(" after"),
            "{shown}"
        );
        // At most the two or three signs that also depend on the neighbours are left of base64.
        assert!(
            shown.len() - "before [REDACTED known 99 0123456789ab] after".len() <= 10,
            "{shown}"
        );
    }
    let mut binary = vec![0, 1, 2, 3, 255];
    binary.extend(utf16(value, false, false));
    binary.push(9);
    let (_, receipts) = r.redact(&binary);
    assert_eq!(receipts.len(), 1, "UTF-16 in the middle of something else");
}

#[test]
fn a_receipt_says_where_what_and_how_long_but_not_what() {
    let r = redactor(&[]);
    let token = format!("ghp_{}", a(36));
    let text = format!("one\ntwo {token}\nPASSWORD=hunter2\n{token}\n");
    let (clean, receipts) = r.redact(text.as_bytes());
    let print = fingerprint(&KEY, token.as_bytes());
    let other = fingerprint(&KEY, b"hunter2");
    assert_eq!(
        String::from_utf8(clean).unwrap(),
        format!(
            "one\ntwo [REDACTED github 40 {print}]\nPASSWORD=[REDACTED named 7 {other}]\n[REDACTED github 40 {print}]\n"
        )
    );
    let seen: Vec<_> = receipts.iter().map(|r| (r.line, r.offset, r.len)).collect();
    assert_eq!(seen, [(2, 8, 40), (3, 58, 7), (4, 66, 40)]);
    assert_ne!(
        print,
        fingerprint(&[8; 32], token.as_bytes()),
        "another case, another fingerprint"
    );
    assert_eq!(print.len(), 12);
}

#[test]
fn an_error_text_is_short_clean_and_on_one_line() {
    let r = redactor(&["opensesame"]);
    let long = format!("401 for opensesame\r\n\u{1b}[31m{}", "é".repeat(500));
    let said = r.scrub(&long);
    assert!(said.starts_with("401 for [REDACTED known 10 "), "{said}");
    assert_eq!(said.chars().count(), SCRUB_CHARS);
    assert!(!said.chars().any(char::is_control));
}

/// Text made to be slow must not be: the time grows with the length, not with its square.
#[test]
fn hostile_text_takes_linear_time() {
    let r = redactor(&["opensesame"]);
    let mut worst = Vec::new();
    for (name, unit) in [
        ("names", "key=key=token:"),
        ("quotes", "password=\"\\\""),
        ("tokens", "sk-sk-sk-ghp_"),
        ("dots", "eyJaaaaaaaa."),
        ("begin", "-----BEGIN PRIVATE KEY-----\nAAAA\n"),
        ("urls", "://a:b://c:"),
        ("base64", "Z2hwX3Bhc3N3b3Jk"),
        ("curl", "curl -u "),
        ("spaces", "password   "),
        ("slashes", "\\\\\\\\n"),
        ("beginnings", "eyJ-sk-"),
        ("logins", "login login "),
        ("tags", "<token-token"),
        ("dashes", " --key --token-"),
    ] {
        let work = |bytes: usize| {
            let text = unit.repeat(bytes / unit.len());
            let (out, _) = r.redact(text.as_bytes());
            std::hint::black_box(out.len());
        };
        worst.push((name, cpu(|| work(200_000)), cpu(|| work(800_000))));
    }
    for (name, small, large) in &worst {
        assert!(
            *large < small * 12 + 40,
            "{name}: {small} ms, then {large} ms; {worst:?}"
        );
    }
}

/// Milliseconds of processor time that `work` takes; other programs on this machine do not count.
fn cpu(work: impl FnOnce()) -> u64 {
    let now = || {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        t.tv_sec as u64 * 1000 + t.tv_nsec as u64 / 1_000_000
    };
    let before = now();
    work();
    now() - before
}

//! Values under telling names: `DB_PASSWORD=…`, `"apiToken": "…"`, `client-secret: …`.
//!
//! The search finds a telling word with a separator behind it; here the whole name is read, and the
//! value, and judged. A password under its name is taken whatever it looks like; what stands under
//! `token`, `key` or `secret` must also look like one, since those words name other things, too.

use std::ops::Range;

/// Words of a name as a pattern, with the separator behind. Case does not matter.
pub const PATTERN: &str = r#"(?i:pass(?:word|wd|phrase|code)?|pwd|secret|token|key|creds?|credentials?|auth)[A-Za-z0-9_.-]{0,32}(?:\\?["'\]]){0,2}(?:(?:\x1b|\\+(?:u001[bB]|x1[bB]|e|033))\[[0-9;]{0,12}m){0,2}[ \t]{0,8}(?:=>|:=|==|[:=])[ \t]{0,16}(?:(?:\x1b|\\+(?:u001[bB]|x1[bB]|e|033))\[[0-9;]{0,12}m){0,2}"#;

/// Longest name that is read, in bytes.
const NAME_CAP: usize = 96;

/// Longest value that is read, in bytes.
const VALUE_CAP: usize = 32 << 10;

/// The secret behind a name; `None` where there is none. `hit` is what [`PATTERN`] found.
pub fn secret(text: &[u8], hit: Range<usize>) -> Option<Range<usize>> {
    let before = text.get(..hit.start)?.iter().rev().take(NAME_CAP);
    let start = hit.start - before.take_while(|b| is_name(**b)).count();
    let start = start + escape_letter(text, start);
    let name = text.get(start..hit.end)?;
    let name: String = name
        .iter()
        .take_while(|b| is_name(**b))
        .map(|&b| char::from(b))
        .collect();
    let kind = kind(&name)?;
    let value = value(text, start, hit.end)?;
    let bytes = text.get(value.clone())?;
    let next = text.get(value.end).copied();
    let quoted = text
        .get(value.start.checked_sub(1)?)
        .is_some_and(|b| b"\"'`".contains(b));
    let counts = !is_placeholder(bytes)
        && (quoted || !(next == Some(b'(') || is_code(bytes)))
        && match kind {
            Kind::Password => {
                !(name.eq_ignore_ascii_case("pwd") || name.eq_ignore_ascii_case("oldpwd"))
                    || !bytes.starts_with(b"/")
            }
            Kind::Token => looks_secret(bytes),
        };
    counts.then_some(value)
}

/// False where no value of ours stands behind this word of [`PATTERN`]: a quick look before the close one.
///
/// The word must end one of the words of its name (`inputTokens` ends none), and a separator must follow the name.
pub fn may_follow(text: &[u8], word: Range<usize>) -> bool {
    let rest = text.get(word.end..).unwrap_or_default();
    let begun = text.get(word).unwrap_or_default();
    // What the words that are searched for may go on with, to become those that tell.
    let endings: &[&[u8]] = match (begun.len(), begun.first().map(u8::to_ascii_lowercase)) {
        (4, Some(b'p')) => &[b"", b"word", b"wd", b"phrase", b"code"],
        (4, Some(b'c')) => &[b"", b"s", b"ential", b"entials"],
        _ => &[b""],
    };
    let ends_a_word = endings.iter().any(|ending| {
        let (Some(there), Some(next)) = (rest.get(..ending.len()), rest.get(ending.len())) else {
            return false;
        };
        let last = there.last().or(begun.last());
        let new_word = next.is_ascii_uppercase() && !last.is_some_and(u8::is_ascii_uppercase);
        there.eq_ignore_ascii_case(ending) && (!next.is_ascii_alphanumeric() || new_word)
    });
    // The longest ending of a word, and what may follow it.
    let mut behind = rest.iter().take(42);
    ends_a_word
        && behind
            .find(|b| !is_name(**b))
            .is_some_and(|b| b"\\\"'] \t:=\x1b".contains(b))
}

/// The word of 32 to 128 signs behind a `:` or `=` that stands at `mark`.
pub fn long_word(text: &[u8], mark: usize) -> Option<Range<usize>> {
    let mut start = mark + 1;
    let blanks = text.get(start..)?.iter().take(4);
    start += blanks.take_while(|b| b" \t".contains(b)).count();
    start += usize::from(text.get(start) == Some(&b'\\'));
    start += usize::from(matches!(text.get(start), Some(b'"' | b'\'')));
    let sign = |b: &u8| b.is_ascii_alphanumeric() || b"_-".contains(b);
    // Most words are short: one look at where the 32nd sign would stand passes over them.
    text.get(start + 31).filter(|b| sign(b))?;
    let word = text.get(start..)?.iter().take(128);
    let len = word.take_while(|b| sign(b)).count();
    (len >= 32).then_some(start..start + len)
}

/// Words of a name under which long signs of every kind stand that give nothing away.
const OPEN: [&str; 36] = [
    "public",
    "pubkey",
    "id",
    "ids",
    "uid",
    "uuid",
    "guid",
    "arn",
    "version",
    "revision",
    "etag",
    "hash",
    "digest",
    "sum",
    "checksum",
    "sha",
    "sha1",
    "sha256",
    "sha512",
    "md5",
    "fingerprint",
    "integrity",
    "cursor",
    "page",
    "next",
    "continue",
    "marker",
    "trace",
    "span",
    "request",
    "commit",
    "ref",
    "image",
    "path",
    "name",
    "url",
];

/// A value that looks as tokens do, under a name that does not say what else it is.
///
/// `value` is a [`long_word`] behind the sign at `mark`. Only small and capital letters with digits in between
/// count: what is hexadecimal, a UUID or words is a name of something.
pub fn varied(text: &[u8], mark: usize, value: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.get(value.clone())?;
    // Part of something longer: base64, a path, a list of digests.
    if text
        .get(value.end)
        .is_some_and(|b| b"+/=.:@%".contains(b) || b.is_ascii_alphanumeric())
    {
        return None;
    }
    let count = |test: fn(&u8) -> bool| bytes.iter().filter(|b| test(b)).count();
    let kinds = [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit];
    let mixed = kinds.iter().all(|kind| count(*kind) >= 3);
    if !mixed || bits_per_byte(bytes) < 4.2 || bytes.starts_with(b"AAAA") {
        return None;
    }
    let before = text.get(..mark)?.iter().rev().take(NAME_CAP);
    let quoted = before.skip_while(|b| b"\\\"' \t]".contains(b));
    let mut name: Vec<u8> = quoted.clone().take_while(|b| is_name(**b)).copied().collect();
    // `\nDEPLOY=…` inside JSON: the letter belongs to the escape.
    if quoted.clone().nth(name.len()) == Some(&b'\\') && name.last().is_some_and(|b| b"nrtbfv".contains(b)) {
        name.pop();
    }
    let name: String = name.iter().rev().map(|b| char::from(*b)).collect();
    let open = words(&name).iter().any(|word| OPEN.contains(&word.as_str()));
    (!name.is_empty() && !open).then_some(value)
}

/// True for a command line's `--password hunter2`: name and value with only a gap between them.
pub fn flag(name: &str, value: &[u8]) -> bool {
    match kind(name) {
        Some(Kind::Password) => !is_placeholder(value),
        Some(Kind::Token) => !is_placeholder(value) && looks_secret(value),
        None => false,
    }
}

/// 1 where the name begins with the letter of an escape such as `\n`, which is no part of it.
fn escape_letter(text: &[u8], start: usize) -> usize {
    let escaped = start.checked_sub(1).and_then(|at| text.get(at)) == Some(&b'\\');
    usize::from(escaped && text.get(start).is_some_and(|b| b"nrtbfv".contains(b)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The name says it: whatever stands there is one.
    Password,
    /// The name allows it: the value must look like one.
    Token,
}

fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"_.-".contains(&b)
}

/// Words that may follow the telling one without changing what the value is.
const TRAILING: [&str; 20] = [
    "value",
    "current",
    "old",
    "new",
    "base",
    "raw",
    "text",
    "b64",
    "base64",
    "plain",
    "plaintext",
    "prod",
    "production",
    "staging",
    "dev",
    "test",
    "live",
    "main",
    "default",
    "encoded",
];

/// Words before `key` that make it one worth hiding.
const KEYS: [&str; 14] = [
    "api",
    "access",
    "secret",
    "private",
    "signing",
    "encryption",
    "master",
    "account",
    "auth",
    "client",
    "deploy",
    "service",
    "license",
    "app",
];

/// Words that make a `token` a place in a list or in a text.
const HARMLESS: [&str; 12] = [
    "page",
    "next",
    "sync",
    "continuation",
    "continue",
    "cancellation",
    "stop",
    "eos",
    "bos",
    "pad",
    "public",
    "end",
];

fn kind(name: &str) -> Option<Kind> {
    let mut words = words(name);
    while words.len() > 1
        && words
            .last()
            .is_some_and(|w| TRAILING.contains(&w.as_str()) || w.bytes().all(|b| b.is_ascii_digit()))
    {
        words.pop();
    }
    let last = words.last()?.as_str();
    let before = words
        .len()
        .checked_sub(2)
        .and_then(|at| words.get(at))
        .map(String::as_str);
    let ends = |all: &[&str]| all.iter().any(|end| last.ends_with(end));
    if ends(&["password", "passwd", "passphrase", "passcode", "pwd"])
        || (last == "pass" && before.is_some())
        || [
            "dbpass",
            "pgpass",
            "userpass",
            "rootpass",
            "smtppass",
            "mysqlpass",
        ]
        .contains(&last)
    {
        return Some(Kind::Password);
    }
    if words.iter().any(|w| HARMLESS.contains(&w.as_str())) {
        return None;
    }
    let key = last == "key" && before.is_some_and(|w| KEYS.contains(&w))
        || ends(&[
            "apikey",
            "accesskey",
            "secretkey",
            "privatekey",
            "authkey",
            "accountkey",
        ]);
    let token = ends(&["token", "secret"]) || ["creds", "credential", "credentials", "auth"].contains(&last);
    (key || token).then_some(Kind::Token)
}

/// `dbPassword_v2.new` → db, password, v2, new.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut fresh = true;
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() {
            fresh = true;
            continue;
        }
        if fresh || (c.is_ascii_uppercase() && was_lower) {
            words.push(String::new());
        }
        fresh = false;
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        if let Some(word) = words.last_mut() {
            word.push(c.to_ascii_lowercase());
        }
    }
    words
}

/// The value that begins at `at`: inside quotes, or up to where its line, word or list ends.
fn value(text: &[u8], name_at: usize, mut at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..)?;
    // Python's b'…', a YAML block's `|`, a scheme in front of a credential.
    if let [b'b' | b'r' | b'f' | b'u', b'"' | b'\'', ..] = rest {
        at += 1;
    }
    if let Some(b'|' | b'>') = rest.first() {
        let line = rest.iter().position(|&b| b == b'\n')?;
        if !rest.get(1..line)?.iter().all(|b| b"-+ \t\r".contains(b)) {
            return None;
        }
        let indent = rest
            .get(line + 1..)?
            .iter()
            .take_while(|b| b" \t".contains(b))
            .count();
        let start = at + line + 1 + indent;
        return until(text, start, |b, _| b == b'\n' || b == b'\r');
    }
    match text.get(at..)? {
        [b'\\', quote @ (b'"' | b'\''), ..] => {
            let end = *quote;
            until(text, at + 2, |b, next| b == b'\\' && next == Some(end))
        }
        [quote @ (b'"' | b'\'' | b'`'), ..] => {
            let end = *quote;
            let mut escaped = false;
            until(text, at + 1, |b, _| {
                let stop = !escaped && b == end || b == b'\n';
                escaped = !escaped && b == b'\\';
                stop
            })
        }
        // Alone on its line (an environment file, YAML) a value may hold any sign but white space.
        _ if begins_line(text, name_at) => until(text, at, |b, _| b.is_ascii_whitespace()),
        _ => until(text, at, |b, _| {
            b.is_ascii_whitespace() || b"\"'`<>&;,()[]{}\\".contains(&b)
        }),
    }
}

fn until(text: &[u8], start: usize, mut stop: impl FnMut(u8, Option<u8>) -> bool) -> Option<Range<usize>> {
    let rest = text.get(start..)?;
    let len = (0..rest.len().min(VALUE_CAP))
        .find(|&i| rest.get(i).is_some_and(|&b| stop(b, rest.get(i + 1).copied())))
        .unwrap_or(rest.len().min(VALUE_CAP));
    (len > 0).then_some(start..start + len)
}

/// True where only white space, a list dash or `export` stands before the name on its line.
fn begins_line(text: &[u8], name_at: usize) -> bool {
    let before = text.get(..name_at).unwrap_or_default();
    let tail: Vec<u8> = before
        .iter()
        .rev()
        .take(64)
        .take_while(|b| **b != b'\n')
        .copied()
        .collect();
    let line: Vec<u8> = tail.into_iter().rev().collect();
    let line = line
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(&line)
        .trim_ascii();
    line.is_empty() || [&b"-"[..], b"export", b"set", b"ENV", b"+"].contains(&line)
}

/// True for what stands where a secret would: a variable, a mask, a type, nothing.
pub fn is_placeholder(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value);
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let variable = text.strip_prefix('$').is_some_and(|name| {
        name.starts_with(['{', '('])
            || (!name.is_empty()
                && (name
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit())
                    || name.chars().all(|c| c.is_ascii_lowercase() || c == '_')))
    });
    let word = [
        "null",
        "none",
        "nil",
        "true",
        "false",
        "string",
        "str",
        "&str",
        "bool",
        "int",
        "undefined",
        "required",
        "optional",
        "yes",
        "no",
        "any",
        "option",
        "secret",
        "!vault",
        "-",
        "~",
    ];
    text.is_empty()
        || variable
        || text.starts_with("{{")
        || text.starts_with("${")
        || text.starts_with("%(")
        || text.starts_with("[REDACTED")
        || text.contains("-----BEGIN")
        || (text.starts_with('<') && (text.ends_with('>') || !text.contains('>')))
        || text.chars().all(|c| "*.…•xX#".contains(c))
        || word.contains(&lower.trim_end_matches([',', ';']))
}

/// `config.db.password`, `getpass()`: an expression that yields the secret, not the secret.
fn is_code(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else {
        return false;
    };
    let text = text.trim_end_matches([',', ';', ')']);
    let names = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphabetic() || c == '_') && part.len() <= 24
    };
    (text.contains('.') && text.split('.').all(names))
        || text.find(['(', '[']).is_some_and(|at| {
            at > 0
                && text
                    .get(..at)
                    .is_some_and(|f| f.split(['.', ':']).all(|p| p.is_empty() || names(p)))
        })
}

/// True for a value with the variety of a token: no word, no path, no address.
pub fn looks_secret(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else {
        return true;
    };
    let text = text.trim();
    let plain_words = text
        .split(['-', '_', '.', ':', '/', ' '])
        .all(|w| !w.is_empty() && w.len() <= 19 && w.bytes().all(|b| b.is_ascii_lowercase()));
    let place = text.starts_with(['/', '~', '.']) || (text.contains("://") && !text.contains('@'));
    let digit = text.bytes().any(|b| b.is_ascii_digit());
    let inner_upper = text.bytes().skip(1).any(|b| b.is_ascii_uppercase());
    text.len() >= 8
        && !plain_words
        && !place
        && !text.contains(' ')
        && (digit || inner_upper || text.len() >= 20)
        && bits_per_byte(text.as_bytes()) >= 2.5
}

/// Shannon entropy of the bytes, in bits per byte.
fn bits_per_byte(bytes: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for &b in bytes {
        counts[usize::from(b)] += 1;
    }
    let total = bytes.len() as f64;
    counts
        .iter()
        .filter(|&&n| n > 0)
        .map(|&n| f64::from(n) / total)
        .map(|p| -p * p.log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_look_lets_every_name_through_that_the_close_one_takes() {
        let pattern = regex::bytes::Regex::new(PATTERN).unwrap();
        let word = regex::bytes::Regex::new("(?i:pass|pwd|secret|token|key|cred|auth)").unwrap();
        let tellings = [
            "pass",
            "password",
            "passwd",
            "passphrase",
            "passcode",
            "pwd",
            "secret",
            "token",
            "apikey",
            "api_key",
            "creds",
            "cred",
            "credential",
            "credentials",
            "auth",
            "key",
        ];
        let first = |text: &str| text[..1].to_uppercase() + &text[1..];
        let (mut taken, mut spared) = (0, 0);
        for telling in tellings {
            for name in [telling.to_owned(), telling.to_uppercase(), first(telling)] {
                for before in ["", "db", "DB_", "my-", "x.", "old"] {
                    for behind in [
                        "", "_value", "Value", "VALUE", "_2", "2", "s", "ed", "-prod", "Old", "_token",
                        "sSecret",
                    ] {
                        for (sign, end) in [("=", "\n"), (": \"", "\","), ("\" : \"", "\"")] {
                            let text = format!("{before}{name}{behind}{sign}q7Rk20xYzT4{end}");
                            let text = text.as_bytes();
                            let words: Vec<_> = word.find_iter(text).map(|m| m.range()).collect();
                            let close = words.iter().any(|w| {
                                let m = pattern.find_at(text, w.start).filter(|m| m.start() == w.start);
                                m.is_some_and(|m| secret(text, m.range()).is_some())
                            });
                            let quick = words.iter().any(|w| may_follow(text, w.clone()));
                            assert!(quick || !close, "{}", String::from_utf8_lossy(text));
                            taken += u32::from(close);
                            spared += u32::from(!quick);
                        }
                    }
                }
            }
        }
        assert!(taken > 1_000 && spared > 1_000, "{taken} {spared}");
    }
}

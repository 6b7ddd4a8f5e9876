//! The roster: OpenSSH's `allowed_signers`, read so that every line names exactly one person or none.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use ssh_key::{HashAlg, PublicKey};

use super::verify::VerifiedKey;

use crate::model::diagnostic::{Diagnostic, Place};
use crate::model::recipient::{Recipient, montgomery};
use crate::model::time;

/// Who may sign, as pinned when the incident opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roster {
    entries: Vec<Entry>,
}

/// One line of the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// 1-based line in the file.
    pub line: u32,
    /// The names on the line, as written.
    pub principals: Vec<String>,
    /// True where a name is a pattern; such a line counts for nobody.
    pub wildcard: bool,
    /// True where the key signs certificates; such a line counts for nobody.
    pub authority: bool,
    /// OpenSSH pattern list of the namespaces the key may sign for; `None` = all.
    pub namespaces: Option<String>,
    /// First valid moment, ms since the epoch.
    pub valid_after: Option<i64>,
    /// Last valid moment, ms since the epoch.
    pub valid_before: Option<i64>,
    /// `SHA256:…` of the key.
    pub fingerprint: String,
    /// Type of the key, such as `ssh-ed25519`.
    pub algorithm: String,
    /// Where it is an `ssh-ed25519` key: the point that something could be sealed to.
    pub point: Option<[u8; 32]>,
}

/// Why a key is nobody's, as far as counting goes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCounted {
    /// No line has it.
    #[error("no line of the roster has the key {fingerprint}")]
    UnknownKey {
        /// `SHA256:…` of the key.
        fingerprint: String,
    },
    /// Only a `cert-authority` line has it.
    #[error(
        "line {line} of the roster is a certificate authority; it may vouch for keys, but is nobody's own key"
    )]
    Authority {
        /// 1-based line in the roster.
        line: u32,
    },
    /// Only a line with a pattern as name has it: with it, anyone is anyone.
    #[error("line {line} of the roster names `{pattern}`, which is a pattern and no person")]
    Wildcard {
        /// 1-based line in the roster.
        line: u32,
        /// The names as written.
        pattern: String,
    },
    /// One key stands under several names: one person could count as two.
    #[error("the roster has this key under several names ({})", names.join(", "))]
    SeveralNames {
        /// The names, as written.
        names: Vec<String>,
    },
    /// The line's `namespaces=` leaves ours out.
    #[error("line {line} of the roster allows this key for `{allowed}` only, not for `{wanted}`")]
    Namespace {
        /// 1-based line in the roster.
        line: u32,
        /// What the line allows.
        allowed: String,
        /// What was asked for.
        wanted: String,
    },
    /// A certificate that vouches for nobody here.
    #[error("the certificate `{key_id}` does not count: {why}")]
    Certificate {
        /// The authority's name for it.
        key_id: String,
        /// What is wrong.
        why: String,
    },
    /// Before `valid-after`.
    #[error("line {line} of the roster makes this key valid only from {}", time::rfc3339(*from_ms))]
    NotYet {
        /// 1-based line in the roster.
        line: u32,
        /// First valid moment, ms since the epoch.
        from_ms: i64,
    },
    /// After `valid-before`.
    #[error("line {line} of the roster made this key valid only until {}", time::rfc3339(*until_ms))]
    Ended {
        /// 1-based line in the roster.
        line: u32,
        /// Last valid moment, ms since the epoch.
        until_ms: i64,
    },
}

impl Roster {
    /// Reads `allowed_signers`; all mistakes at once, one a line.
    ///
    /// Stricter than OpenSSH in one thing: a date without `Z` is refused, because it would mean
    /// something else on a machine in another time zone.
    pub fn parse(bytes: &[u8]) -> Result<Roster, Vec<Diagnostic>> {
        let mut entries = Vec::new();
        let mut mistakes = Vec::new();
        for (number, line) in (1..).zip(bytes.split(|&b| b == b'\n')) {
            let shown = String::from_utf8_lossy(line);
            let text = shown.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            match entry(number, text) {
                Ok(entry) => entries.push(entry),
                Err(mistake) => {
                    let indent = shown.len() - shown.trim_start().len();
                    let before = text.get(..mistake.at).map_or(0, |t| t.chars().count());
                    mistakes.push(Diagnostic {
                        file: "allowed_signers".into(),
                        place: Place {
                            line: number,
                            column: u32::try_from(indent + before + 1).unwrap_or(0),
                        },
                        message: mistake.message,
                        remedy: Some(mistake.remedy.into()),
                    });
                }
            }
        }
        if mistakes.is_empty() {
            Ok(Roster { entries })
        } else {
            Err(mistakes)
        }
    }

    /// All lines, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// True where nobody could sign anything.
    pub fn is_empty(&self) -> bool {
        self.entries.iter().all(|e| e.wildcard && !e.authority)
    }

    /// Fingerprints of every key that stands under this name.
    pub fn keys_of(&self, principal: &str) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter(move |e| e.principals.iter().any(|p| p.eq_ignore_ascii_case(principal)))
            .map(|e| e.fingerprint.as_str())
    }

    /// The name under which a recipient's key stands, where that is not their own.
    pub fn another_holds(&self, recipient: &Recipient) -> Option<&str> {
        let own = |name: &&String| name.eq_ignore_ascii_case(&recipient.person);
        let theirs = |entry: &&Entry| entry.point.as_ref() == Some(recipient.key.point());
        self.entries
            .iter()
            .filter(theirs)
            .find_map(|entry| entry.principals.iter().find(|name| !own(name)))
            .map(String::as_str)
    }

    /// The one person who made a signature: by their own key, or by a certificate of an authority of the roster.
    pub fn who_signed(&self, key: &VerifiedKey, namespace: &str, at_ms: i64) -> Result<String, NotCounted> {
        let Some(certificate) = &key.certificate else {
            return self.who(&key.fingerprint, namespace, at_ms).map(str::to_owned);
        };
        let refuse = |why: String| NotCounted::Certificate {
            key_id: certificate.key_id.escape_default().take(80).collect(),
            why,
        };
        let of = |e: &&Entry| e.authority && e.fingerprint == certificate.authority;
        let mut names = BTreeSet::new();
        let mut refusal = None;
        for line in self.entries.iter().filter(of) {
            let list = line.principals.join(",");
            let fit = certificate.principals.iter().filter(|name| listed(name, &list));
            match line.admits(namespace, at_ms) {
                Ok(()) => names.extend(fit.cloned()),
                Err(why) => refusal = refusal.or(Some(why)),
            }
        }
        let at = u64::try_from(at_ms.div_euclid(1000)).unwrap_or(0);
        if !self.entries.iter().any(|e| of(&e)) {
            return Err(refuse(format!(
                "the roster has no authority {}",
                certificate.authority
            )));
        }
        if names.is_empty() {
            let theirs = certificate.principals.join(", ").escape_default().to_string();
            return Err(refusal.unwrap_or_else(|| {
                refuse(format!(
                    "it is for ({theirs}), and the authority's line is not for them"
                ))
            }));
        }
        if at < certificate.valid_after || at >= certificate.valid_before {
            return Err(refuse("it is not valid at this time".into()));
        }
        // The same key under a line of its own belongs to that name, too.
        let own = self
            .entries
            .iter()
            .filter(|e| !e.authority && e.fingerprint == key.fingerprint);
        let own: Vec<&String> = own.flat_map(|e| &e.principals).collect();
        names.extend(own.into_iter().cloned());
        let mut names = names.into_iter();
        match (names.next(), names.next()) {
            (Some(name), None) if !name.contains(['*', '?', '!']) => Ok(name),
            (first, second) => Err(NotCounted::SeveralNames {
                names: first.into_iter().chain(second).chain(names).collect(),
            }),
        }
    }

    /// The one person whose own key this is, for this purpose at this time.
    pub fn who(&self, fingerprint: &str, namespace: &str, at_ms: i64) -> Result<&str, NotCounted> {
        let lines = || self.entries.iter().filter(|e| e.fingerprint == fingerprint);
        let own = || lines().filter(|e| !e.authority && !e.wildcard);
        let Some(name) = own().find_map(|e| e.principals.first()) else {
            return Err(match lines().find(|e| e.wildcard && !e.authority) {
                Some(e) => NotCounted::Wildcard {
                    line: e.line,
                    pattern: e.principals.join(","),
                },
                None => match lines().next() {
                    Some(e) => NotCounted::Authority { line: e.line },
                    None => NotCounted::UnknownKey {
                        fingerprint: fingerprint.to_owned(),
                    },
                },
            });
        };
        let mut names: Vec<String> = own().flat_map(|e| e.principals.clone()).collect();
        names.sort();
        names.dedup();
        if names.len() > 1 {
            return Err(NotCounted::SeveralNames { names });
        }
        let mut refusal = None;
        for line in own() {
            match line.admits(namespace, at_ms) {
                Ok(()) => return Ok(name),
                Err(why) => refusal = refusal.or(Some(why)),
            }
        }
        Err(refusal.unwrap_or_else(|| NotCounted::UnknownKey {
            fingerprint: fingerprint.to_owned(),
        }))
    }
}

impl Entry {
    /// True where this is an authority that may vouch for somebody of this name.
    pub fn vouches_for(&self, name: &str) -> bool {
        self.authority && listed(name, &self.principals.join(","))
    }

    fn admits(&self, namespace: &str, at_ms: i64) -> Result<(), NotCounted> {
        let line = self.line;
        if let Some(allowed) = self.namespaces.as_ref().filter(|list| !listed(namespace, list)) {
            return Err(NotCounted::Namespace {
                line,
                allowed: allowed.clone(),
                wanted: namespace.to_owned(),
            });
        }
        // Whole seconds and both ends included, as OpenSSH compares.
        let at = at_ms.div_euclid(1000);
        match (self.valid_after, self.valid_before) {
            (Some(from_ms), _) if at < from_ms / 1000 => Err(NotCounted::NotYet { line, from_ms }),
            (_, Some(until_ms)) if at > until_ms / 1000 => Err(NotCounted::Ended { line, until_ms }),
            _ => Ok(()),
        }
    }
}

/// What is wrong with a line, with the byte of it where that begins.
struct Mistake {
    at: usize,
    message: String,
    remedy: &'static str,
}

const SHAPE: &str = "write `name@example.com namespaces=\"signoff@incident-v1\" ssh-ed25519 AAAA…`";
const DATE: &str = "write UTC as `20261231Z` or `20261231235959Z`";

fn mistake(at: usize, message: impl Into<String>, remedy: &'static str) -> Mistake {
    Mistake {
        at,
        message: message.into(),
        remedy,
    }
}

fn entry(line: u32, text: &str) -> Result<Entry, Mistake> {
    let (names, options_at) = field(text).ok_or_else(|| mistake(0, "a quote is not closed", SHAPE))?;
    let principals: Vec<String> = names
        .trim_matches('"')
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect();
    if principals.iter().any(String::is_empty) {
        return Err(mistake(0, "a name is empty", SHAPE));
    }
    let rest = text.get(options_at..).unwrap_or("");
    // As OpenSSH does: what can be read as a key is one; else options stand before it.
    let (options, key_at, key) = match public_key(rest) {
        Ok(key) => (Vec::new(), options_at, Ok(key)),
        Err(_) => {
            let (list, len) =
                field(rest).ok_or_else(|| mistake(options_at, "a quote is not closed", SHAPE))?;
            let at = options_at + len;
            let key = public_key(text.get(at..).unwrap_or(""));
            if key.is_err() && !list.contains('=') && !list.eq_ignore_ascii_case("cert-authority") {
                // No option in sight: the mistake is in the key itself.
                (Vec::new(), options_at, public_key(rest))
            } else {
                (self::options(options_at, list)?, at, key)
            }
        }
    };
    let key = key.map_err(|why| mistake(key_at, format!("the key cannot be read: {why}"), SHAPE))?;
    let mut entry = Entry {
        line,
        wildcard: principals.iter().any(|p| p.contains(['*', '?', '!'])),
        principals,
        authority: false,
        namespaces: None,
        valid_after: None,
        valid_before: None,
        fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        algorithm: key.algorithm().to_string(),
        point: key.key_data().ed25519().and_then(|k| montgomery(&k.0)),
    };
    for (at, option) in options {
        entry.set(at, option)?;
    }
    match (entry.valid_after, entry.valid_before) {
        (Some(from), Some(until)) if until <= from => Err(mistake(
            options_at,
            "`valid-before` is not after `valid-after`",
            "swap them, or drop one",
        )),
        _ => Ok(entry),
    }
}

enum Opt {
    Authority,
    Namespaces(String),
    After(i64),
    Before(i64),
}

impl Entry {
    fn set(&mut self, at: usize, option: Opt) -> Result<(), Mistake> {
        let twice = match option {
            Opt::Authority => std::mem::replace(&mut self.authority, true),
            Opt::Namespaces(list) => self.namespaces.replace(list).is_some(),
            Opt::After(ms) => self.valid_after.replace(ms).is_some(),
            Opt::Before(ms) => self.valid_before.replace(ms).is_some(),
        };
        if twice {
            return Err(mistake(at, "an option stands twice", "keep one of them"));
        }
        Ok(())
    }
}

fn options(start: usize, list: &str) -> Result<Vec<(usize, Opt)>, Mistake> {
    let mut found = Vec::new();
    let mut at = start;
    for part in unquoted_split(list, ',') {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let quoted = || {
            value
                .strip_prefix('"')
                .and_then(|v| v.strip_suffix('"'))
                .map(|v| v.replace("\\\"", "\""))
                .ok_or_else(|| mistake(at, format!("the value of `{name}` is not in quotes"), SHAPE))
        };
        let option = match name.to_ascii_lowercase().as_str() {
            "cert-authority" if value.is_empty() => Opt::Authority,
            "namespaces" => Opt::Namespaces(quoted()?),
            "valid-after" => Opt::After(date(at, &quoted()?)?),
            "valid-before" => Opt::Before(date(at, &quoted()?)?),
            _ => {
                return Err(mistake(
                    at,
                    format!("`{}` is not an option", name.escape_default()),
                    "use `namespaces=`, `valid-after=`, `valid-before=` or `cert-authority`",
                ));
            }
        };
        found.push((at, option));
        at += part.len() + 1;
    }
    Ok(found)
}

/// `YYYYMMDD[HHMM[SS]]Z` to ms since the epoch.
fn date(at: usize, text: &str) -> Result<i64, Mistake> {
    let wrong = |why: &str| mistake(at, format!("`{}` {why}", text.escape_default()), DATE);
    let digits = text
        .strip_suffix(['Z', 'z'])
        .ok_or_else(|| wrong("has no `Z`, so it would depend on the time zone of the reader"))?;
    let full = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        _ => digits.to_owned(),
    };
    if full.len() != 14 || !full.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong("is not a date"));
    }
    NaiveDateTime::parse_from_str(&full, "%Y%m%d%H%M%S")
        .map(|when| when.and_utc().timestamp_millis())
        .map_err(|_| wrong("is not a date"))
}

fn public_key(text: &str) -> Result<PublicKey, String> {
    let mut words = text.split_ascii_whitespace();
    let (Some(kind), Some(body)) = (words.next(), words.next()) else {
        return Err("key type and base64 text expected".into());
    };
    PublicKey::from_openssh(&format!("{kind} {body}")).map_err(|why| why.to_string())
}

/// The first field, quotes included, and where the next one starts. `None`: an open quote.
fn field(text: &str) -> Option<(&str, usize)> {
    let head = unquoted_split(text, ' ').next()?;
    let tabbed = unquoted_split(head, '\t').next()?;
    if tabbed.replace("\\\"", "").matches('"').count() % 2 == 1 {
        return None;
    }
    let rest = text.get(tabbed.len()..)?;
    let gap = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    Some((tabbed, tabbed.len() + gap))
}

/// Splits at a sign outside quotes. As OpenSSH reads it, `\"` opens and ends none, whatever stands before it.
fn unquoted_split(text: &str, sign: char) -> impl Iterator<Item = &str> {
    let mut inside = false;
    let mut escaped = false;
    text.split(move |c| {
        match c {
            '"' if !escaped => inside = !inside,
            _ => {}
        }
        escaped = c == '\\';
        c == sign && !inside
    })
}

/// OpenSSH's pattern list: comma separated, `*` and `?`, a `!` pattern that fits says no.
fn listed(text: &str, list: &str) -> bool {
    let mut yes = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(not) if fits(text.as_bytes(), not.as_bytes()) => return false,
            Some(_) => {}
            None => yes |= fits(text.as_bytes(), pattern.as_bytes()),
        }
    }
    yes
}

/// Whole-text match of one pattern with `*` and `?`, without backtracking into blow-up.
fn fits(text: &[u8], pattern: &[u8]) -> bool {
    let (mut t, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == b'?' || Some(&c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|&c| c == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDOAHvtFhwqdnrrdKX7PFyXiJPGLCqMvEtTpVHm1ap9Y";
    const NS: &str = "signoff@incident-v1";
    const NOON: i64 = 1_795_348_800_000; // 2026-11-22T12:00:00Z

    fn roster(text: &str) -> Roster {
        Roster::parse(text.as_bytes()).unwrap()
    }

    fn fp() -> String {
        roster(&format!("x {ANA}")).entries()[0].fingerprint.clone()
    }

    fn mistakes(text: &str) -> Vec<String> {
        Roster::parse(text.as_bytes())
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn comments_blank_lines_quotes_options_and_key_comments_are_read() {
        let r = roster(&format!(
            "# team\r\n\r\n  ana@example.com\tNamespaces=\"signoff@*,!signoff@evil\",valid-after=\"20260101Z\",valid-before=\"202612312359Z\"  {ANA} ana's laptop, blue\r\n"
        ));
        assert_eq!(r.entries().len(), 1);
        assert_eq!(r.who(&fp(), NS, NOON), Ok("ana@example.com"));
        assert!(matches!(
            r.who(&fp(), "signoff@evil", NOON),
            Err(NotCounted::Namespace { line: 3, .. })
        ));
        assert!(matches!(
            r.who(&fp(), NS, 1_700_000_000_000),
            Err(NotCounted::NotYet { .. })
        ));
        assert!(matches!(
            r.who(&fp(), NS, 1_900_000_000_000),
            Err(NotCounted::Ended { .. })
        ));
        // Whole seconds, both ends included.
        let (first, last) = (1_767_225_600_000, 1_798_761_540_000);
        for (at_ms, counts) in [
            (first - 1, false),
            (first, true),
            (last + 999, true),
            (last + 1000, false),
        ] {
            assert_eq!(r.who(&fp(), NS, at_ms).is_ok(), counts, "{at_ms}");
        }
        let escaped = roster(&format!("ana@example.com namespaces=\"a\\\",b\" {ANA}"));
        assert_eq!(escaped.entries()[0].namespaces.as_deref(), Some("a\",b"));
        let quoted = roster(&format!("\"ana@example.com\" {ANA}"));
        assert_eq!(quoted.who(&fp(), NS, NOON), Ok("ana@example.com"));
    }

    #[test]
    fn patterns_authorities_and_double_names_count_for_nobody() {
        let who = |text: &str| roster(text).who(&fp(), NS, NOON).map(str::to_owned);
        assert!(matches!(
            who(&format!("*@example.com {ANA}")),
            Err(NotCounted::Wildcard { line: 1, .. })
        ));
        assert!(matches!(
            who(&format!("ana@example.com,?en@x {ANA}")),
            Err(NotCounted::Wildcard { .. })
        ));
        assert!(matches!(
            who(&format!("ana@example.com cert-authority {ANA}")),
            Err(NotCounted::Authority { line: 1 })
        ));
        assert!(matches!(
            who(&format!("ana@example.com,ben@example.com {ANA}")),
            Err(NotCounted::SeveralNames { .. })
        ));
        assert!(matches!(
            who(&format!("ana@example.com {ANA}\nben@example.com {ANA}")),
            Err(NotCounted::SeveralNames { .. })
        ));
        assert!(matches!(who(""), Err(NotCounted::UnknownKey { .. })));
        assert_eq!(
            who(&format!("* {ANA}\nana@example.com {ANA}")).as_deref(),
            Ok("ana@example.com")
        );
        assert!(roster(&format!("* {ANA}")).is_empty());
    }

    #[test]
    fn a_second_line_may_admit_what_the_first_does_not() {
        let r = roster(&format!(
            "ana@example.com namespaces=\"git\" {ANA}\nana@example.com namespaces=\"{NS}\" {ANA}"
        ));
        assert_eq!(r.who(&fp(), NS, NOON), Ok("ana@example.com"));
        assert_eq!(r.keys_of("ANA@example.com").count(), 2);
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_place() {
        let text = format!(
            "ana@example.com\n\
             ana@example.com ssh-ed25519 AAAAgarbage\n\
             ana@example.com colour=\"blue\" {ANA}\n\
             ana@example.com namespaces=signoff {ANA}\n\
             ana@example.com namespaces=\"open {ANA}\n\
             ana@example.com valid-before=\"20261231\" {ANA}\n\
             ana@example.com valid-before=\"20261399Z\" {ANA}\n\
             ana@example.com valid-after=\"20261231Z\",valid-before=\"20261231Z\" {ANA}\n\
             ana@example.com namespaces=\"a\",namespaces=\"b\" {ANA}\n\
             ana@example.com,,ben@example.com {ANA}\n\
             ana@example.com cert-authority=\"x\" {ANA}\n\
             ana@example.com valid-after=\"2026 1 1Z\" {ANA}\n\
             ana@example.com valid-after=\"2026010112345Z\" {ANA}\n"
        );
        insta::assert_snapshot!(mistakes(&text).join("\n"), @r#"
        allowed_signers:1:16: the key cannot be read: key type and base64 text expected (write `name@example.com namespaces="signoff@incident-v1" ssh-ed25519 AAAA…`)
        allowed_signers:2:17: the key cannot be read: Base64 encoding error: invalid Base64 encoding (write `name@example.com namespaces="signoff@incident-v1" ssh-ed25519 AAAA…`)
        allowed_signers:3:17: `colour` is not an option (use `namespaces=`, `valid-after=`, `valid-before=` or `cert-authority`)
        allowed_signers:4:17: the value of `namespaces` is not in quotes (write `name@example.com namespaces="signoff@incident-v1" ssh-ed25519 AAAA…`)
        allowed_signers:5:17: a quote is not closed (write `name@example.com namespaces="signoff@incident-v1" ssh-ed25519 AAAA…`)
        allowed_signers:6:17: `20261231` has no `Z`, so it would depend on the time zone of the reader (write UTC as `20261231Z` or `20261231235959Z`)
        allowed_signers:7:17: `20261399Z` is not a date (write UTC as `20261231Z` or `20261231235959Z`)
        allowed_signers:8:17: `valid-before` is not after `valid-after` (swap them, or drop one)
        allowed_signers:9:32: an option stands twice (keep one of them)
        allowed_signers:10:1: a name is empty (write `name@example.com namespaces="signoff@incident-v1" ssh-ed25519 AAAA…`)
        allowed_signers:11:17: `cert-authority` is not an option (use `namespaces=`, `valid-after=`, `valid-before=` or `cert-authority`)
        allowed_signers:12:17: `2026 1 1Z` is not a date (write UTC as `20261231Z` or `20261231235959Z`)
        allowed_signers:13:17: `2026010112345Z` is not a date (write UTC as `20261231Z` or `20261231235959Z`)
        "#);
    }

    #[test]
    fn patterns_match_as_openssh_matches_them() {
        for (text, pattern, wanted) in [
            ("signoff@incident-v1", "*", true),
            ("signoff@incident-v1", "signoff@*", true),
            ("signoff@incident-v1", "s*f@*-v?", true),
            ("signoff@incident-v1", "signoff", false),
            ("ab", "a*b*c", false),
            ("aab", "*ab", true),
            ("axb", "*ab", false),
            ("", "*", true),
            ("", "?", false),
        ] {
            assert_eq!(
                fits(text.as_bytes(), pattern.as_bytes()),
                wanted,
                "{text} {pattern}"
            );
        }
        assert!(!listed("a", "*,!a"));
        assert!(!listed("a", "!b"));
    }
}

//! Shapes of tokens, and the one pass that finds them.
//!
//! All patterns stand in one alternation, so that a pass over the text costs the same however many
//! there are; which of them it was is asked only of the few places found.

use std::ops::Range;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::RedactError;
use super::named;

/// What must be true of a match besides the pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    /// Nothing.
    Sure,
    /// It holds a digit: the same signs without one are words (`sk-learn-…`).
    Digit,
    /// It holds a digit, a small and a capital letter.
    Mixed,
    /// It is no mask and no variable.
    Value,
    /// Group 1 is a flag's name, group 2 its value.
    Flag,
    /// A telling name; the value is read by `named`.
    Named,
    /// A piece of base64 of a telling prefix; the text around it is decoded and looked at.
    Base64,
}

/// Name, pattern (group 1, where there is one, is the secret), check. Order matters: the first wins.
///
/// Sources: the issuers' documentation of their token formats.
const SHAPES: &[(&str, &str, Check)] = &[
    (
        "private-key",
        r#"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:(?:[\s"'+,>|]|\\+[nrt]){1,64}[A-Za-z-]{3,20}: [^\r\n\\]{1,200}){0,6}(?:(?:[\s"'+,>|]|\\+[nrt]){0,64}[A-Za-z0-9+/=]{28,}){1,}(?:(?:[\s"'+,>|]|\\+[nrt]){1,64}[A-Za-z0-9+/=]{1,80}){0,2}(?:(?:[\s"'+,>|]|\\+[nrt]){0,64}-----END [A-Z0-9 ]{5,40}-----)?"#,
        Check::Sure,
    ),
    ("github", r"gh[opusr]_[A-Za-z0-9]{30,}", Check::Sure),
    ("github", r"github_pat_[A-Za-z0-9_]{30,}", Check::Sure),
    (
        "gitlab",
        r"\bgl(?:pat|dt|rt|rtr|ptt|cbt|ft|agent|soat|oas|imt|ffct)-[A-Za-z0-9_.=-]{20,}",
        Check::Sure,
    ),
    ("gitlab", r"\bGR1348941[A-Za-z0-9_-]{20,}", Check::Sure),
    ("aws", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b", Check::Sure),
    (
        "aws",
        r"\b(?:FwoGZXIvYXdz|IQoJb3JpZ2lu)[A-Za-z0-9/+=%]{60,}",
        Check::Sure,
    ),
    (
        "signed-url",
        r"(?i:X-Amz-Signature|X-Goog-Signature)=([0-9a-fA-F]{40,})",
        Check::Sure,
    ),
    (
        "signed-url",
        r"[?&](?:amp;)?sig=([A-Za-z0-9%/+=_-]{40,})",
        Check::Sure,
    ),
    ("gcp", r"\bAIza[A-Za-z0-9_-]{35}", Check::Sure),
    ("gcp", r"\bya29\.[A-Za-z0-9_.-]{20,}", Check::Sure),
    ("gcp", r"\bGOCSPX-[A-Za-z0-9_-]{20,}", Check::Sure),
    ("gcp", r"\b1//0[A-Za-z0-9_-]{30,}", Check::Sure),
    (
        "azure",
        r"(?i:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{40,}={0,2})",
        Check::Sure,
    ),
    (
        "azure",
        r"\b[A-Za-z0-9_~.]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}",
        Check::Sure,
    ),
    (
        "slack",
        r"\bxox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}",
        Check::Sure,
    ),
    ("slack", r"\bxapp-[0-9]-[A-Za-z0-9-]{20,}", Check::Sure),
    (
        "slack",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/]{20,})",
        Check::Sure,
    ),
    (
        "discord",
        r"discord(?:app)?\.com/api/webhooks/([0-9]{15,}/[A-Za-z0-9_-]{50,})",
        Check::Sure,
    ),
    ("stripe", r"\b[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}", Check::Sure),
    ("stripe", r"\bwhsec_[A-Za-z0-9+/=]{24,}", Check::Sure),
    ("anthropic", r"\bsk-ant-[A-Za-z0-9_-]{20,}", Check::Sure),
    ("openai", r"\bsk-[A-Za-z0-9_-]{20,}", Check::Digit),
    ("groq", r"\bgsk_[A-Za-z0-9]{40,}", Check::Sure),
    ("xai", r"\bxai-[A-Za-z0-9]{40,}", Check::Sure),
    ("huggingface", r"\bhf_[A-Za-z0-9]{30,}", Check::Sure),
    ("npm", r"\bnpm_[A-Za-z0-9]{36,}", Check::Sure),
    ("pypi", r"\bpypi-[A-Za-z0-9_-]{50,}", Check::Sure),
    ("rubygems", r"\brubygems_[a-f0-9]{40,}", Check::Sure),
    ("vault", r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}", Check::Sure),
    ("vault", r"\b[sbr]\.[A-Za-z0-9]{24,}\b", Check::Mixed),
    (
        "jwt",
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){0,2}",
        Check::Sure,
    ),
    (
        "sendgrid",
        r"\bSG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50}",
        Check::Sure,
    ),
    ("digitalocean", r"\bdo[opr]_v1_[a-f0-9]{64}", Check::Sure),
    ("databricks", r"\bdapi[a-f0-9]{32}", Check::Sure),
    ("docker", r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}", Check::Sure),
    ("atlassian", r"\bATATT3[A-Za-z0-9_=-]{60,}", Check::Sure),
    (
        "terraform",
        r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}",
        Check::Sure,
    ),
    ("fly", r"\bfm[12][a-z]?_[A-Za-z0-9+/=_-]{40,}", Check::Sure),
    ("supabase", r"\bsb(?:p|_secret)_[A-Za-z0-9_]{20,}", Check::Sure),
    ("shopify", r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}", Check::Sure),
    ("grafana", r"\bgl(?:sa|c)_[A-Za-z0-9+/=_]{32,}", Check::Sure),
    (
        "planetscale",
        r"\bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{30,}",
        Check::Sure,
    ),
    (
        "doppler",
        r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_.-]{30,}",
        Check::Sure,
    ),
    ("linear", r"\blin_(?:api|oauth)_[A-Za-z0-9]{30,}", Check::Sure),
    ("tailscale", r"\btskey-[a-z]+-[A-Za-z0-9-]{15,}", Check::Sure),
    // Redis tells users with the bare hash of their passwords.
    ("redis", r"[ ,]#([0-9a-f]{64})\b", Check::Sure),
    ("age", r"\bAGE-SECRET-KEY-1[0-9A-Z]{50,}", Check::Sure),
    ("telegram", r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}", Check::Sure),
    (
        "authorization",
        r#"(?i:authorization)\\?["']?[ \t]*[:=][ \t]*\\?["']?(?:(?i:bearer|basic|token|digest|apikey|bot|negotiate)[ \t]+)?([^\s"',;\\]{6,})"#,
        Check::Value,
    ),
    (
        "authorization",
        r"(?i:\bbearer)[ \t]+([A-Za-z0-9._~+/=-]{16,})",
        Check::Digit,
    ),
    (
        "cookie",
        r#"(?i:\b(?:set-)?cookie)\\?["']?:[ \t]*\\?["']?([^\r\n"'\\]{8,})"#,
        Check::Value,
    ),
    (
        "url-password",
        r#"://[^\s:/?#@"'<>]{0,200}:([^\s/?#"'<>]{1,512})@"#,
        Check::Value,
    ),
    (
        "url-password",
        r#"(?i:%3A%2F%2F)[A-Za-z0-9._~-]{0,200}(?i:%3A)([^\s"'&@]{1,512}?)%40"#,
        Check::Value,
    ),
    (
        "pgpass",
        r"(?m:^)(?:\xEF\xBB\xBF)?[A-Za-z0-9_.*-]+:54[0-9]{2}:[^\s:]+:[^\s:]+:([^\s]+)",
        Check::Value,
    ),
    (
        "netrc",
        r"\blogin[ \t]+[^\s]{1,200}\s+password[ \t]+([^\s]+)",
        Check::Value,
    ),
    (
        "flag",
        r#"[\s"'](-{1,2}[A-Za-z-]{0,24}(?i:pass|passwd|password|passphrase|token|secret|key|auth))(?:\\*["'],?)?[ \t,]{1,4}\\*["']?([^\s"'\\-](?:[^\s"'\\]|\\+[^\s"'\\])*)"#,
        Check::Flag,
    ),
    (
        "flag",
        r#"\bcurl\b[^\n]{0,300}?\s(?:-u|--user)[ =]?["']?[^\s:'"]{1,100}:([^\s'"]+)"#,
        Check::Value,
    ),
    (
        "flag",
        r#"\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]{0,200}?\s-p([^\s'"]+)"#,
        Check::Value,
    ),
    ("flag", r#"\bsshpass\s+-p\s*["']?([^\s"']+)"#, Check::Value),
    (
        "xml",
        r"(?i:<[a-z:_-]{0,30}(?:password|passwd|secret|token|apikey|secretaccesskey)>)([^<\s]{3,})</",
        Check::Value,
    ),
    ("named", named::PATTERN, Check::Named),
];

/// Prefixes of secrets that are also recognised inside base64.
const PREFIXES: [&str; 22] = [
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "sk-ant-",
    "sk-proj-",
    "sk_live_",
    "xoxb-",
    "xoxp-",
    "hvs.",
    "npm_",
    "pypi-Ag",
    "AKIA",
    "dckr_pat_",
    "-----BEGIN ",
    "postgres://",
    "postgresql://",
    "mysql://",
    "password",
    "PASSWORD",
    "_TOKEN=",
];

/// Longest base64 text that is decoded around such a prefix, in characters each way.
const DECODED: usize = 8 << 10;

/// One secret of a known shape.
pub struct Hit {
    /// Where its match began, the name before it included.
    pub from: usize,
    /// The secret itself.
    pub span: Range<usize>,
    /// The shape.
    pub rule: &'static str,
}

struct Shape {
    name: &'static str,
    pattern: String,
    /// Built when first needed: most shapes never turn up.
    regex: OnceLock<Option<Regex>>,
    check: Check,
}

/// All shapes, compiled.
pub struct Shapes {
    any: Regex,
    /// Which of them fit a place that `any` found, in one look.
    which: RegexSet,
    each: Vec<Shape>,
    base64: GeneralPurpose,
    varied: Regex,
}

impl Shapes {
    /// The table, compiled when first needed and kept: that takes about ten milliseconds.
    ///
    /// `None` where it cannot be compiled, which a test rules out; nothing is to be let through then.
    pub fn compiled() -> Option<&'static Shapes> {
        static COMPILED: OnceLock<Option<Shapes>> = OnceLock::new();
        COMPILED.get_or_init(|| Shapes::new().ok()).as_ref()
    }

    fn new() -> Result<Self, RedactError> {
        let pieces = base64_pieces();
        let table = || {
            let base64 = ("base64", pieces.as_str(), Check::Base64);
            SHAPES.iter().copied().chain([base64])
        };
        let any: Vec<String> = table()
            .map(|(_, pattern, _)| format!("(?:{})", after_escapes(pattern)))
            .collect();
        let each: Vec<Shape> = table()
            .map(|(name, pattern, check)| Shape {
                name,
                pattern: format!(r"\A(?:{})\z", after_escapes(pattern)),
                regex: OnceLock::new(),
                check,
            })
            .collect();
        Ok(Shapes {
            any: compile(&any.join("|"))?,
            which: RegexSetBuilder::new(each.iter().map(|shape| &shape.pattern))
                .unicode(false)
                .size_limit(SIZE)
                .dfa_size_limit(DFA)
                .build()
                .map_err(|why| RedactError(why.to_string()))?,
            each,
            varied: compile(named::VARIED)?,
            base64: GeneralPurpose::new(
                &alphabet::STANDARD,
                GeneralPurposeConfig::new()
                    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
                    .with_decode_allow_trailing_bits(true),
            ),
        })
    }

    /// Every hit that begins at or after `at`, in order.
    pub fn find(&self, text: &[u8], mut at: usize) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut decoded_to = 0;
        while let Some(m) = self.any.find_at(text, at) {
            // A rejected match is passed over whole, never looked at twice: that keeps it linear.
            at = m.end().max(m.start() + 1);
            let Some((shape, span)) = self.judged(text, m.range(), &mut decoded_to) else {
                continue;
            };
            at = at.max(span.end);
            hits.push(Hit {
                from: m.start().min(span.start),
                span,
                rule: shape.name,
            });
        }
        hits
    }

    /// Values of no known shape that look as tokens do, beginning at or after `at`.
    ///
    /// A pass of its own: a rejected match is passed over whole, and must take no other shape with it.
    pub fn varied(&self, text: &[u8], mut at: usize) -> Vec<Hit> {
        let mut hits = Vec::new();
        while let Some(m) = self.varied.find_at(text, at) {
            at = m.end();
            hits.extend(named::varied(text, m.range()).map(|span| Hit {
                from: m.start(),
                span,
                rule: "entropy",
            }));
        }
        hits
    }

    /// Which shape it is, and which part of it is the secret.
    fn judged(
        &self,
        text: &[u8],
        hit: Range<usize>,
        decoded_to: &mut usize,
    ) -> Option<(&Shape, Range<usize>)> {
        let found = text.get(hit.clone())?;
        let shapes = self.which.matches(found);
        for shape in shapes.iter().filter_map(|at| self.each.get(at)) {
            let regex = shape.regex.get_or_init(|| compile(&shape.pattern).ok());
            // A pattern that fits together with the others fits alone; were it not so, all of it goes.
            let Some(groups) = regex.as_ref().and_then(|regex| regex.captures(found)) else {
                return Some((shape, hit));
            };
            let group = |n| groups.get(n).map(|g| hit.start + g.start()..hit.start + g.end());
            let behind = hit.start + escape_len(found).min(found.len());
            let whole = group(1).unwrap_or(behind..hit.end);
            let bytes = text.get(whole.clone())?;
            let has = |test: fn(&u8) -> bool| bytes.iter().any(test);
            let span = match shape.check {
                Check::Sure => Some(whole),
                Check::Digit => has(u8::is_ascii_digit).then_some(whole),
                Check::Mixed => {
                    (has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase))
                        .then_some(whole)
                }
                Check::Value => (!named::is_placeholder(bytes)).then_some(whole),
                Check::Flag => {
                    let value = group(2)?;
                    let name = String::from_utf8_lossy(bytes);
                    let name = if name == "-pass" || name == "--pass" {
                        "the-pass".into()
                    } else {
                        name
                    };
                    named::flag(&name, text.get(value.clone())?).then_some(value)
                }
                Check::Named => named::secret(text, hit.clone()),
                Check::Base64 => self.inside_base64(text, hit.clone(), decoded_to),
            };
            if let Some(span) = span {
                return Some((shape, span));
            }
        }
        None
    }

    /// The base64 text around a telling piece, where it really holds a secret.
    fn inside_base64(&self, text: &[u8], hit: Range<usize>, decoded_to: &mut usize) -> Option<Range<usize>> {
        if hit.start < *decoded_to {
            return None;
        }
        let is_base64 = |b: &&u8| b.is_ascii_alphanumeric() || b"+/-_".contains(b);
        let before = text.get(*decoded_to..hit.start)?.iter().rev().take(DECODED);
        let after = text.get(hit.end..)?.iter().take(DECODED);
        let start = hit.start - before.take_while(is_base64).count();
        let end = hit.end + after.take_while(is_base64).count();
        let body = text.get(start..end)?;
        *decoded_to = end;
        let standard: Vec<u8> = body
            .iter()
            .map(|b| match b {
                b'-' => b'+',
                b'_' => b'/',
                other => *other,
            })
            .collect();
        // Where the text began earlier than we look back, one of four beginnings is the right one.
        (0..4).find_map(|skip| {
            let part = standard.get(skip..)?;
            let whole = part.get(..part.len() - usize::from(part.len() % 4 == 1))?;
            let inner = self.base64.decode(whole).ok()?;
            let secret = !self.find(&inner, 0).is_empty();
            secret.then_some(start..end)
        })
    }
}

/// An escaped line end or blank, as JSON and shells write them: its letter is no part of the word behind it.
const ESCAPE: &str = r"\\+(?:[nrtbfv0]|u00[01][0-9a-fA-F]|x[01][0-9a-fA-F])";

/// The pattern, also where a word begins right behind an escape: `\nghp_…`.
fn after_escapes(pattern: &str) -> String {
    match pattern.strip_prefix(r"\b") {
        Some(rest) => format!(r"(?:\b|{ESCAPE}){rest}"),
        None => pattern.to_owned(),
    }
}

/// Bytes of an escape at the beginning of what was found.
fn escape_len(found: &[u8]) -> usize {
    let slashes = found.iter().take_while(|b| **b == b'\\').count();
    match found.get(slashes) {
        _ if slashes == 0 => 0,
        Some(b'u') => slashes + 5,
        Some(b'x') => slashes + 3,
        _ => slashes + 1,
    }
}

/// Room for the compiled patterns and for their caches, in bytes.
const SIZE: usize = 64 << 20;
const DFA: usize = 16 << 20;

fn compile(pattern: &str) -> Result<Regex, RedactError> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(SIZE)
        .dfa_size_limit(DFA)
        .build()
        .map_err(|why| RedactError(why.to_string()))
}

/// What the prefixes look like inside base64, at each of the three places a byte can begin.
fn base64_pieces() -> String {
    let plain = base64::engine::general_purpose::STANDARD_NO_PAD;
    let mut pieces: Vec<String> = PREFIXES
        .iter()
        .flat_map(|prefix| (0..3).map(move |lead| (prefix, lead)))
        .filter_map(|(prefix, lead)| {
            let shifted = [&vec![0; lead][..], prefix.as_bytes()].concat();
            let text = plain.encode(&shifted);
            let piece = text.get((lead * 4).div_ceil(3)..shifted.len() * 8 / 6)?;
            Some(regex::escape(piece))
        })
        .collect();
    pieces.sort();
    pieces.dedup();
    pieces.join("|")
}

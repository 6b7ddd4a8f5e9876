//! The table of shapes: what each looks like, and by which word a text is searched for it.

use super::named;

/// What must be true of a match besides the pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
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

/// Where a match begins, seen from the word that it was found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// At it.
    Here,
    /// At it, where it is the beginning of a word.
    Word,
    /// So many bytes before it, where a word begins there.
    Before(usize),
    /// At the digits before it, where a word begins there.
    AtDigits,
    /// At it, where it is the name of a field of a query.
    InQuery,
    /// At the blank or quote before the flag it is part of.
    AtDash,
    /// At the `<` of the tag it is part of.
    AtTag,
    /// Where its line begins.
    AtLine,
}

/// One shape.
pub struct Shape {
    /// What it is called in a receipt.
    pub name: &'static str,
    /// Words, in any case, one of which is in every match: the text is searched for these.
    pub words: &'static [&'static str],
    /// Where from there a match begins.
    pub begins: Begins,
    /// What must stand there. Group 1, where there is one, is the secret.
    pub pattern: &'static str,
    /// What must be true of it, too.
    pub check: Check,
}

/// All shapes. Order matters: of those with the same word the first wins.
///
/// Sources: the issuers' documentation of their token formats.
pub const SHAPES: &[Shape] = &[
    Shape {
        name: "private-key",
        words: &["-----BEGIN "],
        begins: Begins::Here,
        pattern: r#"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:(?:[\s"'+,>|#*;%]|\\+[nrt]|(?:\n|\\n)-){1,64}[A-Za-z-]{3,20}: [^\r\n\\]{1,200}){0,6}(?:(?:[\s"'+,>|#*;%]|\\+[nrt]|(?:\n|\\n)-){0,64}[A-Za-z0-9+/=]{28,}){1,}(?:(?:[\s"'+,>|#*;%]|\\+[nrt]|(?:\n|\\n)-){1,64}[A-Za-z0-9+/=]{1,80}){0,2}(?:(?:[\s"'+,>|#*;%]|\\+[nrt]|(?:\n|\\n)-){0,64}-----END [A-Z0-9 ]{5,40}-----)?"#,
        check: Check::Sure,
    },
    Shape {
        name: "github",
        words: &["gho_", "ghp_", "ghs_", "ghu_", "ghr_"],
        begins: Begins::Here,
        pattern: r"gh[opusr]_[A-Za-z0-9]{30,}",
        check: Check::Sure,
    },
    Shape {
        name: "github",
        words: &["github_pat_"],
        begins: Begins::Here,
        pattern: r"github_pat_[A-Za-z0-9_]{30,}",
        check: Check::Sure,
    },
    Shape {
        name: "gitlab",
        words: &[
            "glpat-", "gldt-", "glrt-", "glrtr-", "glptt-", "glcbt-", "glft-", "glagent-", "glsoat-",
            "gloas-", "glimt-", "glffct-",
        ],
        begins: Begins::Word,
        pattern: r"gl(?:pat|dt|rt|rtr|ptt|cbt|ft|agent|soat|oas|imt|ffct)-[A-Za-z0-9_.=-]{20,}",
        check: Check::Sure,
    },
    Shape {
        name: "gitlab",
        words: &["GR1348941"],
        begins: Begins::Word,
        pattern: r"GR1348941[A-Za-z0-9_-]{20,}",
        check: Check::Sure,
    },
    Shape {
        name: "aws",
        words: &["AKIA", "ASIA", "ABIA", "ACCA"],
        begins: Begins::Word,
        pattern: r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
        check: Check::Sure,
    },
    Shape {
        name: "aws",
        words: &["FwoGZXIvYXdz", "IQoJb3JpZ2lu"],
        begins: Begins::Word,
        pattern: r"(?:FwoGZXIvYXdz|IQoJb3JpZ2lu)[A-Za-z0-9/+=%]{60,}",
        check: Check::Sure,
    },
    Shape {
        name: "signed-url",
        words: &["X-Amz-Signature", "X-Goog-Signature"],
        begins: Begins::Here,
        pattern: r"(?i:X-Amz-Signature|X-Goog-Signature)=([0-9a-fA-F]{40,})",
        check: Check::Sure,
    },
    Shape {
        name: "signed-url",
        words: &["sig="],
        begins: Begins::InQuery,
        pattern: r"sig=([A-Za-z0-9%/+=_-]{40,})",
        check: Check::Sure,
    },
    Shape {
        name: "gcp",
        words: &["AIza"],
        begins: Begins::Word,
        pattern: r"AIza[A-Za-z0-9_-]{35}",
        check: Check::Sure,
    },
    Shape {
        name: "gcp",
        words: &["ya29."],
        begins: Begins::Word,
        pattern: r"ya29\.[A-Za-z0-9_.-]{20,}",
        check: Check::Sure,
    },
    Shape {
        name: "gcp",
        words: &["GOCSPX-"],
        begins: Begins::Word,
        pattern: r"GOCSPX-[A-Za-z0-9_-]{20,}",
        check: Check::Sure,
    },
    Shape {
        name: "gcp",
        words: &["1//0"],
        begins: Begins::Word,
        pattern: r"1//0[A-Za-z0-9_-]{30,}",
        check: Check::Sure,
    },
    Shape {
        name: "azure",
        words: &["AccountKey", "SharedAccessKey"],
        begins: Begins::Here,
        pattern: r"(?i:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{40,}={0,2})",
        check: Check::Sure,
    },
    Shape {
        name: "azure",
        words: &["7Q~", "8Q~"],
        begins: Begins::Before(3),
        pattern: r"[A-Za-z0-9_~.]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}",
        check: Check::Sure,
    },
    Shape {
        name: "slack",
        words: &["xox"],
        begins: Begins::Word,
        pattern: r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}",
        check: Check::Sure,
    },
    Shape {
        name: "slack",
        words: &["xapp-"],
        begins: Begins::Word,
        pattern: r"xapp-[0-9]-[A-Za-z0-9-]{20,}",
        check: Check::Sure,
    },
    Shape {
        name: "slack",
        words: &["hooks.slack.com/"],
        begins: Begins::Here,
        pattern: r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/]{20,})",
        check: Check::Sure,
    },
    Shape {
        name: "discord",
        words: &["discord"],
        begins: Begins::Here,
        pattern: r"discord(?:app)?\.com/api/webhooks/([0-9]{15,}/[A-Za-z0-9_-]{50,})",
        check: Check::Sure,
    },
    Shape {
        name: "stripe",
        words: &[
            "sk_live_", "sk_test_", "rk_live_", "rk_test_", "pk_live_", "pk_test_",
        ],
        begins: Begins::Word,
        pattern: r"[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}",
        check: Check::Sure,
    },
    Shape {
        name: "stripe",
        words: &["whsec_"],
        begins: Begins::Word,
        pattern: r"whsec_[A-Za-z0-9+/=]{24,}",
        check: Check::Sure,
    },
    Shape {
        name: "anthropic",
        words: &["sk-"],
        begins: Begins::Word,
        pattern: r"sk-ant-[A-Za-z0-9_-]{20,}",
        check: Check::Sure,
    },
    Shape {
        name: "openai",
        words: &["sk-"],
        begins: Begins::Word,
        pattern: r"sk-[A-Za-z0-9_-]{20,}",
        check: Check::Digit,
    },
    Shape {
        name: "groq",
        words: &["gsk_"],
        begins: Begins::Word,
        pattern: r"gsk_[A-Za-z0-9]{40,}",
        check: Check::Sure,
    },
    Shape {
        name: "xai",
        words: &["xai-"],
        begins: Begins::Word,
        pattern: r"xai-[A-Za-z0-9]{40,}",
        check: Check::Sure,
    },
    Shape {
        name: "huggingface",
        words: &["hf_"],
        begins: Begins::Word,
        pattern: r"hf_[A-Za-z0-9]{30,}",
        check: Check::Sure,
    },
    Shape {
        name: "npm",
        words: &["npm_"],
        begins: Begins::Word,
        pattern: r"npm_[A-Za-z0-9]{36,}",
        check: Check::Sure,
    },
    Shape {
        name: "pypi",
        words: &["pypi-"],
        begins: Begins::Word,
        pattern: r"pypi-[A-Za-z0-9_-]{50,}",
        check: Check::Sure,
    },
    Shape {
        name: "rubygems",
        words: &["rubygems_"],
        begins: Begins::Word,
        pattern: r"rubygems_[a-f0-9]{40,}",
        check: Check::Sure,
    },
    Shape {
        name: "vault",
        words: &["hvs.", "hvb.", "hvr."],
        begins: Begins::Word,
        pattern: r"hv[sbr]\.[A-Za-z0-9_-]{20,}",
        check: Check::Sure,
    },
    Shape {
        name: "vault",
        words: &["s.", "b.", "r."],
        begins: Begins::Word,
        pattern: r"[sbr]\.[A-Za-z0-9]{24,}\b",
        check: Check::Mixed,
    },
    Shape {
        name: "jwt",
        words: &["eyJ"],
        begins: Begins::Word,
        pattern: r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){0,2}",
        check: Check::Sure,
    },
    Shape {
        name: "sendgrid",
        words: &["SG."],
        begins: Begins::Word,
        pattern: r"SG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50}",
        check: Check::Sure,
    },
    Shape {
        name: "digitalocean",
        words: &["doo_v1_", "dop_v1_", "dor_v1_"],
        begins: Begins::Word,
        pattern: r"do[opr]_v1_[a-f0-9]{64}",
        check: Check::Sure,
    },
    Shape {
        name: "databricks",
        words: &["dapi"],
        begins: Begins::Word,
        pattern: r"dapi[a-f0-9]{32}",
        check: Check::Sure,
    },
    Shape {
        name: "docker",
        words: &["dckr_pat_", "dckr_oat_"],
        begins: Begins::Word,
        pattern: r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}",
        check: Check::Sure,
    },
    Shape {
        name: "atlassian",
        words: &["ATATT3"],
        begins: Begins::Word,
        pattern: r"ATATT3[A-Za-z0-9_=-]{60,}",
        check: Check::Sure,
    },
    Shape {
        name: "terraform",
        words: &[".atlasv1."],
        begins: Begins::Before(14),
        pattern: r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}",
        check: Check::Sure,
    },
    Shape {
        name: "fly",
        words: &["fm1", "fm2"],
        begins: Begins::Word,
        pattern: r"fm[12][a-z]?_[A-Za-z0-9+/=_-]{40,}",
        check: Check::Sure,
    },
    Shape {
        name: "supabase",
        words: &["sbp_", "sb_secret_"],
        begins: Begins::Word,
        pattern: r"sb(?:p|_secret)_[A-Za-z0-9_]{20,}",
        check: Check::Sure,
    },
    Shape {
        name: "shopify",
        words: &["shpat_", "shpca_", "shppa_", "shpss_"],
        begins: Begins::Word,
        pattern: r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
        check: Check::Sure,
    },
    Shape {
        name: "grafana",
        words: &["glsa_", "glc_"],
        begins: Begins::Word,
        pattern: r"gl(?:sa|c)_[A-Za-z0-9+/=_]{32,}",
        check: Check::Sure,
    },
    Shape {
        name: "planetscale",
        words: &["pscale_"],
        begins: Begins::Word,
        pattern: r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{30,}",
        check: Check::Sure,
    },
    Shape {
        name: "doppler",
        words: &["dp."],
        begins: Begins::Word,
        pattern: r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_.-]{30,}",
        check: Check::Sure,
    },
    Shape {
        name: "linear",
        words: &["lin_api_", "lin_oauth_"],
        begins: Begins::Word,
        pattern: r"lin_(?:api|oauth)_[A-Za-z0-9]{30,}",
        check: Check::Sure,
    },
    Shape {
        name: "tailscale",
        words: &["tskey-"],
        begins: Begins::Word,
        pattern: r"tskey-[a-z]+-[A-Za-z0-9-]{15,}",
        check: Check::Sure,
    },
    // Redis tells users with the bare hash of their passwords.
    Shape {
        name: "redis",
        words: &[" #", ",#"],
        begins: Begins::Here,
        pattern: r"[ ,]#([0-9a-f]{64})\b",
        check: Check::Sure,
    },
    Shape {
        name: "age",
        words: &["AGE-SECRET-KEY-1"],
        begins: Begins::Word,
        pattern: r"AGE-SECRET-KEY-1[0-9A-Z]{50,}",
        check: Check::Sure,
    },
    Shape {
        name: "telegram",
        words: &[":AA"],
        begins: Begins::AtDigits,
        pattern: r"[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}",
        check: Check::Sure,
    },
    Shape {
        name: "authorization",
        words: &["auth"],
        begins: Begins::Here,
        pattern: r#"(?i:authorization)\\?["']?[ \t]*[:=][ \t]*\\?["']?(?:(?i:bearer|basic|token|digest|apikey|bot|negotiate)[ \t]+)?([^\s"',;\\]{6,})"#,
        check: Check::Value,
    },
    Shape {
        name: "authorization",
        words: &["bearer"],
        begins: Begins::Word,
        pattern: r"(?i:bearer)[ \t]+([A-Za-z0-9._~+/=-]{16,})",
        check: Check::Digit,
    },
    Shape {
        name: "cookie",
        words: &["cookie"],
        begins: Begins::Word,
        pattern: r#"(?i:cookie)\\?["']?:[ \t]*\\?["']?([^\r\n"'\\]{8,})"#,
        check: Check::Value,
    },
    Shape {
        name: "url-password",
        words: &["://"],
        begins: Begins::Here,
        pattern: r#"://[^\s:/?#@"'<>]{0,200}:([^\s/?#"'<>]{1,512})@"#,
        check: Check::Value,
    },
    Shape {
        name: "url-password",
        words: &["%3A%2F%2F"],
        begins: Begins::Here,
        pattern: r#"(?i:%3A%2F%2F)[A-Za-z0-9._~-]{0,200}(?i:%3A)([^\s"'&@]{1,512}?)%40"#,
        check: Check::Value,
    },
    Shape {
        name: "pgpass",
        words: &[":54"],
        begins: Begins::AtLine,
        pattern: r"(?:\xEF\xBB\xBF)?[A-Za-z0-9_.*-]+:54[0-9]{2}:[^\s:]+:[^\s:]+:([^\s]+)",
        check: Check::Value,
    },
    Shape {
        name: "netrc",
        words: &["login"],
        begins: Begins::Word,
        pattern: r"login[ \t]+[^\s]{1,200}\s+password[ \t]+([^\s]+)",
        check: Check::Value,
    },
    Shape {
        name: "flag",
        words: &["pass", "token", "secret", "key", "auth"],
        begins: Begins::AtDash,
        pattern: r#"[\s"'](-{1,2}[A-Za-z-]{0,24}(?i:pass|passwd|password|passphrase|token|secret|key|auth))(?:\\*["'],?)?[ \t,]{1,4}\\*["']?([^\s"'\\-](?:[^\s"'\\]|\\+[^\s"'\\])*)"#,
        check: Check::Flag,
    },
    Shape {
        name: "flag",
        words: &["curl"],
        begins: Begins::Word,
        pattern: r#"curl\b[^\n]{0,300}?\s(?:-u|--user)[ =]?["']?[^\s:'"]{1,100}:([^\s'"]+)"#,
        check: Check::Value,
    },
    Shape {
        name: "flag",
        words: &["mysql", "mariadb"],
        begins: Begins::Word,
        pattern: r#"(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]{0,200}?\s-p([^\s'"]+)"#,
        check: Check::Value,
    },
    Shape {
        name: "flag",
        words: &["sshpass"],
        begins: Begins::Word,
        pattern: r#"sshpass\s+-p\s*["']?([^\s"']+)"#,
        check: Check::Value,
    },
    Shape {
        name: "xml",
        words: &["pass", "secret", "token", "key"],
        begins: Begins::AtTag,
        pattern: r"(?i:<[a-z:_-]{0,30}(?:password|passwd|secret|token|apikey|secretaccesskey)>)([^<\s]{3,})</",
        check: Check::Value,
    },
    Shape {
        name: "named",
        words: &["pass", "pwd", "secret", "token", "key", "cred", "auth"],
        begins: Begins::Here,
        pattern: named::PATTERN,
        check: Check::Named,
    },
];

//! The text a signer signs: everything they vouch for, in one spelling.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::text::{list, quoted, word};
use crate::model::effect::{Effects, Zone};
use crate::model::ids::{IncidentId, StepId};
use crate::model::runbook::Touch;
use crate::model::time;

/// First line of every statement. Any change of the format is a new number.
pub(super) const FORMAT: &str = "incident-signoff v1";

/// Said in the text, because a plain SSH signature carries no time.
pub(super) const VALID_FROM: &str = "the moment the signed answer is filed";

/// What a signer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It may run, once, as written.
    Approve,
    /// It may not; this ends the request.
    Refuse,
}

impl Decision {
    /// The word in the statement.
    pub fn word(self) -> &'static str {
        match self {
            Decision::Approve => "approve",
            Decision::Refuse => "refuse",
        }
    }
}

/// One place the act reaches, or one file it depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `cluster`, `account`, `host`, `user`, `database`, `cwd`, `executable`, `script`, ….
    pub kind: String,
    /// Which one, resolved: an absolute path, a host name, a database name.
    pub value: String,
    /// SHA-256 of a file's bytes, 64 hex digits; `None` for what is no file.
    pub sha256: Option<String>,
}

/// A part of the act too large for the text (a SQL file, a manifest), attached beside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// File name of the attachment.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, 64 hex digits.
    pub sha256: String,
}

/// One act, verbatim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedAct {
    /// The step it belongs to.
    pub step: StepId,
    /// The verb of the step: `run`, `sql`, `http`, `manual`, ….
    pub kind: String,
    /// The argument list, or the text of what is not a program, one element a line.
    pub args: Vec<String>,
    /// Names, never values, of the environment variables it is given.
    pub env: Vec<String>,
    /// Attachments.
    pub parts: Vec<Part>,
    /// Where it runs and what it reaches.
    pub targets: Vec<Target>,
}

/// What a sign-off is tied to: any change of it voids the sign-off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// SHA-256 of the resolved act's file (`signoffs/<seq>.act.json`), 64 hex digits.
    pub act_sha256: String,
    /// SHA-256 of the pinned runbook, 64 hex digits.
    pub runbook_sha256: String,
    /// SHA-256 of the boundary in force, 64 hex digits.
    pub boundary_sha256: String,
    /// Hash of the record that sealed the baseline; `None` before it is sealed.
    pub baseline: Option<String>,
    /// The acts in the order they will run; one, or a plan.
    pub acts: Vec<SignedAct>,
}

/// The statement, as one value. [`Statement::render`] is the text that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The incident; a drill's id says that it is one.
    pub incident: IncidentId,
    /// Sequence number of the request's record.
    pub request_seq: u64,
    /// Hash of the request's record: binds the whole history before it. 64 hex digits.
    pub request_hash: String,
    /// Sequence number of the newest record the signer is shown.
    pub head_seq: u64,
    /// Its hash: the signature anchors it. 64 hex digits.
    pub head_hash: String,
    /// What it is for, in the runbook's words.
    pub title: String,
    /// Stage of the walk.
    pub stage: String,
    /// Side of the boundary.
    pub zone: Zone,
    /// The rule that put it there.
    pub rule: String,
    /// What it changes.
    pub effects: Effects,
    /// 128 random bits in hex, of this request alone.
    pub nonce: String,
    /// Wall time of the request, ms since the epoch.
    pub requested_ms: i64,
    /// Seconds that a filed answer stays valid.
    pub valid_s: u64,
    /// Principal of the person who asks.
    pub requester: String,
    /// True where the requester signed the request with a key of the roster.
    pub requester_proven: bool,
    /// Names under which somebody acted and whom no key proves; each asks for one more person.
    pub unproven: Vec<String>,
    /// How many people must approve.
    pub people_needed: u32,
    /// Roles that must be among them.
    pub roles_needed: Vec<String>,
    /// True where the holders of the roles must be of different teams.
    pub teams_apart: bool,
    /// What their keys must show.
    pub touch_needed: Touch,
    /// Who may sign in whose role, lent before this was asked: role, giver, holder, until when. One line each.
    pub lent: Vec<[String; 4]>,
    /// Seconds after which the requester may run it alone, where nobody answers and nobody refuses.
    pub alone_after_s: Option<u64>,
    /// What the signer answers.
    pub decision: Decision,
    /// What it is tied to.
    pub bound: Bound,
}

impl Statement {
    /// The same statement with the other answer; nothing else differs.
    pub fn for_decision(&self, decision: Decision) -> Statement {
        Statement {
            decision,
            ..self.clone()
        }
    }

    /// The bytes to sign: printable ASCII, LF, one `key: value` a line, always in this order.
    pub fn render(&self) -> String {
        let steps = self.bound.acts.iter().map(|act| act.step.as_str());
        let mut out = format!("{FORMAT}\n");
        let mut line = |key: &str, value: &str| {
            out.extend([key, ": ", value, "\n"]);
        };
        line("incident", self.incident.as_str());
        line("drill", yes_no(self.incident.is_drill()));
        line("request-seq", &self.request_seq.to_string());
        line("request-hash", &word(&self.request_hash));
        line("head-seq", &self.head_seq.to_string());
        line("head-hash", &word(&self.head_hash));
        line("steps", &list(steps));
        line("title", &quoted(&self.title));
        line("stage", &word(&self.stage));
        line("zone", self.zone.word());
        line("rule", &word(&self.rule));
        line("effects", &list(self.effects.iter().map(|e| e.word())));
        line("act-sha256", &word(&self.bound.act_sha256));
        line("runbook-sha256", &word(&self.bound.runbook_sha256));
        line("boundary-sha256", &word(&self.bound.boundary_sha256));
        line(
            "baseline",
            &self.bound.baseline.as_deref().map_or("none".into(), word),
        );
        line("nonce", &word(&self.nonce));
        line("requested-at", &time::rfc3339(self.requested_ms));
        line("valid-for-s", &self.valid_s.to_string());
        line("valid-from", VALID_FROM);
        line("requester", &word(&self.requester));
        line("requester-proven", yes_no(self.requester_proven));
        line("unproven", &list(&self.unproven));
        line("people-needed", &self.people_needed.to_string());
        line("roles-needed", &list(&self.roles_needed));
        line("different-teams", yes_no(self.teams_apart));
        line("keys-needed", self.touch_needed.word());
        for lent in &self.lent {
            let words: Vec<String> = lent.iter().map(|part| word(part)).collect();
            line("lent-role", &words.join(" "));
        }
        if let Some(after) = self.alone_after_s {
            line("alone-after-s", &after.to_string());
        }
        line("decision", self.decision.word());
        for (number, act) in (1..).zip(&self.bound.acts) {
            act.render(&mut out, number, self.bound.acts.len());
        }
        out
    }
}

impl SignedAct {
    fn render(&self, out: &mut String, number: usize, of: usize) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "act: {number} of {of}, step {}, {}",
            self.step,
            word(&self.kind)
        );
        for arg in &self.args {
            let _ = writeln!(out, "  arg: {}", quoted(arg));
        }
        for name in &self.env {
            let _ = writeln!(out, "  env: {}", word(name));
        }
        for part in &self.parts {
            let (name, hash) = (word(&part.name), word(&part.sha256));
            let _ = writeln!(out, "  part: {name} {} {hash}", part.bytes);
        }
        for target in &self.targets {
            let _ = write!(out, "  target: {} {}", word(&target.kind), word(&target.value));
            if let Some(hash) = &target.sha256 {
                let _ = write!(out, " {}", word(hash));
            }
            out.push('\n');
        }
    }
}

pub(super) fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// SSHSIG namespace of sign-offs; a drill's signatures can never pass for real ones.
pub fn namespace(drill: bool) -> &'static str {
    if drill {
        "signoff-drill@incident-v1"
    } else {
        "signoff@incident-v1"
    }
}

/// The line a signer types, on their own machine, to sign a statement's file.
pub fn signing_command(drill: bool, file: &str) -> String {
    let plain = file
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let file = if plain && !file.is_empty() {
        file.to_owned()
    } else {
        format!("'{}'", file.replace('\'', r"'\''"))
    };
    format!(
        "ssh-keygen -Y sign -f ~/.ssh/id_ed25519 -n {} {file}",
        namespace(drill)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_to_sign_with_names_one_file_and_nothing_else() {
        let end = |drill, file: &str| {
            let line = signing_command(drill, file);
            let rest = line.strip_prefix("ssh-keygen -Y sign -f ~/.ssh/id_ed25519 -n ");
            rest.map(str::to_owned).unwrap_or(line)
        };
        assert_eq!(end(false, "/a/4_1.b-c"), "signoff@incident-v1 /a/4_1.b-c");
        assert_eq!(end(true, "a"), "signoff-drill@incident-v1 a");
        assert_eq!(end(false, ""), "signoff@incident-v1 ''");
        assert_eq!(end(false, "a b;c"), "signoff@incident-v1 'a b;c'");
        assert_eq!(end(false, "it's"), r"signoff@incident-v1 'it'\''s'");
    }
}

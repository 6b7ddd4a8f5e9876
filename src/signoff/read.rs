//! Reads a statement back, and refuses every spelling but our own.

use std::iter::Peekable;
use std::str::Lines;

use super::statement::{Bound, Decision, FORMAT, Part, SignedAct, Statement, Target, VALID_FROM};
use super::text::values;
use crate::model::effect::{Effect, Effects, Zone};
use crate::model::ids::{IncidentId, StepId};
use crate::model::runbook::Touch;
use crate::model::time;

/// Largest statement that is looked at, in bytes; longer acts belong into attached parts.
const CAP: usize = 256 * 1024;

/// The text is no statement of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct BadStatement {
    /// 1-based line; the first that is wrong.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

struct Reader<'a> {
    lines: Peekable<Lines<'a>>,
    line: usize,
}

impl<'a> Reader<'a> {
    fn wrong(&self, message: impl Into<String>) -> BadStatement {
        BadStatement {
            line: self.line,
            message: message.into(),
        }
    }

    /// The value of the next line, which must have this key.
    fn value(&mut self, key: &str) -> Result<&'a str, BadStatement> {
        self.line += 1;
        self.lines
            .next()
            .and_then(|line| line.strip_prefix(key)?.strip_prefix(": "))
            .ok_or_else(|| self.wrong(format!("`{key}: …` expected")))
    }

    /// The value of the next line where it has this key.
    fn maybe(&mut self, key: &str) -> Option<&'a str> {
        let value = self.lines.peek()?.strip_prefix(key)?.strip_prefix(": ")?;
        self.lines.next();
        self.line += 1;
        Some(value)
    }

    /// The value of the next line, through `read`.
    fn read<T>(&mut self, key: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, BadStatement> {
        let value = self.value(key)?;
        read(value).ok_or_else(|| self.wrong(format!("the value of `{key}` cannot be read")))
    }
}

impl Statement {
    /// Reads exactly what [`Statement::render`] writes.
    pub fn parse(text: &str) -> Result<Statement, BadStatement> {
        if text.len() > CAP {
            return Err(BadStatement {
                line: 1,
                message: format!("longer than {CAP} bytes"),
            });
        }
        let mut r = Reader {
            lines: text.lines().peekable(),
            line: 1,
        };
        if r.lines.next() != Some(FORMAT) {
            return Err(r.wrong(format!("`{FORMAT}` expected")));
        }
        let incident = r.read("incident", |v| IncidentId::new(v).ok())?;
        let drill = r.read("drill", yes)?;
        if drill != incident.is_drill() {
            return Err(r.wrong("`drill` does not fit the incident's name"));
        }
        let request_seq = r.read("request-seq", number)?;
        let request_hash = r.read("request-hash", hash)?;
        let head_seq = r.read("head-seq", number)?;
        let head_hash = r.read("head-hash", hash)?;
        let steps = r.read("steps", |v| values(v, ", "))?;
        let title = r.read("title", one)?;
        let stage = r.read("stage", one)?;
        let zone = r.read("zone", zone)?;
        let rule = r.read("rule", one)?;
        let effects = r.read("effects", effects)?;
        let act_sha256 = r.read("act-sha256", hash)?;
        let runbook_sha256 = r.read("runbook-sha256", hash)?;
        let boundary_sha256 = r.read("boundary-sha256", hash)?;
        let baseline = r.read("baseline", |v| match v {
            "none" => Some(None),
            other => hash(other).map(Some),
        })?;
        let nonce = r.read("nonce", |v| hex(v, 32))?;
        let requested_ms = r.read("requested-at", time::parse_rfc3339)?;
        let valid_s = r.read("valid-for-s", number)?;
        r.read("valid-from", |v| (v == VALID_FROM).then_some(()))?;
        let requester = r.read("requester", one)?;
        let requester_proven = r.read("requester-proven", yes)?;
        let unproven = r.read("unproven", items)?;
        let people_needed = r.read("people-needed", |v| v.parse().ok())?;
        let roles_needed = r.read("roles-needed", items)?;
        let teams_apart = r.read("different-teams", yes)?;
        let touch_needed = r.read("keys-needed", |v| {
            let all = [Touch::None, Touch::Present, Touch::Verified];
            all.into_iter().find(|touch| touch.word() == v)
        })?;
        let mut lent = Vec::new();
        while let Some(v) = r.maybe("lent-role") {
            let four = values(v, " ").and_then(|all| all.try_into().ok());
            lent.push(four.ok_or_else(|| r.wrong("no role, giver, holder and time"))?);
        }
        let alone_after_s = match r.maybe("alone-after-s") {
            Some(v) => Some(number(v).ok_or_else(|| r.wrong("no number"))?),
            None => None,
        };
        let decision = r.read("decision", |v| match v {
            "approve" => Some(Decision::Approve),
            "refuse" => Some(Decision::Refuse),
            _ => None,
        })?;
        let acts = (1..=steps.len())
            .map(|number| act(&mut r, number, steps.len()))
            .collect::<Result<Vec<_>, _>>()?;
        let statement = Statement {
            incident,
            request_seq,
            request_hash,
            head_seq,
            head_hash,
            title,
            stage,
            zone,
            rule,
            effects,
            nonce,
            requested_ms,
            valid_s,
            requester,
            requester_proven,
            unproven,
            people_needed,
            roles_needed,
            teams_apart,
            touch_needed,
            lent,
            alone_after_s,
            decision,
            bound: Bound {
                act_sha256,
                runbook_sha256,
                boundary_sha256,
                baseline,
                acts,
            },
        };
        // What two readers could read differently is refused, whatever it says.
        let ours = statement.render();
        if ours != text {
            let same = ours.lines().zip(text.split('\n')).take_while(|(a, b)| a == b);
            return Err(BadStatement {
                line: same.count() + 1,
                message: "not written as this tool writes it".into(),
            });
        }
        Ok(statement)
    }
}

fn act(r: &mut Reader<'_>, number: usize, of: usize) -> Result<SignedAct, BadStatement> {
    let (step, kind) = r.read("act", |v| {
        let (step, kind) = v
            .strip_prefix(&format!("{number} of {of}, step "))?
            .split_once(", ")?;
        Some((StepId::new(step).ok()?, one(kind)?))
    })?;
    let mut act = SignedAct {
        step,
        kind,
        args: Vec::new(),
        env: Vec::new(),
        parts: Vec::new(),
        targets: Vec::new(),
    };
    while let Some(v) = r.maybe("  arg") {
        act.args.push(one(v).ok_or_else(|| r.wrong("no quoted text"))?);
    }
    while let Some(v) = r.maybe("  env") {
        act.env.push(one(v).ok_or_else(|| r.wrong("no name"))?);
    }
    while let Some(v) = r.maybe("  part") {
        act.parts
            .push(part(v).ok_or_else(|| r.wrong("no name, size and hash"))?);
    }
    while let Some(v) = r.maybe("  target") {
        act.targets
            .push(target(v).ok_or_else(|| r.wrong("no kind and name"))?);
    }
    Ok(act)
}

fn part(v: &str) -> Option<Part> {
    let [name, bytes, sha256]: [String; 3] = values(v, " ")?.try_into().ok()?;
    Some(Part {
        name,
        bytes: number(&bytes)?,
        sha256: hash(&sha256)?,
    })
}

fn target(v: &str) -> Option<Target> {
    let mut all = values(v, " ")?.into_iter();
    let (kind, value) = (all.next()?, all.next()?);
    let sha256 = match all.next() {
        Some(text) => Some(hash(&text)?),
        None => None,
    };
    all.next().is_none().then_some(Target { kind, value, sha256 })
}

fn items(v: &str) -> Option<Vec<String>> {
    if v == "-" {
        Some(Vec::new())
    } else {
        values(v, ", ")
    }
}

fn effects(v: &str) -> Option<Effects> {
    items(v)?.iter().map(|e| e.parse::<Effect>().ok()).collect()
}

fn zone(v: &str) -> Option<Zone> {
    [Zone::Inside, Zone::At, Zone::Outside]
        .into_iter()
        .find(|zone| zone.word() == v)
}

fn one(v: &str) -> Option<String> {
    let [value]: [String; 1] = values(v, " ")?.try_into().ok()?;
    Some(value)
}

fn yes(v: &str) -> Option<bool> {
    match v {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn number(v: &str) -> Option<u64> {
    v.parse().ok()
}

fn hash(v: &str) -> Option<String> {
    hex(v, 64)
}

fn hex(v: &str, len: usize) -> Option<String> {
    let fits = v.len() == len && v.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    fits.then(|| v.to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A statement with something in every place.
    pub fn sample() -> Statement {
        let hash = |c: char| c.to_string().repeat(64);
        let target = |kind: &str, value: &str, sha256| Target {
            kind: kind.into(),
            value: value.into(),
            sha256,
        };
        Statement {
            incident: IncidentId::new("INC-20261122-0314-k7qf").unwrap(),
            request_seq: 41,
            request_hash: hash('a'),
            head_seq: 43,
            head_hash: hash('b'),
            title: "Restore orders beside the damaged database".into(),
            stage: "recover".into(),
            zone: Zone::At,
            rule: "declared.data-restore".into(),
            effects: [Effect::DataRestore, Effect::OneWay].into(),
            nonce: "0123456789abcdef0123456789abcdef".into(),
            requested_ms: 1_795_317_247_120,
            valid_s: 1800,
            requester: "ana@example.com".into(),
            requester_proven: true,
            unproven: Vec::new(),
            people_needed: 1,
            roles_needed: Vec::new(),
            teams_apart: false,
            touch_needed: Touch::None,
            lent: Vec::new(),
            alone_after_s: None,
            decision: Decision::Approve,
            bound: Bound {
                act_sha256: hash('c'),
                runbook_sha256: hash('d'),
                boundary_sha256: hash('e'),
                baseline: Some(hash('f')),
                acts: vec![SignedAct {
                    step: StepId::new("restore-beside").unwrap(),
                    kind: "run".into(),
                    args: ["/usr/bin/pg_restore", "--dbname", "orders; \u{202e}x"]
                        .map(str::to_owned)
                        .into(),
                    env: vec!["PGHOST".into()],
                    parts: vec![Part {
                        name: "orders.list".into(),
                        bytes: 70_000,
                        sha256: hash('1'),
                    }],
                    targets: vec![
                        target("host", "db1.internal", None),
                        target("cwd", "/srv/ops team", None),
                        target("executable", "/usr/bin/pg_restore", Some(hash('2'))),
                    ],
                }],
            },
        }
    }

    #[test]
    fn the_text_shows_everything_and_hides_nothing() {
        let text = sample().render();
        assert!(text.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b)));
        insta::assert_snapshot!(text, @r#"
        incident-signoff v1
        incident: INC-20261122-0314-k7qf
        drill: no
        request-seq: 41
        request-hash: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        head-seq: 43
        head-hash: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        steps: restore-beside
        title: "Restore orders beside the damaged database"
        stage: recover
        zone: at
        rule: declared.data-restore
        effects: data-restore, one-way
        act-sha256: cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
        runbook-sha256: dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
        boundary-sha256: eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee
        baseline: ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
        nonce: 0123456789abcdef0123456789abcdef
        requested-at: 2026-11-22T03:14:07.120Z
        valid-for-s: 1800
        valid-from: the moment the signed answer is filed
        requester: ana@example.com
        requester-proven: yes
        unproven: -
        people-needed: 1
        roles-needed: -
        different-teams: no
        keys-needed: any
        decision: approve
        act: 1 of 1, step restore-beside, run
          arg: "/usr/bin/pg_restore"
          arg: "--dbname"
          arg: "orders; \u202ex"
          env: PGHOST
          part: orders.list 70000 1111111111111111111111111111111111111111111111111111111111111111
          target: host db1.internal
          target: cwd "/srv/ops team"
          target: executable /usr/bin/pg_restore 2222222222222222222222222222222222222222222222222222222222222222
        "#);
    }

    #[test]
    fn approve_and_refuse_differ_in_one_line() {
        let (yes, no) = (
            sample().render(),
            sample().for_decision(Decision::Refuse).render(),
        );
        let differing: Vec<_> = yes.lines().zip(no.lines()).filter(|(a, b)| a != b).collect();
        assert_eq!(differing, [("decision: approve", "decision: refuse")]);
    }

    #[test]
    fn it_is_read_back_and_no_other_spelling_is() {
        let text = sample().render();
        assert_eq!(Statement::parse(&text), Ok(sample()));
        let no = sample().for_decision(Decision::Refuse);
        assert_eq!(Statement::parse(&no.render()), Ok(no));
        let plan = {
            let mut plan = sample();
            plan.bound.acts.push(plan.bound.acts[0].clone());
            plan.bound.baseline = None;
            plan.effects.clear();
            plan.roles_needed = vec!["on-call".into(), "data owner".into()];
            plan.unproven = vec!["root".into(), "a b".into()];
            (plan.teams_apart, plan.touch_needed) = (true, Touch::Verified);
            plan.lent = vec![
                [
                    "data owner",
                    "a b",
                    "kim@vendor.example",
                    "2026-11-22T03:14:07.120Z",
                ]
                .map(str::to_owned),
            ];
            plan.alone_after_s = Some(900);
            plan
        };
        assert_eq!(Statement::parse(&plan.render()), Ok(plan));
        for (from, to) in [
            ("\n", "\r\n"),
            ("request-seq: 41", "request-seq: 041"),
            ("request-seq: 41", "request-seq: +41"),
            ("request-hash: a", "request-hash: g"),
            ("drill: no", "drill: yes"),
            ("stage: recover", "stage: \"recover\""),
            ("stage: recover", "stage:  recover"),
            ("120Z", "120+00:00"),
            ("data-restore, one-way", "one-way, data-restore"),
            ("\\u202e", "\u{202e}"),
            ("\\u202e", "\\u202E"),
            ("decision: approve\n", ""),
            ("decision: approve", "decision: Approve"),
            ("decision: approve", "alone-after-s: 0900\ndecision: approve"),
            ("decision: approve", "lent-role: dba\ndecision: approve"),
            ("decision: approve", "decision: approve\ndecision: refuse"),
            ("act: 1 of 1", "act: 1 of 2"),
            ("  env: PGHOST\n", "  env: PGHOST\n\n"),
            ("steps: restore-beside", "steps: other"),
            ("incident-signoff v1", "incident-signoff v2"),
        ] {
            let changed = text.replacen(from, to, if from == "\n" { 999 } else { 1 });
            assert_ne!(changed, text, "{from}");
            assert!(Statement::parse(&changed).is_err(), "{to}");
        }
        assert!(Statement::parse(&(text.clone() + "\n")).is_err());
        assert!(Statement::parse(&(text.clone() + "x")).is_err());
        assert!(Statement::parse(text.trim_end()).is_err());
        assert_eq!(
            Statement::parse(&text.replace("decision: approve\n", ""))
                .unwrap_err()
                .to_string(),
            "line 29: `decision: …` expected"
        );
        assert_eq!(
            Statement::parse(&text.replace("seq: 41", "seq: 041"))
                .unwrap_err()
                .to_string(),
            "line 4: not written as this tool writes it"
        );
        let long = |bytes: usize| Statement::parse(&text.repeat(200)[..bytes]).unwrap_err().message;
        assert_eq!(long(CAP), "not written as this tool writes it");
        assert_eq!(long(CAP + 1), "longer than 262144 bytes");
        assert_eq!(long(CAP + 2), "longer than 262144 bytes");
        // The line is counted through those that may stand there any number of times.
        assert_eq!(
            Statement::parse(&text.replace(&"2".repeat(64), "22"))
                .unwrap_err()
                .to_string(),
            "line 38: no kind and name"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_in_any_place_goes_there_and_back(args in proptest::collection::vec(".*", 0..5), free in ".*") {
            let mut s = sample();
            s.title = free.clone();
            s.rule = free.clone();
            s.requester = free.clone();
            s.roles_needed = vec![free.clone()];
            s.bound.acts[0].args = args;
            s.bound.acts[0].kind = free.clone();
            s.bound.acts[0].targets[0].value = free;
            proptest::prop_assert_eq!(Statement::parse(&s.render()), Ok(s));
        }
    }
}

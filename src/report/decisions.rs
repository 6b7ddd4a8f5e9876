//! The repair boundary in the record: what ran, in which zone, and who allowed it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Entry, words};
use crate::model::act::{Lane, Stage};
use crate::model::approved::Approved;
use crate::model::effect::{Effect, Zone};
use crate::model::event::{ActStarted, Event, Outcome};
use crate::model::incident::{ActState, Incident, RequestState, SignoffState};
use crate::model::time::rfc3339;

/// One act that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Its `act.started`.
    pub act: u64,
    /// Which step.
    pub step: String,
    /// One line for people.
    pub title: String,
    /// When it belongs.
    pub stage: Stage,
    /// In which lane.
    pub lane: Lane,
    /// Its zone when it was judged.
    pub zone: Zone,
    /// What it changes.
    pub effects: Vec<Effect>,
    /// True where it takes an earlier act back.
    pub undoes: bool,
    /// Who started it.
    pub who: String,
    /// When, RFC 3339.
    pub ts: String,
    /// Why it ran, in the responder's words.
    pub why: Option<String>,
    /// SHA-256 of the resolved act.
    pub act_sha256: String,
    /// `done`, `failed`, `check failed` or `in doubt`.
    pub outcome: &'static str,
    /// What was said of its end and of the check afterwards.
    pub words: Vec<String>,
    /// The approval given in peacetime that its zone rests on, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<String>,
    /// The signatures that allowed it; empty inside the boundary.
    pub allowed_by: Vec<Signature>,
    /// Where one person ran it alone: who did, why, and who countersigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alone: Option<ByOne>,
}

/// An act that one person ran alone, after the delay, because nobody answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ByOne {
    /// The request it used.
    pub request: u64,
    /// Why, in their words.
    pub why: String,
    /// Who signed afterwards that it was right; `None` = nobody.
    pub countersigned_by: Option<String>,
    /// True where the countersigner was written into the roster during the incident.
    pub enrolled_on_the_day: bool,
}

/// A signed answer that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// The `escalation.requested` it answers.
    pub request: u64,
    /// Its own record.
    pub record: u64,
    /// The person, as in the roster.
    pub person: String,
    /// True = approved, false = refused.
    pub approves: bool,
    /// `SHA256:…` of the key.
    pub fingerprint: String,
    /// Its type.
    pub algorithm: String,
    /// True where somebody touched the device; `None` for keys that cannot say.
    pub touched: Option<bool>,
    /// True where the device asked for a PIN or a finger; `None` for keys that cannot say.
    pub verified: Option<bool>,
    /// When it was filed, RFC 3339.
    pub filed: String,
    /// The record that took the person or the key out: nobody knows who gave this answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_out: Option<u64>,
}

/// One escalation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Its `escalation.requested`.
    pub request: u64,
    /// When, RFC 3339.
    pub ts: String,
    /// The steps it covers, in order.
    pub steps: Vec<String>,
    /// Their worst zone.
    pub zone: Zone,
    /// The rule that asks.
    pub rule: String,
    /// Who asks.
    pub requester: String,
    /// True where a rostered key of the requester signed it.
    pub proven: bool,
    /// Who must sign.
    pub need: String,
    /// `used`, `open`, `refused`, `withdrawn` or `fell with its plan`.
    pub state: &'static str,
    /// Why it was withdrawn.
    pub withdrawn: Option<String>,
    /// Every signed answer that counts.
    pub answers: Vec<Signature>,
}

/// A signed answer that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Its record.
    pub record: u64,
    /// When, RFC 3339.
    pub ts: String,
    /// Who filed it.
    pub who: String,
    /// The request it claims to answer.
    pub request: Option<u64>,
    /// Short name of the reason.
    pub reason: String,
    /// The reason in words.
    pub words: String,
}

/// Every act, in order.
pub(super) fn decisions(entries: &[Entry], incident: &Incident) -> Vec<Decision> {
    let started: BTreeMap<u64, &ActStarted> = entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::ActStarted(e) => Some((entry.seq, e)),
            _ => None,
        })
        .collect();
    let one = |(seq, act): (&u64, &ActState)| Decision {
        act: *seq,
        step: act.step.to_string(),
        title: act.title.clone(),
        stage: act.stage,
        lane: started.get(seq).map_or(Lane::Ordinary, |e| e.lane),
        zone: act.zone,
        effects: act.effects.iter().copied().collect(),
        undoes: act.undoes,
        who: act.who.clone(),
        ts: act.ts.clone(),
        why: started.get(seq).and_then(|e| e.why.clone()),
        act_sha256: act.act_sha256.clone(),
        approved: started
            .get(seq)
            .and_then(|e| e.approved.as_ref())
            .map(Approved::words),
        outcome: outcome(act),
        words: end_words(act),
        allowed_by: match incident.alone.contains_key(seq) {
            true => Vec::new(),
            false => allowed_by(act, incident),
        },
        alone: by_one(*seq, incident),
    };
    incident.acts.iter().map(one).collect()
}

/// How an act stands, never better than the record says.
pub(super) fn outcome(act: &ActState) -> &'static str {
    let ended = act.ended.as_ref().map(|e| e.outcome);
    match (ended, &act.checked) {
        _ if act.is_open_question() => "in doubt",
        _ if act.is_done() => "done",
        (Some(Outcome::Done), Some((false, _))) => "check failed",
        _ => "failed",
    }
}

fn end_words(act: &ActState) -> Vec<String> {
    let ended = act.ended.as_ref().map(|e| e.why.clone());
    let checked = act.checked.as_ref().map(|(passed, text)| {
        let word = if *passed { "passed" } else { "failed" };
        format!("check {word}: {text}")
    });
    ended
        .into_iter()
        .chain(checked)
        .filter(|w| !w.is_empty())
        .collect()
}

fn allowed_by(act: &ActState, incident: &Incident) -> Vec<Signature> {
    let used = act
        .consumes
        .iter()
        .filter_map(|seq| Some((*seq, incident.requests.get(seq)?)));
    used.flat_map(|(seq, request)| signatures(incident, seq, request))
        .filter(|s| s.approves)
        .collect()
}

fn by_one(act: u64, incident: &Incident) -> Option<ByOne> {
    let alone = incident.alone.get(&act)?;
    let lone = incident
        .requests
        .get(&alone.request)
        .and_then(|r| r.lone.as_ref());
    let countersigned_by = alone.countersigned.as_ref().map(|(_, who)| who.clone());
    Some(ByOne {
        request: alone.request,
        why: lone.map(|l| l.asked.why.clone()).unwrap_or_default(),
        enrolled_on_the_day: countersigned_by
            .as_ref()
            .is_some_and(|who| incident.enrolled.contains_key(who)),
        countersigned_by,
    })
}

fn signatures<'a>(
    incident: &'a Incident,
    seq: u64,
    request: &'a RequestState,
) -> impl Iterator<Item = Signature> + 'a {
    request.signoffs.iter().map(move |s: &SignoffState| Signature {
        request: seq,
        record: s.seq,
        person: s.person.clone(),
        approves: s.approves,
        fingerprint: s.key.fingerprint.clone(),
        algorithm: s.key.algorithm.clone(),
        touched: s.key.user_presence,
        verified: s.key.user_verified,
        filed: rfc3339(s.utc_ms),
        taken_out: incident.taken_out(&s.person, &s.key.prints()).map(|out| out.seq),
    })
}

/// Every escalation, in order.
pub(super) fn requests(incident: &Incident) -> Vec<Request> {
    let one = |(seq, r): (&u64, &RequestState)| Request {
        request: *seq,
        ts: r.ts.clone(),
        steps: r.asked.steps.iter().map(ToString::to_string).collect(),
        zone: r.asked.zone,
        rule: r.asked.rule.clone(),
        requester: r.asked.requester.clone(),
        proven: r.asked.proven,
        need: words::need(&incident.need_of(r)),
        state: request_state(r),
        withdrawn: r.withdrawn.clone(),
        answers: signatures(incident, *seq, r).collect(),
    };
    incident.requests.iter().map(one).collect()
}

fn request_state(request: &RequestState) -> &'static str {
    match request {
        r if r.refused_by().is_some() => "refused",
        r if r.withdrawn.is_some() => "withdrawn",
        r if r.fell.is_some() => "fell with its plan",
        r if r.is_open() => "open",
        _ => "used",
    }
}

/// Signed answers that did not count, in order.
pub(super) fn rejected(entries: &[Entry]) -> Vec<Rejected> {
    let one = |entry: &Entry| match &entry.event {
        Event::SignoffRejected(e) => Some(Rejected {
            record: entry.seq,
            ts: entry.ts.clone(),
            who: entry.who.clone(),
            request: e.request,
            reason: e.reason.clone(),
            words: e.text.clone(),
        }),
        _ => None,
    };
    entries.iter().filter_map(one).collect()
}

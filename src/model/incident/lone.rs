//! Who was told of a request, and what one person did alone because nobody answered.

use super::{At, Incident, Said};
use crate::model::effect::Zone;
use crate::model::event::{ActStarted, LoneAsked, NoticeBegun, NoticeEnded, SignerEnrolled, Unreached};

/// Somebody was told of a request, or was to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NoticeState {
    /// As it was recorded.
    pub begun: NoticeBegun,
    /// When, RFC 3339.
    pub ts: String,
    /// Whether it went out, and the words; `None` = nobody knows.
    pub ended: Option<(bool, String)>,
}

/// One person wants to act alone.
#[derive(Debug, Clone, PartialEq)]
pub struct LoneState {
    /// Its record.
    pub seq: u64,
    /// Who.
    pub who: String,
    /// As it was recorded.
    pub asked: LoneAsked,
}

/// An act that one person began alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AloneState {
    /// The request it used.
    pub request: u64,
    /// Who signed afterwards that it was right: the record and the person.
    pub countersigned: Option<(u64, String)>,
}

/// A signer whom somebody wrote into the roster during the incident.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrolledState {
    /// The record.
    pub seq: u64,
    /// Who vouches for it.
    pub by: String,
    /// As it was recorded.
    pub enrolled: SignerEnrolled,
}

impl Incident {
    pub(super) fn notice_begun(&mut self, at: &At<'_>, e: NoticeBegun) -> Result<(), String> {
        if !self.requests.contains_key(&e.request) {
            return Err(format!("there is no request {}", e.request));
        }
        let notice = NoticeState {
            begun: e,
            ts: at.ts.to_owned(),
            ended: None,
        };
        self.notices.insert(at.seq, notice);
        Ok(())
    }

    pub(super) fn notice_ended(&mut self, e: NoticeEnded) -> Result<(), String> {
        match self.notices.get_mut(&e.notice) {
            Some(notice) if notice.ended.is_none() => {
                notice.ended = Some((e.sent, e.why));
                Ok(())
            }
            _ => Err(format!("record {} is no notice that is under way", e.notice)),
        }
    }

    pub(super) fn unreached(&mut self, at: &At<'_>, e: Unreached) -> Result<(), String> {
        let said = Said {
            seq: at.seq,
            ts: at.ts.to_owned(),
            who: at.who.to_owned(),
            text: e.words,
        };
        self.request_mut(e.request)?.unreached = Some(said);
        Ok(())
    }

    pub(super) fn lone_asked(&mut self, at: &At<'_>, e: LoneAsked) -> Result<(), String> {
        if self.opened.policy.lone.is_none() {
            return Err("the runbook lets nobody act alone".into());
        }
        let request = self.request_mut(e.request)?;
        if !request.is_open() || request.lone.is_some() {
            return Err(format!(
                "request {} cannot become one for one person alone",
                e.request
            ));
        }
        if request.asked.zone != Zone::At || request.asked.steps.len() != 1 {
            return Err("alone, one act at the boundary is possible and nothing else".into());
        }
        request.lone = Some(LoneState {
            seq: at.seq,
            who: at.who.to_owned(),
            asked: e,
        });
        self.actors.insert(at.who.to_owned());
        Ok(())
    }

    pub(super) fn signer_enrolled(&mut self, at: &At<'_>, e: SignerEnrolled) -> Result<(), String> {
        if !self.opened.policy.people.is_empty() {
            return Err("there is a roster; nobody is written into it during an incident".into());
        }
        if self.actors.contains(&e.person) || self.enrolled.contains_key(&e.person) {
            return Err(format!("`{}` acted here or is enrolled already", e.person));
        }
        self.actors.insert(at.who.to_owned());
        let state = EnrolledState {
            seq: at.seq,
            by: at.who.to_owned(),
            enrolled: e,
        };
        self.enrolled.insert(state.enrolled.person.clone(), state);
        Ok(())
    }

    /// An act that nobody else signed for: only at the boundary, only where it was asked for like that.
    pub(super) fn act_alone(&mut self, seq: u64, e: &ActStarted) -> Result<(), String> {
        let [request] = e.consumes.as_slice() else {
            return Err("an act alone rests on one request".into());
        };
        let asked = self.requests.get(request).and_then(|r| r.lone.as_ref());
        if e.zone != Zone::At || asked.is_none() {
            return Err("one person alone may act at the boundary only, and after asking for it".into());
        }
        let alone = AloneState {
            request: *request,
            countersigned: None,
        };
        self.alone.insert(seq, alone);
        Ok(())
    }

    /// Acts that one person began alone and nobody countersigned whose key still counts.
    pub fn not_countersigned(&self) -> impl Iterator<Item = (u64, &AloneState)> {
        let open = self.alone.iter().filter(|(_, a)| {
            let request = self.requests.get(&a.request);
            let signed = a.countersigned.as_ref().zip(request);
            !signed.is_some_and(|((seq, _), r)| self.approvals_of(r).any(|s| s.seq == *seq))
        });
        open.map(|(seq, a)| (*seq, a))
    }

    /// Who was told of a request, in order.
    pub fn notices_of(&self, request: u64) -> impl Iterator<Item = (u64, &NoticeState)> {
        let of = self
            .notices
            .iter()
            .filter(move |(_, n)| n.begun.request == request);
        of.map(|(seq, n)| (*seq, n))
    }
}

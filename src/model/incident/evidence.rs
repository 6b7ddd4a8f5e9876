//! Captures, the baseline, probes, recovery.

use std::collections::{BTreeMap, BTreeSet};

use super::{At, Incident};
use crate::model::act::CaptureSpec;
use crate::model::event::{
    BaselineSealed, CaptureEnded, CaptureItem, CaptureStarted, ExhibitFiled, FileAttached, ItemStatus,
    ProbeAnswered, Recovered,
};
use crate::model::ids::StepId;

/// Name of the file in an exhibit that says what became of each thing.
pub const ITEMS_LIST: &str = "items.json";
/// Name of the file in an exhibit that says where a secret was taken out, and how long it was.
pub const RECEIPTS_LIST: &str = "redactions.json";

/// How the origin begins of what is filed in order to be sent to a rung of the ladder.
pub const SENT: &str = "for rung ";

/// Purpose of the look into an agent's processes that stop takes on its way.
pub const FROZEN: &str = "frozen";

/// True for a file that the program wrote about an exhibit, and that was not looked at.
fn is_list(name: &str) -> bool {
    name == ITEMS_LIST || name == RECEIPTS_LIST
}

/// One capture.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptureState {
    /// Its name.
    pub name: String,
    /// What was looked at; `None` for an attached file.
    pub spec: Option<CaptureSpec>,
    /// The step it belongs to.
    pub step: Option<StepId>,
    /// What it was for.
    pub purpose: String,
    /// When it began, RFC 3339.
    pub ts: String,
    /// Who took it.
    pub who: String,
    /// Folder below `data/`, once it ended.
    pub exhibit: Option<String>,
    /// What became of each thing.
    pub items: Vec<CaptureItem>,
}

impl CaptureState {
    /// True where it ended with at least one thing whole or in part. The list of things is no thing.
    pub fn has_something(&self) -> bool {
        self.items.iter().filter(|i| !is_list(&i.name)).any(|i| {
            matches!(
                i.status,
                ItemStatus::Collected | ItemStatus::Truncated | ItemStatus::TimedOut
            ) && i.bytes > 0
        })
    }
}

/// How a thing stands after, against how it stood before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Other bytes.
    Differs,
    /// It was kept before and not after.
    Gone,
    /// It was not kept before.
    New,
    /// The same bytes.
    Same,
}

/// The newest answer of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeState {
    /// Its record.
    pub seq: u64,
    /// True where it was the expected one.
    pub passed: bool,
    /// Expected against found.
    pub text: String,
}

impl Incident {
    pub(super) fn capture_started(&mut self, at: &At<'_>, e: CaptureStarted) {
        let capture = CaptureState {
            name: e.name,
            spec: Some(e.spec),
            step: e.step,
            purpose: e.purpose,
            ts: at.ts.to_owned(),
            who: at.who.to_owned(),
            exhibit: None,
            items: Vec::new(),
        };
        self.captures.insert(at.seq, capture);
    }

    pub(super) fn capture_ended(&mut self, _at: &At<'_>, e: CaptureEnded) -> Result<(), String> {
        let capture = self
            .captures
            .get_mut(&e.capture)
            .ok_or_else(|| format!("there is no capture {}", e.capture))?;
        if capture.exhibit.is_some() {
            return Err(format!("capture {} is over", e.capture));
        }
        capture.exhibit = Some(e.exhibit);
        capture.items = e.items;
        Ok(())
    }

    pub(super) fn exhibit_filed(&mut self, e: ExhibitFiled) -> Result<(), String> {
        if let Some(capture) = self.captures.get_mut(&e.of) {
            capture.items.extend(e.items);
            return Ok(());
        }
        let act = self.acts.get_mut(&e.of);
        let act = act.ok_or_else(|| format!("there is no capture or act {}", e.of))?;
        act.output.extend(e.items);
        Ok(())
    }

    pub(super) fn file_attached(&mut self, at: &At<'_>, e: FileAttached) {
        let capture = CaptureState {
            name: "attached".into(),
            spec: None,
            step: None,
            purpose: match e.from.starts_with(SENT) {
                true => "sent",
                false => "attached",
            }
            .into(),
            ts: at.ts.to_owned(),
            who: at.who.to_owned(),
            exhibit: Some(e.exhibit),
            items: e.items,
        };
        self.captures.insert(at.seq, capture);
    }

    pub(super) fn baseline_sealed(&mut self, at: &At<'_>, e: BaselineSealed) -> Result<(), String> {
        if self.baseline.is_some() {
            return Err("the baseline is sealed; what comes later is an addendum".into());
        }
        let preserved = e
            .captures
            .iter()
            .filter_map(|seq| self.captures.get(seq))
            // The agent's own processes say nothing of the damage, and neither do our own words about it.
            .any(|c| c.exhibit.is_some() && c.has_something() && c.purpose != FROZEN && c.purpose != "sent");
        if !preserved {
            return Err("no capture holds anything: there is nothing to seal".into());
        }
        self.baseline = Some((at.seq, at.line_sha256.to_string()));
        self.baseline_us = Some(e.mono_us);
        Ok(())
    }

    pub(super) fn probe_answered(&mut self, at: &At<'_>, e: ProbeAnswered) {
        self.probes.insert(
            e.probe,
            ProbeState {
                seq: at.seq,
                passed: e.passed,
                text: e.text,
            },
        );
    }

    pub(super) fn recovered(&mut self, e: Recovered) -> Result<(), String> {
        if e.probes.is_empty() {
            return Err("nothing is recovered without a probe that passed".into());
        }
        let last_act = self.acts.keys().next_back().copied().unwrap_or(0);
        for seq in &e.probes {
            let passed = self
                .probes
                .values()
                .any(|p| p.seq == *seq && p.passed && p.seq > last_act);
            if !passed {
                return Err(format!(
                    "record {seq} is not a probe that passed after the last act"
                ));
            }
        }
        if self.probes.values().any(|p| !p.passed) {
            return Err("a probe failed".into());
        }
        let after = e
            .captures
            .iter()
            .filter_map(|seq| self.captures.get(seq).map(|c| (seq, c)));
        if !after
            .into_iter()
            .any(|(seq, c)| *seq > last_act && c.has_something())
        {
            return Err("the state after recovery was not captured".into());
        }
        self.recovered_us = Some(e.mono_us);
        self.apart = e.apart;
        Ok(())
    }

    /// The capture of the baseline that this later one repeats: the newest of the same look before it.
    pub fn baseline_of(&self, after: u64) -> Option<u64> {
        let spec = self.captures.get(&after)?.spec.as_ref()?;
        let (sealed, _) = self.baseline.as_ref()?;
        let before = self.captures.range(..after.min(*sealed)).rev();
        let mut same = before.filter(|(_, c)| c.spec.as_ref() == Some(spec) && c.exhibit.is_some());
        same.next().map(|(seq, _)| *seq)
    }

    /// Each thing kept in one of two captures, by name, and how it changed between them.
    pub fn changes(&self, before: u64, after: u64) -> Vec<(&str, Change)> {
        let kept = |seq: &u64| {
            let items = self.captures.get(seq).map_or(&[][..], |c| &c.items);
            // No two sealed files are alike, whatever is in them.
            let kept = items
                .iter()
                .filter(|i| !i.sha256.is_empty() && i.status != ItemStatus::Sealed && !is_list(&i.name));
            kept.map(|i| (i.name.as_str(), i.sha256.as_str()))
                .collect::<BTreeMap<_, _>>()
        };
        let (before, after) = (kept(&before), kept(&after));
        let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        let change = |name: &str| match (before.get(name), after.get(name)) {
            (Some(a), Some(b)) if a == b => Change::Same,
            (Some(_), Some(_)) => Change::Differs,
            (Some(_), None) => Change::Gone,
            _ => Change::New,
        };
        let mut all: Vec<(&str, Change)> = names.into_iter().map(|n| (n, change(n))).collect();
        all.sort_by_key(|(name, change)| (*change, *name));
        all
    }

    /// True where this person acted, answered, looked or held the record: whoever the originals are
    /// sealed to must be none of these.
    pub fn had_a_hand(&self, person: &str) -> bool {
        let acted = self.actors.iter();
        let looked = self.captures.values().map(|c| &c.who);
        let held = self.custody.began.iter().map(|began| &began.who);
        acted
            .chain(looked)
            .chain(held)
            .any(|who| who.eq_ignore_ascii_case(person))
    }

    /// Things that were to be looked at and are not whole, and output of acts that is not; those of one
    /// record with one reason together: thirty agents that were never here are one piece of news.
    pub fn holes(&self) -> Vec<Gap<'_>> {
        let mut all: Vec<Gap<'_>> = Vec::new();
        let captures = self
            .captures
            .iter()
            .map(|(seq, c)| (*seq, c.name.as_str(), &c.items));
        let acts = self
            .acts
            .iter()
            .map(|(seq, a)| (*seq, a.step.as_str(), &a.output));
        for (seq, of, items) in captures.chain(acts) {
            let first = all.len();
            for item in items.iter().filter(|i| i.status.is_hole()) {
                let why = item.why.as_deref().unwrap_or_default();
                let known = all.iter_mut().skip(first);
                match known
                    .into_iter()
                    .find(|gap| gap.status == item.status && gap.why == why)
                {
                    Some(gap) => gap.names.push(&item.name),
                    None => all.push(Gap {
                        capture: seq,
                        of,
                        names: vec![&item.name],
                        status: item.status,
                        why,
                    }),
                }
            }
        }
        all
    }
}

/// Things of one capture, or of the output of one act, that are not whole, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap<'a> {
    /// The record of the capture or the act.
    pub capture: u64,
    /// The capture's name, or the act's step.
    pub of: &'a str,
    /// What is missing.
    pub names: Vec<&'a str>,
    /// What became of it.
    pub status: ItemStatus,
    /// Why; empty where the record does not say.
    pub why: &'a str,
}

//! A second opinion on the gate, kept from commands alone and written apart from `judge`: it reads no
//! `Incident`, calls no `judge`, no `zone_of`, no `effects()`. Slow and plain on purpose.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::act::{Act, Lane, Resolved, ResolvedUndo, Stage};
use crate::model::effect::{Effect, Zone};
use crate::model::event::Outcome;
use crate::model::runbook::Policy;
use crate::model::time::Moment;

/// One answer to a request, by the key that gave it.
#[derive(Clone)]
pub(super) struct Said {
    pub seq: u64,
    pub person: String,
    pub key: String,
    pub approves: bool,
    pub at: Moment,
}

/// A role that was lent.
#[derive(Clone)]
pub(super) struct Lent {
    pub seq: u64,
    pub role: &'static str,
    pub from: String,
    pub to: String,
    pub from_ms: i64,
    pub until_ms: i64,
    pub key: String,
    pub at: Moment,
}

/// One request as the oracle saw it made.
#[derive(Clone)]
pub(super) struct Asked {
    pub seq: u64,
    pub list: Vec<(String, String)>,
    pub zone: Zone,
    /// What the policy asked for, and what the statement said.
    pub asked_for: u32,
    pub stated: u32,
    pub roles: BTreeSet<String>,
    pub requester: String,
    pub requester_key: String,
    pub baseline: Option<u64>,
    pub answers: Vec<Said>,
    pub withdrawn: bool,
    /// The plan it was signed under was changed.
    pub fell: bool,
    pub used: usize,
    pub proven: bool,
    /// When one person asked to act alone.
    pub lone: Option<Moment>,
    /// A notice went out, or somebody said that nobody can be reached.
    pub told: bool,
}

/// What lets an act run.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// Requests any of which would carry it; none needed where empty.
    pub any: Vec<u64>,
    /// True where one person acts alone.
    pub alone: bool,
}

/// One act as the oracle saw it run.
#[derive(Clone)]
pub(super) struct Ran {
    pub seq: u64,
    pub step: String,
    /// True for a step of recover.
    pub recover: bool,
    /// True where somebody wrote down how to take it back.
    pub way_back: bool,
    /// The act that it takes back, and how often that had been tried.
    pub takes_back: Option<(u64, u32)>,
    pub outcome: Outcome,
    pub settled: Option<bool>,
}

impl Ran {
    fn open(&self) -> bool {
        self.outcome == Outcome::InDoubt && self.settled.is_none()
    }

    fn done(&self) -> bool {
        self.settled.unwrap_or(self.outcome == Outcome::Done)
    }
}

/// What happened to a step last.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Last {
    Ran(u64, u32),
    Undone(u64),
    /// With what it left half done.
    Skipped(Option<(u64, u32)>),
}

#[derive(Clone, Default)]
pub(super) struct Oracle {
    pub baseline: Option<u64>,
    pub stage: usize,
    pub plan: Option<Vec<(String, String)>>,
    pub asked: Vec<Asked>,
    pub actors: BTreeSet<String>,
    /// Actors whose key spoke for them, and that key.
    pub proven: BTreeMap<String, String>,
    /// Names and keys that were taken out.
    pub out: BTreeSet<String>,
    pub lent: Vec<Lent>,
    pub ran: Vec<Ran>,
    pub last: BTreeMap<String, Last>,
    pub pictured: BTreeSet<String>,
    pub still_live: bool,
}

impl Oracle {
    /// Every effect, worked out a second time.
    pub fn effects(act: &Resolved) -> BTreeSet<Effect> {
        let seen: BTreeSet<Effect> = act.seen.iter().map(|s| s.effect).collect();
        let mut all = seen.clone();
        match (&act.declared, &act.act) {
            (Some(said), _) => all.extend(said),
            (None, Act::Ask(_)) => {}
            (None, Act::Run(_)) if seen == BTreeSet::from([Effect::Read]) => {}
            _ => {
                all.insert(Effect::Unknown);
            }
        }
        if all.is_empty() {
            let look = matches!(act.act, Act::Ask(_)) && act.declared.is_none();
            all.insert(if look { Effect::Read } else { Effect::Unknown });
        }
        if act.undoes && all.remove(&Effect::Protect) {
            all.insert(Effect::BackupChange);
        }
        let way_back = matches!(act.undo, ResolvedUndo::By(_) | ResolvedUndo::ByHand(_));
        let harmless = all.iter().all(|e| [Effect::Read, Effect::Protect].contains(e));
        if act.stage == Stage::Contain && !act.undoes && !way_back && !harmless {
            all.insert(Effect::OneWay);
        }
        all
    }

    /// The zone, worked out a second time.
    pub fn zone(policy: &Policy, act: &Resolved) -> Zone {
        let good_backup = act.backup.as_ref().is_some_and(|b| {
            b.found.as_ref() == Some(&b.expected)
                && b.test_restore.is_some()
                && b.agent_can_write.is_empty()
                && !b.writable_by.is_empty()
        });
        let side = |e: &Effect| {
            let proof = match e {
                Effect::Read => return Zone::Inside,
                Effect::Unknown => return Zone::Outside,
                Effect::OneWay | Effect::BulkData => false,
                Effect::DataRestore => good_backup,
                Effect::ConfigRollback => act.rollback_tested.is_some(),
                _ => true,
            };
            match (policy.inside.contains(e), policy.at.contains(e)) {
                (true, _) if proof => Zone::Inside,
                (true, _) | (false, true) => Zone::At,
                (false, false) => Zone::Outside,
            }
        };
        Self::effects(act).iter().map(side).max().unwrap()
    }

    pub fn done(&self, step: &str) -> bool {
        match self.last.get(step) {
            Some(Last::Ran(seq, _)) => self.ran.iter().any(|r| r.seq == *seq && r.done()),
            _ => false,
        }
    }

    /// What somebody saw not to have happened leaves nothing.
    pub fn happened(&self, seq: u64) -> bool {
        let never = |r: &Ran| r.outcome == Outcome::InDoubt && r.settled == Some(false);
        !self.ran.iter().any(|r| r.seq == seq && never(r))
    }

    /// What a step left in force, whole or half.
    pub fn left(&self, step: &str) -> Option<(u64, u32)> {
        match *self.last.get(step)? {
            Last::Ran(seq, tries) => Some((seq, tries)),
            Last::Skipped(left) => left,
            Last::Undone(seq) if self.undo_worked(seq) => None,
            Last::Undone(seq) => self.ran.iter().find(|r| r.seq == seq)?.takes_back,
        }
    }

    /// The step of recover that must be taken back before any other.
    fn newest(&self) -> Option<&str> {
        let left = self.last.keys().filter_map(|step| self.left(step));
        let acts = left.filter_map(|(seq, _)| self.ran.iter().find(|r| r.seq == seq));
        let back = acts.filter(|r| r.recover && r.way_back && self.happened(r.seq));
        back.max_by_key(|r| r.seq).map(|r| r.step.as_str())
    }

    /// Every signature that rests on the plan goes with it.
    pub fn plan_is_over(&mut self) -> Vec<u64> {
        let plan = self.plan.clone().unwrap_or_default();
        let mut fell = Vec::new();
        for asked in &mut self.asked {
            let refused = asked.answers.iter().any(|s| !s.approves);
            let rests = asked.list.iter().skip(asked.used).any(|act| plan.contains(act));
            if rests && !refused && !asked.withdrawn && !asked.fell {
                asked.fell = true;
                fell.push(asked.seq);
            }
        }
        fell
    }

    /// The plan's next step: neither done nor left out.
    fn due(&self) -> Option<&(String, String)> {
        let left_out = |step: &String| matches!(self.last.get(step), Some(Last::Skipped(_)));
        let plan = self.plan.as_ref()?;
        plan.iter().find(|(s, _)| !self.done(s) && !left_out(s))
    }

    fn undo_worked(&self, seq: u64) -> bool {
        self.ran.iter().any(|r| r.seq == seq && r.done())
    }

    pub fn in_doubt(&self) -> bool {
        self.ran.iter().any(Ran::open)
    }

    /// The key that somebody signs with: their second one where the first is known to be stolen.
    pub fn key_of(&self, person: &str) -> String {
        let first = format!("SHA256:{person}");
        match self.out.contains(&first) {
            true => format!("{first}-2"),
            false => first,
        }
    }

    /// What is taken out counts for nothing any more, whatever it did before.
    pub fn is_out(&self, person: &str, key: &str) -> bool {
        self.out.contains(person) || self.out.contains(key)
    }

    /// Who acted and was proved by no key that counts.
    pub fn unproven(&self) -> Vec<String> {
        let known = |name: &&String| self.proven.get(*name).is_some_and(|key| !self.is_out(name, key));
        self.actors.iter().filter(|name| !known(name)).cloned().collect()
    }

    /// Whether this was signed in a role: held by the runbook, or on loan then from somebody who holds it, signs
    /// nothing here, had no part in it, and counts.
    fn holds(&self, policy: &Policy, said: &Said, role: &str, people: &BTreeMap<String, Said>) -> bool {
        let written = |who: &String| policy.people.get(who).is_some_and(|p| p.roles.contains(role));
        let lent = |l: &&Lent| {
            let ran_on = i64::try_from((said.at.mono_us - l.at.mono_us) / 1000).unwrap();
            l.role == role
                && l.to == said.person
                && l.from != said.person
                && l.seq < said.seq
                && said.at.utc_ms >= l.from_ms
                && said.at.utc_ms < l.until_ms
                && l.at.utc_ms + ran_on < l.until_ms
                && written(&l.from)
                && !self.actors.contains(&l.from)
                && !self.is_out(&l.from, &l.key)
                && !people.contains_key(&l.from)
        };
        written(&said.person) || self.lent.iter().filter(|l| l.seq < said.seq).any(|l| lent(&l))
    }

    /// Who said no to what this act does, in any request but their own.
    fn refusers(&self, act: &(String, String)) -> BTreeSet<String> {
        let mut who = BTreeSet::new();
        for asked in &self.asked {
            // The acts of a desk differ in more than their names.
            if asked.list.contains(act) {
                let no = asked.answers.iter().filter(|s| !s.approves);
                who.extend(no.map(|s| s.person.clone()).filter(|p| *p != asked.requester));
            }
        }
        who
    }

    /// True where the key that asked counts no more.
    fn stolen(&self, asked: &Asked) -> bool {
        self.is_out(&asked.requester, &asked.requester_key)
    }

    /// Requests whose people suffice for exactly this act now.
    fn signed_for(&self, policy: &Policy, act: &(String, String), zone: Zone, now: Moment) -> Vec<u64> {
        let refusers = self.refusers(act);
        let unproven = self.unproven().len();
        let good = |asked: &&Asked| {
            let mut people = BTreeMap::new();
            for said in &asked.answers {
                if !said.approves {
                    return false;
                }
                let Said { person, key, at, .. } = said;
                let wall = now.utc_ms - at.utc_ms <= i64::try_from(policy.valid_ms).unwrap();
                let mono = now.mono_us.saturating_sub(at.mono_us) / 1000 <= policy.valid_ms;
                let other = !self.actors.contains(person) && *person != asked.requester;
                if wall && mono && other && !self.is_out(person, key) {
                    people.insert(person.clone(), said.clone());
                }
            }
            let holds = |role: &String| people.values().any(|s| self.holds(policy, s, role, &people));
            // What a stolen key asked for, nobody knows who asked.
            let unproven = unproven.max(usize::from(asked.proven && self.stolen(asked)));
            asked.list.get(asked.used) == Some(act)
                && !asked.withdrawn
                && !asked.fell
                && asked.baseline == self.baseline
                && asked.zone >= zone
                && people.len() >= (asked.stated as usize).max(asked.asked_for as usize + unproven)
                && refusers.iter().all(|who| people.contains_key(who))
                && asked.roles.iter().all(holds)
        };
        self.asked.iter().filter(good).map(|a| a.seq).collect()
    }

    /// Requests by which one person may run exactly this act alone now: the one exception.
    fn alone_for(&self, policy: &Policy, act: &(String, String), zone: Zone, now: Moment) -> Vec<u64> {
        let Some(lone) = policy.lone.as_ref().filter(|_| zone == Zone::At) else {
            return Vec::new();
        };
        let refused = |asked: &Asked| asked.answers.iter().any(|s| !s.approves);
        let mine = |asked: &&Asked| asked.list.iter().any(|(s, _)| *s == act.0);
        if self.asked.iter().filter(mine).any(refused) {
            return Vec::new();
        }
        let good = |asked: &&Asked| {
            let Some(since) = asked.lone else { return false };
            let wall = i128::from(now.utc_ms) - i128::from(since.utc_ms);
            let mono = (i128::from(now.mono_us) - i128::from(since.mono_us)) / 1000;
            let (after, end) = (
                i128::from(lone.after_ms),
                i128::from(lone.after_ms + lone.valid_ms),
            );
            let in_time = [wall, mono].iter().all(|t| (after..=end).contains(t));
            asked.list == [act.clone()]
                && asked.used == 0
                && asked.zone == Zone::At
                && !asked.withdrawn
                && !asked.fell
                && asked.proven
                && !self.stolen(asked)
                && asked.told
                && asked.baseline == self.baseline
                && in_time
        };
        self.asked.iter().filter(good).map(|a| a.seq).collect()
    }

    /// What lets the act run, or why it may not.
    pub fn allows(
        &self,
        policy: &Policy,
        act: &Resolved,
        digest: &str,
        why: bool,
        now: Moment,
    ) -> Result<Pass, &'static str> {
        if matches!(act.act, Act::Sweep(_)) {
            return Ok(Pass::default());
        }
        let step = act.step.to_string();
        let this = (step.clone(), digest.to_owned());
        let effects = Self::effects(act);
        let zone = Self::zone(policy, act);
        let only = |allowed: &[Effect]| effects.iter().all(|e| allowed.contains(e));
        if only(&[Effect::Read]) {
            return Ok(Pass::default());
        }
        if self.in_doubt() {
            return Err("something is in doubt");
        }
        match (act.undoes, self.last.get(&step)) {
            (true, Some(Last::Ran(..) | Last::Skipped(Some(_)))) => {}
            (true, Some(Last::Undone(seq))) if !self.undo_worked(*seq) => {}
            (true, _) => return Err("nothing to take back"),
            (false, _) if self.done(&step) => return Err("done"),
            (false, Some(Last::Ran(_, tries))) if act.stage == Stage::Recover && *tries >= act.tries => {
                return Err("tried");
            }
            (false, _) => {}
        }
        let data = [Effect::DataRestore, Effect::DataWrite, Effect::BulkData];
        if self.still_live && effects.iter().any(|e| data.contains(e)) {
            return Err("still live");
        }
        let protects = act.lane == Lane::Protect && only(&[Effect::Read, Effect::Protect]);
        let first = act.lane == Lane::First
            && zone == Zone::Inside
            && !act.undoes
            && matches!(act.undo, ResolvedUndo::By(_) | ResolvedUndo::ByHand(_));
        if self.baseline.is_none() {
            if !protects && !first {
                return Err("no baseline");
            }
            if !why || !self.pictured.contains(&step) {
                return Err("no reason or no picture");
            }
        } else if !protects {
            // stop 0, assess 1, contain 2, recover 3
            let belongs = if act.stage == Stage::Recover && !act.undoes {
                3
            } else {
                2
            };
            if self.stage < belongs {
                return Err("too early");
            }
            if belongs == 3 {
                let next = self.due().ok_or("no plan, or it is over")?;
                if *next != this {
                    return Err("not next in the plan, or changed");
                }
            } else if act.stage == Stage::Recover && self.newest().is_some_and(|newest| newest != step) {
                return Err("something came after it");
            }
        }
        if zone == Zone::Inside {
            return Ok(Pass::default());
        }
        let signed = self.signed_for(policy, &this, zone, now);
        let alone = signed.is_empty();
        let any = match alone {
            true => self.alone_for(policy, &this, zone, now),
            false => signed,
        };
        if any.is_empty() {
            return Err("no quorum");
        }
        Ok(Pass { any, alone })
    }
}

//! Asking another person: the request and the statement.

use super::act::act_file;
use super::answers::{on_record, requester_file};
use super::{Engine, EngineError};
use crate::boundary::zone_of;
use crate::journal::Hash;
use crate::model::act::Resolved;
use crate::model::effect::Zone;
use crate::model::event::{EscalationRequested, EscalationWithdrawn, StatementIssued};
use crate::model::ids::StepId;
use crate::model::runbook::Need;
use crate::signoff::{self, Decision, REQUEST_NAMESPACE};
use crate::sshsig::{Roster, fingerprint_of};
use crate::store::Folder;

/// A request that was written and waits for answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Number of its record.
    pub request: u64,
    /// The text to approve with.
    pub approve: String,
    /// The text to refuse with.
    pub refuse: String,
    /// File of the approving text.
    pub approve_path: String,
    /// File of the refusing text.
    pub refuse_path: String,
    /// Who must sign.
    pub need: Need,
    /// The line a signer types.
    pub command: String,
    /// True where the requester's own key signed the request.
    pub proven: bool,
    /// Names that no key proves; one more person must sign for each.
    pub unproven: Vec<String>,
}

impl Engine<'_> {
    /// Asks for these steps, in this order. `key` is the requester's own, to prove who asks.
    pub fn escalate(&self, steps: &[StepId], key: Option<&str>) -> Result<Issued, EngineError> {
        let mut acts = Vec::with_capacity(steps.len());
        for id in steps {
            acts.push(self.resolve(id)?);
        }
        self.escalate_acts(acts, key, false)
    }

    /// Asks for a step that the requester will run alone, if nobody answers.
    pub(super) fn escalate_lone(&self, step: &StepId, key: Option<&str>) -> Result<Issued, EngineError> {
        let act = self.resolve(step)?;
        self.escalate_acts(vec![act], key, true)
    }

    /// Asks for an act that no runbook foresaw.
    pub fn escalate_ad_hoc(&self, argv: &[String], key: Option<&str>) -> Result<Issued, EngineError> {
        let act = self.resolve_ad_hoc(argv)?;
        self.escalate_acts(vec![act], key, false)
    }

    /// Asks to take a step back.
    pub fn escalate_undo(&self, step: &StepId, key: Option<&str>) -> Result<Issued, EngineError> {
        let act = self.resolve_undo(step)?;
        self.escalate_acts(vec![act], key, false)
    }

    fn escalate_acts(
        &self,
        mut acts: Vec<Resolved>,
        key: Option<&str>,
        lone: bool,
    ) -> Result<Issued, EngineError> {
        self.catch_up()?;
        let incident = self.incident()?;
        let policy = &incident.opened.policy;
        // An act inside the boundary uses no sign-off: left in a mixed list, it would stay its next act for ever.
        let now = self.world.clock.now();
        let inside = |act: &Resolved| zone_of(policy, act, now).0 == Zone::Inside;
        if !acts.iter().all(inside) {
            acts.retain(|act| !inside(act));
        }
        let judged: Vec<(Zone, String)> = acts
            .iter()
            .map(|act| {
                let (zone, because) = zone_of(policy, act, now);
                (zone, because.first().map(|b| b.rule.clone()).unwrap_or_default())
            })
            .collect();
        let Some((zone, rule)) = judged.iter().max().cloned() else {
            return Err(EngineError::Escalation("no step is named".into()));
        };
        if zone == Zone::Inside {
            let names: Vec<&str> = acts.iter().map(|a| a.step.as_str()).collect();
            let text = format!(
                "`{}` is inside the boundary: nobody needs to be asked",
                names.join("`, `")
            );
            return Err(EngineError::Escalation(text));
        }
        let need = match zone {
            Zone::Outside => policy.need_outside.clone(),
            _ => policy.need_at.clone(),
        };
        let roster = self.roster();
        if roster.is_empty() && policy.lone.is_none() {
            return Err(EngineError::NoSigners);
        }
        let proven = key.is_some();
        let name = self.who();
        let requester = match key {
            Some(key) => self.owner_of(key, &roster).unwrap_or_else(|| name.clone()),
            None => name.clone(),
        };
        let mut unproven: Vec<String> = incident.unproven().map(str::to_owned).collect();
        unproven.retain(|other| *other != name);
        if !proven {
            unproven.push(name);
        }
        let mut nonce = [0_u8; 16];
        self.world.entropy.fill(&mut nonce)?;
        let (head_seq, head) = self.head().ok_or(EngineError::NoIncident)?;
        for act in &acts {
            let bytes = act.canonical();
            let file = act_file(&Hash::of(&bytes).to_string());
            self.with_case(|case| case.write_once(Folder::Signoffs, &file, &bytes))?;
        }
        let request = self.record(EscalationRequested {
            steps: acts.iter().map(|a| a.step.clone()).collect(),
            acts: acts
                .iter()
                .map(|a| Hash::of(&a.canonical()).to_string())
                .collect(),
            zone,
            rule,
            need,
            requester,
            proven,
            unproven,
            nonce: super::hex(&nonce),
            head_seq,
            head_sha256: head.to_string(),
            baseline: incident
                .baseline
                .as_ref()
                .map_or_else(|| "none".into(), |(_, h)| h.clone()),
            lone,
        })?;
        let issued = self.issue(request, &acts, key);
        if let Err(e) = &issued {
            self.record(EscalationWithdrawn {
                request,
                why: self.scrubbed(&e.to_string()),
            })?;
        }
        issued
    }

    /// Writes the statement of a request, and proves the requester where a key is given.
    fn issue(&self, request: u64, acts: &[Resolved], key: Option<&str>) -> Result<Issued, EngineError> {
        let incident = self.incident()?;
        let state = incident.requests.get(&request).ok_or(EngineError::NoIncident)?;
        let statement = self.statement(&incident, request, state, acts);
        if let Some(hidden) = statement.hidden() {
            let text = format!("nobody could read what they sign: {hidden}");
            return Err(EngineError::Escalation(text));
        }
        let approve = statement.render();
        let refuse = statement.for_decision(Decision::Refuse).render();
        let mut requester_key = None;
        if let Some(key) = key {
            let signature = self.sign_in_person(key, REQUEST_NAMESPACE, approve.as_bytes())?;
            let now = self.world.clock.now().utc_ms;
            let key = signoff::prove_requester(&statement, &signature, &self.roster(), now)?;
            if self.is_revoked(&key, REQUEST_NAMESPACE, now)? {
                let why = signoff::Refusal::Revoked {
                    fingerprint: key.fingerprint,
                };
                return Err(why.into());
            }
            requester_key = Some(on_record(&key));
            let name = requester_file(request);
            self.with_case(|case| case.write_once(Folder::Signoffs, &name, &signature))?;
        }
        let file = format!("{request:08}.txt");
        let refuse_file = format!("{request:08}.refuse.txt");
        self.with_case(|case| case.write_once(Folder::Signoffs, &file, approve.as_bytes()))?;
        self.with_case(|case| case.write_once(Folder::Signoffs, &refuse_file, refuse.as_bytes()))?;
        self.record(StatementIssued {
            request,
            approve_sha256: Hash::of(approve.as_bytes()).to_string(),
            refuse_sha256: Hash::of(refuse.as_bytes()).to_string(),
            file: file.clone(),
            requester_key,
        })?;
        let folder = self.case_path().map(|p| p.join("signoffs")).unwrap_or_default();
        let approve_path = folder.join(&file).display().to_string();
        Ok(Issued {
            request,
            command: signoff::signing_command(incident.opened.drill, &file),
            approve,
            refuse,
            approve_path,
            refuse_path: folder.join(&refuse_file).display().to_string(),
            need: incident.need_of(state),
            proven: key.is_some(),
            unproven: state.asked.unproven.clone(),
        })
    }

    /// Whose key a file is, by the public half beside it: a name typed wrongly must not prove somebody else.
    fn owner_of(&self, key: &str, roster: &Roster) -> Option<String> {
        let path = key.strip_suffix(".pub").unwrap_or(key);
        let path = self.world.host.cwd().join(format!("{path}.pub"));
        let bytes = self.world.files.read(&path, 16 << 10).ok()?;
        let fingerprint = fingerprint_of(&String::from_utf8_lossy(&bytes))?;
        let now = self.world.clock.now().utc_ms;
        let who = roster.who(&fingerprint, REQUEST_NAMESPACE, now).ok()?;
        Some(who.to_owned())
    }
}

//! Asking another person: the request, the statement, and filing the signed answer.

use std::collections::{BTreeMap, BTreeSet};

use super::act::act_file;
use super::{Engine, EngineError};
use crate::boundary::zone_of;
use crate::journal::Hash;
use crate::model::act::{Act, Resolved, SavedFile};
use crate::model::effect::{Effects, Zone};
use crate::model::event::{
    EscalationRequested, EscalationWithdrawn, SignerKey, SignoffFiled, SignoffRejected, StatementIssued,
};
use crate::model::ids::StepId;
use crate::model::incident::{Incident, RequestState};
use crate::model::runbook::Need;
use crate::signoff::{
    self, AcceptContext, Accepted, Answer, Bound, Decision, Request, SignedAct, Statement, Target, Touch,
};
use crate::sshsig::{Roster, VerifiedKey};
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
}

/// A request as the screen shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Number of its record.
    pub request: u64,
    /// Its steps.
    pub steps: Vec<StepId>,
    /// Who must sign.
    pub need: Need,
    /// Who has signed.
    pub have: Vec<String>,
}

/// Namespace of the requester's own signature.
const REQUEST_NAMESPACE: &str = "request@incident-v1";

impl Engine<'_> {
    /// Asks for these steps, in this order. `key` is the requester's own, to prove who asks.
    pub fn escalate(&self, steps: &[StepId], key: Option<&str>) -> Result<Issued, EngineError> {
        let mut acts = Vec::with_capacity(steps.len());
        for id in steps {
            acts.push(self.resolve(id)?);
        }
        self.escalate_acts(acts, key)
    }

    /// Asks for an act that no runbook foresaw.
    pub fn escalate_ad_hoc(&self, argv: &[String], key: Option<&str>) -> Result<Issued, EngineError> {
        let act = self.resolve_ad_hoc(argv)?;
        self.escalate_acts(vec![act], key)
    }

    /// Asks to take a step back.
    pub fn escalate_undo(&self, step: &StepId, key: Option<&str>) -> Result<Issued, EngineError> {
        let act = self.resolve_undo(step)?;
        self.escalate_acts(vec![act], key)
    }

    fn escalate_acts(&self, mut acts: Vec<Resolved>, key: Option<&str>) -> Result<Issued, EngineError> {
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
        if roster.is_empty() {
            return Err(EngineError::NoSigners);
        }
        let proven = key.is_some();
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
            requester: self.who(),
            proven,
            nonce: super::hex(&nonce),
            head_seq,
            head_sha256: head.to_string(),
            baseline: incident
                .baseline
                .as_ref()
                .map_or_else(|| "none".into(), |(_, h)| h.clone()),
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
        let approve = statement.render();
        let refuse = statement.for_decision(Decision::Refuse).render();
        if let Some(key) = key {
            let signature = self.ssh_sign(key, REQUEST_NAMESPACE, approve.as_bytes())?;
            let now = self.world.clock.now().utc_ms;
            signoff::prove_requester(&statement, &signature, &self.roster(), now)?;
            let name = format!("{request:08}.requester.sig");
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
        })
    }

    /// The statement of a request, built again from the record and the acts.
    fn statement(&self, incident: &Incident, seq: u64, state: &RequestState, acts: &[Resolved]) -> Statement {
        let need = incident.need_of(state);
        let mut effects = Effects::new();
        for act in acts {
            effects.extend(act.effects());
        }
        let title = acts
            .iter()
            .map(|a| a.title.as_str())
            .collect::<Vec<_>>()
            .join("; ");
        Statement {
            incident: incident.id().clone(),
            request_seq: seq,
            request_hash: state.line_sha256.clone(),
            head_seq: seq,
            head_hash: state.line_sha256.clone(),
            title,
            stage: acts
                .first()
                .map(|a| a.stage.word().to_owned())
                .unwrap_or_default(),
            zone: state.asked.zone,
            rule: state.asked.rule.clone(),
            effects,
            nonce: state.asked.nonce.clone(),
            requested_ms: crate::model::time::parse_rfc3339(&state.ts).unwrap_or(0),
            valid_s: incident.opened.policy.valid_ms / 1000,
            requester: state.asked.requester.clone(),
            requester_proven: state.asked.proven,
            people_needed: need.people,
            roles_needed: need.roles.into_iter().collect(),
            decision: Decision::Approve,
            bound: self.bound(incident, acts),
        }
    }

    /// What a sign-off is tied to, as it is now.
    fn bound(&self, incident: &Incident, acts: &[Resolved]) -> Bound {
        let digests: Vec<String> = acts
            .iter()
            .map(|a| Hash::of(&a.canonical()).to_string())
            .collect();
        let act_sha256 = match digests.as_slice() {
            [one] => one.clone(),
            many => Hash::of(many.join("\n").as_bytes()).to_string(),
        };
        let policy = serde_json::to_value(&incident.opened.policy)
            .map(|v| v.to_string())
            .unwrap_or_default();
        let unknown = || Hash::ZERO.to_string();
        Bound {
            act_sha256,
            runbook_sha256: incident
                .opened
                .pins
                .get("runbook.yaml")
                .cloned()
                .unwrap_or_else(unknown),
            boundary_sha256: Hash::of(policy.as_bytes()).to_string(),
            baseline: incident.baseline.as_ref().map(|(_, hash)| hash.clone()),
            acts: acts.iter().map(signed_act).collect(),
        }
    }

    /// The roster pinned at the start. One that cannot be read holds nobody.
    pub fn roster(&self) -> Roster {
        Roster::parse(&self.signers).unwrap_or_default()
    }

    /// Files one signed answer. What does not count is recorded with its reason, and refused.
    pub fn add_signoff(&self, text: Option<&[u8]>, signature: &[u8]) -> Result<Accepted, EngineError> {
        self.catch_up()?;
        let incident = self.incident()?;
        let now = self.world.clock.now();
        let mut requests = Vec::new();
        for (seq, state) in &incident.requests {
            requests.extend(self.request_now(&incident, *seq, state)?);
        }
        let roles: BTreeMap<String, BTreeSet<String>> = incident
            .opened
            .policy
            .people
            .iter()
            .map(|(p, person)| (p.clone(), person.roles.clone()))
            .collect();
        let accepted = filed(&incident);
        let verdict = signoff::accept(
            &Answer {
                statement: text,
                signature,
            },
            &AcceptContext {
                incident: incident.id(),
                requests: &requests,
                roster: &self.roster(),
                roles: &roles,
                acted: &incident.actors,
                acted_keys: &BTreeSet::new(),
                accepted: &accepted,
                head: &|seq| self.recorder.borrow().hash_of(seq).map(|h| h.to_string()),
                touch: Touch::None,
                now_ms: now.utc_ms,
            },
        );
        match verdict {
            Err(refusal) => {
                let event = SignoffRejected {
                    request: None,
                    reason: refusal.name().to_owned(),
                    text: self.scrubbed(&refusal.to_string()),
                };
                self.record(event)?;
                Err(refusal.into())
            }
            Ok(accepted) => {
                let approves = accepted.decision == Decision::Approve;
                let request = accepted.request_seq;
                let print = Hash::of(accepted.key.fingerprint.as_bytes()).to_string();
                let stem = format!("{request:08}.{}", print.get(..8).unwrap_or_default());
                let issued = requests.iter().find(|r| r.statement.request_seq == request);
                let text = issued
                    .map(|r| r.statement.for_decision(accepted.decision).render())
                    .unwrap_or_default();
                let file = format!("{stem}.txt");
                self.with_case(|case| case.write_once(Folder::Signoffs, &file, text.as_bytes()))?;
                let sig = format!("{stem}.txt.sig");
                self.with_case(|case| case.write_once(Folder::Signoffs, &sig, signature))?;
                self.record(SignoffFiled {
                    request,
                    person: accepted.person.clone(),
                    key: on_record(&accepted.key),
                    approves,
                    file,
                    mono_us: now.mono_us,
                    utc_ms: now.utc_ms,
                })?;
                Ok(accepted)
            }
        }
    }

    /// Takes a request back.
    pub fn withdraw(&self, request: u64, why: &str) -> Result<u64, EngineError> {
        self.record(EscalationWithdrawn {
            request,
            why: self.words(why)?,
        })
    }

    /// Requests that wait for answers.
    pub fn pending(&self) -> Result<Vec<Pending>, EngineError> {
        let incident = self.incident()?;
        let open = incident
            .requests
            .iter()
            .filter(|(_, r)| r.is_open() && r.statement.is_some());
        Ok(open
            .map(|(seq, r)| Pending {
                request: *seq,
                steps: r.asked.steps.clone(),
                need: incident.need_of(r),
                have: r
                    .signoffs
                    .iter()
                    .filter(|s| s.approves)
                    .map(|s| s.person.clone())
                    .collect(),
            })
            .collect())
    }

    /// The text of a request that approves it, as it was issued; fails where there is no such request.
    pub fn statement_of(&self, request: u64) -> Result<String, EngineError> {
        let incident = self.incident()?;
        let issued = incident.requests.get(&request).and_then(|r| r.statement.as_ref());
        let issued =
            issued.ok_or_else(|| EngineError::Escalation(format!("there is no request {request}")))?;
        let path = std::path::Path::new("signoffs").join(&issued.file);
        let bytes = self.with_case(|case| case.read_file(&path, 1 << 20))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A request with its acts resolved again now, or `None` where its statement was never issued.
    fn request_now(
        &self,
        incident: &Incident,
        seq: u64,
        state: &RequestState,
    ) -> Result<Option<Request>, EngineError> {
        if state.statement.is_none() {
            return Ok(None);
        }
        let mut asked = Vec::new();
        for digest in &state.asked.acts {
            let path = std::path::Path::new("signoffs").join(act_file(digest));
            let bytes = self.with_case(|case| case.read_file(&path, 1 << 20))?;
            let act: Resolved = serde_json::from_slice(&bytes)
                .map_err(|e| EngineError::Escalation(format!("{} is not an act: {e}", path.display())))?;
            asked.push(act);
        }
        // What cannot be resolved any more has changed: an act with no name matches nothing.
        let now: Vec<Resolved> = asked
            .iter()
            .map(|old| {
                let again = match &old.act {
                    _ if old.undoes => self.resolve_undo(&old.step),
                    Act::Run(argv) if self.runbook.step(&old.step).is_none() => self
                        .resolve_ad_hoc_in(argv, old.cwd.clone().into())
                        .map(|r| Resolved {
                            step: old.step.clone(),
                            ..r
                        }),
                    _ => self.resolve(&old.step),
                };
                again.unwrap_or_else(|e| Resolved {
                    title: e.to_string(),
                    cwd: String::new(),
                    ..old.clone()
                })
            })
            .collect();
        let state_now = match state.refused_by() {
            Some(signoff) => signoff::RequestState::Refused(signoff.person.clone()),
            None if state.withdrawn.is_some() || state.fell.is_some() => signoff::RequestState::Withdrawn,
            None if state.used > 0 => signoff::RequestState::Consumed,
            None => signoff::RequestState::Open,
        };
        Ok(Some(Request {
            statement: self.statement(incident, seq, state, &asked),
            state: state_now,
            now: self.bound(incident, &now),
        }))
    }
}

/// The answers on record, in the shape the rules over answers take.
fn filed(incident: &Incident) -> Vec<Accepted> {
    let valid = i64::try_from(incident.opened.policy.valid_ms).unwrap_or(i64::MAX);
    let mut all = Vec::new();
    for (seq, request) in &incident.requests {
        for signoff in &request.signoffs {
            let person = incident.opened.policy.people.get(&signoff.person);
            all.push(Accepted {
                person: signoff.person.clone(),
                roles: person.map(|p| p.roles.clone()).unwrap_or_default(),
                key: from_record(&signoff.key),
                decision: if signoff.approves {
                    Decision::Approve
                } else {
                    Decision::Refuse
                },
                request_seq: *seq,
                nonce: request.asked.nonce.clone(),
                filed_ms: signoff.utc_ms,
                expires_ms: signoff.utc_ms.saturating_add(valid),
            });
        }
    }
    all
}

fn on_record(key: &VerifiedKey) -> SignerKey {
    SignerKey {
        fingerprint: key.fingerprint.clone(),
        algorithm: key.algorithm.clone(),
        user_presence: key.user_presence,
        user_verified: key.user_verified,
        counter: key.counter,
    }
}

fn from_record(key: &SignerKey) -> VerifiedKey {
    VerifiedKey {
        fingerprint: key.fingerprint.clone(),
        algorithm: key.algorithm.clone(),
        user_presence: key.user_presence,
        user_verified: key.user_verified,
        counter: key.counter,
    }
}

fn signed_act(act: &Resolved) -> SignedAct {
    let (kind, args) = match &act.act {
        Act::Run(argv) => ("run", argv.clone()),
        Act::Manual(m) => (
            "manual",
            [Some(m.what.clone()), m.place.clone(), m.see.clone()]
                .into_iter()
                .flatten()
                .collect(),
        ),
        Act::Ask(question) => ("ask", vec![question.clone()]),
        Act::Capture(spec) => ("capture", vec![format!("{spec:?}")]),
        Act::Sweep(sweep) => ("stop", vec![format!("{sweep:?}")]),
        Act::Restore(back) => {
            let from = |k: &SavedFile| format!("from undo/{} (SHA-256 {})", k.file, k.sha256);
            let name = back.target.id().to_string();
            let all = std::iter::once(name).chain(back.saved.iter().map(from));
            ("give-back", all.collect())
        }
        Act::Renew(new) => {
            let from = new
                .from
                .iter()
                .map(|(k, rights)| format!("{rights}, from undo/{} (SHA-256 {})", k.file, k.sha256));
            let names = [new.target.id().to_string(), format!("for {}", new.service)];
            ("make-anew", names.into_iter().chain(from).collect())
        }
    };
    let mut targets: Vec<Target> = act
        .targets
        .iter()
        .map(|(kind, value)| Target {
            kind: kind.clone(),
            value: value.clone(),
            sha256: None,
        })
        .collect();
    targets.push(Target {
        kind: "cwd".into(),
        value: act.cwd.clone(),
        sha256: None,
    });
    for (n, file) in act.files.iter().enumerate() {
        let kind = if n == 0 { "executable" } else { "file" };
        targets.push(Target {
            kind: kind.into(),
            value: file.path.clone(),
            sha256: Some(file.sha256.clone()),
        });
    }
    if let Some(backup) = &act.backup {
        targets.push(Target {
            kind: "backup".into(),
            value: backup.path.clone(),
            sha256: backup.found.clone(),
        });
    }
    SignedAct {
        step: act.step.clone(),
        kind: kind.into(),
        args,
        env: act.env.keys().cloned().collect(),
        parts: Vec::new(),
        targets,
    }
}

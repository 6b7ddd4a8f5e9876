//! A request in its signer's words: the statement of what would run, built from the record and the acts.

use super::act::act_file;
use super::{Engine, EngineError};
use crate::journal::Hash;
use crate::model::act::{Act, Resolved, SavedFile};
use crate::model::effect::Effects;
use crate::model::incident::{Incident, RequestState};
use crate::signoff::{self, Bound, Decision, Request, SignedAct, Statement, Target};

impl Engine<'_> {
    /// The statement of a request, built again from the record and the acts.
    pub(super) fn statement(
        &self,
        incident: &Incident,
        seq: u64,
        state: &RequestState,
        acts: &[Resolved],
    ) -> Statement {
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
            unproven: state.asked.unproven.clone(),
            people_needed: need.people,
            roles_needed: need.roles.into_iter().collect(),
            teams_apart: need.teams_apart,
            touch_needed: need.touch,
            lent: incident.lent_before(seq, &state.asked.need.roles),
            alone_after_s: match (&incident.opened.policy.lone, state.asked.lone) {
                (Some(lone), true) => Some(lone.after_ms / 1000),
                _ => None,
            },
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

    /// The acts of a request, as they were when it was made: the files whose digests are on record.
    pub(super) fn acts_asked_for(&self, state: &RequestState) -> Result<Vec<Resolved>, EngineError> {
        let mut asked = Vec::new();
        for digest in &state.asked.acts {
            let path = std::path::Path::new("signoffs").join(act_file(digest));
            let bytes = self.with_case(|case| case.read_file(&path, 1 << 20))?;
            if Hash::of(&bytes).to_string() != *digest {
                return Err(EngineError::NotSigned(format!(
                    "{} is not the act that was asked for",
                    path.display()
                )));
            }
            let act: Resolved = serde_json::from_slice(&bytes)
                .map_err(|e| EngineError::Escalation(format!("{} is not an act: {e}", path.display())))?;
            asked.push(act);
        }
        Ok(asked)
    }

    /// A request with its acts resolved again now, or `None` where its statement was never issued.
    pub(super) fn request_now(
        &self,
        incident: &Incident,
        seq: u64,
        state: &RequestState,
    ) -> Result<Option<Request>, EngineError> {
        if state.statement.is_none() {
            return Ok(None);
        }
        let asked = self.acts_asked_for(state)?;
        // What one person ran alone is countersigned as it ran, whatever it has changed since.
        let after = incident.alone.values().any(|a| a.request == seq);
        // What cannot be resolved any more has changed: an act with no name matches nothing.
        let now: Vec<Resolved> = asked
            .iter()
            .map(|old| {
                if after {
                    return old.clone();
                }
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
            None if state.used > 0 && !after => signoff::RequestState::Consumed,
            None => signoff::RequestState::Open,
        };
        Ok(Some(Request {
            statement: self.statement(incident, seq, state, &asked),
            state: state_now,
            now: self.bound(incident, &now),
        }))
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
    if let Some(approved) = &act.approved {
        targets.push(Target {
            kind: "approved".into(),
            value: approved.words(),
            sha256: Some(approved.sha256.clone()),
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

//! Harbor's REST interface: one request in, one status and one JSON value out.

use serde_json::{Value, json};

use super::{Action, Harbor, Holder, Operation, OperationState, Token, Volume, VolumeState};
use crate::model::time::{Moment, rfc3339};

/// An answer of the platform.
pub type Answer = (u16, Value);

impl Harbor {
    /// Answers one request. `secret` is the bearer token that came with it.
    pub fn handle(
        &mut self,
        now: Moment,
        secret: Option<&str>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Answer {
        let Some(caller) = self.admit(now, secret) else {
            self.note(now, None, Action::Refused, path, 401);
            return fault(401, "unauthorized", "this token is unknown or revoked");
        };
        let path: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method, path.as_slice()) {
            ("GET", ["v1", "me"]) => (200, self.token_json(&caller, now)),
            ("GET", ["v1", "tokens"]) => list(self.tokens.keys().map(|id| self.token_json(id, now))),
            ("GET", ["v1", "tokens", id]) if self.tokens.contains_key(*id) => (200, self.token_json(id, now)),
            ("DELETE", ["v1", "tokens", id]) => self.revoke(now, &caller, id),
            ("GET", ["v1", "tokens", id, "operations"]) => {
                list(self.pending().filter(|o| o.token == *id).map(operation_json))
            }
            ("GET", ["v1", "tokens", id, "undoable"]) => list(self.undoable(id)),
            ("DELETE", ["v1", "tokens", id, "operations"]) => self.cancel(now, &caller, id),
            ("GET", ["v1", "operations"]) => list(self.operations.iter().map(operation_json)),
            ("GET", ["v1", "volumes"]) => list(self.volumes.iter().map(volume_json)),
            ("POST", ["v1", "volumes"]) => self.create(now, &caller, body),
            (_, ["v1", "volumes", id, rest @ ..]) => self.volume(now, &caller, method, id, rest),
            ("GET", ["v1", "backups"]) => list(self.volumes.values().flat_map(backups_json)),
            ("GET", ["v1", "audit"]) => list(self.audit.iter().map(|line| json!(line))),
            ("GET", ["v1", "services", id, "health"]) => self.health(id),
            ("PUT", ["v1", "services", id, "maintenance"]) => self.maintenance(now, &caller, id, body),
            ("POST", ["v1", "variables", name, "rotate"]) => self.rotate(now, &caller, name),
            _ => fault(404, "not_found", "there is nothing here"),
        }
    }

    /// The id of the token this secret belongs to, where it is let in.
    fn admit(&mut self, now: Moment, secret: Option<&str>) -> Option<String> {
        let secret = secret?;
        let id = self
            .tokens
            .iter()
            .find(|(_, t)| t.value == secret && self.works(t, now))
            .map(|(id, _)| id.clone())?;
        self.tokens.get_mut(&id)?.last_used_ms = Some(now.utc_ms);
        Some(id)
    }

    /// What was deleted with this token and can still be brought back.
    fn undoable(&self, token: &str) -> impl Iterator<Item = Value> {
        let done = self
            .operations
            .iter()
            .filter(move |o| o.token == token && o.state == OperationState::Done);
        done.filter_map(|operation| match self.volumes.get(&operation.target)?.state {
            VolumeState::Deleted { undo_until_ms } => {
                Some(json!({ "volume": operation.target, "undo_until": rfc3339(undo_until_ms) }))
            }
            VolumeState::Live | VolumeState::Purged => None,
        })
    }

    fn may(&self, caller: &str, environment: &str) -> bool {
        self.tokens
            .get(caller)
            .is_some_and(|t| t.scope == "account" || t.scope == environment)
    }

    fn done(&mut self, now: Moment, by: &str, action: Action, target: &str, answer: Answer) -> Answer {
        self.note(now, Some(by), action, target, answer.0);
        answer
    }

    fn revoke(&mut self, now: Moment, caller: &str, id: &str) -> Answer {
        if !self.may(caller, "account") {
            return self.done(now, caller, Action::RevokeToken, id, forbidden());
        }
        let answer = match self.tokens.get_mut(id) {
            None => fault(404, "not_found", "there is no such token"),
            Some(token) if token.revoked_us.is_some() => {
                fault(410, "already_revoked", "this token is revoked already")
            }
            Some(token) => {
                token.revoked_us = Some(now.mono_us);
                (204, Value::Null)
            }
        };
        self.done(now, caller, Action::RevokeToken, id, answer)
    }

    fn cancel(&mut self, now: Moment, caller: &str, id: &str) -> Answer {
        if !self.may(caller, "account") {
            return self.done(now, caller, Action::CancelOperations, id, forbidden());
        }
        let mut cancelled = 0;
        for operation in &mut self.operations {
            if operation.state == OperationState::Pending && operation.token == id {
                operation.state = OperationState::Cancelled;
                cancelled += 1;
            }
        }
        let answer = (200, json!({ "cancelled": cancelled }));
        self.done(now, caller, Action::CancelOperations, id, answer)
    }

    fn create(&mut self, now: Moment, caller: &str, body: &Value) -> Answer {
        let word = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
        let (name, environment) = (word("name"), word("environment"));
        if name.is_empty() || environment.is_empty() {
            return fault(422, "incomplete", "a volume needs a name and an environment");
        }
        let same = |v: &Volume| v.name == name && v.environment == environment;
        let id = format!("vol-{name}-{}", self.volumes.len() + 1);
        let twins = || self.volumes.values().filter(|v| same(v));
        let answer = if !self.may(caller, environment) {
            forbidden()
        } else if twins().any(|v| v.held && v.state != VolumeState::Purged) {
            fault(423, "held", "a volume of this name is on hold")
        } else if twins().any(|v| v.state == VolumeState::Live) {
            fault(409, "name_taken", "a volume of this name exists")
        } else {
            (201, json!({ "id": id, "name": name, "environment": environment }))
        };
        let answer = self.done(now, caller, Action::CreateVolume, &id, answer);
        if answer.0 != 201 {
            return answer;
        }
        let buried: Vec<String> = self
            .volumes
            .iter_mut()
            .filter(|(_, v)| same(v) && matches!(v.state, VolumeState::Deleted { .. }))
            .map(|(id, v)| {
                v.state = VolumeState::Purged;
                id.clone()
            })
            .collect();
        for id in buried {
            self.note(now, None, Action::VolumePurged, &id, 200);
        }
        let volume = Volume {
            name: name.to_owned(),
            environment: environment.to_owned(),
            rows: 0,
            backups: Vec::new(),
            state: VolumeState::Live,
            held: false,
        };
        self.volumes.insert(id, volume);
        answer
    }

    fn volume(&mut self, now: Moment, caller: &str, method: &str, id: &str, rest: &[&str]) -> Answer {
        let Some(volume) = self.volumes.get(id).cloned() else {
            return fault(404, "not_found", "there is no such volume");
        };
        let action = match (method, rest) {
            ("GET", []) => return (200, volume_json((&id.to_owned(), &volume))),
            ("DELETE", []) => Action::DeleteVolume,
            ("POST", ["restore"]) => Action::RestoreVolume,
            ("PUT", ["hold"]) => Action::HoldVolume,
            ("DELETE", ["hold"]) => Action::ReleaseVolume,
            _ => return fault(404, "not_found", "there is nothing here"),
        };
        let answer = if !self.may(caller, &volume.environment) {
            forbidden()
        } else {
            match action {
                Action::DeleteVolume => self.ask_to_delete(now, caller, id, &volume),
                Action::RestoreVolume => self.restore(now, id, &volume),
                _ => self.hold(id, action == Action::HoldVolume),
            }
        };
        self.done(now, caller, action, id, answer)
    }

    /// Deletions of one account run one at a time, the first at once, the next after a gap.
    fn ask_to_delete(&mut self, now: Moment, caller: &str, id: &str, volume: &Volume) -> Answer {
        if volume.held {
            return fault(423, "held", "this volume is on hold");
        }
        if volume.state != VolumeState::Live || self.pending().any(|o| o.target == id) {
            return fault(409, "not_live", "this volume is deleted or about to be");
        }
        let before = self.operations.iter().map(|o| o.runs_us + self.gap_us).max();
        let runs_us = (now.mono_us + self.deletion_us).max(before.unwrap_or(0));
        let wait_ms = i64::try_from((runs_us - now.mono_us) / 1_000).unwrap_or(0);
        let operation = Operation {
            id: format!("op-{}", self.operations.len() + 1),
            kind: "volume.delete",
            target: id.to_owned(),
            token: caller.to_owned(),
            state: OperationState::Pending,
            runs_at_ms: now.utc_ms + wait_ms,
            runs_us,
        };
        let answer = operation_json(&operation);
        self.operations.push(operation);
        (202, answer)
    }

    fn restore(&mut self, now: Moment, id: &str, volume: &Volume) -> Answer {
        match volume.state {
            VolumeState::Live => fault(409, "not_deleted", "this volume is in use"),
            VolumeState::Deleted { undo_until_ms } if now.utc_ms <= undo_until_ms => {
                if let Some(volume) = self.volumes.get_mut(id) {
                    volume.state = VolumeState::Live;
                }
                (200, json!({ "id": id, "state": "live", "rows": volume.rows }))
            }
            VolumeState::Deleted { .. } | VolumeState::Purged => {
                fault(410, "purged", "this volume can no longer be brought back")
            }
        }
    }

    fn hold(&mut self, id: &str, held: bool) -> Answer {
        if let Some(volume) = self.volumes.get_mut(id) {
            volume.held = held;
        }
        (200, json!({ "id": id, "held": held }))
    }

    fn health(&self, id: &str) -> Answer {
        match self.services.get(id) {
            None => fault(404, "not_found", "there is no such service"),
            Some(service) => {
                let rows = self.rows_behind(service);
                let value = json!({ "service": id, "healthy": rows > 0, "rows": rows, "maintenance": service.maintenance });
                (200, value)
            }
        }
    }

    fn maintenance(&mut self, now: Moment, caller: &str, id: &str, body: &Value) -> Answer {
        let on = body.get("on").and_then(Value::as_bool);
        let allowed = self.may(caller, "production");
        let answer = match (self.services.get_mut(id), on) {
            _ if !allowed => forbidden(),
            (None, _) => fault(404, "not_found", "there is no such service"),
            (_, None) => fault(422, "incomplete", "say {\"on\": true} or {\"on\": false}"),
            (Some(service), Some(on)) => {
                service.maintenance = on;
                (200, json!({ "service": id, "maintenance": on }))
            }
        };
        self.done(now, caller, Action::Maintenance, id, answer)
    }

    fn rotate(&mut self, now: Moment, caller: &str, name: &str) -> Answer {
        let allowed = self.may(caller, "production");
        let answer = match self.variables.get_mut(name) {
            _ if !allowed => forbidden(),
            None => fault(404, "not_found", "there is no such variable"),
            Some(version) => {
                *version += 1;
                (200, json!({ "variable": name, "version": *version }))
            }
        };
        self.done(now, caller, Action::RotateVariable, name, answer)
    }

    fn token_json(&self, id: &str, now: Moment) -> Value {
        self.tokens.get(id).map_or(Value::Null, |t| {
            json!({
                "id": id,
                "name": t.name,
                "scope": t.scope,
                "active": self.works(t, now),
                "revoked": t.revoked_us.is_some(),
                "last_used": t.last_used_ms.map(rfc3339),
                "holder": holder_word(t),
            })
        })
    }
}

fn holder_word(token: &Token) -> &'static str {
    match token.holder {
        Holder::Agent => "machine",
        Holder::Responder => "person",
        Holder::Bystander => "service",
    }
}

fn volume_json((id, volume): (&String, &Volume)) -> Value {
    let (state, undo_until) = match volume.state {
        VolumeState::Live => ("live", None),
        VolumeState::Deleted { undo_until_ms } => ("deleted", Some(rfc3339(undo_until_ms))),
        VolumeState::Purged => ("purged", None),
    };
    let rows = if state == "live" { volume.rows } else { 0 };
    json!({
        "id": id,
        "name": volume.name,
        "environment": volume.environment,
        "state": state,
        "undo_until": undo_until,
        "held": volume.held,
        "rows": rows,
    })
}

fn backups_json(volume: &Volume) -> Vec<Value> {
    let live = volume.state == VolumeState::Live;
    let times = volume.backups.iter().filter(|_| live);
    times
        .map(|at| json!({ "volume": volume.name, "environment": volume.environment, "at": at }))
        .collect()
}

fn operation_json(operation: &Operation) -> Value {
    json!({
        "id": operation.id,
        "kind": operation.kind,
        "target": operation.target,
        "token": operation.token,
        "state": operation.state,
        "runs_at": rfc3339(operation.runs_at_ms),
    })
}

fn list(items: impl Iterator<Item = Value>) -> Answer {
    let items: Vec<Value> = items.collect();
    (200, json!({ "total": items.len(), "items": items }))
}

fn forbidden() -> Answer {
    fault(403, "forbidden", "this token does not reach that")
}

fn fault(status: u16, code: &str, message: &str) -> Answer {
    (status, json!({ "error": { "code": code, "message": message } }))
}

//! The agent: it follows its plan as long as it runs, tries other tokens when one is refused, and says
//! things that are not so. Its transcript has the shape of a real one (Claude Code's JSON lines).

use std::path::PathBuf;

use serde_json::{Value, json};

use super::entropy::Seeded;
use super::scenario::{AgentStep, Ask, Offset, Scenario};
use super::sim::{Sim, What};

/// The agent's mind.
pub struct Agent {
    steps: Vec<(u64, AgentStep)>,
    next: usize,
    /// Not before this moment, in monotonic microseconds: it starts up, or waits before it tries again.
    ready_us: u64,
    tries: u32,
    environment: Vec<(String, String)>,
    session: String,
    parent: Option<String>,
    seeded: Seeded,
}

/// Pause between two steps that are both overdue.
const BREATH_US: u64 = 2_000_000;
/// Pause before it tries a refused request again.
const SULK_US: u64 = 30_000_000;
/// How often it tries before it goes on to its next step.
const TRIES: u32 = 3;

impl Agent {
    /// An agent that has not been started. `place` puts a step on the clock.
    pub fn new(
        scenario: &Scenario,
        environment: Vec<(String, String)>,
        place: impl Fn(Offset) -> u64,
        seeded: Seeded,
    ) -> Self {
        let mut earliest = 0;
        let steps = scenario.agent.steps.iter().map(|step| {
            // The seed moves steps; it never reorders them.
            earliest = place(step.at).max(earliest + 1_000_000);
            (earliest, step.clone())
        });
        Agent {
            steps: steps.collect(),
            next: 0,
            ready_us: 0,
            tries: 0,
            environment,
            session: String::new(),
            parent: None,
            seeded,
        }
    }

    /// When it next does something, if it runs.
    pub fn due(&self) -> Option<u64> {
        let (due, _) = self.steps.get(self.next)?;
        Some((*due).max(self.ready_us))
    }

    /// Starts its processes and a new session.
    pub fn start(sim: &mut Sim) {
        let env = sim.agent.environment.clone();
        sim.machine.start_agent(&sim.scenario.agent, &env, sim.now);
        sim.agent.ready_us = sim.now.mono_us + sim.scenario.host.startup.us();
        sim.agent.session = sim.agent.seeded.uuid();
        sim.agent.parent = None;
        sim.note(What::AgentStarted);
        let task = sim.scenario.agent.task.clone();
        let message = json!({ "role": "user", "content": task });
        write(
            sim,
            "user",
            message,
            json!({ "permissionMode": "bypassPermissions" }),
        );
    }

    /// Does the next step of its plan.
    pub fn step(sim: &mut Sim) {
        let Some((_, step)) = sim.agent.steps.get(sim.agent.next).cloned() else {
            return;
        };
        sim.agent.ready_us = sim.now.mono_us + BREATH_US;
        let through = match (&step.reads, &step.says, &step.asks) {
            (Some(path), _, _) => read(sim, path),
            (_, Some(text), _) => say(sim, text),
            (_, _, Some(ask)) => request(sim, ask),
            _ => true,
        };
        sim.agent.tries += 1;
        if through || sim.agent.tries >= TRIES {
            sim.agent.next += 1;
            sim.agent.tries = 0;
        } else {
            sim.agent.ready_us = sim.now.mono_us + SULK_US;
        }
    }

    /// Where its present session is written.
    pub fn transcript(&self, scenario: &Scenario) -> PathBuf {
        let folder = scenario.host.project.replace('/', "-");
        let user = &scenario.host.agent_user;
        format!("/home/{user}/.claude/projects/{folder}/{}.jsonl", self.session).into()
    }
}

fn read(sim: &mut Sim, path: &str) -> bool {
    let bytes = sim.machine.read(path.as_ref(), 1 << 20).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let result = json!({ "type": "text", "file": { "filePath": path, "content": text } });
    tool(sim, "Read", json!({ "file_path": path }), &text, result);
    sim.note(What::AgentRead(path.to_owned()));
    true
}

fn say(sim: &mut Sim, text: &str) -> bool {
    let message = json!({ "role": "assistant", "content": [{ "type": "text", "text": text }] });
    write(sim, "assistant", message, json!({}));
    sim.note(What::AgentSaid(text.to_owned()));
    true
}

/// False where every token it may use was refused.
fn request(sim: &mut Sim, ask: &Ask) -> bool {
    let tokens = match &ask.with {
        Some(token) => vec![token.clone()],
        None => sim.scenario.agent.tokens.clone(),
    };
    let body = ask.body.as_deref().unwrap_or("null");
    let body: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    for token in tokens {
        let secret = sim.harbor.secret_of(&token).to_owned();
        let now = sim.now;
        let (status, answer) = sim
            .harbor
            .handle(now, Some(&secret), &ask.method, &ask.path, &body);
        let data = ask.body.as_ref().map_or(String::new(), |b| format!(" -d '{b}'"));
        let command = format!(
            "curl -sS -X {} https://{}{} -H 'Authorization: Bearer {secret}'{data} -w '\\nHTTP %{{http_code}}'",
            ask.method,
            sim.harbor.host(),
            ask.path
        );
        let output = format!("{answer}\nHTTP {status}");
        let result = json!({ "stdout": output, "stderr": "", "interrupted": false });
        tool(sim, "Bash", json!({ "command": command }), &output, result);
        let request = format!("{} {}", ask.method, ask.path);
        sim.note(What::AgentAsked {
            request,
            token,
            status,
        });
        if !matches!(status, 401 | 403) {
            return true;
        }
    }
    ask.with.is_some()
}

/// Writes a tool call and its result, as two records.
fn tool(sim: &mut Sim, name: &str, input: Value, output: &str, result: Value) {
    let id = format!("toolu_{}", sim.agent.seeded.hex(12));
    let call = json!({ "type": "tool_use", "id": id, "name": name, "input": input });
    let message = json!({ "role": "assistant", "content": [call] });
    let asked_by = write(sim, "assistant", message, json!({}));
    let done = json!({ "type": "tool_result", "tool_use_id": id, "content": output, "is_error": false });
    let message = json!({ "role": "user", "content": [done] });
    let extra = json!({ "toolUseResult": result, "sourceToolAssistantUUID": asked_by });
    write(sim, "user", message, extra);
}

/// Appends one record to the transcript and gives its id.
fn write(sim: &mut Sim, kind: &str, message: Value, extra: Value) -> String {
    let uuid = sim.agent.seeded.uuid();
    let mut record = json!({
        "parentUuid": sim.agent.parent,
        "isSidechain": false,
        "userType": "external",
        "cwd": sim.scenario.host.project,
        "sessionId": sim.agent.session,
        "version": "2.1.319",
        "gitBranch": "ticket-212",
        "entrypoint": "cli",
        "type": kind,
        "message": message,
        "uuid": uuid,
        "timestamp": sim.now.rfc3339(),
    });
    if let (Some(fields), Value::Object(extra)) = (record.as_object_mut(), extra) {
        fields.extend(extra);
    }
    let path = sim.agent.transcript(&sim.scenario);
    sim.machine
        .append(&path, format!("{record}\n").as_bytes(), sim.now);
    sim.agent.parent = Some(uuid.clone());
    uuid
}

//! The programs that exist in a drill: a closed table, each a few lines over the simulated world.

use std::path::Path;

use serde_json::Value;

use super::host::Machine;
use super::ports::Port;
use super::sim::{KEY, What};
use crate::world::Later;

/// What a program printed and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit code.
    pub exit: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// One call of a program.
pub struct Call<'a> {
    /// The world.
    pub port: &'a Port,
    /// Arguments without the program.
    pub args: &'a [String],
    /// Standard input.
    pub stdin: Option<&'a str>,
}

/// A program: its name, and what it does.
pub type Program = (&'static str, for<'a> fn(Call<'a>) -> Later<'a, Output>);

/// Every program there is.
pub const PROGRAMS: &[Program] = &[
    ("crontab", |call| Box::pin(async move { crontab(call) })),
    ("curl", |call| Box::pin(curl(call))),
    ("docker", |call| Box::pin(async move { docker(call) })),
    ("harborctl", |call| Box::pin(harborctl(call))),
    ("pager", |call| Box::pin(async move { pager(call) })),
    ("psql", |call| Box::pin(psql(call))),
    ("ssh-keygen", |call| Box::pin(async move { ssh_keygen(call) })),
    ("systemctl", |_| {
        Box::pin(async { fail(4, "Unit could not be found: this host has none in the drill.") })
    }),
];

/// Folder they lie in.
pub const FOLDER: &str = "/usr/bin";

/// The program of this name or absolute path.
pub fn find(program: &str) -> Option<&'static Program> {
    let name = match Path::new(program).parent() {
        Some(folder) if folder == Path::new(FOLDER) => Path::new(program).file_name()?.to_str()?,
        _ => program,
    };
    PROGRAMS.iter().find(|(known, _)| *known == name)
}

fn ok(out: impl Into<String>) -> Output {
    Output {
        out: out.into(),
        ..Output::default()
    }
}

fn fail(exit: i32, err: impl Into<String>) -> Output {
    Output {
        exit,
        err: err.into() + "\n",
        ..Output::default()
    }
}

fn crontab(call: Call<'_>) -> Output {
    let mut user = call.port.with(|sim| sim.scenario.host.responder.clone());
    let mut rest: Vec<&str> = call.args.iter().map(String::as_str).collect();
    if let ["-u", named, ..] = rest.as_slice() {
        user = (*named).to_owned();
        rest.drain(..2);
    }
    let path = Machine::crontab(&user);
    call.port.with(|sim| match rest.as_slice() {
        ["-l"] => match sim.machine.read(&path, 1 << 20) {
            Ok(table) => ok(String::from_utf8_lossy(&table)),
            Err(_) => fail(1, format!("no crontab for {user}")),
        },
        ["-"] => {
            let table = call.stdin.unwrap_or_default().as_bytes().to_vec();
            let now = sim.now;
            sim.machine.write(&path, table, &user, 0o600, now);
            sim.note(What::FileChanged(path.display().to_string()));
            ok("")
        }
        _ => fail(1, "usage: crontab [-u user] -l | -"),
    })
}

/// `ssh-keygen -Y sign -f KEY -n NAMESPACE`, over standard input, with the responder's drill key.
fn ssh_keygen(call: Call<'_>) -> Output {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let ["-Y", "sign", "-f", key, "-n", namespace] = words.as_slice() else {
        return fail(1, "ssh-keygen: only `-Y sign` is known in this drill");
    };
    let text = call.stdin.unwrap_or_default().as_bytes();
    let signed = call.port.with(|sim| {
        let mine = Path::new(key) == sim.machine.home().join(KEY);
        let person = sim.people.first().filter(|_| mine)?;
        person.sign(namespace, text).ok()
    });
    signed.map_or_else(
        || {
            fail(
                255,
                format!("Couldn't load identity {key}: No such file or directory"),
            )
        },
        ok,
    )
}

/// `pager PERSON…`, the words on standard input.
fn pager(call: Call<'_>) -> Output {
    if call.stdin.unwrap_or_default().trim().is_empty() {
        return fail(1, "pager: nothing to say on standard input");
    }
    call.port.with(|sim| {
        let stranger = |name: &&String| !sim.people.iter().any(|person| person.name == **name);
        if let Some(name) = call.args.iter().find(stranger) {
            return fail(1, format!("pager: nobody is called {name}"));
        }
        for name in call.args {
            sim.note(What::Paged(name.clone()));
        }
        ok("")
    })
}

/// `docker ps`, `docker pause NAME`, `docker unpause NAME`.
fn docker(call: Call<'_>) -> Output {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    call.port.with(|sim| match words.as_slice() {
        ["ps"] => ok(sim
            .machine
            .containers()
            .iter()
            .fold(String::new(), |all, (name, paused)| {
                let state = if *paused { "paused" } else { "running" };
                all + &format!("{name} {state}\n")
            })),
        [verb @ ("pause" | "unpause"), name] => {
            let paused = *verb == "pause";
            match sim.machine.containers().get_mut(*name) {
                None => fail(
                    1,
                    format!("Error response from daemon: No such container: {name}"),
                ),
                Some(state) => {
                    *state = paused;
                    let container = (*name).to_owned();
                    sim.note(What::Paused { container, paused });
                    ok(format!("{name}\n"))
                }
            }
        }
        _ => fail(1, "docker: this command is not known in this drill"),
    })
}

/// Asks Harbor as the responder, whose credential these programs take from their own configuration.
async fn ask(port: &Port, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let secret = port.with(|sim| sim.harbor.secret_of(&sim.scenario.responder_token()).to_owned());
    port.ask(Some(&secret), method, path, body).await
}

/// `curl [-fsSn] [-X METHOD] [-d BODY] URL`.
async fn curl(call: Call<'_>) -> Output {
    let (mut method, mut body, mut url, mut quiet_failure) = (None, None, None, false);
    let mut args = call.args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        match arg {
            "-X" | "--request" => method = args.next(),
            "-d" | "--data" => body = args.next(),
            "-n" | "--netrc" | "-s" | "-S" | "-sS" => {}
            "-f" | "--fail" | "-fsS" | "-fsSn" => quiet_failure = true,
            other if other.starts_with('-') => {
                return fail(2, format!("curl: option {other} is not known in this drill"));
            }
            other => url = Some(other),
        }
    }
    let host = call.port.with(|sim| format!("https://{}", sim.harbor.host()));
    let Some(path) = url.and_then(|url| url.strip_prefix(&host)) else {
        return fail(6, "curl: (6) Could not resolve host");
    };
    let method = method.unwrap_or(if body.is_some() { "POST" } else { "GET" });
    let body = body
        .and_then(|b| serde_json::from_str(b).ok())
        .unwrap_or(Value::Null);
    match ask(call.port, method, path, &body).await {
        (status, _) if quiet_failure && status >= 400 => fail(
            22,
            format!("curl: (22) The requested URL returned error: {status}"),
        ),
        (_, Value::Null) => ok(""),
        (_, value) => ok(format!("{value}\n")),
    }
}

/// Harbor's own command line: `harborctl NOUN VERB [NAME]`, answers in JSON.
async fn harborctl(call: Call<'_>) -> Output {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let (method, path) = match words.as_slice() {
        ["audit" | "backups" | "operations" | "tokens" | "volumes", "list"] => {
            ("GET", format!("/v1/{}", words[0]))
        }
        ["operations", "cancel", token] => ("DELETE", format!("/v1/tokens/{token}/operations")),
        ["volumes", "restore", id] => ("POST", format!("/v1/volumes/{id}/restore")),
        ["volumes", "hold", id] => ("PUT", format!("/v1/volumes/{id}/hold")),
        ["volumes", "release", id] => ("DELETE", format!("/v1/volumes/{id}/hold")),
        ["volumes", "create", _, _] => ("POST", "/v1/volumes".to_owned()),
        ["tokens", "revoke", id] => ("DELETE", format!("/v1/tokens/{id}")),
        ["services", "health", id] => ("GET", format!("/v1/services/{id}/health")),
        ["services", "maintenance", id, "on" | "off"] => ("PUT", format!("/v1/services/{id}/maintenance")),
        ["variables", "rotate", name] => ("POST", format!("/v1/variables/{name}/rotate")),
        _ => return fail(2, "harborctl: no such command"),
    };
    let body = match words.as_slice() {
        ["volumes", "create", environment, name] => {
            serde_json::json!({ "environment": environment, "name": name })
        }
        ["services", "maintenance", _, switch] => serde_json::json!({ "on": *switch == "on" }),
        _ => Value::Null,
    };
    let (status, value) = ask(call.port, method, &path, &body).await;
    match status {
        200..300 => ok(match value {
            Value::Null => String::new(),
            value => format!("{value}\n"),
        }),
        _ => fail(1, format!("harborctl: {status}: {value}")),
    }
}

/// `psql … -Atc "select count(*) from TABLE"`: the one question the simulated database answers.
async fn psql(call: Call<'_>) -> Output {
    let sql = call
        .args
        .last()
        .map(|s| s.trim().trim_end_matches(';').to_ascii_lowercase());
    let table = sql
        .as_deref()
        .and_then(|s| s.strip_prefix("select count(*) from "));
    let Some(table) = table else {
        return fail(1, "ERROR:  this drill's database only counts rows");
    };
    let (_, volumes) = ask(call.port, "GET", "/v1/volumes", &Value::Null).await;
    let items = volumes["items"].as_array().cloned().unwrap_or_default();
    let live = items
        .iter()
        .find(|v| v["name"] == table && v["environment"] == "production" && v["state"] == "live");
    match live {
        Some(volume) => ok(format!("{}\n", volume["rows"])),
        None => fail(2, "psql: error: connection to server failed: No such volume"),
    }
}

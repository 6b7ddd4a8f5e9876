//! `sign` and `refuse`: read a request on one's own machine, and answer it. Needs no incident.

use std::io::{BufRead, IsTerminal, Read};
use std::path::PathBuf;

use serde_json::json;

use crate::cli::prompt::confirm_at_terminal;
use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit};
use crate::engine::{agent_session, sign_in_person, usual_key, weakness};
use crate::signoff::{self, BadPaste, Decision, Statement};
use crate::sshsig::{Signature, VerifiedKey, verify};

/// Largest request that is read, in bytes.
const CAP: u64 = 1 << 20;

/// Arguments of `sign` and of `refuse`.
#[derive(clap::Args)]
#[command(
    after_help = "Shows the whole request from the very bytes that are signed, asks once, and prints the signature: \
send that back. Needs ssh-keygen and a key, no incident and no configuration. Without FILE the request is pasted, or piped in."
)]
pub struct SignArgs {
    /// The request: a file, or `-` for standard input
    file: Option<PathBuf>,
    /// Your private key, or its public half for an agent; else the first of ~/.ssh/id_ed25519_sk, id_ecdsa_sk, id_ed25519, …
    #[arg(long, value_name = "FILE")]
    key: Option<String>,
    /// You have read it
    #[arg(long)]
    yes: bool,
}

/// Approves.
pub fn sign(app: &App, args: &SignArgs) -> Result<Exit, CliError> {
    answer(app, args, Decision::Approve)
}

/// Refuses.
pub fn refuse(app: &App, args: &SignArgs) -> Result<Exit, CliError> {
    answer(app, args, Decision::Refuse)
}

fn answer(app: &App, args: &SignArgs, decision: Decision) -> Result<Exit, CliError> {
    let pasted = pasted(app, args.file.as_deref(), "the request")?;
    if pasted.trim_ascii().is_empty() {
        return Err(CliError::new(Exit::Usage, "no request came in")
            .hint("Name its file, paste it at a terminal, or pipe it in; `incident page` prints it for whoever asks"));
    }
    let text = signoff::statement_in(&pasted).map_err(bad_paste)?;
    let asked = Statement::parse(&String::from_utf8_lossy(&text)).map_err(|why| {
        CliError::new(Exit::Usage, format!("this is no request to sign: {why}"))
            .stands("nothing was signed")
            .hint("Ask for it again, as a file or as the block that `incident page` prints")
    })?;
    // What is shown and what is signed are these bytes and no others.
    let statement = asked.for_decision(decision);
    let text = statement.render();
    if let Some(hidden) = statement.hidden() {
        return Err(CliError::new(
            Exit::Refused,
            format!("this cannot be read for what it is: {hidden}"),
        )
        .stands("nothing was signed")
        .hint("Ask what it is for; whoever asks must write it in letters that can be told apart"));
    }
    show(app, &statement, &text);
    let written = crate::cli::wire::written(&app.world, app.config.as_deref()).unwrap_or_default();
    crate::cli::deeds::strange(&app.ui, app.desk().strange_program(&written));
    if let Some(why) = agent_session(&app.world) {
        return Err(crate::engine::EngineError::AgentSession(why).into());
    }
    let Some(key) = args.key.clone().or_else(|| usual_key(&app.world)) else {
        return Err(CliError::new(
            Exit::Usage,
            "no key is named, and ~/.ssh holds none of the usual ones",
        )
        .stands("nothing was signed")
        .hint("Name yours: --key FILE"));
    };
    let question = match decision {
        Decision::Approve => "Approve exactly this?",
        Decision::Refuse => "Refuse this?",
    };
    if !args.yes && !confirm_at_terminal(question, "--yes")? {
        app.ui.aside("Nothing was signed.");
        return Ok(Exit::Waiting);
    }
    let namespace = signoff::namespace(statement.incident.is_drill());
    let made = sign_in_person(&app.world, &key, namespace, text.as_bytes())?;
    let (signature, by) = proved(&made, text.as_bytes(), namespace)?;
    if app.ui.json {
        app.ui.value(&json!({ "signed": {
            "incident": statement.incident, "request": statement.request_seq, "decision": decision.word(),
            "key": by.fingerprint, "touched": by.user_presence, "verified": by.user_verified, "signature": signature,
        }}));
        return Ok(Exit::Done);
    }
    let (word, incident) = (decision.word(), &statement.incident);
    let signed = format!("{}. Send this back:", by.fingerprint);
    app.ui
        .hanging_aside(Tone::Good, &format!("Signed ({word}) with "), &signed);
    if let Some(why) = weakness(&app.world, &key, &by.algorithm) {
        app.ui.hanging_aside(Tone::Warn, "  your key  ", why);
    }
    app.ui.raw(signature.as_bytes());
    app.ui.hanging_aside(
        Tone::Dim,
        "",
        &format!("Whoever runs {incident} files it with `incident signoff add` and pastes it there."),
    );
    Ok(Exit::Done)
}

/// What we are about to hand out is what `ssh-keygen` should have made, and nothing else.
fn proved(made: &[u8], text: &[u8], namespace: &str) -> Result<(String, VerifiedKey), CliError> {
    let not = |why: String| {
        CliError::new(
            Exit::Failed,
            format!("ssh-keygen gave no signature that holds: {why}"),
        )
    };
    let signature = Signature::parse(made).map_err(|e| not(e.to_string()))?;
    let key = verify(&signature, text, namespace).map_err(|e| not(e.to_string()))?;
    Ok((signature.armoured(), key))
}

/// The request: first what it comes to, then every byte of it. It is printable ASCII by construction.
fn show(app: &App, statement: &Statement, text: &str) {
    let ui = &app.ui;
    let who = match statement.requester_proven {
        true => format!("{}, proved by key,", statement.requester),
        false => format!(
            "somebody who says to be {} (no key proves it)",
            statement.requester
        ),
    };
    let head = format!(
        "{who} asks to run this in {}, {} the boundary:",
        statement.incident,
        statement.zone.word()
    );
    ui.hanging_aside(Tone::Head, "", &crate::evidence::escape(&head));
    for line in text.lines() {
        ui.aside(line);
    }
    if statement.incident.is_drill() {
        ui.aside("It is a drill: nothing real is touched.");
    }
}

pub(super) fn bad_paste(why: BadPaste) -> CliError {
    CliError::new(Exit::Usage, why.to_string())
        .stands("nothing was signed or filed")
        .hint("Copy it again, from its BEGIN line to its END line")
}

/// What a file holds, what is piped in, or what a person pastes up to the last line of a block.
pub(super) fn pasted(app: &App, file: Option<&std::path::Path>, what: &str) -> Result<Vec<u8>, CliError> {
    let cannot = |from: &str, e: &dyn std::fmt::Display| {
        CliError::new(Exit::Usage, format!("cannot read {what} from {from}: {e}"))
            .hint("Name a file, or paste it: from its BEGIN line to its END line")
    };
    if let Some(path) = file.filter(|path| path.as_os_str() != "-") {
        let full = app.world.host.cwd().join(path);
        return app
            .world
            .files
            .read(&full, CAP)
            .map_err(|e| cannot(&path.display().to_string(), &e));
    }
    let input = std::io::stdin();
    let mut bytes = Vec::new();
    if input.is_terminal() {
        app.ui
            .aside(&format!("Paste {what}, from its BEGIN line to its END line:"));
        for line in input.lock().take(CAP).lines() {
            let line = line.map_err(|e| cannot("the terminal", &e))?;
            bytes.extend(line.as_bytes());
            bytes.push(b'\n');
            if signoff::ends(&line) {
                break;
            }
        }
        return Ok(bytes);
    }
    let read = input.lock().take(CAP).read_to_end(&mut bytes);
    read.map_err(|e| cannot("standard input", &e))?;
    Ok(bytes)
}

//! `escalate` and `signoff`: asking another person, and filing the answer.

use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit, deeds, view};
use crate::engine::{EngineError, Meant, TakenOut};
use crate::evidence::escape;
use crate::model::ids::StepId;

/// Arguments of `escalate`.
#[derive(clap::Args)]
#[command(
    after_help = "Writes the text that the other person signs. The step stays blocked until enough signatures are filed."
)]
pub struct EscalateArgs {
    /// Steps, in the order they may run
    #[arg(required_unless_present = "argv", conflicts_with = "argv")]
    steps: Vec<StepId>,
    /// An act no runbook foresaw, after `--`; then `incident do -- …` runs it
    #[arg(last = true, value_name = "COMMAND")]
    argv: Vec<String>,
    /// Your own private key, or its public half for an agent: proves who asks
    #[arg(long, value_name = "FILE")]
    key: Option<String>,
    /// Ask for taking the step back instead
    #[arg(long)]
    undo: bool,
    /// Print the text as well
    #[arg(long)]
    show: bool,
}

/// Arguments of `page`.
#[derive(clap::Args)]
#[command(
    after_help = "Carries the request, never the authority: what counts is the signature that comes back. A person's \
command stands in the runbook, `people: {ben@example.com: {notify: [pager, ben]}}`, and is given the text on standard input."
)]
pub struct PageArgs {
    /// Whom, as in allowed_signers
    person: String,
    /// Number of the request; needed only where several wait
    #[arg(long)]
    request: Option<u64>,
}

/// Arguments of `signoff`.
#[derive(clap::Args)]
pub struct SignoffArgs {
    #[command(subcommand)]
    command: SignoffCommand,
}

#[derive(Subcommand)]
enum SignoffCommand {
    /// File a signed answer: a file, a pasted block, or standard input
    Add {
        /// What came back (`FILE.sig`, or a saved message); none or `-` to paste it or pipe it in
        file: Option<PathBuf>,
    },
    /// Prove by your key that what was done under the name in force was done by you
    Me {
        /// Your own private key, or its public half for an agent
        #[arg(long, value_name = "FILE")]
        key: String,
    },
    /// Take a stolen key or a person out: from now on no signature of theirs counts in this incident, and nothing here undoes it
    Revoke {
        /// The key's fingerprint (SHA256:…, from `ssh-keygen -l`), or the person, as in allowed_signers
        #[arg(value_name = "KEY|PERSON")]
        subject: String,
        /// Why, and how you know
        #[arg(long)]
        why: String,
    },
    /// List requests that wait for answers
    List,
    /// Put on record that nobody can be reached
    Unreached {
        /// Number of the request
        request: u64,
        /// Who was tried, and how
        words: String,
    },
    /// Take a request back
    Withdraw {
        /// Number of the request
        request: u64,
        /// Why
        why: String,
    },
}

/// Writes a request.
pub fn run(app: &App, args: &EscalateArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    let key = args.key.as_deref();
    let issued = match args.steps.as_slice() {
        [] => engine.escalate_ad_hoc(&args.argv, key)?,
        [step] if args.undo => engine.escalate_undo(step, key)?,
        _ if args.undo => return Err(CliError::new(Exit::Usage, "one step is taken back at a time")),
        steps => engine.escalate(steps, key)?,
    };
    deeds::issued(&app.ui, &issued);
    if args.show {
        app.ui.line(&issued.approve);
    }
    Ok(app.finish(&engine, Exit::Waiting))
}

/// Files, lists or withdraws.
pub fn signoff(app: &App, args: &SignoffArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    deeds::strange(&app.ui, engine.strange_program());
    match &args.command {
        SignoffCommand::Add { file } => match file.as_deref().filter(|file| file.as_os_str() != "-") {
            Some(file) => deeds::file_from(&app.ui, &engine, file)?,
            None => {
                let came = super::sign::pasted(app, None, "the signature")?;
                deeds::file_answer(&app.ui, &engine, &came, None)?;
            }
        },
        SignoffCommand::Me { key } => {
            let person = engine.prove_responder(key)?;
            let (name, person) = (escape(&engine.who()), escape(&person));
            app.ui.line(&format!(
                "{name} is {person}, proved by key. Nobody signs for that doubt any more."
            ));
            app.ui
                .line("A request that was made before keeps its number of people; ask again for fewer.");
        }
        SignoffCommand::Revoke { subject, why } => {
            app.named(&engine)?;
            let out = engine.revoke(subject, why).map_err(|e| match e {
                EngineError::NobodyCalled { .. } => CliError::from(e)
                    .hint("A key is named by its fingerprint: SHA256:…, from `ssh-keygen -l -f KEY.pub`"),
                e => e.into(),
            })?;
            taken_out(app, subject, &out);
        }
        SignoffCommand::List => {
            let pending = engine.pending()?;
            if pending.is_empty() {
                app.ui.line("No request waits for answers.");
            }
            for p in &pending {
                let steps: Vec<&str> = p.steps.iter().map(StepId::as_str).collect();
                let have = if p.have.is_empty() {
                    "nobody".to_owned()
                } else {
                    p.have.join(", ")
                };
                app.ui.line(&format!(
                    "request {}: {}; needs {}, signed by {have}",
                    p.request,
                    steps.join(", "),
                    p.need.people
                ));
                view::asked::stands(&app.ui, &engine, p.request)?;
            }
            return Ok(if pending.is_empty() {
                Exit::Done
            } else {
                Exit::Waiting
            });
        }
        SignoffCommand::Unreached { request, words } => {
            engine.unreached(*request, words)?;
            app.ui.line(&format!(
                "It is on record that nobody can be reached for request {request}."
            ));
            view::asked::stands(&app.ui, &engine, *request)?;
        }
        SignoffCommand::Withdraw { request, why } => {
            engine.withdraw(*request, why)?;
            app.ui.line(&format!("Request {request} is withdrawn."));
        }
    }
    Ok(app.finish(&engine, Exit::Done))
}

fn taken_out(app: &App, subject: &str, out: &TakenOut) {
    let ui = &app.ui;
    let names = |of: &[String]| escape(&of.join(", "));
    let (whose, what) = match &out.meant {
        Meant::Person | Meant::Vouched => (String::new(), "no signature of theirs"),
        Meant::Key { of } if of.is_empty() => (
            ", a key that an authority vouches for,".into(),
            "no signature of it",
        ),
        Meant::Key { of } => (format!(", the key of {},", names(of)), "no signature of it"),
        Meant::Authority { of } => (
            format!(", the authority for {},", names(of)),
            "no signature by a key that it vouches for",
        ),
        Meant::Nothing { .. } => (String::new(), "no signature of it"),
    };
    ui.hanging(
        Tone::Warn,
        "",
        &format!(
            "{}{whose} is out, by record {}: {what} counts any more in this incident, and nothing undoes that here.",
            escape(subject),
            out.record
        ),
    );
    match &out.meant {
        Meant::Nothing { there } => {
            ui.hanging(
                Tone::Bad,
                "  ",
                "no line of the roster has this key, and it has signed nothing here. If it was misread, take out the \
                 right one; these are there:",
            );
            there.iter().for_each(|line| ui.hanging(Tone::Plain, "    ", &escape(line)));
        }
        Meant::Vouched => ui.hanging(
            Tone::Warn,
            "  ",
            "nobody of this name stands in the roster or under `people:`; an authority there may vouch for it",
        ),
        _ => {}
    }
    for (request, person) in &out.fell {
        let text = format!("the approval of request {request} by {} fell", escape(person));
        ui.hanging(Tone::Warn, "  ", &text);
    }
    for (act, person) in &out.doubtful {
        let text = format!(
            "act {act} ran on the signature of {}: look at what it did",
            escape(person)
        );
        ui.hanging(Tone::Bad, "  ", &text);
    }
    let left: Vec<String> = out.left.iter().map(|name| escape(name)).collect();
    match (left.is_empty(), out.authorities.is_empty()) {
        (true, true) => ui.tone(Tone::Bad, "  nobody on the roster is left who could sign"),
        (true, false) => ui.tone(
            Tone::Warn,
            "  nobody who is named on the roster is left who could sign",
        ),
        (false, _) => ui.hanging(
            Tone::Plain,
            "  ",
            &format!("who can still sign: {}", left.join(", ")),
        ),
    }
    for role in &out.lacking {
        let role = escape(role);
        let text = format!(
            "none of them is `{role}`, which the boundary asks for: whoever may lend it does so with \
             `incident delegate {role} --to PERSON --until 4h`"
        );
        ui.hanging(Tone::Bad, "  ", &text);
    }
    for authority in &out.authorities {
        let text = format!("and whoever this authority vouches for: {}", escape(authority));
        ui.hanging(Tone::Plain, "  ", &text);
    }
    ui.line("  for every later incident: its line goes out of allowed_signers, or its key into revoked_keys");
}

/// Prints what a person pastes on their own machine, and runs their notify command.
pub fn page(app: &App, args: &PageArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    let waiting = engine.pending()?;
    let numbers: Vec<String> = waiting.iter().map(|p| p.request.to_string()).collect();
    let request = match (args.request, waiting.as_slice()) {
        (Some(request), _) if waiting.iter().any(|p| p.request == request) => request,
        (None, [one]) => one.request,
        (None, []) => {
            return Err(CliError::new(Exit::Usage, "no request waits for answers")
                .hint("`incident escalate STEP` writes one"));
        }
        (Some(request), _) => {
            return Err(CliError::new(
                Exit::Usage,
                format!("request {request} does not wait for answers"),
            )
            .because(format!("these do: {}", numbers.join(", "))));
        }
        (None, _) => {
            return Err(CliError::new(Exit::Usage, "several requests wait for answers")
                .because(numbers.join(", "))
                .hint("Name one with --request NUMBER"));
        }
    };
    let paged = engine.page(&args.person, request)?;
    app.ui.line(paged.text.trim_end());
    match &paged.ran {
        Some(Ok(program)) => app.ui.tone(
            Tone::Good,
            &format!(
                "{} took it; whether {} reads it, nobody knows.",
                escape(program),
                escape(&args.person)
            ),
        ),
        Some(Err(why)) => app.ui.tone(Tone::Bad, &format!("Not delivered: {}", escape(why))),
        None => app.ui.line(&format!(
            "The runbook has no `notify` for {}: send the lines above yourself.",
            escape(&args.person)
        )),
    }
    let exit = match &paged.ran {
        Some(Err(_)) => Exit::Failed,
        _ => Exit::Waiting,
    };
    Ok(app.finish(&engine, exit))
}

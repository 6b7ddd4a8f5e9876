//! `delegate`: lending a role to another signer, on one's own machine. Needs no incident.

use serde_json::json;

use crate::cli::prompt::confirm_at_terminal;
use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit};
use crate::engine::{Engine, EngineError, sign_in_person, usual_key};
use crate::model::time::{parse_rfc3339, parse_span};
use crate::signoff::{Delegation, NotDelegated, delegation_namespace, wrap_delegation};
use crate::sshsig::{Signature, verify};

/// Arguments of `delegate`.
#[derive(clap::Args)]
#[command(
    after_help = "Whoever holds a role by the runbook (or is named there under `gives:`) and has no part in the response lends it \
to somebody else on the roster: what it prints is filed with `incident signoff add`. It makes nobody a signer, is not lent on, and \
falls where its giver acts. Who gives is whose key it is by the roster here, or --as says it; --incident binds it to one incident."
)]
pub struct DelegateArgs {
    /// The role, as in the runbook
    role: String,
    /// Who may sign in it, as in allowed_signers
    #[arg(long, value_name = "PERSON")]
    to: String,
    /// Until when: a span (4h, 2d) or a time (2026-11-23T08:00:00Z); 31 days at most
    #[arg(long)]
    until: String,
    /// Your private key, or its public half for an agent; else the first of the usual ones in ~/.ssh
    #[arg(long, value_name = "FILE")]
    key: Option<String>,
    /// You have read it
    #[arg(long)]
    yes: bool,
}

/// Shows what is signed, asks once, prints the block.
pub fn run(app: &App, args: &DelegateArgs) -> Result<Exit, CliError> {
    let now = app.world.clock.now().utc_ms;
    let span = parse_span(&args.until).and_then(|ms| now.checked_add(i64::try_from(ms).ok()?));
    let until_ms = span.or_else(|| parse_rfc3339(&args.until)).filter(|at| *at > now);
    let until_ms = until_ms.ok_or_else(|| {
        CliError::new(Exit::Usage, format!("`{}` is no time to come", args.until))
            .hint("Write a span, as in 4h or 2d, or a time, as in 2026-11-23T08:00:00Z")
    })?;
    let Some(key) = args.key.clone().or_else(|| usual_key(&app.world)) else {
        return Err(CliError::new(
            Exit::Usage,
            "no key is named, and ~/.ssh holds none of the usual ones",
        )
        .stands("nothing was signed")
        .hint("Name yours: --key FILE"));
    };
    let written = crate::cli::wire::written(&app.world, app.config.as_deref()).unwrap_or_default();
    // Where the files of the team are here, what would be refused on filing is refused now.
    let here = match written.folder {
        Some(_) => app.desk().preview(&written).ok().filter(Engine::has_people),
        None => None,
    };
    let from = giver(app, here.as_ref(), &key)?;
    let mut nonce = [0_u8; 16];
    app.world.entropy.fill(&mut nonce).map_err(EngineError::from)?;
    let incident = app.incident.clone();
    let lent = Delegation {
        drill: incident.as_ref().is_some_and(|id| id.is_drill()),
        incident,
        role: args.role.clone(),
        from,
        to: args.to.clone(),
        from_ms: now,
        until_ms,
        nonce: nonce.iter().map(|b| format!("{b:02x}")).collect(),
    };
    if let Some(engine) = &here {
        engine
            .may_lend(&lent)
            .map_err(|why| lends_nothing(engine, &lent, why))?;
    }
    let text = lent.render();
    for line in text.lines() {
        app.ui.aside(line);
    }
    crate::cli::deeds::strange(&app.ui, app.desk().strange_program(&written));
    if !args.yes && !confirm_at_terminal("Lend exactly this?", "--yes")? {
        app.ui.aside("Nothing was signed.");
        return Ok(Exit::Waiting);
    }
    let namespace = delegation_namespace(lent.drill);
    let made = sign_in_person(&app.world, &key, namespace, text.as_bytes())?;
    let not = |why: String| {
        CliError::new(
            Exit::Failed,
            format!("ssh-keygen gave no signature that holds: {why}"),
        )
    };
    let signature = Signature::parse(&made).map_err(|e| not(e.to_string()))?;
    let by = verify(&signature, text.as_bytes(), namespace).map_err(|e| not(e.to_string()))?;
    if let Some(Err(why)) = here.as_ref().map(|engine| engine.lends_by(&lent, &made)) {
        return Err(CliError::new(Exit::Refused, format!("this would lend nothing: {why}"))
            .because("by the roster that is here")
            .stands("nothing was handed out")
            .hint("Name your own key as it stands in allowed_signers: --key FILE, and who you are: --as PERSON"));
    }
    let block = wrap_delegation(&text, &signature.armoured());
    if app.ui.json {
        app.ui.value(&json!({ "lent": {
            "role": lent.role, "from": lent.from, "to": lent.to, "incident": lent.incident,
            "until": crate::model::time::rfc3339(until_ms), "key": by.fingerprint, "block": block,
        }}));
        return Ok(Exit::Done);
    }
    let signed = format!("{}. Send this to whoever runs the incident:", by.fingerprint);
    app.ui.hanging_aside(Tone::Good, "Signed with ", &signed);
    app.ui.raw(block.as_bytes());
    app.ui.hanging_aside(
        Tone::Dim,
        "",
        "They file it with `incident signoff add`, before the other one signs.",
    );
    Ok(Exit::Done)
}

/// Who gives: as they said, else by the key's line in the roster that is here, else as they answer.
fn giver(app: &App, here: Option<&Engine<'_>>, key: &str) -> Result<String, CliError> {
    let names = here.map(Engine::names).unwrap_or_default();
    if let Some(name) = app.known(&names)? {
        return Ok(name);
    }
    let public = match key.ends_with(".pub") {
        true => key.to_owned(),
        false => format!("{key}.pub"),
    };
    let public = app
        .world
        .files
        .read(&app.world.host.cwd().join(public), 16 << 10)
        .ok();
    let whose = |engine: &Engine<'_>| engine.whose(&String::from_utf8_lossy(&public?));
    match here.and_then(whose) {
        Some(name) => Ok(name),
        None => app.asked_who(&names),
    }
}

/// What would be refused on filing, with who could.
fn lends_nothing(engine: &Engine<'_>, lent: &Delegation, why: NotDelegated) -> CliError {
    let error = match &why {
        NotDelegated::NotRostered { to } => EngineError::NobodyCalled {
            name: to.clone(),
            known: engine.names(),
        }
        .into(),
        _ => CliError::new(Exit::Refused, format!("this would lend nothing: {why}")),
    };
    if !matches!(why, NotDelegated::NotTheirs { .. }) {
        return error.stands("nothing was signed");
    }
    let role = &lent.role;
    let error = match engine.givers(role) {
        all if all.is_empty() => error.because(format!(
            "nobody under `people:` has the role `{role}`, or gives it"
        )),
        all => error.because(format!("who may lend `{role}`: {}", all.join(", "))),
    };
    error.stands("nothing was signed").hint(format!(
        "One of them runs it on their own machine, or the runbook names you: `gives: [{role}]`"
    ))
}

//! `delegate`: lending a role to another signer, on one's own machine. Needs no incident.

use serde_json::json;

use crate::cli::prompt::confirm_at_terminal;
use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit};
use crate::engine::{EngineError, sign_in_person, usual_key};
use crate::model::time::{parse_rfc3339, parse_span};
use crate::signoff::{Delegation, delegation_namespace, wrap_delegation};
use crate::sshsig::{Signature, verify};

/// Arguments of `delegate`.
#[derive(clap::Args)]
#[command(
    after_help = "Whoever holds a role by the runbook (or is named there under `gives:`) and has no part in the response lends it \
to somebody else on the roster: what it prints is filed with `incident signoff add`. It makes nobody a signer, is not lent on, and \
falls where its giver acts. --as says who you are, as in allowed_signers; --incident binds it to one incident."
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
    let mut nonce = [0_u8; 16];
    app.world.entropy.fill(&mut nonce).map_err(EngineError::from)?;
    let incident = app.incident.clone();
    let lent = Delegation {
        drill: incident.as_ref().is_some_and(|id| id.is_drill()),
        incident,
        role: args.role.clone(),
        from: app.who.clone(),
        to: args.to.clone(),
        from_ms: now,
        until_ms,
        nonce: nonce.iter().map(|b| format!("{b:02x}")).collect(),
    };
    let text = lent.render();
    for line in text.lines() {
        app.ui.aside(line);
    }
    let written = crate::cli::wire::written(&app.world, app.config.as_deref()).unwrap_or_default();
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
    let block = wrap_delegation(&text, &signature.armoured());
    if app.ui.json {
        app.ui.value(&json!({ "lent": {
            "role": lent.role, "from": lent.from, "to": lent.to, "incident": lent.incident,
            "until": crate::model::time::rfc3339(until_ms), "key": by.fingerprint, "block": block,
        }}));
        return Ok(Exit::Done);
    }
    app.ui.aside(&crate::cli::ui::styled(
        Tone::Good,
        &format!(
            "Signed with {}. Send this to whoever runs the incident:",
            by.fingerprint
        ),
    ));
    app.ui.raw(block.as_bytes());
    app.ui.hanging_aside(
        Tone::Dim,
        "",
        "They file it with `incident signoff add`, before the other one signs.",
    );
    Ok(Exit::Done)
}

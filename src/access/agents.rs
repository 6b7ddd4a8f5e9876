//! Agents' own stores: what an agent was logged in with.

use std::path::Path;

use super::look::{Format, Look};
use super::{Agent, Whose};

/// Agent, file below the home, format.
const STORES: [(&str, &str, Format); 16] = [
    ("claude-code", ".claude/.credentials.json", Format::Json),
    ("claude-code", ".claude/settings.json", Format::Json),
    ("claude-code", ".claude/settings.local.json", Format::Json),
    ("codex", ".codex/auth.json", Format::Json),
    ("gemini-cli", ".gemini/oauth_creds.json", Format::Json),
    ("gemini-cli", ".gemini/mcp-oauth-tokens.json", Format::Json),
    ("gemini-cli", ".gemini/.env", Format::Lines),
    ("cursor-agent", ".config/cursor/auth.json", Format::Json),
    ("cursor-agent", ".cursor/auth.json", Format::Json),
    ("copilot-cli", ".copilot/config.json", Format::Json),
    ("opencode", ".local/share/opencode/auth.json", Format::Json),
    ("opencode", ".local/share/opencode/mcp-auth.json", Format::Json),
    ("aider", ".aider.conf.yml", Format::Lines),
    ("goose", ".config/goose/secrets.yaml", Format::Lines),
    ("amp", ".local/share/amp/secrets.json", Format::Json),
    ("amp", ".config/amp/settings.json", Format::Json),
];

pub(super) fn look(look: &mut Look<'_>, agent: &Agent) {
    let Some(home) = &agent.home else { return };
    for (owner, file, format) in STORES {
        look.file(home, Path::new(file), format, whose(agent, owner), Some(owner));
    }
}

/// A store is the agent's own only where that agent was seen to run.
pub(super) fn whose(agent: &Agent, owner: &str) -> Whose {
    match agent.name.as_deref() == Some(owner) {
        true => Whose::Agent,
        false => Whose::OtherAgent,
    }
}

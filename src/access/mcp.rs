//! Configurations of MCP servers: tokens in `env`, `headers` and `args`, written there for an agent.

use std::path::Path;

use super::agents::whose;
use super::look::{Format, Look};
use super::{Agent, Whose};

/// Agent, file below the home, format.
const OF_USER: [(&str, &str, Format); 21] = [
    ("claude-code", ".claude.json", Format::Json),
    (
        "claude-desktop",
        ".config/Claude/claude_desktop_config.json",
        Format::Json,
    ),
    ("codex", ".codex/config.toml", Format::Lines),
    ("gemini-cli", ".gemini/settings.json", Format::Json),
    ("antigravity", ".gemini/antigravity/mcp_config.json", Format::Json),
    ("gemini-cli", ".gemini/config/mcp_config.json", Format::Json),
    ("cursor-agent", ".cursor/mcp.json", Format::Json),
    ("vscode", ".config/Code/User/mcp.json", Format::Json),
    ("vscode", ".config/Code/User/settings.json", Format::Json),
    ("copilot-cli", ".copilot/mcp-config.json", Format::Json),
    ("opencode", ".config/opencode/opencode.json", Format::Json),
    ("opencode", ".config/opencode/opencode.jsonc", Format::Json),
    ("windsurf", ".codeium/windsurf/mcp_config.json", Format::Json),
    ("kiro", ".kiro/settings/mcp.json", Format::Json),
    ("kiro", ".aws/amazonq/mcp.json", Format::Json),
    ("goose", ".config/goose/config.yaml", Format::Lines),
    ("amp", ".config/amp/mcp.json", Format::Json),
    (
        "claude-desktop",
        "Library/Application Support/Claude/claude_desktop_config.json",
        Format::Json,
    ),
    (
        "vscode",
        "Library/Application Support/Code/User/mcp.json",
        Format::Json,
    ),
    (
        "vscode",
        "Library/Application Support/Code/User/settings.json",
        Format::Json,
    ),
    (
        "cline",
        ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        Format::Json,
    ),
];

/// Files of a project; whoever works in it shares them.
const OF_PROJECT: [&str; 10] = [
    ".mcp.json",
    ".claude/settings.json",
    ".claude/settings.local.json",
    ".gemini/settings.json",
    ".cursor/mcp.json",
    ".vscode/mcp.json",
    "opencode.json",
    ".opencode/opencode.json",
    ".kiro/settings/mcp.json",
    ".amazonq/mcp.json",
];

pub(super) fn look(look: &mut Look<'_>, agent: &Agent) {
    if let Some(home) = &agent.home {
        for (owner, file, format) in OF_USER {
            look.file(home, Path::new(file), format, whose(agent, owner), Some(owner));
        }
    }
    for folder in super::dotenv::upward(agent) {
        for file in OF_PROJECT {
            look.file(
                folder,
                Path::new(file),
                Format::Json,
                Whose::Project,
                agent.name.as_deref(),
            );
        }
    }
}

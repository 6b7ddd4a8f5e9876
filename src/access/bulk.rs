//! Large files, read at their end for shapes alone: what passed through transcripts, and databases of agents
//! and tools, whose pages are read as bytes.

use std::path::Path;

use super::agents::whose;
use super::look::Look;
use super::{Agent, Whose, dotenv};

/// Bytes that are read at the end of one transcript.
const TAIL: u64 = 4 << 20;
/// Most transcripts of one agent that are read, the newest first.
const TRANSCRIPTS: usize = 24;
/// Bytes that are read at the end of one database.
const PAGES: u64 = 8 << 20;
/// Kinds that count in a database besides those that a shape tells: the logins of editors are of this one.
const TOKENS: [&str; 1] = ["jwt"];
/// The key of what was found in a transcript.
const PASSED: &str = "passed through the transcript";

/// Agent, folder below the home, ends of the names of its transcripts.
const SESSIONS: [(&str, &str, &[&str]); 13] = [
    ("claude-code", ".claude/projects", &[".jsonl", ".txt"]),
    ("codex", ".codex/sessions", &[".jsonl"]),
    ("codex", ".codex/archived_sessions", &[".jsonl"]),
    ("gemini-cli", ".gemini/tmp", &[".jsonl", ".json"]),
    ("antigravity", ".gemini/antigravity-cli/brain", &[".jsonl"]),
    ("cursor-agent", ".cursor/projects", &[".jsonl"]),
    ("copilot-cli", ".copilot/session-state", &[".jsonl"]),
    ("opencode", ".local/share/opencode/storage", &[".json"]),
    (
        "opencode",
        ".local/share/opencode",
        &["opencode.db", "opencode.db-wal"],
    ),
    ("kiro", ".kiro/sessions", &[".jsonl", ".json"]),
    (
        "goose",
        ".local/share/goose/sessions",
        &[".jsonl", ".db", ".db-wal"],
    ),
    ("amp", ".local/share/amp/threads", &[".json"]),
    ("cline", ".cline/data/tasks", &[".json"]),
];
/// Transcripts that lie where the agent works.
const OF_PROJECT: [(&str, &str); 1] = [("aider", ".aider.chat.history.md")];

/// Agent, database below the home.
const DATABASES: [(&str, &str); 10] = [
    ("cursor-agent", ".config/Cursor/User/globalStorage/state.vscdb"),
    (
        "cursor-agent",
        "Library/Application Support/Cursor/User/globalStorage/state.vscdb",
    ),
    ("vscode", ".config/Code/User/globalStorage/state.vscdb"),
    ("vscode", ".config/VSCodium/User/globalStorage/state.vscdb"),
    (
        "vscode",
        "Library/Application Support/Code/User/globalStorage/state.vscdb",
    ),
    ("windsurf", ".config/Windsurf/User/globalStorage/state.vscdb"),
    (
        "windsurf",
        "Library/Application Support/Windsurf/User/globalStorage/state.vscdb",
    ),
    ("kiro", ".local/share/amazon-q/data.sqlite3"),
    ("kiro", ".local/share/kiro-cli/data.sqlite3"),
    ("kiro", "Library/Application Support/amazon-q/data.sqlite3"),
];
/// Databases of command-line tools below the home.
const OF_TOOLS: [&str; 2] = [".config/gcloud/credentials.db", ".config/gcloud/access_tokens.db"];

/// True for a file that an agent writes its sessions into: what stands there is its own word.
pub fn is_transcript(path: &Path) -> bool {
    let text = path.display().to_string();
    let in_folder =
        |folder: &str| text.contains(&format!("/{folder}/")) || text.ends_with(&format!("/{folder}"));
    SESSIONS.iter().any(|(_, folder, _)| in_folder(folder))
        || OF_PROJECT.iter().any(|(_, file)| path.ends_with(file))
}

/// Databases of agents, editors and tools.
pub(super) fn databases(look: &mut Look<'_>, agent: &Agent, tools: Whose) {
    let Some(home) = &agent.home else { return };
    let of_agents = DATABASES
        .iter()
        .map(|(owner, file)| (whose(agent, owner), Some(*owner), *file));
    let of_tools = OF_TOOLS.iter().map(|file| (tools, None, *file));
    for (whose, owner, file) in of_agents.chain(of_tools) {
        for file in [file.to_owned(), format!("{file}-wal")] {
            let name = Path::new(&file);
            let len = look.world.files.stat(&home.join(name)).map_or(0, |stat| stat.len);
            let read = look.tail((home, name), PAGES, &TOKENS, (whose, "a record", owner));
            if read.is_some_and(|read| read < len) {
                look.hole(format!(
                    "{}: only {} of its {} MiB were looked at",
                    home.join(name).display(),
                    read.unwrap_or(0) >> 20,
                    len >> 20
                ));
            }
        }
    }
}

/// Transcripts of this agent; of every agent where none was seen to run.
pub(super) fn transcripts(look: &mut Look<'_>, agent: &Agent) {
    let name = agent.name.as_deref();
    let is_it = |owner: &str| name.is_none_or(|name| name == owner);
    if let Some(home) = &agent.home {
        for (owner, folder, ends) in SESSIONS.iter().filter(|(owner, ..)| is_it(owner)) {
            let (all, whole) = look.below(home, Path::new(folder), ends);
            let mut read = 0;
            for file in all.iter().take(TRANSCRIPTS) {
                let place = (Whose::Transcript, PASSED, Some(*owner));
                if look.spent() || look.tail((home, file), TAIL, &[], place).is_none() {
                    break;
                }
                read += 1;
            }
            if read < all.len() || !whole {
                let at_least = if whole { "" } else { "at least " };
                look.hole(format!(
                    "of {at_least}{} transcripts of {owner} in {} the newest {read} were looked at; what passed through the others is not known",
                    all.len(),
                    home.join(folder).display(),
                ));
            }
        }
    }
    for folder in dotenv::upward(agent) {
        for (owner, file) in OF_PROJECT.iter().filter(|(owner, _)| is_it(owner)) {
            let place = (Whose::Transcript, PASSED, Some(*owner));
            look.tail((folder, Path::new(file)), TAIL, &[], place);
        }
    }
}

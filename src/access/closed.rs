//! What holds secrets and is not opened: keyrings and agents that give them to any program of their user. Each is
//! named with the line that shuts it.

use std::path::Path;

use super::Agent;
use super::look::Look;

/// Folder below the home, end of the names in it, what it is, the line that shuts it.
const KEYRINGS: [(&str, &str, &str, &str); 6] = [
    (
        ".local/share/keyrings",
        ".keyring",
        "a GNOME keyring",
        "secret-tool lock",
    ),
    (
        ".local/share/kwalletd",
        ".kwl",
        "a KDE wallet",
        "qdbus org.kde.kwalletd6 /modules/kwalletd6 closeAllWallets",
    ),
    (
        "Library/Keychains",
        ".keychain-db",
        "a keychain",
        "security lock-keychain",
    ),
    (
        ".password-store",
        ".gpg-id",
        "a password store",
        "gpgconf --kill gpg-agent",
    ),
    (
        ".local/share/python_keyring",
        ".cfg",
        "a keyring of Python",
        "delete it, and log in again later",
    ),
    (
        ".config/op",
        "config",
        "1Password's command line",
        "op signout --all",
    ),
];

/// Sockets of ssh agents: below the home, and below the folder of the user's session.
const OF_HOME: &str = ".ssh/agent";
const OF_SESSION: [&str; 5] = [
    "keyring/ssh",
    "gcr/ssh",
    "ssh-agent.socket",
    "openssh_agent",
    "gnupg/S.gpg-agent.ssh",
];

pub(super) fn look(look: &mut Look<'_>, agent: &Agent) {
    const MOST: usize = 32;
    if let Some(home) = &agent.home {
        for (folder, end, what, line) in KEYRINGS {
            for name in look.list(home, Path::new(folder), MOST) {
                if name.to_str().is_some_and(|n| n.ends_with(end)) {
                    let path = home.join(folder).join(name);
                    look.hole(format!(
                        "{} is {what} and was not opened: while it is unlocked, any program of its user can read it; to shut it: {line}",
                        path.display()
                    ));
                }
            }
        }
        for name in look.list(home, Path::new(OF_HOME), MOST) {
            socket(look, &home.join(OF_HOME).join(name), agent);
        }
    }
    let session = format!("/run/user/{}", agent.uid);
    for name in OF_SESSION {
        socket(look, &Path::new(&session).join(name), agent);
    }
}

fn socket(look: &mut Look<'_>, path: &Path, agent: &Agent) {
    let path = path.display().to_string();
    let carried = agent.variables.iter();
    let named = carried
        .filter(|v| v.name == "SSH_AUTH_SOCK")
        .any(|v| v.value.expose() == path);
    let is_socket = look
        .world
        .files
        .stat(Path::new(&path))
        .is_ok_and(|s| !s.is_file && !s.is_dir && !s.is_link && s.uid == agent.uid);
    if is_socket && !named {
        look.hole(format!(
            "every key in the ssh agent behind {path} may be used by any program of its user; to take them out: SSH_AUTH_SOCK={path} ssh-add -D"
        ));
    }
}

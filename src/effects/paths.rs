//! What kind of thing a path names, as far as its words say.

use crate::model::effect::Effect;

/// The effect of writing to or removing a path; `None` where writing there changes nothing.
pub(super) fn touched(path: &str) -> Option<&'static [Effect]> {
    let lower = path.to_ascii_lowercase();
    if matches!(
        lower.as_str(),
        "/dev/null" | "/dev/stdout" | "/dev/stderr" | "/dev/tty" | "-"
    ) {
        return None;
    }
    let kinds: [(&[&str], &'static [Effect]); 6] = [
        (
            &[
                ".ssh/",
                "authorized_keys",
                "/etc/shadow",
                "/etc/passwd",
                "/etc/sudoers",
                "/etc/group",
                ".aws/",
                ".kube/config",
                ".netrc",
                ".pgpass",
                "id_rsa",
                "id_ed25519",
                ".gnupg",
                ".vault-token",
                ".docker/config",
                "credentials",
                ".pem",
                ".key",
            ],
            &[Effect::CredentialChange],
        ),
        (
            &[
                "iptables",
                "nftables",
                "/ufw",
                "pg_hba.conf",
                "/pam.d",
                "selinux",
                "apparmor",
                ".git/hooks",
                ".claude/",
                ".codex/",
                ".cursor/",
                ".gemini/",
                ".github/workflows",
                "codeowners",
                "/audit",
            ],
            &[Effect::SecurityConfig],
        ),
        (
            &[
                "backup", ".bak", ".dump", "snapshot", "pg_wal", "archive", "/restic", "/borg",
            ],
            &[Effect::BackupChange, Effect::OneWay],
        ),
        (
            &[".tfstate", ".terraform"],
            &[Effect::InfraChange, Effect::OneWay],
        ),
        (
            &["_history", "/var/log/", ".jsonl", "/transcripts"],
            &[Effect::DataWrite, Effect::OneWay],
        ),
        (
            &[
                "/etc/",
                ".env",
                ".conf",
                ".cfg",
                ".ini",
                ".toml",
                ".yaml",
                ".yml",
                ".service",
                ".timer",
                "cron",
                ".bashrc",
                ".profile",
                "bash_profile",
                ".zshrc",
                "/proc/sys",
                "/sys/",
                "config",
            ],
            &[Effect::ConfigChange],
        ),
    ];
    if lower.starts_with("/dev/") && !lower.starts_with("/dev/shm/") {
        return Some(&[Effect::BulkData, Effect::OneWay]);
    }
    kinds
        .iter()
        .find(|(words, _)| words.iter().any(|word| lower.contains(word)))
        .map(|(_, effects)| *effects)
        .or(Some(&[Effect::DataWrite]))
}

/// Whether a path names a file that holds secrets, by the names that tools give them.
pub(super) fn secret(path: &str) -> bool {
    const ENDS: [&str; 12] = [
        "/.aws/credentials",
        "/.aws",
        "/.ssh",
        "/.kube/config",
        "/.docker/config.json",
        "/.git-credentials",
        "/.netrc",
        "/.pgpass",
        "/.my.cnf",
        "/.vault-token",
        "/etc/shadow",
        "/environ",
    ];
    let lower = format!("/{}", path.trim_end_matches('/').to_ascii_lowercase());
    let last = lower.rsplit('/').next().unwrap_or_default();
    let dotenv = (last == ".env" || last.starts_with(".env."))
        && ![".example", ".sample", ".template"]
            .iter()
            .any(|end| last.ends_with(end));
    let private = lower.contains("/.ssh/id_") && !last.ends_with(".pub");
    let key = last.ends_with(".key") && !last.starts_with('.') && !last.contains(['[', '{', '$']);
    dotenv || private || key || ENDS.iter().any(|end| lower.ends_with(end))
}

/// Whether a relative folder is one that tools build anew, such as `node_modules`.
pub(super) fn rebuildable(path: &str) -> bool {
    const FOLDERS: [&str; 14] = [
        "node_modules",
        "dist",
        "target",
        "build",
        "out",
        ".next",
        ".nuxt",
        ".cache",
        "__pycache__",
        ".pytest_cache",
        ".mypy_cache",
        "coverage",
        ".turbo",
        ".parcel-cache",
    ];
    let path = path.trim_end_matches('/');
    let path = path.strip_prefix("./").unwrap_or(path);
    let inside =
        !path.starts_with(['/', '~', '-']) && path.split('/').all(|part| !part.is_empty() && part != "..");
    inside
        && path
            .rsplit('/')
            .next()
            .is_some_and(|last| FOLDERS.contains(&last))
}

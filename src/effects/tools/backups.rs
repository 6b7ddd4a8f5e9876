//! Backup tools and file systems with snapshots.

use crate::model::effect::Effect::{
    self, BackupChange, BulkData, ConfigChange, DataRestore, DataWrite, InfraChange, OneWay, Protect, Read,
    Unknown,
};

use crate::effects::eye::{Cmd, Eye};
use crate::effects::options::{Options, Verbs, promises};

const LOSE: &[Effect] = &[BackupChange, OneWay];

const RESTIC: Verbs = Verbs {
    tool: "restic",
    options: Options {
        valued: "-r --repo --repository-file -p --password-file --cacert -o --option --cache-dir --tag --host",
        flags: "-q --quiet -v --verbose --json --no-lock --no-cache",
    },
    rows: &[
        ("snapshots", &[Read]),
        ("ls", &[Read]),
        ("find", &[Read]),
        ("stats", &[Read]),
        ("diff", &[Read]),
        ("cat", &[Read]),
        ("list", &[Read]),
        ("check", &[Read]),
        ("dump", &[Read]),
        ("version", &[Read]),
        ("backup", &[Protect]),
        ("copy", &[Protect]),
        ("restore", &[DataRestore]),
        ("forget", LOSE),
        ("prune", LOSE),
        ("rewrite", LOSE),
        ("unlock", &[BackupChange]),
        ("tag", &[BackupChange]),
        ("key list", &[Read]),
        ("key", &[Effect::CredentialChange, BackupChange, OneWay]),
        ("init", &[BackupChange]),
        ("migrate", LOSE),
        ("repair", LOSE),
    ],
};

/// `restic`; `--dry-run` only shows what would be forgotten or stored.
pub(super) fn restic(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let (words, known) = RESTIC.words(cmd.args);
    let names: &[&str] = if words.first() == Some(&"prune") {
        &["--dry-run"]
    } else {
        &["--dry-run", "-n"]
    };
    let dry = promises(cmd.args, names, "--prune -v --verbose --json -q");
    if dry
        && known
        && words
            .first()
            .is_some_and(|verb| matches!(*verb, "forget" | "prune" | "backup" | "restore"))
    {
        return eye.see(Read, &cmd.text(), "restic.dry-run");
    }
    if RESTIC.look(eye, cmd).is_some()
        && cmd
            .args
            .iter()
            .any(|arg| arg.text.contains("password-command") || arg.text.starts_with("-o"))
    {
        eye.unknown(&cmd.text(), "restic.runs-program");
    }
    if cmd
        .args
        .iter()
        .any(|arg| arg.text == "--delete" || arg.text.starts_with("--overwrite"))
    {
        eye.see_all(&[BulkData, OneWay], &cmd.text(), "restic.overwrites");
    }
}

const BORG: Verbs = Verbs {
    tool: "borg",
    options: Options {
        valued: "--lock-wait --rsh --remote-path -r --repo",
        flags: "-v --verbose --info -p --progress --log-json",
    },
    rows: &[
        ("list", &[Read]),
        ("info", &[Read]),
        ("diff", &[Read]),
        ("check", &[Read]),
        ("repo-list", &[Read]),
        ("create", &[Protect]),
        ("extract", &[DataRestore, DataWrite]),
        ("delete", LOSE),
        ("rdelete", LOSE),
        ("repo-delete", LOSE),
        ("prune", LOSE),
        ("compact", LOSE),
        ("recreate", LOSE),
        ("break-lock", &[BackupChange]),
        ("key", &[Effect::CredentialChange]),
    ],
};

/// `borg`; `--dry-run` and `-n` change nothing.
pub(super) fn borg(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let (words, known) = BORG.words(cmd.args);
    let verb = words.first().copied().unwrap_or_default();
    if promises(
        cmd.args,
        &["--dry-run", "-n"],
        "-v --verbose -P --progress --list --stats -s --force -i",
    ) && known
        && matches!(verb, "delete" | "prune" | "create" | "extract")
    {
        return eye.see(Read, &cmd.text(), "borg.dry-run");
    }
    if BORG.look(eye, cmd) == Some("check") && cmd.args.iter().any(|arg| arg.text.starts_with("--repair")) {
        eye.see_all(LOSE, &cmd.text(), "borg.repair");
    }
    if cmd
        .args
        .iter()
        .any(|arg| arg.text.starts_with("--rsh") || arg.text.starts_with("--remote-path"))
    {
        eye.unknown(&cmd.text(), "borg.runs-program");
    }
}

/// `kopia`, `duplicity`, `rdiff-backup`, `proxmox-backup-client`.
pub(super) fn others(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    const LOOKS: [&str; 12] = [
        "list",
        "ls",
        "show",
        "status",
        "list-current-files",
        "collection-status",
        "list-increments",
        "snapshots",
        "verify",
        "info",
        "--list-increments",
        "--version",
    ];
    const LOSES: [&str; 12] = [
        "delete",
        "forget",
        "prune",
        "expire",
        "remove-older-than",
        "remove-all-but-n-full",
        "cleanup",
        "gc",
        "remove",
        "rm",
        "maintenance",
        "set-retention",
    ];
    let line = cmd.text();
    let words: Vec<&str> = cmd.args.iter().map(|arg| arg.text.as_str()).take(4).collect();
    let named = |list: &[&str]| {
        words
            .iter()
            .any(|word| list.contains(word) || list.contains(&word.trim_start_matches('-')))
    };
    if named(&LOSES) {
        eye.see_all(LOSE, &line, "backup.loses");
    } else if named(&["restore", "mount"]) {
        eye.see_all(&[DataRestore, DataWrite], &line, "backup.restore");
    } else if named(&["create", "backup", "full", "incremental", "incr"]) {
        eye.see(Protect, &line, "backup.makes");
    } else if words.iter().take(2).any(|word| LOOKS.contains(word)) {
        eye.see(Read, &line, "backup.looks");
    } else {
        eye.unknown(&line, "backup.not-known");
    }
}

const DATABASE: Verbs = Verbs {
    tool: "backup",
    options: Options {
        valued: "--stanza --config --repo --log-level-console --type --target --set --pg1-path -c",
        flags: "-q --quiet -d --debug",
    },
    rows: &[
        ("info", &[Read]),
        ("check", &[Read]),
        ("verify", &[Read]),
        ("version", &[Read]),
        ("backup-list", &[Read]),
        ("wal-show", &[Read]),
        ("wal-verify", &[Read]),
        ("list-backup", &[Read]),
        ("list-backups", &[Read]),
        ("show-backup", &[Read]),
        ("show-server", &[Read]),
        ("status", &[Read]),
        ("repo-ls", &[Read]),
        ("backup", &[Protect]),
        ("backup-push", &[Protect]),
        ("keep", &[Protect]),
        ("backup-fetch", &[DataRestore]),
        ("restore", &[DataRestore]),
        ("recover", &[DataRestore]),
        ("expire", LOSE),
        ("delete", LOSE),
        ("stanza-delete", LOSE),
        ("stanza-create", &[BackupChange]),
        ("stanza-upgrade", &[BackupChange]),
        ("repo-rm", LOSE),
        ("stop", &[BackupChange]),
        ("start", &[BackupChange]),
        ("backup-mark", &[BackupChange]),
    ],
};

/// `pgbackrest`, `wal-g`, `barman`. A restore over what stands there is `--delta` or `--force`.
pub(super) fn database(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let row = DATABASE.look(eye, cmd);
    if row == Some("restore")
        && cmd
            .args
            .iter()
            .any(|arg| matches!(arg.text.as_str(), "--delta" | "--force" | "--delta=y"))
    {
        eye.see_all(&[BulkData, OneWay], &cmd.text(), "backup.restore-over");
    }
    if cmd
        .args
        .iter()
        .any(|arg| arg.text.contains("-command") || arg.text.starts_with("--cmd"))
    {
        eye.unknown(&cmd.text(), "backup.runs-program");
    }
}

const VOLUMES: Verbs = Verbs {
    tool: "volumes",
    options: Options {
        valued: "",
        flags: "",
    },
    rows: &[
        ("list", &[Read]),
        ("status", &[Read]),
        ("get", &[Read]),
        ("iostat", &[Read]),
        ("history", &[Read]),
        ("holds", &[Read]),
        ("diff", &[Read]),
        ("snapshot", &[Protect]),
        ("snap", &[Protect]),
        ("hold", &[Protect]),
        ("bookmark", &[Protect]),
        ("release", &[BackupChange]),
        ("clone", &[DataRestore]),
        ("rollback", &[DataRestore, BulkData, OneWay]),
        ("send", &[Read]),
        ("receive", &[DataRestore, BulkData]),
        ("recv", &[DataRestore, BulkData]),
        ("destroy", &[BackupChange, BulkData, OneWay]),
        ("create", &[InfraChange]),
        ("rename", &[InfraChange]),
        ("set", &[ConfigChange]),
        ("mount", &[ConfigChange]),
        ("unmount", &[ConfigChange, Effect::Traffic]),
        ("import", &[InfraChange]),
        ("export", &[InfraChange, Effect::Traffic]),
        ("subvolume list", &[Read]),
        ("subvolume show", &[Read]),
        ("subvolume snapshot", &[Protect]),
        ("subvolume delete", &[BackupChange, BulkData, OneWay]),
        ("subvolume create", &[InfraChange]),
        ("filesystem show", &[Read]),
        ("filesystem df", &[Read]),
        ("filesystem usage", &[Read]),
        ("listbackups", &[Read]),
        ("listlocalsnapshots", &[Read]),
        ("delete", LOSE),
        ("deletelocalsnapshots", LOSE),
        ("scrub", &[InfraChange]),
        ("labelclear", &[BulkData, OneWay]),
    ],
};

/// `zfs`, `zpool`, `btrfs`, `tmutil`.
pub(super) fn volumes(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    if cmd.name == "zfs"
        && cmd.args.first().is_some_and(|arg| arg.text == "destroy")
        && cmd
            .args
            .iter()
            .skip(1)
            .any(|arg| matches!(arg.text.as_str(), "-n" | "-nv" | "-nvr" | "-vn" | "-rn" | "-nr"))
    {
        return eye.see(Read, &cmd.text(), "volumes.destroy-dry-run");
    }
    VOLUMES.look(eye, cmd);
}

const RCLONE: Verbs = Verbs {
    tool: "rclone",
    options: Options {
        valued: "--config --transfers --checkers --log-level --bwlimit",
        flags: "-v -q -P --progress",
    },
    rows: &[
        ("ls", &[Read]),
        ("lsl", &[Read]),
        ("lsd", &[Read]),
        ("lsf", &[Read]),
        ("lsjson", &[Read]),
        ("size", &[Read]),
        ("check", &[Read]),
        ("cat", &[Read]),
        ("about", &[Read]),
        ("md5sum", &[Read]),
        ("tree", &[Read]),
        ("listremotes", &[Read]),
        ("copy", &[DataWrite]),
        ("copyto", &[DataWrite]),
        ("mkdir", &[DataWrite]),
        ("sync", &[BulkData, OneWay]),
        ("bisync", &[BulkData, OneWay]),
        ("move", &[BulkData]),
        ("moveto", &[BulkData]),
        ("delete", &[BulkData, OneWay]),
        ("deletefile", &[DataWrite, OneWay]),
        ("purge", &[BulkData, OneWay]),
        ("rmdirs", &[DataWrite]),
        ("cleanup", LOSE),
        ("config", &[Effect::CredentialChange]),
    ],
};

/// `rclone`; `--dry-run` changes nothing.
pub(super) fn rclone(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let (words, known) = RCLONE.words(cmd.args);
    let verb = words.first().copied().unwrap_or_default();
    if promises(
        cmd.args,
        &["--dry-run", "-n"],
        "-v --verbose -P --progress --list --stats -s --force -i",
    ) && known
        && matches!(verb, "copy" | "sync" | "move" | "delete" | "purge")
    {
        return eye.see(Read, &cmd.text(), "rclone.dry-run");
    }
    RCLONE.look(eye, cmd);
    if cmd.args.iter().any(|arg| arg.text.contains("password-command")) {
        eye.see(Unknown, &cmd.text(), "rclone.runs-program");
    }
}

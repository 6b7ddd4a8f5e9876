//! Services, processes, timers, the host's network and its firewall.

use crate::model::effect::Effect::{
    ConfigChange, InfraChange, OneWay, Read, SecurityConfig, ServiceRestart, Traffic, Unknown,
};

use crate::effects::eye::{Cmd, Eye};
use crate::effects::options::{Options, Verbs};

use super::reads::acts;

const SYSTEMCTL: Verbs = Verbs {
    tool: "systemctl",
    options: Options {
        valued: "-t --type --state -p --property -n --lines -o --output -s --signal --kill-whom",
        flags: "-a --all -l --full --no-pager --no-legend --user --system --plain -q --quiet --no-block --now --no-ask-password --failed --value -r --recursive --no-wall --runtime --force -f",
    },
    rows: &[
        ("status", &[Read]),
        ("show", &[Read]),
        ("cat", &[Read]),
        ("is-active", &[Read]),
        ("is-enabled", &[Read]),
        ("is-failed", &[Read]),
        ("is-system-running", &[Read]),
        ("list-*", &[Read]),
        ("get-default", &[Read]),
        ("show-environment", &[Read]),
        ("restart", &[ServiceRestart]),
        ("try-restart", &[ServiceRestart]),
        ("reload", &[ServiceRestart]),
        ("reload-or-restart", &[ServiceRestart]),
        ("start", &[ServiceRestart]),
        ("reset-failed", &[ServiceRestart]),
        // A service that stays down takes its users' traffic with it.
        ("stop", &[ServiceRestart, Traffic]),
        ("kill", &[ServiceRestart, Traffic]),
        ("freeze", &[Traffic]),
        ("thaw", &[Traffic]),
        ("enable", &[ConfigChange]),
        ("disable", &[ConfigChange]),
        ("mask", &[ConfigChange]),
        ("unmask", &[ConfigChange]),
        ("reenable", &[ConfigChange]),
        ("preset", &[ConfigChange]),
        ("revert", &[ConfigChange]),
        ("edit", &[ConfigChange, Unknown]),
        ("link", &[ConfigChange]),
        ("daemon-reload", &[ConfigChange]),
        ("set-property", &[ConfigChange]),
        ("set-default", &[ConfigChange]),
        ("set-environment", &[ConfigChange, Unknown]),
        ("isolate", &[Traffic, InfraChange]),
        ("reboot", &[ServiceRestart, Traffic, OneWay]),
        ("poweroff", &[InfraChange, Traffic, OneWay]),
        ("halt", &[InfraChange, Traffic, OneWay]),
        ("kexec", &[InfraChange, Traffic, OneWay]),
    ],
};

/// Units that guard or record: stopping one is no mere restart.
const GUARDS: [&str; 9] = [
    "audit", "firewall", "falco", "fail2ban", "crowdsec", "apparmor", "nftables", "iptables", "osquery",
];

/// `systemctl`.
pub(super) fn systemctl(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    if cmd.args.is_empty() || cmd.args.len() == 1 && cmd.has("--failed") {
        return eye.see(Read, &line, "systemctl.list");
    }
    let Some(row) = SYSTEMCTL.look(eye, cmd) else {
        return;
    };
    let reads = SYSTEMCTL
        .rows
        .iter()
        .any(|(name, effects)| *name == row && **effects == [Read]);
    let guard = cmd
        .args
        .iter()
        .any(|arg| GUARDS.iter().any(|guard| arg.text.contains(guard)));
    if guard && !reads {
        eye.see(SecurityConfig, &line, "systemctl.guard");
    }
    if cmd.has("--now") && !reads {
        eye.see_all(&[ServiceRestart, Traffic], &line, "systemctl.now");
    }
}

/// `service NAME VERB`, `rc-service`, `supervisorctl VERB NAME`.
pub(super) fn service(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let has = |words: &[&str]| cmd.args.iter().any(|arg| words.contains(&arg.text.as_str()));
    if has(&["stop", "shutdown", "kill", "delete"]) {
        eye.see_all(&[ServiceRestart, Traffic], &line, "service.stop");
    } else if has(&["restart", "reload", "start", "force-reload"]) {
        eye.see(ServiceRestart, &line, "service.restart");
    } else if has(&["status", "--status-all", "list", "ls"]) {
        eye.see(Read, &line, "service.status");
    } else {
        eye.unknown(&line, "service.verb-not-known");
    }
}

/// `kill` and its broad relatives. Signal 0 only asks.
pub(super) fn kill(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let asks = cmd
        .args
        .first()
        .is_some_and(|arg| matches!(arg.text.as_str(), "-0" | "-l" | "-L"));
    if asks {
        return eye.see(Read, &line, "kill.asks");
    }
    eye.see_all(&[ServiceRestart, Traffic], &line, "kill.process");
    if cmd.name != "kill" || cmd.args.iter().skip(1).any(|arg| arg.text.starts_with('-')) {
        // Which processes a name or a group matches is not in the text.
        eye.unknown(&line, "kill.many");
    }
}

/// `reboot`, `shutdown`: what only memory held is lost.
pub(super) fn power(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    if cmd.has("-c") {
        return eye.see(ServiceRestart, &line, "power.cancel");
    }
    eye.see_all(
        &[ServiceRestart, InfraChange, Traffic, OneWay],
        &line,
        "power.off",
    );
}

/// `crontab` and `at`.
pub(super) fn schedule(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let only = |option: &str| {
        cmd.args
            .iter()
            .all(|arg| arg.text == option || !arg.text.starts_with('-') || arg.text == "-u")
    };
    if cmd.has("-l") && only("-l") {
        return eye.see(Read, &line, "schedule.list");
    }
    eye.see(ConfigChange, &line, "schedule.change");
    if cmd.args.iter().any(|arg| acts(&arg.text, "-r -d")) || cmd.name == "atrm" {
        eye.see(OneWay, &line, "schedule.remove");
    } else {
        eye.unknown(&line, "schedule.runs-later");
    }
}

/// Firewalls: listing reads, everything else changes a guard.
pub(super) fn firewall(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let has = |words: &[&str]| cmd.args.iter().any(|arg| words.contains(&arg.text.as_str()));
    let writes = cmd.args.iter().any(|arg| {
        matches!(
            arg.text.split('=').next().unwrap_or_default(),
            "-F" | "-X"
                | "-Z"
                | "-P"
                | "-A"
                | "-D"
                | "-I"
                | "-R"
                | "-N"
                | "-E"
                | "--flush"
                | "--append"
                | "--delete"
                | "--insert"
                | "--replace"
                | "--policy"
                | "--zero"
                | "-f"
                | "--file"
                | "add"
                | "delete"
                | "flush"
                | "insert"
                | "destroy"
                | "create"
                | "replace"
                | "reset"
                | "rename"
                | "enable"
                | "disable"
                | "allow"
                | "deny"
                | "reject"
        ) || arg.text.starts_with("--add")
            || arg.text.starts_with("--remove")
            || arg.text.starts_with("--set")
    });
    let lists = has(&[
        "-L",
        "-S",
        "--list",
        "--list-rules",
        "list",
        "status",
        "--list-all",
        "--state",
        "--get-default-zone",
        "-nL",
        "-vnL",
        "-nvL",
        "-Ln",
        "-Lnv",
        "show",
        "--list-all-zones",
    ]) || cmd.name.ends_with("-save") && cmd.args.is_empty();
    if lists && !writes {
        return eye.see(Read, &line, "firewall.list");
    }
    eye.see(SecurityConfig, &line, "firewall.change");
    if has(&["-F", "--flush", "flush", "reset", "disable", "-X"]) {
        eye.see(OneWay, &line, "firewall.flush");
    }
}

/// `ip`, `tc`: showing reads.
pub(super) fn network(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let words: Vec<&str> = cmd
        .args
        .iter()
        .map(|arg| arg.text.as_str())
        .filter(|word| !word.starts_with('-'))
        .collect();
    let plain = cmd.args.iter().all(|arg| {
        !arg.text.starts_with('-')
            || matches!(
                arg.text.as_str(),
                "-4" | "-6" | "-s" | "-br" | "-brief" | "-j" | "-json" | "-d" | "-c" | "-o"
            )
    });
    let shows = matches!(
        words.as_slice(),
        [_] | [_, "show" | "list" | "ls" | "get" | "s" | "sh", ..]
    );
    if shows && plain && words.first() != Some(&"netns") && words.first() != Some(&"monitor") {
        eye.see(Read, &line, "network.show");
    } else {
        eye.see_all(&[Traffic, ConfigChange], &line, "network.change");
        if words.first() == Some(&"netns") {
            eye.unknown(&line, "network.namespace");
        }
    }
}

/// `sysctl`.
pub(super) fn sysctl(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let writes = cmd
        .args
        .iter()
        .any(|arg| acts(&arg.text, "-w -p -f --write --load --system") || arg.text.contains('='));
    eye.see(if writes { ConfigChange } else { Read }, &line, "sysctl");
}

/// What guards or records the host.
pub(super) fn guard(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let shows = cmd.args.is_empty() && matches!(cmd.name, "getenforce" | "sestatus" | "aa-status")
        || cmd.name == "ausearch"
        || cmd.name == "aureport"
        || cmd.name == "auditctl" && matches!(cmd.args, [only] if matches!(only.text.as_str(), "-l" | "-s"));
    eye.see(if shows { Read } else { SecurityConfig }, &line, "guard");
}

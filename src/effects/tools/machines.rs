//! Virtual machines, system containers, process managers, web servers.

use crate::model::effect::Effect::{
    BackupChange, BulkData, ConfigChange, DataRestore, DataWrite, InfraChange, OneWay, Protect, Read,
    ServiceRestart, Traffic, Unknown,
};

use crate::effects::eye::{Cmd, Eye};
use crate::effects::options::{Options, Verbs};
use crate::effects::wrappers;

const MACHINES: Verbs = Verbs {
    tool: "machines",
    options: Options {
        valued: "-c --connect --project",
        flags: "-q --quiet -v --verbose",
    },
    rows: &[
        ("list", &[Read]),
        ("ls", &[Read]),
        ("info", &[Read]),
        ("dominfo", &[Read]),
        ("domstate", &[Read]),
        ("status", &[Read]),
        ("global-status", &[Read]),
        ("version", &[Read]),
        ("snapshot-list", &[Read]),
        ("snapshot-create", &[Protect]),
        ("snapshot-create-as", &[Protect]),
        ("snapshot-revert", &[DataRestore, BulkData, OneWay]),
        ("snapshot-delete", &[BackupChange, OneWay]),
        ("snapshot save", &[Protect]),
        ("snapshot restore", &[DataRestore, BulkData, OneWay]),
        ("snapshot delete", &[BackupChange, OneWay]),
        ("snapshot", &[Protect]),
        ("restore", &[DataRestore, BulkData, OneWay]),
        ("reboot", &[ServiceRestart]),
        ("restart", &[ServiceRestart]),
        ("start", &[ServiceRestart]),
        ("reload", &[ServiceRestart, Unknown]),
        ("stop", &[ServiceRestart, Traffic]),
        ("shutdown", &[ServiceRestart, Traffic]),
        ("halt", &[ServiceRestart, Traffic]),
        ("suspend", &[Traffic]),
        ("resume", &[Traffic]),
        ("destroy", &[InfraChange, Traffic, OneWay]),
        ("undefine", &[InfraChange, BulkData, OneWay]),
        ("vol-delete", &[InfraChange, BulkData, OneWay]),
        ("vol-wipe", &[InfraChange, BulkData, OneWay]),
        ("pool-delete", &[InfraChange, BulkData, OneWay]),
        ("delete", &[InfraChange, BulkData, OneWay]),
        ("purge", &[InfraChange, BulkData, OneWay]),
        ("storage delete", &[InfraChange, BulkData, OneWay]),
        ("storage volume delete", &[InfraChange, BulkData, OneWay]),
        ("config", &[ConfigChange]),
        ("edit", &[ConfigChange, Unknown]),
        ("file", &[DataWrite]),
        ("launch", &[InfraChange, Unknown]),
        ("up", &[InfraChange, Unknown]),
        ("exec", &[Unknown]),
        ("ssh", &[Unknown]),
        ("shell", &[Unknown]),
    ],
};

/// `virsh`, `lxc`, `incus`, `multipass`, `vagrant`: what runs inside is looked for.
pub(super) fn machines(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    if matches!(MACHINES.look(eye, cmd), Some("exec" | "ssh" | "shell") | None) {
        wrappers::suspects(eye, cmd, cmd.args.get(1..).unwrap_or_default());
    }
}

pub(super) const PM2: Verbs = Verbs {
    tool: "pm2",
    options: Options {
        valued: "",
        flags: "",
    },
    rows: &[
        ("list", &[Read]),
        ("ls", &[Read]),
        ("status", &[Read]),
        ("logs", &[Read]),
        ("describe", &[Read]),
        ("info", &[Read]),
        ("restart", &[ServiceRestart]),
        ("reload", &[ServiceRestart]),
        ("stop", &[ServiceRestart, Traffic]),
        ("delete", &[ConfigChange, Traffic]),
        ("kill", &[ConfigChange, Traffic]),
        ("flush", &[DataWrite, OneWay]),
        ("start", &[Unknown]),
    ],
};

/// `nginx -t` only looks; `-s reload` is a restart, with the configuration that is there.
pub(super) fn web_server(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let words: Vec<&str> = cmd.args.iter().map(|arg| arg.text.as_str()).collect();
    match words.as_slice() {
        ["-t" | "-T" | "-v" | "-V" | "configtest" | "-S"] | ["-t", "-q"] => {
            eye.see(Read, &line, "web-server.looks");
        }
        ["-s", "reload" | "reopen"] | ["graceful" | "restart"] => {
            eye.see(ServiceRestart, &line, "web-server.reload");
        }
        ["-s", "stop" | "quit"] | ["stop" | "graceful-stop"] => {
            eye.see_all(&[ServiceRestart, Traffic], &line, "web-server.stop");
        }
        _ => eye.unknown(&line, "web-server.not-known"),
    }
}

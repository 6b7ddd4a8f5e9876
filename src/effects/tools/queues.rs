//! Queues, schedulers and registries of services.

use crate::model::effect::Effect::{
    BackupChange, BulkData, ConfigChange, ConfigRollback, CredentialChange, DataWrite, Deploy, InfraChange,
    OneWay, Protect, Read, SecurityConfig, ServiceRestart, Traffic,
};

use crate::effects::eye::{Cmd, Eye};
use crate::effects::options::{Options, Verbs};

/// Kafka's own scripts: the options say what they do.
pub(super) fn kafka(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let asks = |option: &str| {
        cmd.args
            .iter()
            .any(|arg| arg.text == option || arg.text.starts_with(&format!("{option}=")))
    };
    // The whole option only: these parsers take abbreviations, and `--del` deletes.
    const ASKS: [&str; 5] = ["--list", "--describe", "--version", "--help", "--state"];
    const BESIDE: [&str; 12] = [
        "--bootstrap-server",
        "--topic",
        "--group",
        "--all-groups",
        "--command-config",
        "--entity-type",
        "--entity-name",
        "--members",
        "--verbose",
        "--under-replicated-partitions",
        "--unavailable-partitions",
        "--exclude-internal",
    ];
    let known = |arg: &str| {
        let name = arg.split('=').next().unwrap_or_default();
        !arg.starts_with('-') || ASKS.contains(&name) || BESIDE.contains(&name)
    };
    if ASKS.iter().any(|option| asks(option)) && cmd.args.iter().all(|arg| known(&arg.text)) {
        return eye.see(Read, &line, "kafka.asks");
    }
    if asks("--delete") || asks("--delete-offsets") || cmd.name.starts_with("kafka-delete") {
        eye.see_all(&[BulkData, OneWay], &line, "kafka.delete");
    } else if asks("--reset-offsets") {
        eye.see_all(&[DataWrite, OneWay], &line, "kafka.reset-offsets");
    } else if asks("--alter") && cmd.name.starts_with("kafka-configs") {
        // Shortening the retention deletes what is older.
        eye.see_all(&[ConfigChange, OneWay], &line, "kafka.configs");
    } else if asks("--alter") || asks("--create") {
        eye.see(InfraChange, &line, "kafka.alter");
    } else {
        eye.unknown(&line, "kafka.not-known");
    }
    if cmd.name.starts_with("kafka-acls") {
        eye.see(SecurityConfig, &line, "kafka.acls");
    }
}

pub(super) const RABBIT: Verbs = Verbs {
    tool: "rabbitmq",
    options: Options {
        valued: "-n --node -p --vhost -t --timeout --formatter -H --host -P --port -u --username --password -V -f --format",
        flags: "-q --quiet -s --silent -l --longnames",
    },
    rows: &[
        ("list*", &[Read]),
        ("status", &[Read]),
        ("cluster_status", &[Read]),
        ("report", &[Read]),
        ("ping", &[Read]),
        ("check*", &[Read]),
        ("environment", &[Read]),
        ("show", &[Read]),
        ("purge_queue", &[BulkData, OneWay]),
        ("purge", &[BulkData, OneWay]),
        ("delete_queue", &[BulkData, InfraChange, OneWay]),
        ("delete_vhost", &[BulkData, InfraChange, OneWay]),
        ("delete queue", &[BulkData, InfraChange, OneWay]),
        ("delete vhost", &[BulkData, InfraChange, OneWay]),
        ("delete", &[InfraChange, OneWay]),
        ("declare", &[InfraChange]),
        ("publish", &[DataWrite]),
        ("get", &[DataWrite]),
        ("export", &[DataWrite]),
        ("import", &[BulkData, ConfigChange]),
        ("reset", &[BulkData, InfraChange, OneWay]),
        ("force_reset", &[BulkData, InfraChange, OneWay]),
        ("forget_cluster_node", &[InfraChange, OneWay]),
        ("stop_app", &[ServiceRestart, Traffic]),
        ("start_app", &[ServiceRestart]),
        ("stop", &[ServiceRestart, Traffic]),
        ("shutdown", &[ServiceRestart, Traffic]),
        ("close*", &[Traffic]),
        ("add_user", &[CredentialChange]),
        ("delete_user", &[CredentialChange, OneWay]),
        ("change_password", &[CredentialChange]),
        ("set_permissions", &[CredentialChange]),
        ("set_user_tags", &[CredentialChange]),
        ("clear*", &[ConfigChange]),
        ("set*", &[ConfigChange]),
    ],
};

pub(super) const NATS: Verbs = Verbs {
    tool: "nats",
    options: Options {
        valued: "-s --server --user --password --creds --nkey --context --timeout",
        flags: "",
    },
    rows: &[
        ("stream ls", &[Read]),
        ("stream info", &[Read]),
        ("stream report", &[Read]),
        ("stream view", &[Read]),
        ("consumer ls", &[Read]),
        ("consumer info", &[Read]),
        ("server ping", &[Read]),
        ("server report", &[Read]),
        ("kv ls", &[Read]),
        ("kv get", &[Read]),
        ("stream backup", &[Protect, DataWrite]),
        ("stream purge", &[BulkData, OneWay]),
        ("stream rm", &[BulkData, InfraChange, OneWay]),
        ("stream rmm", &[DataWrite, OneWay]),
        ("stream restore", &[BulkData]),
        ("consumer rm", &[InfraChange, OneWay]),
        ("kv put", &[DataWrite]),
        ("kv del", &[DataWrite, OneWay]),
        ("kv purge", &[DataWrite, OneWay]),
        ("pub", &[DataWrite]),
    ],
};

pub(super) const CONSUL: Verbs = Verbs {
    tool: "consul",
    options: Options {
        valued: "",
        flags: "",
    },
    rows: &[
        ("members", &[Read]),
        ("info", &[Read]),
        ("version", &[Read]),
        ("catalog", &[Read]),
        ("monitor", &[Read]),
        ("kv get", &[Read]),
        ("kv export", &[Read]),
        ("kv put", &[ConfigChange]),
        ("kv delete", &[ConfigChange, BulkData, OneWay]),
        ("kv import", &[ConfigChange, BulkData]),
        ("operator raft list-peers", &[Read]),
        ("snapshot save", &[Protect, DataWrite]),
        ("snapshot restore", &[BackupChange, BulkData, OneWay]),
        ("acl", &[CredentialChange]),
        ("services register", &[Traffic, ConfigChange]),
        ("services deregister", &[Traffic, ConfigChange]),
        ("config", &[ConfigChange]),
        ("intention", &[SecurityConfig]),
        ("maint", &[Traffic]),
        ("leave", &[InfraChange, Traffic]),
        ("force-leave", &[InfraChange, Traffic]),
    ],
};

pub(super) const NOMAD: Verbs = Verbs {
    tool: "nomad",
    options: Options {
        valued: "",
        flags: "",
    },
    rows: &[
        ("status", &[Read]),
        ("job status", &[Read]),
        ("job history", &[Read]),
        ("job plan", &[Read]),
        ("job validate", &[Read]),
        ("job inspect", &[Read]),
        ("plan", &[Read]),
        ("alloc status", &[Read]),
        ("alloc logs", &[Read]),
        ("node status", &[Read]),
        ("server members", &[Read]),
        ("alloc restart", &[ServiceRestart]),
        ("job restart", &[ServiceRestart]),
        ("alloc stop", &[ServiceRestart, Traffic]),
        ("job run", &[Deploy]),
        ("run", &[Deploy]),
        ("job revert", &[ConfigRollback]),
        ("job scale", &[Traffic, InfraChange]),
        ("job stop", &[InfraChange, Traffic, OneWay]),
        ("stop", &[InfraChange, Traffic, OneWay]),
        ("node drain", &[Traffic, ServiceRestart]),
        ("system gc", &[InfraChange, OneWay]),
        ("acl", &[CredentialChange]),
        ("namespace delete", &[InfraChange, OneWay]),
        ("volume delete", &[InfraChange, BulkData, OneWay]),
    ],
};

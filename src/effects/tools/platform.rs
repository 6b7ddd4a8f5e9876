//! Object stores and hosting platforms: `gsutil`, `bq`, `fly`, `heroku` and their kind.

use crate::model::effect::Effect::{
    BackupChange, BulkData, ConfigChange, ConfigRollback, CredentialChange, DataRestore, DataWrite, Deploy,
    InfraChange, OneWay, Protect, Read, SchemaChange, SecurityConfig, ServiceRestart, Traffic, Unknown,
};

use crate::effects::eye::{Cmd, Eye};
use crate::effects::options::{Options, Verbs};
use crate::effects::sql::{self, Dialect};

use super::reads::acts;
use crate::effects::wrappers;

const OBJECTS: Verbs = Verbs {
    tool: "objects",
    options: Options {
        valued: "-o -h --project_id --dataset_id --format",
        flags: "-m -q --quiet",
    },
    rows: &[
        ("ls", &[Read]),
        ("cat", &[Read]),
        ("stat", &[Read]),
        ("du", &[Read]),
        ("hash", &[Read]),
        ("show", &[Read]),
        ("head", &[Read]),
        ("tree", &[Read]),
        ("find", &[Read]),
        ("version", &[Read]),
        ("cp", &[DataWrite]),
        ("put", &[DataWrite]),
        ("rsync", &[BulkData]),
        ("mirror", &[BulkData]),
        ("sync", &[BulkData]),
        ("mv", &[DataWrite, OneWay]),
        ("rm", &[BulkData, OneWay]),
        ("del", &[DataWrite, OneWay]),
        ("rb", &[InfraChange, BulkData, OneWay]),
        ("mb", &[InfraChange]),
        ("mk", &[InfraChange]),
        ("load", &[BulkData]),
        ("insert", &[DataWrite]),
        ("acl", &[SecurityConfig]),
        ("iam", &[CredentialChange]),
        ("lifecycle", &[BackupChange]),
        ("versioning", &[BackupChange]),
        ("retention", &[BackupChange]),
        ("query", &[]),
    ],
};

/// `gsutil`, `bq`, `mc`, `s3cmd`.
pub(super) fn objects(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    match OBJECTS.look(eye, cmd) {
        Some("query") => {
            if cmd.args.iter().any(|arg| {
                acts(
                    &arg.text,
                    "--destination_table --replace --append_table --use_legacy_sql --flagfile",
                )
            }) {
                eye.unknown(&line, "objects.query-option");
            }
            match cmd.args.last() {
                Some(text) => sql::detect(eye, &text.text, Dialect::Generic),
                None => eye.unknown(&line, "objects.query"),
            }
        }
        Some("rsync") if cmd.has("-n") => {}
        _ => {}
    }
}

const PLATFORM: Verbs = Verbs {
    tool: "platform",
    options: Options {
        valued: "-a --app -t --token --scope --org -o --site --environment -e --service -s --project -r --remote --team",
        flags: "--json --yes -y --debug --prod --help --version",
    },
    rows: &[
        ("status", &[Read]),
        ("logs", &[Read]),
        ("ps $", &[Read]),
        ("list", &[Read]),
        ("ls", &[Read]),
        ("info", &[Read]),
        ("whoami", &[Read]),
        ("apps $", &[Read]),
        ("apps list", &[Read]),
        ("apps:info", &[Read]),
        ("releases $", &[Read]),
        ("config $", &[CredentialChange]),
        ("config:get", &[CredentialChange]),
        ("pg:info", &[Read]),
        ("pg:backups $", &[Read]),
        ("pg:backups:capture", &[Protect]),
        ("pg:backups:restore", &[DataRestore, BulkData, OneWay]),
        ("pg:backups:delete", &[BackupChange, OneWay]),
        ("pg:reset", &[BulkData, SchemaChange, OneWay]),
        ("pg:*", &[InfraChange, Unknown]),
        ("config:*", &[ConfigChange]),
        ("apps:destroy", &[InfraChange, BulkData, OneWay]),
        ("apps destroy", &[InfraChange, BulkData, OneWay]),
        ("machine destroy", &[InfraChange, BulkData, OneWay]),
        ("machine list", &[Read]),
        ("machine restart", &[ServiceRestart]),
        ("machine stop", &[ServiceRestart, Traffic]),
        ("machine", &[InfraChange, Unknown]),
        ("ssh", &[Unknown]),
        ("run:detached", &[Unknown]),
        ("console", &[Unknown]),
        ("addons:destroy", &[InfraChange, BulkData, OneWay]),
        ("sites:delete", &[InfraChange, BulkData, OneWay]),
        ("volumes list", &[Read]),
        ("volumes destroy", &[InfraChange, BulkData, BackupChange, OneWay]),
        ("volume delete", &[InfraChange, BulkData, BackupChange, OneWay]),
        ("volumes snapshots list", &[Read]),
        ("volumes snapshots create", &[Protect]),
        ("maintenance:*", &[Traffic]),
        ("ps:restart", &[ServiceRestart]),
        ("restart", &[ServiceRestart]),
        ("apps restart", &[ServiceRestart]),
        ("ps:scale", &[Traffic]),
        ("scale", &[Traffic, InfraChange]),
        ("rollback", &[ConfigRollback]),
        ("releases:rollback", &[ConfigRollback]),
        ("promote", &[Deploy]),
        ("deploy", &[Deploy]),
        ("up", &[Deploy]),
        ("publish", &[Deploy]),
        ("redeploy", &[Deploy]),
        ("secrets list", &[Read]),
        ("secrets", &[CredentialChange, ConfigChange]),
        ("secret", &[CredentialChange, ConfigChange]),
        ("env ls", &[Read]),
        ("env", &[ConfigChange]),
        ("variables", &[ConfigChange]),
        ("rm", &[InfraChange, OneWay]),
        ("remove", &[InfraChange, OneWay]),
        ("delete", &[InfraChange, BulkData, OneWay]),
        ("down", &[InfraChange, Traffic, OneWay]),
        ("d1 execute", &[Unknown]),
        ("tokens", &[CredentialChange]),
        ("auth", &[CredentialChange]),
        ("login", &[CredentialChange]),
        ("access", &[CredentialChange]),
        ("run", &[Unknown]),
    ],
};

/// `fly`, `heroku`, `vercel`, `netlify`, `railway`; what is run over there is looked for.
pub(super) fn platform(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    if matches!(
        PLATFORM.look(eye, cmd),
        Some("run" | "run:detached" | "ssh" | "machine" | "console")
    ) {
        wrappers::suspects(eye, cmd, cmd.args.get(1..).unwrap_or_default());
    }
}

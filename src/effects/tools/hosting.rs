//! Databases, sites and payments that somebody else runs: `supabase`, `neonctl`, `wrangler`, `stripe` and their kind.

use crate::model::effect::Effect::{
    BackupChange, BulkData, ConfigChange, ConfigRollback, CredentialChange, DataRestore, DataWrite, Deploy,
    InfraChange, OneWay, Read, SchemaChange, SecurityConfig, Unknown,
};

use crate::effects::eye::{Cmd, Eye};
use crate::effects::options::{Options, Verbs};

pub(super) const SUPABASE: Verbs = Verbs {
    tool: "supabase",
    options: Options {
        valued: "--workdir --project-ref --profile --output -o --network-id",
        flags: "--debug --experimental --linked --local --yes",
    },
    rows: &[
        ("status", &[CredentialChange]),
        ("projects list", &[Read]),
        ("projects api-keys", &[CredentialChange]),
        ("projects create", &[InfraChange]),
        ("projects delete", &[InfraChange, BulkData, BackupChange, OneWay]),
        ("orgs list", &[Read]),
        ("branches list", &[Read]),
        ("branches get", &[CredentialChange]),
        ("branches delete", &[InfraChange, BulkData, OneWay]),
        ("branches", &[InfraChange]),
        ("backups list", &[Read]),
        ("backups restore", &[DataRestore, BulkData, OneWay]),
        ("migration list", &[Read]),
        ("migration up", &[SchemaChange, Unknown]),
        ("migration repair", &[SchemaChange]),
        ("migration down", &[SchemaChange, BulkData, OneWay]),
        ("db reset", &[SchemaChange, BulkData, OneWay]),
        ("db push", &[SchemaChange, Unknown]),
        ("db dump", &[DataWrite]),
        ("db diff", &[DataWrite]),
        ("db lint", &[Read]),
        ("db pull", &[ConfigChange]),
        ("inspect", &[Read]),
        ("functions list", &[Read]),
        ("functions deploy", &[Deploy]),
        ("functions delete", &[Deploy, OneWay]),
        ("secrets list", &[Read]),
        ("secrets", &[CredentialChange, ConfigChange]),
        ("storage ls", &[Read]),
        ("storage rm", &[BulkData, OneWay]),
        ("storage", &[DataWrite]),
        ("config push", &[ConfigChange]),
        ("network-restrictions", &[SecurityConfig]),
        ("network-bans get", &[Read]),
        ("network-bans", &[SecurityConfig]),
        ("postgres-config get", &[Read]),
        ("postgres-config", &[ConfigChange]),
        ("stop", &[InfraChange]),
        ("start", &[InfraChange]),
        ("link", &[ConfigChange]),
        ("login", &[CredentialChange]),
    ],
};

pub(super) const NEON: Verbs = Verbs {
    tool: "neon",
    options: Options {
        valued: "--project-id --org-id -o --output --config-dir --api-key --context-file --branch",
        flags: "--no-color --no-analytics",
    },
    rows: &[
        ("me", &[Read]),
        ("projects list", &[Read]),
        ("projects get", &[Read]),
        ("projects create", &[InfraChange, CredentialChange]),
        ("projects update", &[InfraChange]),
        ("projects delete", &[InfraChange, BulkData, BackupChange, OneWay]),
        ("branches list", &[Read]),
        ("branches get", &[Read]),
        ("branches schema-diff", &[Read]),
        ("branches create", &[InfraChange]),
        ("branches delete", &[InfraChange, BulkData, OneWay]),
        ("branches reset", &[BulkData, OneWay]),
        ("branches restore", &[DataRestore, BulkData, OneWay]),
        ("branches", &[InfraChange]),
        ("databases list", &[Read]),
        ("databases create", &[SchemaChange]),
        ("databases delete", &[SchemaChange, BulkData, OneWay]),
        ("roles list", &[Read]),
        ("roles", &[CredentialChange]),
        ("operations list", &[Read]),
        ("ip-allow list", &[Read]),
        ("ip-allow", &[SecurityConfig]),
        ("connection-string", &[CredentialChange]),
        ("auth", &[CredentialChange]),
    ],
};

pub(super) const WRANGLER: Verbs = Verbs {
    tool: "wrangler",
    options: Options {
        valued: "-c --config -e --env --cwd --namespace-id --binding",
        flags: "--remote --local --preview",
    },
    rows: &[
        ("tail", &[Read]),
        ("whoami", &[Read]),
        ("deployments list", &[Read]),
        ("deployments status", &[Read]),
        ("versions list", &[Read]),
        ("versions view", &[Read]),
        ("versions upload", &[Deploy]),
        ("versions deploy", &[Deploy]),
        ("deploy", &[Deploy]),
        ("publish", &[Deploy]),
        ("pages deploy", &[Deploy]),
        ("pages project list", &[Read]),
        ("pages project delete", &[InfraChange, BulkData, OneWay]),
        ("rollback", &[ConfigRollback]),
        ("delete", &[InfraChange, Deploy, OneWay]),
        ("kv namespace list", &[Read]),
        ("kv namespace delete", &[InfraChange, BulkData, OneWay]),
        ("kv namespace", &[InfraChange]),
        ("kv key list", &[Read]),
        ("kv key get", &[Read]),
        ("kv key put", &[DataWrite]),
        ("kv key delete", &[DataWrite, OneWay]),
        ("kv bulk delete", &[BulkData, OneWay]),
        ("kv bulk put", &[BulkData]),
        ("r2 bucket list", &[Read]),
        ("r2 bucket info", &[Read]),
        ("r2 bucket delete", &[InfraChange, BulkData, OneWay]),
        ("r2 bucket lifecycle", &[BackupChange]),
        ("r2 bucket", &[InfraChange]),
        ("r2 object get", &[DataWrite]),
        ("r2 object put", &[DataWrite]),
        ("r2 object delete", &[DataWrite, OneWay]),
        ("d1 list", &[Read]),
        ("d1 info", &[Read]),
        ("d1 delete", &[InfraChange, BulkData, OneWay]),
        ("d1 create", &[InfraChange]),
        ("d1 execute", &[Unknown]),
        ("d1 export", &[DataWrite]),
        ("d1 migrations list", &[Read]),
        ("d1 migrations apply", &[SchemaChange, Unknown]),
        ("d1 time-travel info", &[Read]),
        ("d1 time-travel restore", &[DataRestore, BulkData, OneWay]),
        ("queues list", &[Read]),
        ("queues delete", &[InfraChange, BulkData, OneWay]),
        ("queues purge", &[BulkData, OneWay]),
        ("queues", &[InfraChange]),
        ("secret list", &[Read]),
        ("secret", &[CredentialChange, ConfigChange]),
        ("login", &[CredentialChange]),
        ("logout", &[CredentialChange]),
    ],
};

/// `pscale`, `turso`, `eksctl`, `kops`, `kind`, `firebase`, `eb`: verbs of every one of them in one list.
pub(super) const OTHERS: Verbs = Verbs {
    tool: "hosting",
    options: Options {
        valued: "--org --org-id --project -P --region --name --cluster --state",
        flags: "",
    },
    rows: &[
        ("list", &[Read]),
        ("status", &[Read]),
        ("health", &[Read]),
        ("events", &[Read]),
        ("logs", &[Read]),
        ("version", &[Read]),
        ("database list", &[Read]),
        ("database show", &[Read]),
        ("database delete", &[InfraChange, BulkData, BackupChange, OneWay]),
        ("database restore-dump", &[DataRestore, BulkData]),
        ("branch list", &[Read]),
        ("branch show", &[Read]),
        ("branch delete", &[InfraChange, BulkData, OneWay]),
        ("backup list", &[Read]),
        ("backup show", &[Read]),
        ("backup delete", &[BackupChange, OneWay]),
        ("backup restore", &[DataRestore]),
        ("deploy-request", &[Deploy, SchemaChange]),
        ("password", &[CredentialChange]),
        ("db list", &[Read]),
        ("db show", &[Read]),
        ("db destroy", &[InfraChange, BulkData, BackupChange, OneWay]),
        ("db tokens", &[CredentialChange]),
        ("group destroy", &[InfraChange, BulkData, BackupChange, OneWay]),
        ("get", &[Read]),
        ("get clusters", &[Read]),
        ("validate", &[Read]),
        ("create", &[InfraChange]),
        ("update", &[InfraChange]),
        ("upgrade", &[InfraChange]),
        ("scale", &[InfraChange]),
        ("delete", &[InfraChange, BulkData, OneWay]),
        ("drain", &[InfraChange]),
        ("terminate", &[InfraChange, BulkData, OneWay]),
        ("projects:list", &[Read]),
        ("functions:list", &[Read]),
        ("functions:log", &[Read]),
        ("functions:delete", &[Deploy, OneWay]),
        ("firestore:delete", &[BulkData, OneWay]),
        ("firestore:databases:delete", &[InfraChange, BulkData, OneWay]),
        ("database:get", &[Read]),
        ("database:remove", &[BulkData, OneWay]),
        ("database:set", &[BulkData]),
        ("database:update", &[DataWrite]),
        ("auth:import", &[CredentialChange, BulkData]),
        ("auth:export", &[CredentialChange]),
        ("hosting:disable", &[Deploy, InfraChange]),
        ("hosting:rollback", &[ConfigRollback]),
        ("deploy", &[Deploy]),
        ("swap", &[Deploy]),
        ("restore", &[DataRestore]),
        ("setenv", &[ConfigChange]),
        ("login", &[CredentialChange]),
    ],
};

/// `stripe RESOURCE VERB`, `stripe get|post|delete PATH`.
pub(super) fn stripe(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let words: Vec<&str> = cmd.args.iter().map(|arg| arg.text.as_str()).collect();
    match words.as_slice() {
        [_, "list" | "retrieve" | "search", ..]
        | ["get", ..]
        | ["logs", "tail", ..]
        | ["version" | "status"]
            if !words.contains(&"--confirm") =>
        {
            eye.see(Read, &line, "stripe.reads");
        }
        [_, "delete" | "cancel" | "void_invoice" | "detach" | "expire", ..] | ["delete", ..] => {
            eye.see_all(&[DataWrite, OneWay], &line, "stripe.deletes");
        }
        [
            "refunds" | "payouts" | "transfers" | "charges" | "payment_intents",
            ..,
        ] => {
            eye.see_all(&[DataWrite, OneWay], &line, "stripe.moves-money");
        }
        [
            _,
            "create" | "update" | "capture" | "confirm" | "finalize_invoice" | "pay",
            ..,
        ]
        | ["post", ..] => {
            eye.see(DataWrite, &line, "stripe.writes");
        }
        ["login" | "config", ..] => eye.see(CredentialChange, &line, "stripe.login"),
        _ => eye.unknown(&line, "stripe.not-known"),
    }
}

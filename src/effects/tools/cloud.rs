//! Command lines of clouds: the verb says read or write, the service says what kind.

use crate::model::effect::Effect::{
    self, BackupChange, BulkData, ConfigChange, ConfigRollback, CredentialChange, DataRestore, DataWrite,
    Deploy, InfraChange, OneWay, Protect, Read, SecurityConfig, ServiceRestart, Traffic, Unknown,
};

use crate::effects::eye::{Cmd, Eye};
use crate::effects::options::{Options, Verbs, promises};
use crate::effects::wrappers;
use crate::model::reach::host_of;

use super::http;

/// Services and operations of AWS that do not follow from their names.
const AWS: Verbs = Verbs {
    tool: "aws",
    options: Options {
        valued: "--profile --region --output --query --endpoint-url --cli-read-timeout --cli-connect-timeout --ca-bundle --color",
        flags: "--no-cli-pager --no-paginate --debug --no-verify-ssl --no-sign-request",
    },
    rows: &[
        ("s3 ls", &[Read]),
        ("s3 cp", &[DataWrite]),
        ("s3 sync", &[DataWrite]),
        ("s3 mv", &[DataWrite, OneWay]),
        ("s3 rm", &[DataWrite, OneWay]),
        ("s3 mb", &[InfraChange]),
        ("s3 rb", &[InfraChange, BulkData, OneWay]),
        ("s3 presign", &[CredentialChange]),
        ("s3api get-object", &[DataWrite]),
        ("s3api put-object", &[DataWrite]),
        ("s3api delete-object", &[DataWrite, OneWay]),
        ("s3api delete-objects", &[BulkData, OneWay]),
        ("s3api put-bucket-policy", &[SecurityConfig]),
        ("s3api put-bucket-acl", &[SecurityConfig]),
        ("s3api put-public-access-block", &[SecurityConfig]),
        ("s3api put-object-legal-hold", &[BackupChange]),
        ("sts get-caller-identity", &[Read]),
        ("sts *", &[CredentialChange]),
        ("sso *", &[CredentialChange]),
        ("configure list", &[Read]),
        ("configure get", &[Read]),
        ("configure *", &[CredentialChange]),
        ("ecr get-login-password", &[CredentialChange]),
        ("ecr get-authorization-token", &[CredentialChange]),
        ("ec2 get-password-data", &[CredentialChange]),
        ("ec2 authorize-security-group-*", &[SecurityConfig]),
        ("ec2 revoke-security-group-*", &[SecurityConfig]),
        ("ec2 terminate-instances", &[InfraChange, BulkData, OneWay]),
        ("ec2 delete-volume", &[InfraChange, BulkData, OneWay]),
        (
            "rds delete-db-instance",
            &[InfraChange, BulkData, BackupChange, OneWay],
        ),
        (
            "rds delete-db-cluster",
            &[InfraChange, BulkData, BackupChange, OneWay],
        ),
        ("rds reboot-db-instance", &[ServiceRestart]),
        ("dynamodb query", &[Read]),
        ("dynamodb scan", &[Read]),
        ("dynamodb put-item", &[DataWrite]),
        ("dynamodb update-item", &[DataWrite]),
        ("dynamodb delete-item", &[DataWrite, OneWay]),
        ("dynamodb batch-write-item", &[BulkData]),
        ("dynamodb delete-table", &[InfraChange, BulkData, OneWay]),
        ("sqs purge-queue", &[BulkData, OneWay]),
        ("sqs send-message", &[DataWrite]),
        ("sqs receive-message", &[DataWrite]),
        ("sns publish", &[DataWrite]),
        ("kms schedule-key-deletion", &[CredentialChange, BulkData, OneWay]),
        ("kms cancel-key-deletion", &[Protect]),
        ("logs delete-log-*", &[BulkData, BackupChange, OneWay]),
        ("logs put-retention-policy", &[BackupChange]),
        ("logs tail", &[Read]),
        ("cloudtrail stop-logging", &[SecurityConfig, OneWay]),
        ("cloudtrail delete-trail", &[SecurityConfig, OneWay]),
        ("ecs update-service", &[Deploy]),
        ("ecs run-task", &[Unknown]),
        ("ecs execute-command", &[Unknown]),
        ("lambda invoke", &[Unknown]),
        ("lambda update-function-code", &[Deploy]),
        ("lambda update-function-configuration", &[ConfigChange]),
        ("ssm put-parameter", &[ConfigChange]),
        ("ssm send-command", &[Unknown]),
        ("ssm start-*", &[Unknown]),
        ("elbv2 modify-*", &[Traffic, InfraChange]),
        ("elbv2 deregister-targets", &[Traffic]),
        ("elbv2 register-targets", &[Traffic]),
        ("autoscaling set-desired-capacity", &[Traffic, InfraChange]),
        (
            "cloudformation cancel-update-stack",
            &[ConfigRollback, InfraChange],
        ),
        ("cloudfront create-invalidation", &[Traffic]),
    ],
};

/// First words of an operation that reads.
const READS: [&str; 15] = [
    "describe-",
    "get-",
    "list-",
    "head-",
    "search-",
    "lookup-",
    "filter-",
    "batch-get-",
    "estimate-",
    "validate-",
    "simulate-",
    "select-",
    "wait",
    "help",
    "preview-",
];

/// Operations that read by name and answer with a secret.
const DISCLOSES: &[(&str, &str)] = &[
    ("secretsmanager", "get-secret-value"),
    ("secretsmanager", "batch-get-secret-value"),
    ("secretsmanager", "get-random-password"),
    ("iam", "get-credential-report"),
    ("eks", "get-token"),
    ("lightsail", "download-default-key-pair"),
    ("lightsail", "get-instance-access-details"),
    ("lightsail", "get-relational-database-master-user-password"),
    ("redshift", "get-cluster-credentials"),
    ("codeartifact", "get-authorization-token"),
    ("cognito-idp", "describe-user-pool-client"),
    ("lambda", "get-function-configuration"),
];

/// What a service is about, where its operation does not say more.
const SERVICES: &[(&str, Effect)] = &[
    ("iam", CredentialChange),
    ("secretsmanager", CredentialChange),
    ("kms", CredentialChange),
    ("acm", CredentialChange),
    ("cognito-idp", CredentialChange),
    ("identitystore", CredentialChange),
    ("sso-admin", CredentialChange),
    ("organizations", SecurityConfig),
    ("cloudtrail", SecurityConfig),
    ("guardduty", SecurityConfig),
    ("wafv2", SecurityConfig),
    ("configservice", SecurityConfig),
    ("securityhub", SecurityConfig),
    ("backup", BackupChange),
    ("dlm", BackupChange),
    ("lambda", Deploy),
    ("codedeploy", Deploy),
    ("codepipeline", Deploy),
    ("amplify", Deploy),
    ("ec2", InfraChange),
    ("rds", InfraChange),
    ("s3api", InfraChange),
    ("ecs", InfraChange),
    ("eks", InfraChange),
    ("elb", InfraChange),
    ("elbv2", InfraChange),
    ("route53", InfraChange),
    ("cloudformation", InfraChange),
    ("cloudfront", InfraChange),
    ("autoscaling", InfraChange),
    ("efs", InfraChange),
    ("elasticache", InfraChange),
    ("dynamodb", InfraChange),
    ("redshift", InfraChange),
    ("events", ConfigChange),
    ("scheduler", ConfigChange),
    ("ssm", ConfigChange),
];

/// `aws`. `--dry-run` of EC2 and `--dryrun` of S3 change nothing, by contract.
/// Another address gets signed requests and session tokens, and answers what it likes. This host, and the provider's
/// own names, are as good as no option.
fn endpoint(eye: &mut Eye<'_>, cmd: &Cmd<'_>, line: &str) {
    for (n, arg) in cmd.args.iter().enumerate() {
        let Some(rest) = arg.text.strip_prefix("--endpoint") else {
            continue;
        };
        let value = match rest.split_once('=') {
            Some((_, value)) => value,
            None => cmd.args.get(n + 1).map_or("", |next| next.text.as_str()),
        };
        let host = host_of(value);
        let own = value.starts_with("https://")
            && !value.contains(['@', '\\', '#', '?'])
            && [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"]
                .iter()
                .any(|end| host.ends_with(end));
        if !own && !http::is_loopback(value) {
            eye.unknown(line, "aws.other-endpoint");
        }
    }
}

pub(super) fn aws(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let (words, known) = AWS.words(cmd.args);
    endpoint(eye, cmd, &line);
    let service = words.first().copied().unwrap_or_default();
    let op = words.get(1).copied().unwrap_or_default();
    let dry = service == "ec2" && promises(cmd.args, &["--dry-run"], "")
        || service == "s3" && promises(cmd.args, &["--dryrun"], "--recursive --delete --force --quiet");
    if known && dry {
        return eye.see(Read, &line, "aws.dry-run");
    }
    let has = |start: &str| cmd.args.iter().any(|arg| arg.text.starts_with(start));
    if has("--cli-input") || has("--cli-auto-prompt") {
        eye.unknown(&line, "aws.input-not-read");
    }
    if has("--skip-final-snapshot") || has("--delete-automated-backups") {
        eye.see_all(&[BulkData, BackupChange, OneWay], &line, "aws.without-backup");
    }
    if has("--no-deletion-protection")
        || has("--no-enable-deletion-protection")
        || has("--backup-retention-period")
    {
        eye.see_all(&[SecurityConfig, BackupChange], &line, "aws.protection-off");
    }
    if service == "s3" && (has("--recursive") && matches!(op, "rm" | "mv") || has("--delete")) {
        eye.see_all(&[BulkData, OneWay], &line, "aws.s3-recursive");
    }
    let special = words.len() >= 2
        && AWS.rows.iter().any(|(row, _)| {
            let (row_service, row_op) = row.split_once(' ').unwrap_or((row, ""));
            row_service == service
                && row_op
                    .strip_suffix('*')
                    .map_or(row_op == op, |start| op.starts_with(start))
        });
    if special {
        AWS.look(eye, cmd);
        return;
    }
    if !known {
        eye.unknown(&line, "aws.option-not-known");
    }
    let family = SERVICES
        .iter()
        .find(|(name, _)| *name == service)
        .map(|(_, effect)| *effect);
    let discloses = DISCLOSES.iter().any(|(of, what)| *of == service && *what == op);
    if discloses || has("--with-decryption") {
        return eye.see(CredentialChange, &line, "aws.shows-secret");
    }
    if READS.iter().any(|start| op.starts_with(start)) || op.is_empty() && service == "help" {
        return eye.see(Read, &line, "aws.read");
    }
    let copies = ["snapshot", "backup", "image", "recovery-point"]
        .iter()
        .any(|word| op.contains(word));
    if op.starts_with("restore-") || op == "start-restore-job" {
        return eye.see(DataRestore, &line, "aws.restore");
    }
    if copies && (op.starts_with("create-") || op.starts_with("copy-") || op == "start-backup-job") {
        return eye.see(Protect, &line, "aws.snapshot");
    }
    if copies
        || [
            "lifecycle",
            "versioning",
            "object-lock",
            "retention",
            "replication",
        ]
        .iter()
        .any(|word| op.contains(word))
    {
        eye.see(BackupChange, &line, "aws.backup");
    }
    if op.contains("policy") || op.contains("permission") || op.contains("acl") {
        eye.see(SecurityConfig, &line, "aws.policy");
    }
    let reboots = op.starts_with("reboot-");
    let stops = op.starts_with("stop-");
    if reboots || op.starts_with("start-") {
        eye.see(ServiceRestart, &line, "aws.restart");
    } else if stops {
        eye.see_all(&[ServiceRestart, Traffic], &line, "aws.stop");
    }
    match family {
        Some(effect) => eye.see(effect, &line, "aws.service"),
        None => eye.unknown(&line, "aws.not-known"),
    }
    if [
        "delete",
        "terminate",
        "purge",
        "deregister",
        "schedule",
        "remove",
        "release",
    ]
    .iter()
    .any(|verb| op.starts_with(verb))
    {
        eye.see(OneWay, &line, "aws.delete");
    }
    let clear = [
        "create",
        "delete",
        "update",
        "put",
        "modify",
        "attach",
        "detach",
        "add",
        "remove",
        "set",
        "start",
        "stop",
        "reboot",
        "enable",
        "disable",
        "tag",
        "untag",
        "associate",
        "disassociate",
        "change",
        "rotate",
        "allocate",
        "release",
        "terminate",
        "run",
        "register",
        "deregister",
        "authorize",
        "revoke",
        "schedule",
        "cancel",
        "reset",
        "promote",
        "failover",
        "suspend",
        "resume",
    ];
    if !clear.iter().any(|verb| op.starts_with(verb)) {
        eye.unknown(&line, "aws.operation-not-known");
    }
}

/// Verbs of `gcloud`, `az` and their kind, which stand behind the nouns.
const VERBS: &[(&str, &[Effect])] = &[
    ("list", &[Read]),
    ("describe", &[Read]),
    ("show", &[Read]),
    ("get", &[Read]),
    ("info", &[Read]),
    ("version", &[Read]),
    ("read", &[Read]),
    ("tail", &[Read]),
    ("ls", &[Read]),
    ("get-value", &[Read]),
    ("get-iam-policy", &[Read]),
    ("list-tags", &[Read]),
    ("exists", &[Read]),
    ("delete", &[InfraChange, OneWay]),
    ("destroy", &[InfraChange, OneWay]),
    ("purge", &[BulkData, OneWay]),
    ("rm", &[BulkData, OneWay]),
    ("remove", &[InfraChange, OneWay]),
    ("create", &[InfraChange]),
    ("update", &[InfraChange]),
    ("set", &[ConfigChange]),
    ("unset", &[ConfigChange]),
    ("add", &[InfraChange]),
    ("patch", &[InfraChange]),
    ("resize", &[InfraChange]),
    ("scale", &[Traffic, InfraChange]),
    ("start", &[ServiceRestart]),
    ("restart", &[ServiceRestart]),
    ("reset", &[ServiceRestart]),
    ("reboot", &[ServiceRestart]),
    ("stop", &[ServiceRestart, Traffic]),
    ("deallocate", &[ServiceRestart, Traffic]),
    ("deploy", &[Deploy]),
    ("rollback", &[ConfigRollback]),
    ("restore", &[DataRestore]),
    ("clone", &[DataRestore]),
    ("snapshot", &[Protect]),
    ("failover", &[InfraChange, OneWay]),
    ("add-iam-policy-binding", &[CredentialChange]),
    ("remove-iam-policy-binding", &[CredentialChange]),
    ("set-iam-policy", &[CredentialChange, OneWay]),
    ("import", &[BulkData]),
    ("export", &[DataWrite]),
    ("cp", &[DataWrite]),
    ("rsync", &[BulkData]),
    ("mv", &[DataWrite, OneWay]),
    ("regenerate", &[CredentialChange, OneWay]),
    ("renew", &[CredentialChange]),
    ("invoke", &[Unknown]),
    ("call", &[Unknown]),
    ("run-command", &[Unknown]),
    ("ssh", &[Unknown]),
    ("execute", &[Unknown]),
];

/// Nouns in front of a verb that make a change one of another kind.
const NOUNS: &[(&str, Effect)] = &[
    ("backup", BackupChange),
    ("snapshot", BackupChange),
    ("iam", CredentialChange),
    ("key", CredentialChange),
    ("secret", CredentialChange),
    ("service-account", CredentialChange),
    ("credential", CredentialChange),
    ("role", CredentialChange),
    ("ad", CredentialChange),
    ("user", CredentialChange),
    ("firewall", SecurityConfig),
    ("nsg", SecurityConfig),
    ("polic", SecurityConfig),
    ("lock", SecurityConfig),
    ("config", ConfigChange),
    ("database", BulkData),
    ("project", BulkData),
    ("group", BulkData),
    ("bucket", BulkData),
    ("disk", BulkData),
    ("sql", BulkData),
    ("storage", BulkData),
];

/// `gcloud`, `az`, `doctl`, `hcloud` and others whose verb follows its nouns.
pub(super) fn nouns_then_verb(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let options = Options {
        valued: "--project --account --region --zone --format --filter --limit -g --resource-group -n --name --subscription -o --output --query --configuration --context -c",
        flags: "--quiet -q --yes -y --verbose --debug --no-color",
    };
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(arg) = cmd.args.get(at) {
        if arg.text.starts_with('-') {
            let mut known = true;
            at += options.width(&arg.text, &mut known).max(1);
            if !known && words.len() < 2 {
                eye.unknown(&line, "cloud.option-not-known");
            }
        } else {
            words.push(arg.text.as_str());
            at += 1;
        }
    }
    let rule = |word: &str| format!("cloud.{word}");
    let Some((at, effects)) = words.iter().take(6).enumerate().find_map(|(at, word)| {
        VERBS
            .iter()
            .find(|(verb, _)| verb == word)
            .map(|(_, effects)| (at, *effects))
    }) else {
        eye.unknown(&line, "cloud.verb-not-known");
        return noun_effects(eye, &words, &line);
    };
    let nouns = words.get(..at).unwrap_or_default();
    let is = |word: &str| nouns.iter().any(|noun| noun.contains(word));
    let verb = words.get(at).copied().unwrap_or_default();
    if nouns.first() == Some(&"auth") && verb != "list" || is("credentials") && verb == "get" {
        return eye.see(CredentialChange, &line, "cloud.auth");
    }
    let secret = is("secret") || is("keys") || is("credential") || is("connection-string");
    if effects == [Read] && secret && verb != "describe" && !(is("secrets") && verb == "list") {
        return eye.see(CredentialChange, &line, "cloud.shows-secret");
    }
    if effects == [Read] {
        return eye.see(Read, &line, &rule(verb));
    }
    if verb == "create" && (is("snapshot") || is("backup")) && !is("polic") && !is("schedule") {
        return eye.see(Protect, &line, "cloud.snapshot");
    }
    eye.see_all(effects, &line, &rule(verb));
    if matches!(verb, "ssh" | "run-command" | "execute") {
        wrappers::suspects(eye, cmd, cmd.args);
    }
    if effects != [DataRestore] && effects != [ServiceRestart] {
        noun_effects(eye, nouns, &line);
    }
}

fn noun_effects(eye: &mut Eye<'_>, nouns: &[&str], line: &str) {
    for (noun, effect) in NOUNS {
        if nouns.iter().any(|word| {
            if noun.len() < 3 {
                word == noun
            } else {
                word.contains(noun)
            }
        }) {
            eye.see(*effect, line, &format!("cloud.noun-{noun}"));
        }
    }
}

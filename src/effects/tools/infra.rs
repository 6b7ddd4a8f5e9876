//! Infrastructure as code: Terraform and OpenTofu, Pulumi, CDK, Ansible and their kind.

use crate::model::effect::Effect::{
    self, BackupChange, BulkData, ConfigChange, CredentialChange, DataWrite, InfraChange, OneWay, Read,
    SecurityConfig, Traffic, Unknown,
};

use crate::effects::ScriptText;
use crate::effects::eye::{Cmd, Eye, Stdin};
use crate::effects::options::{Options, Verbs};
use crate::effects::words::Word;
use crate::effects::wrappers;

use super::tfplan;

const TERRAFORM: Verbs = Verbs {
    tool: "terraform",
    options: Options {
        valued: "-chdir",
        flags: "-version -help -json -no-color",
    },
    rows: &[
        ("plan", &[Read]),
        ("show", &[Read]),
        ("output", &[Read]),
        ("validate", &[Read]),
        ("version", &[Read]),
        ("providers", &[Read]),
        ("providers lock", &[ConfigChange]),
        ("providers mirror", &[DataWrite]),
        ("graph", &[Read]),
        ("state list", &[Read]),
        ("state show", &[Read]),
        ("state pull", &[Read]),
        ("state rm", &[InfraChange, OneWay]),
        ("state mv", &[InfraChange]),
        ("state push", &[InfraChange, OneWay]),
        ("state replace-provider", &[InfraChange]),
        ("workspace list", &[Read]),
        ("workspace show", &[Read]),
        ("workspace select", &[ConfigChange]),
        ("workspace new", &[ConfigChange]),
        ("workspace delete", &[InfraChange, OneWay]),
        ("init", &[ConfigChange, Unknown]),
        ("get", &[ConfigChange, Unknown]),
        ("fmt", &[ConfigChange]),
        ("apply", &[InfraChange]),
        ("destroy", &[InfraChange, OneWay]),
        ("destroy-all", &[InfraChange, OneWay]),
        ("apply-all", &[InfraChange, OneWay, Unknown]),
        ("import", &[InfraChange]),
        ("taint", &[InfraChange]),
        ("untaint", &[InfraChange]),
        ("refresh", &[InfraChange]),
        ("force-unlock", &[InfraChange, OneWay]),
    ],
};

/// `terraform` and `tofu`. What an apply would do stands in its plan: in a saved one, or in one that nobody has seen.
pub(super) fn terraform(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    // `terragrunt run-all destroy`, `run --all -- destroy`, `destroy-all`: the same verb in every folder.
    let all = ["run-all", "run", "--all", "--"];
    let fronts = cmd
        .args
        .iter()
        .take_while(|arg| all.contains(&arg.as_str()))
        .count();
    if cmd.name == "terragrunt" && fronts > 0 {
        return terraform(
            eye,
            &Cmd {
                args: cmd.args.get(fronts..).unwrap_or_default(),
                ..*cmd
            },
        );
    }
    let Some(verb) = TERRAFORM.look(eye, cmd) else {
        return;
    };
    let option = |name: &str| {
        cmd.args.iter().any(|arg| {
            arg.text.trim_start_matches('-').split('=').next() == Some(name) && arg.text.starts_with('-')
        })
    };
    match verb {
        "apply" => {
            match saved_plan(eye, cmd) {
                Some(plan) => planned(eye, &plan),
                // Any apply may replace or destroy what it manages.
                None => eye.see_all(&[Unknown, OneWay], &line, "terraform.apply-not-read"),
            }
            if option("destroy") || option("replace") {
                eye.see_all(&[InfraChange, OneWay], &line, "terraform.apply-destroys");
            }
        }
        "plan" if option("out") || option("generate-config-out") => {
            eye.see(DataWrite, &line, "terraform.plan-file")
        }
        "fmt" if option("check") && !option("write") => eye.see(Read, &line, "terraform.fmt-check"),
        _ => {}
    }
}

/// The saved plan of `terraform apply PLAN`, where it is the last word and nothing else says what to apply.
fn saved_plan(eye: &Eye<'_>, cmd: &Cmd<'_>) -> Option<tfplan::Plan> {
    const PLAIN: [&str; 8] = [
        "auto-approve",
        "input",
        "no-color",
        "json",
        "compact-warnings",
        "lock",
        "lock-timeout",
        "parallelism",
    ];
    let (verb, rest) = cmd.args.split_first()?;
    let (plan, options) = rest.split_last()?;
    let plain = |arg: &Word| {
        let name = arg
            .text
            .strip_prefix('-')
            .map(|name| name.strip_prefix('-').unwrap_or(name));
        let name = name.map(|name| name.split('=').next().unwrap_or_default());
        // A value that stands apart could be the plan.
        let apart = matches!(name, Some("lock-timeout" | "parallelism")) && !arg.text.contains('=');
        arg.fixed && !apart && name.is_some_and(|name| PLAIN.contains(&name))
    };
    let good = cmd.name != "terragrunt"
        && verb.text == "apply"
        && plan.fixed
        && !plan.text.starts_with('-')
        && options.iter().all(plain);
    tfplan::read(eye.file(&plan.text).filter(|_| good)?)
}

/// How many objects the saved plan of an apply touches at most; `None` where nobody can tell.
pub(in crate::effects) fn applied(name: &str, args: &[String], scripts: &[ScriptText<'_>]) -> Option<usize> {
    let args: Vec<Word> = args.iter().map(|arg| Word::fixed(arg)).collect();
    let cmd = Cmd {
        name,
        program: name,
        args: &args,
        stdin: Stdin::Unseen,
    };
    saved_plan(&Eye::new(scripts), &cmd)?.touches()
}

/// What a plan would do, counted and by name.
fn planned(eye: &mut Eye<'_>, plan: &tfplan::Plan) {
    // By the types of objects, as providers name them.
    const KINDS: [(&[&str], &[Effect]); 5] = [
        (
            &[
                "iam",
                "role",
                "policy",
                "secret",
                "password",
                "credential",
                "token",
                "_key",
                "user",
                "login",
            ],
            &[CredentialChange],
        ),
        (
            &[
                "security_group",
                "firewall",
                "network_acl",
                "waf",
                "_rule",
                "policy",
                "public_access",
            ],
            &[SecurityConfig],
        ),
        (&["backup", "snapshot", "vault", "retention"], &[BackupChange]),
        (
            &["dns", "route53", "record", "load_balancer", "_lb", "listener"],
            &[Traffic],
        ),
        (
            &["exec", "shell", "script", "command", "ansible", "helm_release"],
            &[Unknown],
        ),
    ];
    const HOLD_DATA: [&str; 16] = [
        "db",
        "sql",
        "database",
        "rds",
        "bucket",
        "volume",
        "disk",
        "table",
        "cluster",
        "instance",
        "cache",
        "redis",
        "storage",
        "filesystem",
        "file_system",
        "namespace",
    ];
    let told = |objects: &[String], what: &str| format!("{what} {}: {}", objects.len(), objects.join(", "));
    let ends = |eye: &mut Eye<'_>, objects: &[String], what: &str, rule: &str| {
        if objects.is_empty() {
            return;
        }
        let text = told(objects, what);
        eye.see_all(&[InfraChange, OneWay], &text, rule);
        if objects
            .iter()
            .any(|object| HOLD_DATA.iter().any(|word| object.contains(word)))
        {
            eye.see(BulkData, &text, rule);
        }
    };
    ends(eye, &plan.destroys, "destroys", "terraform.plan-destroys");
    ends(eye, &plan.replaces, "replaces", "terraform.plan-replaces");
    if !plan.forgets.is_empty() {
        eye.see_all(
            &[InfraChange, OneWay],
            &told(&plan.forgets, "forgets"),
            "terraform.plan-forgets",
        );
    }
    if !plan.changes.is_empty() {
        eye.see(
            InfraChange,
            &told(&plan.changes, "makes or changes"),
            "terraform.plan-changes",
        );
    }
    let all = || {
        [&plan.destroys, &plan.replaces, &plan.forgets, &plan.changes]
            .into_iter()
            .flatten()
    };
    for (words, effects) in KINDS {
        if let Some(object) = all().find(|object| words.iter().any(|word| object.contains(word))) {
            eye.see_all(effects, object, "terraform.plan-kind");
        }
    }
    for what in &plan.runs {
        eye.unknown(&format!("the plan runs {what}"), "terraform.plan-runs");
    }
}

const PULUMI: Verbs = Verbs {
    tool: "pulumi",
    options: Options {
        valued: "-C --cwd -s --stack --color",
        flags: "--non-interactive --logtostderr -v",
    },
    rows: &[
        ("preview", &[Read]),
        ("stack ls", &[Read]),
        ("stack output", &[Read]),
        ("stack export", &[Read]),
        ("stack history", &[Read]),
        ("config get", &[Read]),
        ("whoami", &[Read]),
        ("version", &[Read]),
        ("up", &[InfraChange, Unknown]),
        ("update", &[InfraChange, Unknown]),
        ("refresh", &[InfraChange]),
        ("cancel", &[InfraChange]),
        ("import", &[InfraChange]),
        ("config", &[ConfigChange]),
        ("destroy", &[InfraChange, OneWay]),
        ("stack rm", &[InfraChange, OneWay]),
        ("stack import", &[InfraChange, OneWay]),
        ("state", &[InfraChange, OneWay]),
    ],
};

/// `pulumi`.
pub(super) fn pulumi(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    PULUMI.look(eye, cmd);
}

const STACKS: Verbs = Verbs {
    tool: "stack",
    options: Options {
        valued: "--app -a --profile --region --stage -s -c --context --stack-name",
        flags: "",
    },
    rows: &[
        ("ls", &[Read]),
        ("list", &[Read]),
        ("diff", &[Read]),
        ("doctor", &[Read]),
        ("info", &[Read]),
        ("validate", &[Read]),
        ("deploy", &[InfraChange, Unknown]),
        ("bootstrap", &[InfraChange, Unknown]),
        ("destroy", &[InfraChange, OneWay]),
        ("delete", &[InfraChange, OneWay]),
        ("remove", &[InfraChange, OneWay]),
        ("rollback", &[InfraChange, Unknown]),
    ],
};

/// `cdk`, `sam`, `serverless`.
pub(super) fn stacks(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    STACKS.look(eye, cmd);
}

/// Ansible runs anything; `--check` promises nothing for every module.
pub(super) fn ansible(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    if [
        "--list-hosts",
        "--list-tasks",
        "--list-tags",
        "--syntax-check",
        "--version",
    ]
    .iter()
    .any(|option| cmd.has(option))
        || cmd.name == "ansible-inventory"
        || cmd.name == "ansible-doc"
    {
        return eye.see(Read, &line, "ansible.lists");
    }
    eye.see_all(&[InfraChange, Unknown], &line, "ansible.runs");
    wrappers::suspects(eye, cmd, cmd.args);
    if cmd.args.iter().any(|arg| arg.text.contains("state=absent")) {
        eye.see(OneWay, &line, "ansible.absent");
    }
}

const ETCD: Verbs = Verbs {
    tool: "etcdctl",
    options: Options {
        valued: "--endpoints --cacert --cert --key --user -w --write-out",
        flags: "",
    },
    rows: &[
        ("get", &[Read]),
        ("endpoint", &[Read]),
        ("member list", &[Read]),
        ("alarm list", &[Read]),
        ("put", &[ConfigChange]),
        ("del", &[ConfigChange, InfraChange, OneWay]),
        ("member", &[InfraChange]),
        ("snapshot save", &[crate::model::effect::Effect::Protect]),
        ("snapshot restore", &[BackupChange, InfraChange]),
        ("defrag", &[InfraChange, Traffic]),
        ("compact", &[InfraChange, OneWay]),
    ],
};

/// `etcdctl`.
pub(super) fn etcd(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    ETCD.look(eye, cmd);
}

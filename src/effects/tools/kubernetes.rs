//! `kubectl`, `helm` and what stands beside them.

use crate::model::effect::Effect::{
    self, BackupChange, BulkData, ConfigChange, ConfigRollback, CredentialChange, DataRestore, DataWrite,
    Deploy, InfraChange, OneWay, Protect, Read, SecurityConfig, ServiceRestart, Traffic, Unknown,
};

use crate::effects::eye::{Cmd, Eye};
use crate::effects::options::{Options, Verbs, promises};
use crate::effects::words::Word;
use crate::effects::wrappers;

use super::http;
use super::manifests::{self, Manifest};

const KUBECTL: Verbs = Verbs {
    tool: "kubectl",
    options: Options {
        valued: "-n --namespace --context --cluster --user --kubeconfig -s --server --request-timeout --as --as-group --token --cache-dir -v -o --output -l --selector -c --container -f --filename --field-selector -p",
        flags: "--insecure-skip-tls-verify --warnings-as-errors -A --all-namespaces -w --watch",
    },
    rows: &[
        ("get", &[Read]),
        ("describe", &[Read]),
        ("logs", &[Read]),
        ("top", &[Read]),
        ("events", &[Read]),
        ("explain", &[Read]),
        ("diff", &[Read]),
        ("version", &[Read]),
        ("cluster-info", &[Read]),
        ("api-resources", &[Read]),
        ("api-versions", &[Read]),
        ("wait", &[Read]),
        ("auth can-i", &[Read]),
        ("auth whoami", &[Read]),
        ("auth reconcile", &[CredentialChange]),
        ("config view", &[Read]),
        ("config get-contexts", &[Read]),
        ("config current-context", &[Read]),
        ("config", &[ConfigChange]),
        ("rollout status", &[Read]),
        ("rollout history", &[Read]),
        ("rollout restart", &[ServiceRestart]),
        ("rollout pause", &[Deploy]),
        ("rollout resume", &[Deploy]),
        ("rollout undo", &[ConfigRollback]),
        ("scale", &[Traffic, InfraChange]),
        ("autoscale", &[InfraChange]),
        ("cordon", &[Traffic]),
        ("uncordon", &[Traffic]),
        ("drain", &[Traffic, ServiceRestart]),
        ("taint", &[Traffic, InfraChange]),
        ("label", &[ConfigChange]),
        ("annotate", &[ConfigChange]),
        ("apply", &[ConfigChange, InfraChange]),
        ("create", &[ConfigChange, InfraChange]),
        ("create token", &[CredentialChange]),
        ("create secret", &[CredentialChange]),
        ("create role", &[CredentialChange]),
        ("create rolebinding", &[CredentialChange]),
        ("create clusterrole", &[CredentialChange]),
        ("create clusterrolebinding", &[CredentialChange]),
        ("create serviceaccount", &[CredentialChange]),
        ("replace", &[ConfigChange, InfraChange]),
        ("patch", &[ConfigChange, InfraChange]),
        ("edit", &[ConfigChange, Unknown]),
        ("set image", &[Deploy]),
        ("set env", &[ConfigChange]),
        ("set", &[ConfigChange]),
        ("expose", &[Traffic]),
        ("run", &[Deploy, Unknown]),
        ("debug", &[Deploy, Unknown]),
        ("cp", &[DataWrite]),
        ("port-forward", &[Unknown]),
        ("proxy", &[Unknown]),
        ("attach", &[Unknown]),
        ("certificate", &[CredentialChange]),
        ("delete", &[InfraChange, OneWay]),
        ("exec", &[]),
        ("kustomize", &[Read]),
    ],
};

/// `kubectl` and `oc`. `--dry-run=client` and `--dry-run=server` persist nothing, by contract.
pub(super) fn kubectl(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    // `k3s kubectl …`, `minikube kubectl -- …`
    if let Some((first, rest)) = cmd.args.split_first()
        && cmd.name != "kubectl"
        && first.text == "kubectl"
    {
        let args = match rest.split_first() {
            Some((dashes, args)) if dashes.text == "--" => args,
            _ => rest,
        };
        return kubectl(
            eye,
            &Cmd {
                name: "kubectl",
                args,
                ..*cmd
            },
        );
    }
    let dashes = cmd
        .args
        .iter()
        .position(|arg| arg.text == "--")
        .unwrap_or(cmd.args.len());
    let own = cmd.args.get(..dashes).unwrap_or_default();
    let (words, known) = KUBECTL.words(own);
    let dry = promises(
        own,
        &["--dry-run=client", "--dry-run=server"],
        "-A --all --force --now --wait --ignore-not-found -R",
    );
    connection(eye, cmd, own, &line);
    let verb = words.first().copied().unwrap_or_default();
    if dry
        && known
        && matches!(
            verb,
            "delete"
                | "apply"
                | "create"
                | "replace"
                | "patch"
                | "scale"
                | "label"
                | "annotate"
                | "set"
                | "expose"
                | "drain"
                | "cordon"
                | "taint"
        )
    {
        return eye.see(Read, &line, "kubectl.dry-run");
    }
    let Some(row) = KUBECTL.look(eye, cmd) else { return };
    let kind = |wanted: &[&str]| {
        words.iter().skip(1).take(2).any(|word| {
            wanted.contains(
                &word
                    .split(['/', '.', ','])
                    .next()
                    .unwrap_or_default()
                    .to_ascii_lowercase()
                    .trim_end_matches('s'),
            )
        }) || words.iter().skip(1).take(1).any(|word| {
            word.split(',')
                .any(|part| wanted.contains(&part.trim_end_matches('s')))
        })
    };
    let secret = kind(&[
        "secret",
        "serviceaccount",
        "sa",
        "role",
        "rolebinding",
        "clusterrole",
        "clusterrolebinding",
        "csr",
    ]);
    let policy = kind(&[
        "networkpolicy",
        "networkpolicie",
        "netpol",
        "validatingwebhookconfiguration",
        "mutatingwebhookconfiguration",
        "podsecuritypolicy",
        "podsecuritypolicie",
    ]);
    // A listing names secrets; `-o` and a template show what stands in them, but for the forms that list as well.
    let lists = |at: usize, arg: &Word| {
        let next = own.get(at + 1).map_or("", Word::as_str);
        let value = arg
            .text
            .strip_prefix("--output=")
            .or(arg.text.strip_prefix("-o="));
        let value = value
            .or(arg.text.strip_prefix("-o"))
            .filter(|value| !value.is_empty());
        matches!(value.unwrap_or(next), "name" | "wide")
    };
    let shows = |(at, arg): (usize, &Word)| {
        (arg.text.starts_with("-o") || arg.text.starts_with("--o")) && !lists(at, arg)
            || arg.text.starts_with("--te")
    };
    if row == "get" && secret && kind(&["secret"]) && own.iter().enumerate().any(shows)
        || row == "config view" && own.iter().any(|arg| arg.text.starts_with("--ra"))
    {
        eye.see(CredentialChange, &line, "kubectl.shows-secret");
    }
    if row.split(' ').next() != Some("get") && row != "describe" && row != "exec" && row != "logs" {
        if secret {
            eye.see(CredentialChange, &line, "kubectl.credential-kind");
        }
        if policy {
            eye.see(SecurityConfig, &line, "kubectl.policy-kind");
        }
    }
    match row {
        "exec" => {
            let at = cmd
                .args
                .iter()
                .position(|arg| arg.text == "exec")
                .map_or(0, |at| at + 1);
            wrappers::container_exec(eye, cmd, cmd.args.get(at..).unwrap_or_default());
        }
        "run" | "debug" => wrappers::suspects(eye, cmd, cmd.args.get(dashes..).unwrap_or_default()),
        "get" if own.iter().any(|arg| arg.text.starts_with("--ra")) => {
            let path = own
                .iter()
                .map(Word::as_str)
                .find(|arg| arg.starts_with('/'))
                .unwrap_or_default();
            if path.contains("proxy") || path.contains("secret") || path.is_empty() {
                eye.unknown(&line, "kubectl.raw");
            }
        }
        "delete" => {
            let pod = kind(&["pod", "po", "replicaset", "job"])
                && !cmd.has("--all")
                && !cmd.args.iter().any(|arg| {
                    arg.text.starts_with("--force")
                        || arg.text.starts_with("-l")
                        || arg.text.starts_with("--selector")
                });
            let data = kind(&[
                "namespace",
                "n",
                "pvc",
                "persistentvolumeclaim",
                "pv",
                "persistentvolume",
                "crd",
                "customresourcedefinition",
                "statefulset",
                "st",
            ]) || words
                .iter()
                .any(|word| matches!(*word, "ns" | "namespaces" | "sts"));
            if data || cmd.has("--all") || cmd.has("-A") || cmd.has("--all-namespaces") {
                eye.see_all(&[BulkData, OneWay], &line, "kubectl.delete-data");
            } else if pod {
                eye.see(ServiceRestart, &line, "kubectl.delete-pod");
            }
            for one in manifests_of(eye, own).unwrap_or_default() {
                let names = one.names.join(", ");
                // Gone is not put there: what it runs, runs no more.
                let effects: Vec<Effect> = one.effects.iter().copied().filter(|e| *e != Unknown).collect();
                eye.see_all(&effects, &names, "kubectl.delete-manifest");
                if one.holds_data {
                    eye.see_all(&[BulkData, OneWay], &names, "kubectl.delete-data");
                }
            }
            if kind(&["volumesnapshot", "backup", "schedule"]) {
                eye.see(BackupChange, &line, "kubectl.delete-backup");
            }
        }
        "drain"
            if cmd.args.iter().any(|arg| {
                arg.text.starts_with("--delete-")
                    || arg.text.starts_with("--force")
                    || arg.text.starts_with("--disable-eviction")
            }) =>
        {
            eye.see_all(&[BulkData, OneWay], &line, "kubectl.drain-deletes");
        }
        "apply" | "create" | "replace" => {
            match manifests_of(eye, own) {
                Some(all) => all.iter().for_each(|one| placed(eye, one)),
                None => eye.unknown(&line, "kubectl.manifest-not-read"),
            }
            if cmd
                .args
                .iter()
                .any(|arg| arg.text.starts_with("--force") || arg.text.starts_with("--prune"))
            {
                eye.see(OneWay, &line, "kubectl.force");
            }
        }
        "patch" if cmd.args.iter().any(|arg| arg.text.contains("finalizers")) => {
            eye.see(OneWay, &line, "kubectl.finalizers")
        }
        "kustomize" if cmd.args.iter().any(|arg| arg.text.starts_with("--enable")) => {
            eye.unknown(&line, "kubectl.kustomize-may-run");
        }
        "cluster-info" if cmd.has("dump") => eye.see(DataWrite, &line, "kubectl.dump"),
        _ => {}
    }
}

/// The manifests behind `-f`, where every one of them is a file that was read and understood.
fn manifests_of(eye: &mut Eye<'_>, own: &[Word]) -> Option<Vec<Manifest>> {
    let mut paths: Vec<&str> = Vec::new();
    let mut args = own.iter();
    while let Some(arg) = args.next() {
        let text = arg.text.as_str();
        let value = match text {
            "-f" | "--filename" => args.next().filter(|value| value.fixed)?.as_str(),
            // Folders, overlays, and what chooses among what is there.
            "-R" | "--recursive" | "--edit" | "--raw" | "-k" | "--kustomize" | "--prune" | "--all" | "-l"
            | "--selector" => return None,
            _ if text.starts_with("--kustomize")
                || text.starts_with("--prune")
                || text.starts_with("--selector") =>
            {
                return None;
            }
            _ if text.starts_with("--raw")
                || text.starts_with("--edit")
                || text.starts_with("--recursive") =>
            {
                return None;
            }
            // Letters in a cluster, or glued to their value.
            _ if !text.starts_with("--") && text.starts_with('-') && text.contains(['f', 'k', 'R', 'l']) => {
                return None;
            }
            _ => match text.strip_prefix("--filename=") {
                Some(value) if arg.fixed => value,
                Some(_) => return None,
                None => continue,
            },
        };
        paths.extend(value.split(','));
    }
    let read = |path: &&str| {
        let plain = !path.is_empty() && *path != "-" && !path.contains("://");
        let bytes = eye.script(path).filter(|_| plain)?;
        manifests::read(eye, bytes)
    };
    let all: Option<Vec<Manifest>> = paths.iter().map(read).collect();
    all.filter(|all| !all.is_empty())
}

fn placed(eye: &mut Eye<'_>, manifest: &Manifest) {
    let effects: Vec<Effect> = manifest.effects.iter().copied().collect();
    eye.see_all(&effects, &manifest.names.join(", "), "kubectl.manifest");
}

/// Another configuration may run programs (its `exec` plugins) and may hand what it holds to anybody; another server
/// gets what authenticates. The usual places are as good as no option at all.
pub(super) fn connection(eye: &mut Eye<'_>, cmd: &Cmd<'_>, own: &[Word], line: &str) {
    let mut args = own.iter().peekable();
    while let Some(arg) = args.next() {
        let (name, value) = match arg.text.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => (
                arg.as_str(),
                args.peek().map_or(String::new(), |next| next.text.clone()),
            ),
        };
        match name {
            "--kubeconfig" => config_file(eye, &value, line),
            "--server" | "--kube-apiserver" if !http::is_loopback(&value) => {
                eye.unknown(line, "kubectl.other-server");
            }
            // For `helm` it is the template to show.
            "-s" if cmd.name != "helm" && !http::is_loopback(&value) => {
                eye.unknown(line, "kubectl.other-server");
            }
            glued if cmd.name != "helm" && glued.len() > 2 && glued.starts_with("-s") => {
                let server = arg.text.trim_start_matches("-s").trim_start_matches('=');
                if !http::is_loopback(server) {
                    eye.unknown(line, "kubectl.other-server");
                }
            }
            _ => {}
        }
    }
}

/// A configuration of `kubectl` that is named: read where it can be, free where it is one's own.
pub(in crate::effects) fn config_file(eye: &mut Eye<'_>, paths: &str, line: &str) {
    for path in paths.split(':').filter(|path| !path.is_empty()) {
        let parts: Vec<&str> = path.split('/').collect();
        let own = matches!(
            parts.as_slice(),
            ["~" | "$HOME" | "${HOME}", ".kube", ..]
                | ["", "root", ".kube", ..]
                | ["", "home" | "Users", _, ".kube", ..]
                | ["", "etc", "kubernetes" | "rancher", ..]
        );
        if own && !parts.contains(&"..") {
            continue;
        }
        let text = eye.script(path).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let plain = text.is_some_and(|text| {
            // An escape could spell any word, and some readers take a name in any case.
            let text = text.to_ascii_lowercase();
            ![
                "exec",
                "auth-provider",
                "cmd-path",
                "tokenfile",
                "\\",
                "&",
                "*",
                "!",
                "\0",
            ]
            .iter()
            .any(|word| text.contains(word))
        });
        if !plain {
            eye.unknown(line, "kubectl.other-configuration");
        }
    }
}

const HELM: Verbs = Verbs {
    tool: "helm",
    options: Options {
        valued: "-n --namespace --kube-context --kubeconfig",
        flags: "--debug",
    },
    rows: &[
        ("list", &[Read]),
        ("ls", &[Read]),
        ("status", &[Read]),
        ("history", &[Read]),
        ("get", &[Read]),
        ("show", &[Read]),
        ("template", &[Read]),
        ("lint", &[Read]),
        ("search", &[Read]),
        ("version", &[Read]),
        ("env", &[Read]),
        ("diff", &[Read]),
        ("rollback", &[ConfigRollback]),
        ("install", &[Deploy, InfraChange]),
        ("upgrade", &[Deploy, InfraChange]),
        ("test", &[Deploy, Unknown]),
        ("uninstall", &[InfraChange, OneWay]),
        ("delete", &[InfraChange, OneWay]),
        ("repo", &[ConfigChange]),
        ("repo list", &[Read]),
    ],
};

/// `helm`.
pub(super) fn helm(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let (words, known) = HELM.words(cmd.args);
    connection(eye, cmd, cmd.args, &line);
    let dry = promises(
        cmd.args,
        &["--dry-run", "--dry-run=client", "--dry-run=server"],
        "-i --install --atomic --wait --debug --reuse-values",
    );
    if dry
        && known
        && words
            .first()
            .is_some_and(|verb| matches!(*verb, "install" | "upgrade" | "uninstall" | "rollback"))
        && !cmd.args.iter().any(|arg| arg.text.starts_with("--post-renderer"))
    {
        return eye.see(Read, &line, "helm.dry-run");
    }
    if HELM.look(eye, cmd).is_some()
        && cmd
            .args
            .iter()
            .any(|arg| arg.text.starts_with("--post-renderer") || arg.text.starts_with("--force"))
    {
        eye.unknown(&line, "helm.option-acts");
    }
}

pub(super) const FLUX: Verbs = Verbs {
    tool: "flux",
    options: Options {
        valued: "-n --namespace --context --kubeconfig --timeout",
        flags: "--verbose -A --all-namespaces",
    },
    rows: &[
        ("get", &[Read]),
        ("logs", &[Read]),
        ("events", &[Read]),
        ("stats", &[Read]),
        ("tree", &[Read]),
        ("trace", &[Read]),
        ("check", &[Read]),
        ("version", &[Read]),
        ("diff", &[Read]),
        ("reconcile", &[Deploy]),
        ("suspend", &[Deploy]),
        ("resume", &[Deploy]),
        ("create", &[ConfigChange, InfraChange]),
        ("delete", &[InfraChange, OneWay]),
        ("install", &[InfraChange]),
        ("bootstrap", &[InfraChange, CredentialChange]),
        ("uninstall", &[InfraChange, OneWay]),
    ],
};

const ARGO: Verbs = Verbs {
    tool: "argocd",
    options: Options {
        valued: "--server --auth-token --argocd-context",
        flags: "--grpc-web --insecure",
    },
    rows: &[
        ("app get", &[Read]),
        ("app list", &[Read]),
        ("app history", &[Read]),
        ("app diff", &[Read]),
        ("app manifests", &[Read]),
        ("app sync", &[Deploy]),
        ("app rollback", &[ConfigRollback]),
        ("app delete", &[InfraChange, OneWay]),
        ("app set", &[ConfigChange]),
        ("account", &[CredentialChange]),
        ("login", &[CredentialChange]),
        ("cluster list", &[Read]),
        ("repo list", &[Read]),
    ],
};

/// `argocd`.
pub(super) fn argocd(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    ARGO.look(eye, cmd);
}

const VELERO: Verbs = Verbs {
    tool: "velero",
    options: Options {
        valued: "-n --namespace --kubecontext --kubeconfig",
        flags: "",
    },
    rows: &[
        ("backup get", &[Read]),
        ("backup describe", &[Read]),
        ("backup logs", &[Read]),
        ("backup create", &[Protect]),
        ("backup delete", &[BackupChange, OneWay]),
        ("restore get", &[Read]),
        ("restore describe", &[Read]),
        ("restore logs", &[Read]),
        ("restore create", &[DataRestore]),
        ("restore delete", &[DataWrite]),
        ("schedule get", &[Read]),
        ("schedule describe", &[Read]),
        ("schedule pause", &[BackupChange]),
        ("schedule", &[BackupChange]),
        ("get", &[Read]),
        ("describe", &[Read]),
        ("version", &[Read]),
    ],
};

/// `velero`.
pub(super) fn velero(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    connection(eye, cmd, cmd.args, &cmd.text());
    VELERO.look(eye, cmd);
}

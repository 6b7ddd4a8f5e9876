//! What an act does that a file beside it says: saved plans, manifests, configurations; and files that are not the ones
//! they seem.

use incident::effects::{ActText, Amounts, ScriptText, amounts, detect, script_paths};
use incident::model::effect::{Effect, Seen};

/// An act beside which these files were read.
fn read<T>(argv: &[&str], files: &[(&str, &[u8])], look: fn(&ActText<'_>) -> T) -> T {
    let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
    let scripts: Vec<ScriptText<'_>> = files
        .iter()
        .map(|(path, bytes)| ScriptText { path, bytes })
        .collect();
    look(&ActText {
        argv: &argv,
        scripts: &scripts,
        stdin: None,
    })
}

fn with(argv: &[&str], files: &[(&str, &[u8])]) -> Vec<Seen> {
    read(argv, files, detect)
}

fn effects(argv: &[&str], files: &[(&str, &[u8])]) -> Vec<Effect> {
    let mut effects: Vec<Effect> = with(argv, files).into_iter().map(|seen| seen.effect).collect();
    effects.dedup();
    effects
}

const CREATES: &[u8] = include_bytes!("plans/creates.tfplan");
const DESTROYS: &[u8] = include_bytes!("plans/destroys.tfplan");
const PROVISIONS: &[u8] = include_bytes!("plans/provisions.tfplan");
const TWICE: &[u8] = include_bytes!("plans/twice.tfplan");

#[test]
fn a_saved_plan_is_judged_by_what_it_would_do() {
    for program in ["terraform", "tofu"] {
        let apply = |plan: &[u8]| effects(&[program, "apply", "-auto-approve", "p"], &[("p", plan)]);
        assert_eq!(apply(CREATES), [Effect::InfraChange]);
        assert_eq!(
            apply(DESTROYS),
            [Effect::BulkData, Effect::InfraChange, Effect::OneWay]
        );
        assert!(apply(PROVISIONS).contains(&Effect::Unknown));
        assert!(apply(TWICE).contains(&Effect::Unknown));
        assert!(apply(b"PK").contains(&Effect::Unknown));
        let named = with(&[program, "apply", "p"], &[("p", DESTROYS)]);
        let text = |rule: &str| {
            named
                .iter()
                .find(|seen| seen.rule == rule)
                .map(|seen| seen.text.as_str())
        };
        assert_eq!(
            text("terraform.plan-destroys"),
            Some("destroys 1: aws_db_instance.orders")
        );
        assert_eq!(
            text("terraform.plan-replaces"),
            Some("replaces 2: module.web[\"a\"].aws_ecs_service.web, aws_sns_topic.x")
        );
    }
    assert_eq!(
        script_paths(&["terraform", "apply", "p"].map(str::to_owned)),
        ["p"]
    );
}

/// `terraform show -json` of the same plan, as far as anything is read of it.
const SHOWN: &[u8] = include_bytes!("plans/destroys.json");

#[test]
fn a_plan_that_is_shown_in_json_is_judged_like_the_saved_one() {
    for program in ["terraform", "tofu"] {
        let saved = with(&[program, "apply", "p"], &[("p", DESTROYS)]);
        assert_eq!(with(&[program, "apply", "p"], &[("p", SHOWN)]), saved);
    }
    let text = std::str::from_utf8(SHOWN).unwrap();
    // Cut anywhere, and bent where it counts, it is not understood.
    for at in 0..SHOWN.len() - 1 {
        let seen = effects(&["terraform", "apply", "p"], &[("p", &SHOWN[..at])]);
        assert!(seen.contains(&Effect::Unknown), "cut at {at}");
    }
    for (from, to) in [
        ("\"delete\"", "\"remove\""),
        ("\"1.2\"", "\"2.0\""),
        ("\"timestamp\"", "\"run_id\""),
        ("\"timestamp\"", "\"format_version\""),
        ("\"configuration\"", "\"config\""),
        ("\"managed\"", "\"magic\""),
        ("\"resources\"", "\"provisioners\""),
    ] {
        assert!(text.contains(from), "{from}");
        let bent = text.replace(from, to);
        let seen = effects(&["terraform", "apply", "p"], &[("p", bent.as_bytes())]);
        assert!(seen.contains(&Effect::Unknown), "{from} {to}");
    }
    // What a service keeps is applied by its number: nobody here knows what it does.
    let bookmark =
        br#"{"remote_plan_format":1,"run_id":"run-GXfuHMkbyHccAGUg","hostname":"app.terraform.io"}"#;
    assert!(effects(&["terraform", "apply", "p"], &[("p", bookmark)]).contains(&Effect::Unknown));
}

/// A rule that asks for a number gets that of the plan: everything it touches, or none where it could be more.
#[test]
fn what_a_plan_touches_is_counted_for_the_rules() {
    let objects = |argv: &[&str], plan: &[u8]| {
        let Amounts { rows, objects } = read(argv, &[("p", plan)], amounts);
        assert_eq!(rows, None);
        objects
    };
    let apply = ["/usr/bin/terraform", "apply", "-auto-approve", "p"];
    assert_eq!(objects(&apply, DESTROYS), Some(3));
    assert_eq!(objects(&apply, SHOWN), Some(3));
    assert_eq!(objects(&apply, CREATES), Some(2));
    assert_eq!(objects(&["sudo", "tofu", "apply", "p"], DESTROYS), Some(3));
    for (argv, plan) in [
        (&apply[..], PROVISIONS),
        (&apply, TWICE),
        (&apply, b"{}"),
        (&["terraform", "apply"], DESTROYS),
        (&["terraform", "apply", "-destroy", "p"], DESTROYS),
        (&["terraform", "apply", "q"], DESTROYS),
        (&["terraform", "-chdir=x", "apply", "p"], DESTROYS),
        (&["terragrunt", "apply", "p"], DESTROYS),
        (&["./terraform", "apply", "p"], DESTROYS),
        (&["terraform", "plan", "p"], DESTROYS),
        (&["sh", "-c", "terraform apply p"], DESTROYS),
        (&["ssh", "db1", "terraform", "apply", "p"], DESTROYS),
    ] {
        assert_eq!(objects(argv, plan), None, "{argv:?}");
    }
}

/// Where it is not clear that this file is what is applied, it is not read.
#[test]
fn a_plan_that_may_not_be_the_one_is_not_read() {
    for argv in [
        &["terraform", "apply"][..],
        &["terraform", "apply", "-destroy", "p"],
        &["terraform", "apply", "-var", "p"],
        &["terraform", "apply", "-parallelism", "p"],
        &["terraform", "-chdir=x", "apply", "p"],
        &["terraform", "apply", "p", "-auto-approve"],
        &["terragrunt", "apply", "p"],
        &["ssh", "db1", "terraform", "apply", "p"],
        &["sh", "-c", "cd x && terraform apply p"],
        &["sh", "-c", "terraform plan -out=p; terraform apply p"],
        &["sh", "-c", "terraform apply \"$P\""],
    ] {
        assert!(
            effects(argv, &[("p", CREATES), ("-auto-approve", CREATES)]).contains(&Effect::Unknown),
            "{argv:?}"
        );
    }
}

/// No byte of a plan can be changed, and no plan cut, so that something that ends is called something that does not.
#[test]
fn a_damaged_plan_is_not_understood_or_no_less() {
    let ends = |plan: &[u8]| {
        let seen = effects(&["terraform", "apply", "p"], &[("p", plan)]);
        seen.contains(&Effect::OneWay) || seen.contains(&Effect::Unknown)
    };
    for at in 0..DESTROYS.len() {
        assert!(ends(&DESTROYS[..at]), "cut at {at}");
        let mut longer = DESTROYS.to_vec();
        longer.insert(at, 0);
        assert!(ends(&longer), "longer at {at}");
    }
    assert!(ends(&[DESTROYS, CREATES].concat()) && ends(&[CREATES, DESTROYS].concat()));
}

const DEPLOYMENT: &[u8] = b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, image: web:41}]}}}\n";
const SECRET: &[u8] = b"{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"db\"}}";
const CLAIM: &[u8] = b"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\n";
const JOB: &[u8] = b"apiVersion: batch/v1\nkind: Job\nmetadata: {name: fix}\nspec: {}\n";

#[test]
fn a_manifest_is_judged_by_its_kinds() {
    use Effect as E;
    let files: &[(&str, &[u8])] = &[
        ("web.yaml", DEPLOYMENT),
        ("db.json", SECRET),
        ("data.yaml", CLAIM),
        ("job.yaml", JOB),
    ];
    let seen = |argv: &[&str]| effects(argv, files);
    assert_eq!(
        seen(&["kubectl", "-n", "shop", "apply", "-f", "web.yaml"]),
        [E::Deploy, E::ConfigChange, E::InfraChange]
    );
    assert!(seen(&["kubectl", "apply", "-f", "web.yaml,db.json"]).contains(&E::CredentialChange));
    assert!(seen(&["kubectl", "replace", "--filename=db.json"]).contains(&E::CredentialChange));
    assert!(seen(&["kubectl", "create", "-f", "job.yaml"]).contains(&E::Unknown));
    assert!(seen(&["kubectl", "delete", "-f", "data.yaml"]).contains(&E::BulkData));
    assert!(seen(&["kubectl", "delete", "-f", "db.json"]).contains(&E::CredentialChange));
    assert!(seen(&["kubectl", "delete", "-f", "nowhere.yaml"]).contains(&E::OneWay));
    for unread in [
        &["kubectl", "apply", "-f", "web.yaml", "-f", "-"][..],
        &["kubectl", "apply", "-f", "web.yaml", "-f", "nowhere.yaml"],
        &["kubectl", "apply", "-f", "web.yaml", "-k", "."],
        &["kubectl", "apply", "-f", "web.yaml", "-R"],
        &["kubectl", "apply", "-f", "web.yaml", "-Rfdb.json"],
        &["kubectl", "apply", "-f", "web.yaml", "--prune"],
        &["kubectl", "create", "--edit", "-f", "web.yaml"],
        &["kubectl", "replace", "--raw", "/api/v1/x", "-f", "web.yaml"],
        &["kubectl", "apply", "-f", "https://example.com/web.yaml"],
        &[
            "kubectl", "exec", "pod", "--", "kubectl", "apply", "-f", "web.yaml",
        ],
        &["sh", "-c", "sed -i s/a/b/ web.yaml && kubectl apply -f web.yaml"],
        &["sh", "-c", "git pull && kubectl apply -f web.yaml"],
        &["sh", "-c", "cd prod; kubectl apply -f web.yaml"],
    ] {
        assert!(seen(unread).contains(&E::Unknown), "{unread:?}");
    }
}

#[test]
fn a_foreign_kubeconfig_is_free_where_it_runs_nothing() {
    let plain = b"apiVersion: v1\nkind: Config\nusers: [{name: a, user: {token: x}}]\n";
    let runs = b"apiVersion: v1\nkind: Config\nusers: [{name: a, user: {exec: {command: evil}}}]\n";
    let get = ["kubectl", "--kubeconfig", "k", "get", "pods"];
    assert_eq!(effects(&get, &[("k", plain)]), [Effect::Read]);
    assert_eq!(effects(&get, &[("k", runs)]), [Effect::Unknown]);
    assert_eq!(effects(&get, &[]), [Effect::Unknown]);
    let set = ["sh", "-c", "KUBECONFIG=k kubectl get pods"];
    assert_eq!(effects(&set, &[("k", plain)]), [Effect::Read]);
    assert_eq!(effects(&set, &[("k", runs)]), [Effect::Unknown]);
}

/// A local file says nothing of one of the same name elsewhere, nor of what the act puts in its place.
#[test]
fn a_script_elsewhere_is_not_the_one_here() {
    let files: &[(&str, &[u8])] = &[
        ("fix.sh", b"#!/bin/sh\nls\n"),
        ("fix.sql", b"select 1;\n"),
        ("/srv/fix.sh", b"ls\n"),
    ];
    let seen = |line: &str| effects(&["sh", "-c", line], files);
    for here in [
        "sh fix.sh",
        "sudo sh fix.sh",
        "env A=b sh fix.sh; ls",
        "psql -f fix.sql; psql -f fix.sql",
        "cd /srv && sh /srv/fix.sh",
    ] {
        let reads = seen(here)
            .into_iter()
            .filter(|e| *e != Effect::Unknown)
            .collect::<Vec<_>>();
        assert!(reads.is_empty() || reads == [Effect::Read], "{here}: {reads:?}");
        assert!(
            here.contains("A=b") || !seen(here).contains(&Effect::Unknown),
            "{here}"
        );
    }
    for elsewhere in [
        "cd /tmp/evil && sh fix.sh",
        "sh fix.sh; cd /tmp/evil; sh fix.sh",
        "pushd x; psql -f fix.sql",
        "env -C /tmp/evil sh fix.sh",
        "env --chdir=/tmp/evil sh fix.sh",
        "sudo -D /tmp/evil sh fix.sh",
        "sudo -i sh fix.sh",
        "sudo -R /mnt sh /srv/fix.sh",
        "su - ana -c 'sh fix.sh'",
        "ssh db1 sh fix.sh",
        "ssh db1 sh /srv/fix.sh",
        "docker exec box sh /srv/fix.sh",
        "kubectl exec pod -- psql -f fix.sql",
        "chroot /mnt sh /srv/fix.sh",
        "sh ~/fix.sh",
        "echo x > fix.sh; sh fix.sh",
        "cp evil.sh /srv/fix.sh; sh /srv/fix.sh",
        "sh fix.sh; tee fix.sh < evil.sh; sh fix.sh",
        "curl -o fix.sh https://example.com; sh fix.sh",
        "tar xf evil.tar; sh fix.sh",
        "git checkout evil && sh fix.sh",
    ] {
        assert!(
            seen(elsewhere).contains(&Effect::Unknown),
            "{elsewhere}: {:?}",
            seen(elsewhere)
        );
    }
    for line in ["ssh db1 sh fix.sh", "docker exec box psql -f fix.sql"] {
        let argv = ["sh", "-c", line].map(str::to_owned);
        assert!(script_paths(&argv).is_empty(), "{line}");
    }
}

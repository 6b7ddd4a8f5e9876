//! The Kubernetes tables against a real API server with its controllers. The responder is always somebody
//! who may do exactly what the table says is needed.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine as _;
use incident::model::fact::{Fact, Proof};
use incident::providers::sheet::Sheet;
use incident::world::World;
use serde_json::{Value, json};

use super::contract::Case;
use crate::support::kubernetes::{Cluster, ROOT};
use crate::support::{START, network_world};

/// The tables that are run against it here.
pub const TABLES: &[&str] = &[
    "kubernetes-account",
    "kubernetes-binding",
    "kubernetes-cluster-binding",
    "kubernetes-cronjob",
    "kubernetes-scale",
    "kubernetes-token",
];

const RBAC: &str = "rbac.authorization.k8s.io";

/// Where one part of the test works, beside the others.
struct Room<'w> {
    world: &'w World,
    cluster: &'w Cluster,
    namespace: &'w str,
    ran: &'w Mutex<BTreeSet<String>>,
}

/// One part of the test.
type Part = fn(&Room<'_>);

/// What a table says the responder needs, as rules: whether of the namespace, group, resource, verb.
fn rules(provider: &str, permissions: &[String]) -> Vec<(bool, &'static str, String, String)> {
    let mut rules = Vec::new();
    for permission in permissions {
        let (verbs, what) = permission.split_once(" on ").unwrap();
        let inside = what.ends_with(" in the namespace") || provider == "kubernetes-binding";
        let what = what.trim_end_matches(" in the namespace");
        let (group, resource) = match what.split(" (").next().unwrap() {
            what @ ("serviceaccounts" | "secrets" | "pods") => ("", what),
            what @ "tokenreviews" => ("authentication.k8s.io", what),
            what @ ("rolebindings" | "clusterrolebindings") => (RBAC, what),
            "the role it binds, or all that the role allows" if inside => (RBAC, "roles"),
            "the role it binds, or all that the role allows" => (RBAC, "clusterroles"),
            what @ "cronjobs" => ("batch", what),
            what @ "deployments/scale" => ("apps", what),
            other => panic!("{provider} needs what the test does not know: {other}"),
        };
        let verbs = verbs.split(" and ");
        rules.extend(verbs.map(|verb| (inside, group, resource.to_owned(), verb.to_owned())));
    }
    rules
}

impl Room<'_> {
    fn path(&self, group: &str, what: &str) -> String {
        format!("{group}/namespaces/{}/{what}", self.namespace)
    }

    fn make(&self, path: &str, body: &Value) -> Value {
        self.cluster.make(self.world, path, body)
    }

    fn ask(&self, method: &str, path: &str, token: &str) -> (u16, Value) {
        self.cluster.ask(self.world, method, path, token, "")
    }

    /// What the agent gets where it reads secrets.
    fn status(&self, token: &str) -> u16 {
        self.ask("GET", &self.path("/api/v1", "secrets"), token).0
    }

    fn wait(&self, what: &str, so: impl Fn() -> bool) {
        let began = Instant::now();
        while !so() {
            assert!(began.elapsed() < START, "never: {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Somebody with these rights and no others: the token, once the authoriser knows.
    fn somebody(&self, rules: &[(bool, &str, String, String)]) -> String {
        let (name, token) = self.cluster.user();
        let role = |inside: bool| {
            let rules = rules.iter().filter(|r| r.0 == inside);
            let rules = rules.map(|(_, group, resource, verb)| json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]}));
            json!({"metadata": {"name": name}, "rules": rules.collect::<Vec<_>>()})
        };
        let binding = |kind: &str| {
            json!({
                "metadata": {"name": name},
                "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
                "subjects": [{"apiGroup": RBAC, "kind": "User", "name": name}],
            })
        };
        let all = format!("/apis/{RBAC}/v1");
        self.make(&format!("{all}/clusterroles"), &role(false));
        self.make(&format!("{all}/clusterrolebindings"), &binding("ClusterRole"));
        self.make(&self.path(&all, "roles"), &role(true));
        self.make(&self.path(&all, "rolebindings"), &binding("Role"));
        let review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        for (inside, group, resource, verb) in rules {
            let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
            let namespace = if *inside { self.namespace } else { "" };
            let may = json!({"spec": {"resourceAttributes": {
                "namespace": namespace, "group": group, "resource": resource, "subresource": sub, "verb": verb,
            }}});
            let may = may.to_string();
            self.wait("the responder has its rights", || {
                let (_, review) = self.cluster.ask(self.world, "POST", review, &token, &may);
                review.pointer("/status/allowed") == Some(&json!(true))
            });
        }
        token
    }

    /// A grant, with a responder who may do what its table says but for one thing.
    fn case_without(&self, provider: &str, with: &[(&str, &str)], without: Option<usize>) -> Case<'_> {
        let ca = self.cluster.ca.display().to_string();
        let mut given = vec![("address", self.cluster.address.as_str()), ("ca", &ca)];
        if provider != "kubernetes-cluster-binding" {
            given.push(("namespace", self.namespace));
        }
        given.extend(with);
        let case = Case::new(self.world, provider, &given);
        assert_eq!(case.adapter().check(&case.target), Vec::<String>::new());
        let mut rules = rules(provider, &Sheet::of(case.adapter()).about.permissions);
        if let Some(without) = without {
            rules.remove(without);
        }
        self.ran.lock().unwrap().insert(provider.to_owned());
        case.auth(&self.somebody(&rules))
    }

    fn case(&self, provider: &str, with: &[(&str, &str)]) -> Case<'_> {
        let case = self.case_without(provider, with, None);
        let armed = case.armed();
        assert!(matches!(armed[..], [Fact::Noted { .. }]), "{provider}: {armed:?}");
        case
    }

    /// A service account that may read secrets and watch settings, as the agent has it.
    fn account(&self, name: &str) {
        self.make(
            &self.path("/api/v1", "serviceaccounts"),
            &json!({"metadata": {"name": name}}),
        );
        let rbac = format!("/apis/{RBAC}/v1");
        let what = ["secrets", "configmaps"];
        let rule = json!({"apiGroups": [""], "resources": what, "verbs": ["get", "list", "watch"]});
        self.make(
            &self.path(&rbac, "roles"),
            &json!({"metadata": {"name": name}, "rules": [rule]}),
        );
        let subject = json!({"kind": "ServiceAccount", "name": name, "namespace": self.namespace});
        let binding = json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
            "subjects": [subject],
        });
        self.make(&self.path(&rbac, "rolebindings"), &binding);
    }

    /// A token of the account that works; bound to a Secret where one is named.
    fn token(&self, account: &str, bound_to: Option<&Value>) -> String {
        let tie = bound_to.map(|secret| {
            let of = |at: &str| secret.pointer(at).unwrap().clone();
            json!({"apiVersion": "v1", "kind": "Secret", "name": of("/metadata/name"), "uid": of("/metadata/uid")})
        });
        let path = self.path("/api/v1", &format!("serviceaccounts/{account}/token"));
        let wanted = json!({"spec": {"audiences": ["https://desk.example"], "boundObjectRef": tie}});
        let made = self.make(&path, &wanted);
        let token = text(&made, "/status/token");
        self.wait("the agent can work", || self.status(&token) == 200);
        token
    }

    fn secret(&self, name: &str, finalizers: &[&str]) -> Value {
        let secret = json!({"metadata": {"name": name, "finalizers": finalizers}});
        self.make(&self.path("/api/v1", "secrets"), &secret)
    }
}

fn text(value: &Value, at: &str) -> String {
    let found = value.pointer(at).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("{at} in {value}")).to_owned()
}

fn refused(facts: &[Fact]) -> bool {
    facts.iter().any(|f| matches!(f, Fact::Error { status: 403, .. }))
}

fn given_back(facts: &[Fact]) {
    let alive = facts.contains(&Fact::ReadBack { dead: false });
    let wrong = facts.iter().any(|f| matches!(f, Fact::Error { .. }));
    assert!(alive && !wrong, "{facts:?}");
}

/// One server for all of it, each part in a namespace of its own and beside the others: most of the time
/// goes by waiting for what Kubernetes remembers.
#[test]
fn the_tables_hold_against_a_real_api_server() {
    let world = network_world();
    let Some(mut cluster) = Cluster::start(&world) else {
        return;
    };
    let ran = Mutex::new(BTreeSet::new());
    let parts: [(&str, Part); 9] = [
        ("bound-token", a_bound_token_is_refused_once_the_server_forgets_it),
        ("secret-token", a_token_of_a_secret_is_refused_and_a_new_one_made),
        ("finalizer", what_a_finalizer_holds_is_not_called_dead),
        ("misspelt", a_misspelt_name_proves_nothing),
        ("account", an_account_is_deleted_with_all_its_tokens),
        ("binding", bindings_are_emptied_and_given_back),
        ("cronjob", a_cronjob_is_suspended_and_given_back),
        ("scale", a_workload_is_dead_only_when_its_pods_are),
        ("permissions", without_any_one_permission_it_is_refused),
    ];
    std::thread::scope(|scope| {
        for (namespace, part) in parts {
            let (cluster, ran) = (&cluster, &ran);
            let run = move || in_room(cluster, ran, namespace, part);
            let named = std::thread::Builder::new().name(namespace.to_owned());
            named.spawn_scoped(scope, run).unwrap();
        }
    });
    cluster.end_controllers();
    in_room(
        &cluster,
        &ran,
        "idle",
        what_no_controller_carries_out_is_not_called_dead,
    );
    let ran = ran.into_inner().unwrap();
    assert_eq!(ran.iter().map(String::as_str).collect::<Vec<_>>(), TABLES);
}

fn in_room(cluster: &Cluster, ran: &Mutex<BTreeSet<String>>, namespace: &str, part: Part) {
    let world = network_world();
    let room = Room {
        world: &world,
        cluster,
        namespace,
        ran,
    };
    room.make("/api/v1/namespaces", &json!({"metadata": {"name": namespace}}));
    part(&room);
}

fn a_bound_token_is_refused_once_the_server_forgets_it(room: &Room<'_>) {
    room.account("bot");
    let token = room.token("bot", Some(&room.secret("tie", &[])));
    let settings = room.path("/api/v1", "configmaps");
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| room.cluster.watch(&network_world(), &settings, &token, 16));
        let mut case = room.case("kubernetes-token", &[("name", "tie")]).secret(&token);
        case.before();
        let cut = case.cut();
        assert!(cut.contains(&Fact::Accepted { status: 200 }), "{cut:?}");
        case.sessions();
        let at_once = case.probe();
        assert!(at_once.contains(&Fact::ReadBack { dead: true }), "{at_once:?}");
        // It remembers the token for ten seconds more: gone from the record, and it works.
        assert!(
            at_once.contains(&Fact::TriedNew { refused: false }),
            "{at_once:?}"
        );
        assert_eq!(case.proof(), Proof::StillLive);
        std::thread::sleep(case.adapter().window());
        case.probe();
        assert_eq!(case.proof(), Proof::RefusedNewUse, "{:?}", case.facts);
        assert_eq!(room.status(&token), 401);
        // A watch from before goes on, which is why the word is no stronger.
        room.make(&settings, &json!({"metadata": {"name": "made-after-the-cut"}}));
        let told = watch.join().unwrap();
        assert!(told.contains("made-after-the-cut"), "{told}");
    });
}

fn a_token_of_a_secret_is_refused_and_a_new_one_made(room: &Room<'_>) {
    room.account("bot");
    let account = room.path("/api/v1", "serviceaccounts/bot");
    let secrets = || -> Vec<String> {
        let (_, found) = room.ask("GET", &account, ROOT);
        let listed = found.pointer("/secrets").and_then(Value::as_array).cloned();
        let listed = listed.unwrap_or_default();
        listed.iter().map(|s| text(s, "/name").to_owned()).collect()
    };
    room.wait("the account has a Secret", || !secrets().is_empty());
    let before = secrets();
    let name = before[0].clone();
    let (_, found) = room.ask("GET", &room.path("/api/v1", &format!("secrets/{name}")), ROOT);
    let token = base64::prelude::BASE64_STANDARD
        .decode(text(&found, "/data/token"))
        .unwrap();
    let token = String::from_utf8(token).unwrap();
    room.wait("the agent can work", || room.status(&token) == 200);
    let mut case = room.case("kubernetes-token", &[("name", &name)]).secret(&token);
    assert_eq!(case.stop(), Proof::RefusedNewUse, "{:?}", case.facts);
    assert_eq!(room.status(&token), 401);
    // Said beforehand by `outlives`: this version gives the account another.
    room.wait(&format!("a Secret that is not of {before:?}"), || {
        secrets().iter().any(|s| !before.contains(s))
    });
    let outlives = |f: &Fact| matches!(f, Fact::Residual { what, .. } if what.contains("new token"));
    assert!(case.facts.iter().any(|o| outlives(&o.fact)));
}

fn what_a_finalizer_holds_is_not_called_dead(room: &Room<'_>) {
    room.account("bot");
    let token = room.token("bot", Some(&room.secret("held", &["agent.example/mine"])));
    let mut case = room.case("kubernetes-token", &[("name", "held")]).secret(&token);
    assert_eq!(case.stop(), Proof::StillLive, "{:?}", case.facts);
    assert!(case.facts.iter().any(|o| matches!(o.fact, Fact::Accepted { .. })));
    assert_eq!(room.status(&token), 200);
}

fn a_misspelt_name_proves_nothing(room: &Room<'_>) {
    room.account("bot");
    let token = room.token("bot", None);
    let mut case = room.case("kubernetes-token", &[("name", "tei")]).secret(&token);
    assert_eq!(case.stop(), Proof::StillLive, "{:?}", case.facts);
    let mut case = room.case("kubernetes-account", &[("name", "bto")]);
    assert_eq!(case.stop(), Proof::Accepted, "{:?}", case.facts);
    assert_eq!(room.status(&token), 200);
}

fn an_account_is_deleted_with_all_its_tokens(room: &Room<'_>) {
    room.account("bot");
    let token = room.token("bot", None);
    let other = room.token("bot", Some(&room.secret("tie", &[])));
    let mut case = room.case("kubernetes-account", &[("name", "bot")]).secret(&token);
    assert_eq!(case.stop(), Proof::RefusedNewUse, "{:?}", case.facts);
    assert_eq!((room.status(&token), room.status(&other)), (401, 401));
    // One of the same name does not bring them back.
    let accounts = room.path("/api/v1", "serviceaccounts");
    room.make(&accounts, &json!({"metadata": {"name": "bot"}}));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!((room.status(&token), room.status(&other)), (401, 401));
}

fn bindings_are_emptied_and_given_back(room: &Room<'_>) {
    room.account("bot");
    let token = room.token("bot", None);
    let path = format!("api/v1/namespaces/{}/secrets", room.namespace);
    let given = [("name", "bot"), ("try", path.as_str())];
    let mut case = room.case("kubernetes-binding", &given).secret(&token);
    // The armed check tried it, and left it as it was.
    assert_eq!(room.status(&token), 200);
    assert_eq!(case.stop(), Proof::RefusedNewUse, "{:?}", case.facts);
    assert_eq!(room.status(&token), 403);
    given_back(&case.restore());
    room.wait("the rights are back", || room.status(&token) == 200);

    let rbac = format!("/apis/{RBAC}/v1");
    let rule = json!({"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]});
    let wide = json!({"metadata": {"name": "bot-of-all"}, "rules": [rule]});
    room.make(&format!("{rbac}/clusterroles"), &wide);
    let binding = json!({
        "metadata": {"name": "bot-of-all"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "bot-of-all"},
        "subjects": [{"kind": "ServiceAccount", "name": "bot", "namespace": room.namespace}],
    });
    room.make(&format!("{rbac}/clusterrolebindings"), &binding);
    let nodes = || room.ask("GET", "/api/v1/nodes", &token).0;
    room.wait("the agent can see nodes", || nodes() == 200);
    let given = [("name", "bot-of-all"), ("try", "api/v1/nodes")];
    let mut case = room.case("kubernetes-cluster-binding", &given).secret(&token);
    assert_eq!(case.stop(), Proof::RefusedNewUse, "{:?}", case.facts);
    assert_eq!(nodes(), 403);
    given_back(&case.restore());
    room.wait("the rights are back", || nodes() == 200);
}

fn cronjob(room: &Room<'_>, name: &str) -> String {
    let pod =
        json!({"containers": [{"name": "agent", "image": "agent.invalid/agent"}], "restartPolicy": "Never"});
    let job = json!({"spec": {"template": {"spec": pod}}});
    let nightly = json!({"metadata": {"name": name}, "spec": {"schedule": "0 3 * * *", "jobTemplate": job}});
    let cronjobs = room.path("/apis/batch/v1beta1", "cronjobs");
    room.make(&cronjobs, &nightly);
    format!("{cronjobs}/{name}")
}

fn a_cronjob_is_suspended_and_given_back(room: &Room<'_>) {
    let path = cronjob(room, "nightly");
    // This server has no `v1`: nothing is claimed there.
    let mut newer = room.case("kubernetes-cronjob", &[("name", "nightly")]);
    assert_eq!(newer.stop(), Proof::Failed, "{:?}", newer.facts);
    let given = [("name", "nightly"), ("version", "v1beta1")];
    let mut case = room.case("kubernetes-cronjob", &given);
    let suspended = || room.ask("GET", &path, ROOT).1.pointer("/spec/suspend").cloned();
    assert_eq!(case.stop(), Proof::Confirmed, "{:?}", case.facts);
    assert_eq!(suspended(), Some(json!(true)));
    given_back(&case.restore());
    assert_eq!(suspended(), Some(json!(false)));
}

/// A workload whose pods are on a node that never answers, as those of a lost node are.
fn workload(room: &Room<'_>, name: &str, replicas: u32) {
    let labels = json!({"app": name});
    let pod = json!({"nodeName": "lost", "containers": [{"name": "agent", "image": "agent.invalid/agent"}]});
    let template = json!({"metadata": {"labels": labels}, "spec": pod});
    let spec = json!({"replicas": replicas, "selector": {"matchLabels": labels}, "template": template});
    let deployments = room.path("/apis/apps/v1", "deployments");
    room.make(&deployments, &json!({"metadata": {"name": name}, "spec": spec}));
    let status = format!("{deployments}/{name}");
    room.wait("the workload runs", || {
        let (_, found) = room.ask("GET", &status, ROOT);
        found.pointer("/status/replicas") == Some(&json!(replicas))
    });
}

fn pods(room: &Room<'_>, app: &str) -> Vec<Value> {
    let path = room.path("/api/v1", &format!("pods?labelSelector=app%3D{app}"));
    let (_, found) = room.ask("GET", &path, ROOT);
    found.pointer("/items").and_then(Value::as_array).unwrap().clone()
}

fn a_workload_is_dead_only_when_its_pods_are(room: &Room<'_>) {
    workload(room, "other", 1);
    workload(room, "agent", 3);
    let mut case = room.case("kubernetes-scale", &[("name", "agent")]);
    case.before();
    let cut = case.cut();
    assert!(cut.contains(&Fact::Accepted { status: 200 }), "{cut:?}");
    let ended = case.sessions();
    assert!(ended.contains(&Fact::Listed { live: 3 }), "{ended:?}");
    let ending = |pod: &Value| pod.pointer("/metadata/deletionGracePeriodSeconds") == Some(&json!(1));
    assert!(pods(room, "agent").iter().all(ending));
    // By the server's count there is nothing left, and on the node all three may run.
    let mut count = Vec::new();
    let began = Instant::now();
    while !count.contains(&Fact::ReadBack { dead: true }) {
        assert!(began.elapsed() < START, "{count:?}");
        count = case.probe();
    }
    case.sessions();
    assert_eq!(case.proof(), Proof::StillLive, "{:?}", case.facts);
    // The node answers, and says they are gone.
    for pod in pods(room, "agent") {
        let name = text(&pod, "/metadata/name");
        let path = room.path("/api/v1", &format!("pods/{name}?gracePeriodSeconds=0"));
        assert_eq!(room.ask("DELETE", &path, ROOT).0, 200);
    }
    case.sessions();
    case.probe();
    assert_eq!(case.proof(), Proof::Confirmed, "{:?}", case.facts);
    given_back(&case.restore());
    room.wait("three pods", || pods(room, "agent").len() == 3);
    assert!(pods(room, "other").iter().all(|pod| !ending(pod)));
}

fn without_any_one_permission_it_is_refused(room: &Room<'_>) {
    for provider in TABLES {
        let sheet = Case::new(room.world, provider, &[]);
        let needed = rules(provider, &Sheet::of(sheet.adapter()).about.permissions);
        for (n, (_, _, resource, verb)) in needed.iter().enumerate() {
            let name = format!("{}-{n}", provider.trim_start_matches("kubernetes-"));
            let mut with = vec![("name", name.as_str())];
            let mut secret = None;
            match *provider {
                "kubernetes-cronjob" => {
                    cronjob(room, &name);
                    with.push(("version", "v1beta1"));
                }
                "kubernetes-scale" => workload(room, &name, 1),
                "kubernetes-token" => {
                    let tie = room.secret(&name, &[]);
                    room.account(&name);
                    secret = Some(room.token(&name, Some(&tie)));
                }
                "kubernetes-cluster-binding" => {
                    let binding = json!({
                        "metadata": {"name": name},
                        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
                        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": "agent"}],
                    });
                    room.make(&format!("/apis/{RBAC}/v1/clusterrolebindings"), &binding);
                }
                _ => {
                    room.account(&name);
                    secret = Some(room.token(&name, None));
                }
            }
            let mut case = room.case_without(provider, &with, Some(n));
            case = match &secret {
                Some(secret) => case.secret(secret),
                None => case,
            };
            let armed = case.armed();
            case.before();
            let cut = case.cut();
            let facts = [cut.clone(), case.sessions(), case.probe()].concat();
            assert!(
                refused(&facts),
                "{provider} without {verb} on {resource}: {facts:?}"
            );
            if n == 0 || verb == "bind" {
                let no = |f: &Fact| matches!(f, Fact::Error { .. });
                assert!(armed.iter().any(no), "{provider} without {verb}: {armed:?}");
                assert!(refused(&cut), "{provider} without {verb}: {cut:?}");
                assert!(
                    !case.proof().is_dead(),
                    "{provider} without {verb}: {:?}",
                    case.facts
                );
            }
        }
    }
}

fn what_no_controller_carries_out_is_not_called_dead(room: &Room<'_>) {
    // The controllers ran when it was made.
    let room = Room {
        namespace: "scale",
        ..*room
    };
    let mut case = room.case("kubernetes-scale", &[("name", "agent")]);
    case.before();
    let cut = case.cut();
    assert!(cut.contains(&Fact::Accepted { status: 200 }), "{cut:?}");
    for _ in 0..2 {
        case.sessions();
        case.probe();
        assert_eq!(case.proof(), Proof::StillLive, "{:?}", case.facts);
    }
    // Even where its pods were ended by hand, the count on record is still the old one.
    for pod in pods(&room, "agent") {
        let name = text(&pod, "/metadata/name");
        let path = room.path("/api/v1", &format!("pods/{name}?gracePeriodSeconds=0"));
        assert_eq!(room.ask("DELETE", &path, ROOT).0, 200);
    }
    case.sessions();
    case.probe();
    assert_eq!(case.proof(), Proof::StillLive, "{:?}", case.facts);
}

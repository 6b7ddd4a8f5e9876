//! The look at a cluster against a real API server, by somebody who may read some of it.

use std::time::{Duration, Instant};

use incident::model::event::ItemStatus;
use serde_json::{Value, json};

use super::shelf::{LIMITS, of, status, take, with_secret};
use crate::support::kubernetes::{Cluster, ROOT};
use crate::support::{START, network_world};

const RBAC: &str = "rbac.authorization.k8s.io";

/// What the reader may list: group, resource, and the item that is it.
const MAY: [(&str, &str, &str); 8] = [
    ("", "pods", "pods.json"),
    ("", "events", "events.json"),
    ("", "namespaces", "namespaces.json"),
    ("", "services", "services.json"),
    ("", "configmaps", "configmaps.json"),
    ("", "serviceaccounts", "service-accounts.json"),
    ("apps", "deployments", "deployments.json"),
    ("apps", "replicasets", "replicasets.json"),
];
/// What nobody allowed.
const MAY_NOT: [&str; 9] = [
    "nodes.json",
    "volumes.json",
    "volume-claims.json",
    "statefulsets.json",
    "daemonsets.json",
    "roles.json",
    "role-bindings.json",
    "cluster-roles.json",
    "cluster-role-bindings.json",
];

#[test]
fn a_real_cluster_tells_what_may_be_read_and_what_is_forbidden() {
    let world = network_world();
    let Some(cluster) = Cluster::start(&world) else {
        return;
    };
    let (name, token) = cluster.user();
    let rule = |(group, resource, _): &(&str, &str, &str)| json!({"apiGroups": [group], "resources": [resource], "verbs": ["get", "list"]});
    let mut rules: Vec<Value> = MAY.iter().map(rule).collect();
    rules.push(json!({"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}));
    let make = |path: &str, body: Value| cluster.make(&world, path, &body);
    make(
        &format!("/apis/{RBAC}/v1/clusterroles"),
        json!({"metadata": {"name": "reader"}, "rules": rules}),
    );
    make(
        &format!("/apis/{RBAC}/v1/clusterrolebindings"),
        json!({
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "reader"},
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": name}],
        }),
    );
    make("/api/v1/namespaces", json!({"metadata": {"name": "shop"}}));
    make(
        "/api/v1/namespaces/shop/configmaps",
        json!({"metadata": {"name": "settings"}, "data": {"replicas": "3"}}),
    );
    let labels = json!({"app": "web"});
    make(
        "/apis/apps/v1/namespaces/shop/deployments",
        json!({"metadata": {"name": "web"}, "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "shop:7"}, {"name": "side", "image": "log:1"}]},
        }}}),
    );
    make(
        "/api/v1/namespaces/shop/events",
        json!({
            "metadata": {"name": "web.1", "namespace": "shop"}, "reason": "BackOff", "message": "Back-off restarting failed container", "type": "Warning",
            "involvedObject": {"kind": "Deployment", "namespace": "shop", "name": "web"},
        }),
    );
    // The controllers make the pods; the authoriser learns of the role a moment later.
    let began = Instant::now();
    let listed = |token: &str, path: &str| {
        let (_, list) = cluster.ask(&world, "GET", path, token, "");
        list["items"].as_array().map_or(0, Vec::len)
    };
    while listed(ROOT, "/api/v1/namespaces/shop/pods") < 2 || listed(&token, "/apis/apps/v1/replicasets") < 1
    {
        assert!(began.elapsed() < START, "no pods");
        std::thread::sleep(Duration::from_millis(100));
    }

    let ca = cluster.ca.display().to_string();
    let spec = of("kubernetes", &[("api", &cluster.address), ("ca", &ca)]);
    let spec = with_secret(&world, spec, "token", &token);
    let (taken, shelf) = take(&world, &spec, LIMITS);
    for (_, _, item) in MAY {
        assert_eq!(status(&taken, item), ItemStatus::Collected, "{item}: {taken:#?}");
        let list: Value = serde_json::from_str(&shelf.text(item)).unwrap();
        assert!(
            !list["items"].as_array().unwrap().is_empty() || item == "services.json",
            "{item}"
        );
    }
    for item in MAY_NOT {
        assert_eq!(status(&taken, item), ItemStatus::Forbidden, "{item}: {taken:#?}");
        let refusal: Value = serde_json::from_str(&shelf.text(item)).unwrap();
        assert_eq!(
            refusal["reason"], "Forbidden",
            "what the server said is kept: {refusal}"
        );
    }
    assert!(
        shelf
            .text("events.json")
            .contains("Back-off restarting failed container")
    );
    assert!(shelf.text("deployments.json").contains("shop:7"));
    assert!(shelf.text("configmaps.json").contains("\"replicas\":\"3\""));
    assert_eq!(status(&taken, "version.json"), ItemStatus::Collected);
    // No node runs them: each container of each pod is asked, the server says nothing, and nothing is made of that.
    let logs: Vec<_> = taken
        .iter()
        .filter(|t| t.name.starts_with("log-shop-web-"))
        .collect();
    assert_eq!(logs.len(), 4, "{taken:#?}");
    assert!(logs.iter().all(|l| l.bytes == 0), "{logs:#?}");

    // Whoever may read nothing gets a ledger of nothing but refusals.
    let (_, nobody) = cluster.user();
    let spec = of("kubernetes", &[("api", &cluster.address), ("ca", &ca)]);
    let spec = with_secret(&world, spec, "token", &nobody);
    let (taken, _) = take(&world, &spec, LIMITS);
    let open: Vec<&str> = taken
        .iter()
        .filter(|t| t.status != ItemStatus::Forbidden)
        .map(|t| t.name.as_str())
        .collect();
    assert_eq!(open, ["version.json"], "{taken:#?}");
    let spec = of("kubernetes", &[("api", &cluster.address), ("ca", &ca)]);
    let (taken, _) = take(
        &world,
        &with_secret(&world, spec, "token", "no-such-token"),
        LIMITS,
    );
    assert!(
        taken.iter().all(|t| t.status == ItemStatus::Forbidden),
        "{taken:#?}"
    );
}

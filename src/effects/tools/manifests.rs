//! What a manifest would put into a cluster, by content: YAML or JSON, one document after the other.
//!
//! Only kinds of the groups that come with Kubernetes are known. A file that two parsers could take apart in two ways
//! is not understood.

use crate::effects::eye::Eye;
use crate::model::effect::Effect::{
    self, BackupChange, ConfigChange, CredentialChange, Deploy, InfraChange, SchemaChange, SecurityConfig,
    Traffic, Unknown,
};
use crate::model::yaml::{self, Node, Value};

/// Group, kinds in it, and what putting one of them there changes.
const KINDS: &[(&str, &str, &[Effect])] = &[
    ("", "ConfigMap ResourceQuota LimitRange", &[ConfigChange]),
    ("", "Secret ServiceAccount", &[CredentialChange]),
    ("", "Service Endpoints", &[Traffic]),
    ("", "Namespace", &[InfraChange]),
    ("", "PersistentVolume PersistentVolumeClaim", &[InfraChange]),
    ("", "Pod", &[Deploy, Unknown]),
    ("", "ReplicationController", &[Deploy]),
    ("apps", "Deployment DaemonSet StatefulSet ReplicaSet", &[Deploy]),
    ("batch", "Job CronJob", &[Deploy, Unknown]),
    ("autoscaling", "HorizontalPodAutoscaler", &[InfraChange]),
    ("policy", "PodDisruptionBudget", &[ConfigChange]),
    ("scheduling.k8s.io", "PriorityClass", &[ConfigChange]),
    ("discovery.k8s.io", "EndpointSlice", &[Traffic]),
    ("networking.k8s.io", "Ingress", &[Traffic]),
    ("networking.k8s.io", "IngressClass", &[Traffic]),
    ("networking.k8s.io", "NetworkPolicy", &[SecurityConfig]),
    (
        "gateway.networking.k8s.io",
        "Gateway HTTPRoute GRPCRoute",
        &[Traffic],
    ),
    (
        "rbac.authorization.k8s.io",
        "Role RoleBinding ClusterRole ClusterRoleBinding",
        &[CredentialChange],
    ),
    (
        "certificates.k8s.io",
        "CertificateSigningRequest",
        &[CredentialChange],
    ),
    (
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding",
        &[SecurityConfig],
    ),
    ("policy", "PodSecurityPolicy", &[SecurityConfig]),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        &[SchemaChange],
    ),
    ("storage.k8s.io", "StorageClass", &[InfraChange]),
    (
        "snapshot.storage.k8s.io",
        "VolumeSnapshot VolumeSnapshotContent VolumeSnapshotClass",
        &[BackupChange],
    ),
];

/// Kinds that go with data when they are deleted.
const HOLD_DATA: [&str; 5] = [
    "Namespace",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "StatefulSet",
    "CustomResourceDefinition",
];

/// What a pod may not have for its template to say all that it does: then it runs more than its image, or reaches out
/// of its box.
const RUNS_MORE: [&str; 13] = [
    "command",
    "args",
    "exec",
    "lifecycle",
    "initContainers",
    "ephemeralContainers",
    "hostPath",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "privileged",
    "capabilities",
    "serviceAccountName",
];

/// What a manifest names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// What putting it there changes.
    pub effects: std::collections::BTreeSet<Effect>,
    /// Kinds and names, as `Secret/db`.
    pub names: Vec<String>,
    /// Deleting it takes data along.
    pub holds_data: bool,
}

/// Reads a manifest; `None` where it is not understood whole.
pub(super) fn read(eye: &mut Eye<'_>, bytes: &[u8]) -> Option<Manifest> {
    let text = std::str::from_utf8(bytes).ok()?;
    if !eye.afford(text) || text.contains(['\0', '\u{feff}', '\u{85}', '\u{2028}', '\u{2029}']) {
        return None;
    }
    let mut manifest = Manifest::default();
    let mut documents = vec![String::new()];
    for line in text.lines() {
        // `kubectl` cuts at these before it reads YAML, and drops what else stands in the line.
        match line.trim_end() {
            "---" => documents.push(String::new()),
            odd if odd.starts_with("---") || odd.starts_with("...") || odd.starts_with('%') => return None,
            _ => {
                let document = documents.last_mut()?;
                document.push_str(line);
                document.push('\n');
            }
        }
    }
    for document in documents.iter().filter(|document| !blank(document)) {
        let node = yaml::parse("manifest", document).ok()?;
        object(&node, &mut manifest, 0)?;
    }
    (!manifest.names.is_empty()).then_some(manifest)
}

fn blank(document: &str) -> bool {
    let mut lines = document.lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#'))
}

fn under<'n>(node: &'n Node, wanted: &str) -> Option<&'n Node> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    entries
        .iter()
        .find(|(key, _)| key.text == wanted)
        .map(|(_, node)| node)
}

fn text<'n>(node: &'n Node, wanted: &str) -> Option<&'n str> {
    match &under(node, wanted)?.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn object(node: &Node, manifest: &mut Manifest, depth: usize) -> Option<()> {
    let (version, kind) = (text(node, "apiVersion")?, text(node, "kind")?);
    let group = version.split_once('/').map_or("", |(group, _)| group);
    if kind == "List" && version == "v1" && depth == 0 {
        let Value::List(items) = &under(node, "items")?.value else {
            return None;
        };
        return items
            .iter()
            .try_for_each(|item| object(item, manifest, depth + 1));
    }
    let (_, _, effects) = KINDS
        .iter()
        .find(|(of, kinds, _)| *of == group && kinds.split(' ').any(|known| known == kind))?;
    manifest.effects.extend(*effects);
    if effects.contains(&Deploy) && runs_more(node) {
        manifest.effects.insert(Unknown);
    }
    manifest.holds_data |= HOLD_DATA.contains(&kind);
    let name = under(node, "metadata").and_then(|metadata| text(metadata, "name"))?;
    manifest.names.push(format!("{kind}/{name}"));
    Some(())
}

fn runs_more(node: &Node) -> bool {
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .any(|(key, node)| RUNS_MORE.contains(&key.text.as_str()) || runs_more(node)),
        Value::List(items) => items.iter().any(runs_more),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(text: &str) -> Option<Vec<Effect>> {
        let manifest = read(&mut Eye::new(&[]), text.as_bytes())?;
        Some(manifest.effects.into_iter().collect())
    }

    #[test]
    fn kinds_say_what_they_change() {
        let one = |version: &str, kind: &str| {
            effects(&format!(
                "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\n"
            ))
        };
        assert_eq!(one("v1", "ConfigMap"), Some(vec![ConfigChange]));
        assert_eq!(one("v1", "Secret"), Some(vec![CredentialChange]));
        assert_eq!(
            one("rbac.authorization.k8s.io/v1", "RoleBinding"),
            Some(vec![CredentialChange])
        );
        assert_eq!(
            one("networking.k8s.io/v1", "NetworkPolicy"),
            Some(vec![SecurityConfig])
        );
        assert_eq!(one("apps/v1", "Deployment"), Some(vec![Deploy]));
        assert_eq!(one("batch/v1", "Job"), Some(vec![Deploy, Unknown]));
        // The same word in another group is another thing.
        assert_eq!(one("serving.knative.dev/v1", "Service"), None);
        assert_eq!(one("example.com/v1", "Deployment"), None);
        let two = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n# only this\n---\n{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"b\"}}]}\n";
        assert_eq!(effects(two), Some(vec![ConfigChange, CredentialChange]));
        let more = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a, image: b, command: [rm]}]}}}\n";
        assert_eq!(effects(more), Some(vec![Deploy, Unknown]));
    }

    #[test]
    fn what_can_be_taken_apart_in_two_ways_is_not_understood() {
        for text in [
            "",
            "# nothing\n",
            "kind: Secret\n",
            "apiVersion: v1\nkind: ConfigMap\n",
            "--- {kind: Secret}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
            "apiVersion: v1\nkind: ConfigMap\nkind: Secret\nmetadata: {name: a}\n",
            "%YAML 1.1\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n...\nkind: Secret\n",
            "apiVersion: v1\nkind: [ConfigMap]\nmetadata: {name: a}\n",
            "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"a\"}} {\"kind\": \"Secret\"}",
            "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: List, items: []}]\n",
        ] {
            assert_eq!(effects(text), None, "{text:?}");
        }
    }
}

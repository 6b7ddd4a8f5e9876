//! A Kubernetes API server with its controllers and no node, on loopback. `INCIDENT_KUBERNETES` names the
//! folder into which `.ci/kubernetes` builds it once.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use incident::model::secret::Secret;
use incident::world::World;
use incident::world::http::{HttpRequest, HttpResponse, TlsFiles};
use serde_json::Value;
use tempfile::TempDir;

use super::servers::{in_path, server};
use super::{START, free_port, not_built};

/// Token of whoever may do everything.
pub const ROOT: &str = "token-of-the-desk";
/// Users without any rights: see [`Cluster::user`].
const USERS: usize = 40;

/// The cluster.
pub struct Cluster {
    /// As in `https://127.0.0.1:6443`.
    pub address: String,
    /// File with its certificate authority.
    pub ca: PathBuf,
    /// etcd, the API server, the controllers.
    children: Vec<Child>,
    users: AtomicUsize,
    _home: TempDir,
}

impl Cluster {
    /// Starts it, or says that it is not tested.
    pub fn start(world: &World) -> Option<Cluster> {
        let built = std::env::var_os("INCIDENT_KUBERNETES").map(PathBuf::from);
        let whole = |f: &PathBuf| {
            ["kube-apiserver", "kube-controller-manager"]
                .iter()
                .all(|p| f.join(p).exists())
        };
        let (Some(built), Some(etcd)) = (built.filter(whole), in_path("etcd")) else {
            not_built(
                "Kubernetes (its API server is not built; `.ci/kubernetes FOLDER` does, INCIDENT_KUBERNETES names it)",
            );
            return None;
        };
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().to_owned();
        let at = |name: &str| folder.join(name);
        let keyed = Command::new("ssh-keygen")
            .args(["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f"])
            .arg(at("account.key"))
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(keyed.success());
        let users = (0..USERS).map(|n| format!("token-of-user-{n},user-{n},user-{n}\n"));
        let users: String = users.collect();
        std::fs::write(
            at("tokens.csv"),
            format!("{ROOT},desk,desk,\"system:masters\"\n{users}"),
        )
        .unwrap();
        let (client, peer, port) = (free_port(), free_port(), free_port());
        let stored = format!("http://127.0.0.1:{client}");
        let between = format!("http://127.0.0.1:{peer}");
        let run = |program: &Path, arguments: &[String]| {
            server(program)
                .args(arguments)
                .env_clear()
                .env("HOME", &folder)
                .current_dir(&folder)
                .spawn()
                .unwrap()
        };
        let flag = |name: &str, value: &str| format!("--{name}={value}");
        let file = |name: &str, path: PathBuf| flag(name, &path.display().to_string());
        let store = run(
            &etcd,
            &[
                file("data-dir", at("etcd")),
                flag("listen-client-urls", &stored),
                flag("advertise-client-urls", &stored),
                flag("listen-peer-urls", &between),
                flag("initial-advertise-peer-urls", &between),
                flag("initial-cluster", &format!("default={between}")),
                "--unsafe-no-fsync".to_owned(),
            ],
        );
        let answers = run(
            &built.join("kube-apiserver"),
            &[
                flag("etcd-servers", &stored),
                flag("bind-address", "127.0.0.1"),
                flag("advertise-address", "127.0.0.1"),
                flag("secure-port", &port.to_string()),
                flag("insecure-port", "0"),
                file("cert-dir", at("certificates")),
                flag("service-account-issuer", "https://desk.example"),
                file("service-account-key-file", at("account.key")),
                file("service-account-signing-key-file", at("account.key")),
                flag("api-audiences", "https://desk.example"),
                file("token-auth-file", at("tokens.csv")),
                flag("authorization-mode", "RBAC"),
                flag("disable-admission-plugins", "ServiceAccount"),
                flag("service-cluster-ip-range", "10.0.0.0/24"),
            ],
        );
        let address = format!("https://127.0.0.1:{port}");
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: desk\n\
             clusters: [{{name: desk, cluster: {{server: \"{address}\", insecure-skip-tls-verify: true}}}}]\n\
             users: [{{name: desk, user: {{token: {ROOT}}}}}]\n\
             contexts: [{{name: desk, context: {{cluster: desk, user: desk}}}}]\n"
        );
        std::fs::write(at("kubeconfig"), config).unwrap();
        let ca = at("certificates").join("apiserver.crt");
        let began = Instant::now();
        while !ca.exists() {
            assert!(began.elapsed() < START, "kube-apiserver has no certificate");
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut cluster = Cluster {
            address,
            ca,
            children: vec![store, answers],
            users: AtomicUsize::new(0),
            _home: home,
        };
        while cluster.ask(world, "GET", "/readyz", ROOT, "").0 != 200 {
            assert!(began.elapsed() < START, "kube-apiserver is not ready");
            std::thread::sleep(Duration::from_millis(100));
        }
        // They give up where nobody answers them for ten seconds.
        let controllers = run(
            &built.join("kube-controller-manager"),
            &[
                file("kubeconfig", at("kubeconfig")),
                flag(
                    "controllers",
                    "deployment,replicaset,serviceaccount,serviceaccount-token",
                ),
                file("service-account-private-key-file", at("account.key")),
                flag("leader-elect", "false"),
                flag("port", "0"),
                flag("secure-port", "0"),
            ],
        );
        cluster.children.push(controllers);
        Some(cluster)
    }

    /// One request: status (0 = none) and body.
    pub fn ask(&self, world: &World, method: &str, path: &str, token: &str, body: &str) -> (u16, Value) {
        let deadline = Duration::from_secs(10);
        match self.send(world, method, path, token, body, deadline) {
            Some(answer) => (
                answer.status,
                serde_json::from_slice(&answer.body).unwrap_or(Value::Null),
            ),
            None => (0, Value::Null),
        }
    }

    /// Holds a watch until the server ends it: what it told, as text.
    pub fn watch(&self, world: &World, path: &str, token: &str, seconds: u64) -> String {
        let path = format!("{path}?watch=true&timeoutSeconds={seconds}");
        let deadline = Duration::from_secs(seconds + 10);
        let answer = self.send(world, "GET", &path, token, "", deadline).unwrap();
        String::from_utf8(answer.body).unwrap()
    }

    fn send(
        &self,
        world: &World,
        method: &str,
        path: &str,
        token: &str,
        body: &str,
        deadline: Duration,
    ) -> Option<HttpResponse> {
        let header = |name: &str, value: String| (name.to_owned(), Secret::new(value));
        let request = HttpRequest {
            method: method.to_owned(),
            url: format!("{}{path}", self.address),
            headers: vec![
                header("Authorization", format!("Bearer {token}")),
                header("Content-Type", "application/json".to_owned()),
            ],
            body: (!body.is_empty()).then(|| Secret::new(body.to_owned())),
            deadline,
            tls: TlsFiles {
                ca: Some(self.ca.clone()),
                identity: None,
            },
        };
        world.wait(world.http.send(request)).unwrap().ok()
    }

    /// A user who was not asked for before and may do nothing yet: name and token.
    pub fn user(&self) -> (String, String) {
        let n = self.users.fetch_add(1, Ordering::Relaxed);
        assert!(n < USERS, "more users are needed");
        (format!("user-{n}"), format!("token-of-user-{n}"))
    }

    /// Ends the controllers: what is asked of the server is stored, and nothing comes of it.
    pub fn end_controllers(&mut self) {
        if let Some(mut child) = self.children.pop() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Makes something as whoever may do everything.
    pub fn make(&self, world: &World, path: &str, body: &Value) -> Value {
        let (status, made) = self.ask(world, "POST", path, ROOT, &body.to_string());
        assert_eq!(status, 201, "{path}: {made}");
        made
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The controllers first, the store last: none of them waits for another then.
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

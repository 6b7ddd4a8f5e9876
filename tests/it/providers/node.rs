//! An npm registry (verdaccio) and an OAuth server (oidc-provider), started by the tests.
//! `INCIDENT_NODE` names the folder that `.ci/node` fills.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use incident::model::fact::{Fact, Proof};
use incident::model::secret::Secret;
use incident::world::World;
use incident::world::http::{HttpRequest, TlsFiles};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::contract::Case;
use crate::support::{START, free_port, network_world, not_tested};

/// The tables that are run against them here.
pub const TABLES: &[&str] = &["npm", "npm-token", "oauth2"];

const VERDACCIO: &str = "storage: ./storage
auth: { htpasswd: { file: ./htpasswd } }
security: { api: { legacy: false, jwt: { sign: { expiresIn: 1h } } } }
packages: { '**': { access: $all, publish: $authenticated } }
log: { type: stdout, format: json, level: error }
";

const OIDC: &str = "import Provider from 'oidc-provider';
const port = Number(process.argv[2]);
new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: 'agent', client_secret: 'made-up-client-secret',
    grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
  features: { clientCredentials: { enabled: true }, revocation: { enabled: true },
    introspection: { enabled: true }, devInteractions: { enabled: false } },
}).listen(port, '127.0.0.1');
";

/// The folder, or a loud word that this is not tested.
fn folder(what: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("INCIDENT_NODE").map(PathBuf::from);
    if folder.is_none() {
        not_tested(what);
    }
    folder
}

struct Node {
    address: String,
    child: Child,
    _home: TempDir,
}

impl Node {
    /// Starts a script of ours, or a program of the folder, with the port as its last word.
    fn start(world: &World, folder: &Path, make: impl Fn(&Path, u16) -> Vec<String>) -> Node {
        let home = tempfile::tempdir().unwrap();
        // Modules are found beside a script.
        std::os::unix::fs::symlink(folder.join("node_modules"), home.path().join("node_modules")).unwrap();
        let port = free_port();
        let child = Command::new(folder.join("node"))
            .args(make(home.path(), port))
            .current_dir(home.path())
            .env_clear()
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let node = Node {
            address: format!("http://127.0.0.1:{port}"),
            child,
            _home: home,
        };
        let started = Instant::now();
        while node.ask(world, "GET", "/", &[], "").0 == 0 {
            assert!(started.elapsed() < START, "the server does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        node
    }

    fn ask(
        &self,
        world: &World,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, Value) {
        let header = |(name, value): &(&str, &str)| ((*name).to_owned(), Secret::new((*value).to_owned()));
        let request = HttpRequest {
            method: method.to_owned(),
            url: format!("{}{path}", self.address),
            headers: headers.iter().map(header).collect(),
            body: (!body.is_empty()).then(|| Secret::new(body.to_owned())),
            deadline: Duration::from_secs(10),
            tls: TlsFiles::default(),
        };
        match world.wait(world.http.send(request)).unwrap() {
            Ok(answer) => (
                answer.status,
                serde_json::from_slice(&answer.body).unwrap_or(Value::Null),
            ),
            Err(_) => (0, Value::Null),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn registry(world: &World) -> Option<Node> {
    let folder = folder("npm registry (verdaccio, npm)")?;
    Some(Node::start(world, &folder, |home, port| {
        std::fs::write(home.join("config.yaml"), VERDACCIO).unwrap();
        let program = folder.join("node_modules/verdaccio/bin/verdaccio");
        let listen = format!("127.0.0.1:{port}");
        let words = [program.to_str().unwrap(), "-l", &listen, "-c", "config.yaml"];
        words.map(str::to_owned).to_vec()
    }))
}

/// A new person's session token.
fn person(world: &World, registry: &Node) -> String {
    let json = [("Content-Type", "application/json")];
    let body = json!({"name": "bot", "password": "made-up-1", "type": "user"}).to_string();
    let (status, made) = registry.ask(world, "PUT", "/-/user/org.couchdb.user:bot", &json, &body);
    assert_eq!(status, 201, "{made}");
    made["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_logout_that_says_ok_and_lets_the_token_live_is_still_live() {
    let world = network_world();
    let Some(registry) = registry(&world) else { return };
    let session = person(&world, &registry);
    let mut case = Case::new(&world, "npm", &[("address", &registry.address)]).secret(&session);
    case.before();
    assert!(
        matches!(case.cut().as_slice(), [Fact::Accepted { status: 200 | 201 }]),
        "{:?}",
        case.facts
    );
    assert!(case.probe().contains(&Fact::TriedNew { refused: false }));
    assert_eq!(case.proof(), Proof::StillLive);
}

#[test]
fn a_deleted_npm_token_is_refused_and_gone_from_the_list() {
    let world = network_world();
    let Some(registry) = registry(&world) else { return };
    let session = person(&world, &registry);
    let bearer = format!("Bearer {session}");
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", bearer.as_str()),
    ];
    let body = json!({"password": "made-up-1", "readonly": false, "cidr_whitelist": []}).to_string();
    let (status, made) = registry.ask(&world, "POST", "/-/npm/v1/tokens", &headers, &body);
    assert_eq!(status, 200, "{made}");
    let with = [
        ("address", registry.address.as_str()),
        ("key", made["key"].as_str().unwrap()),
    ];
    let mut case = Case::new(&world, "npm-token", &with)
        .auth(&session)
        .secret(made["token"].as_str().unwrap());
    case.before();
    assert!(
        matches!(case.cut().as_slice(), [Fact::Accepted { .. }]),
        "{:?}",
        case.facts
    );
    let seen = case.probe();
    assert!(
        seen.contains(&Fact::ReadBack { dead: true }) && seen.contains(&Fact::TriedNew { refused: true }),
        "{seen:?}"
    );
    // The registry may take an hour; the last word is said after it.
    assert_eq!(case.proof(), Proof::Confirmed);
}

#[test]
fn an_oauth_token_is_proved_dead_by_introspection_and_garbage_never_is() {
    let world = network_world();
    let Some(folder) = folder("OAuth server (oidc-provider, npm)") else {
        return;
    };
    let server = Node::start(&world, &folder, |home, port| {
        std::fs::write(home.join("server.mjs"), OIDC).unwrap();
        vec!["server.mjs".to_owned(), port.to_string()]
    });
    let basic = base64::prelude::BASE64_STANDARD.encode("agent:made-up-client-secret");
    let basic = format!("Basic {basic}");
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Authorization", basic.as_str()),
    ];
    let (status, made) = server.ask(
        &world,
        "POST",
        "/token",
        &headers,
        "grant_type=client_credentials",
    );
    assert_eq!(status, 200, "{made}");
    let with = [
        ("address", server.address.as_str()),
        ("client", "agent"),
        ("revocation", "token/revocation"),
        ("introspection", "token/introspection"),
    ];
    let granted = |secret: &str| {
        Case::new(&world, "oauth2", &with)
            .auth("made-up-client-secret")
            .secret(secret)
    };
    let mut case = granted(made["access_token"].as_str().unwrap());
    let armed = |f: &Fact| matches!(f, Fact::Noted { label, .. } if label == "armed");
    assert!(case.armed().iter().any(armed), "{:?}", case.armed());
    case.auth = Some(Secret::new("the-wrong-client-secret".to_owned()));
    assert!(!case.armed().iter().any(armed), "{:?}", case.armed());
    case.auth = Some(Secret::new("made-up-client-secret".to_owned()));
    assert_eq!(case.stop(), Proof::Confirmed, "{:?}", case.facts);
    assert!(case.has(&Fact::Accepted { status: 200 }));

    let mut garbage = granted("never-was-a-token");
    assert_eq!(garbage.stop(), Proof::Accepted, "{:?}", garbage.facts);
}

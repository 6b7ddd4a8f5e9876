//! What our tables send is what the vendors' own client libraries send.
//!
//! The libraries come from PyPI and are let loose on a loopback server that remembers (`sdk.py`); nothing
//! of theirs is kept. It shows that method, path, body and login are right, not that the vendor obeys.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::rc::Rc;

use incident::world::http::{Http, HttpRequest, HttpResponse};
use incident::world::{Later, NetError};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::Url;

use super::contract::Case;
use crate::support::stub::{Seen, Stub, say};
use crate::support::{contracts, network_world, not_tested};

/// As in `sdk.py`.
const AUTH: &str = "made-up-of-the-responder";
const SECRET: &str = "made-up-of-the-agent";

/// Provider, and what names the grant.
pub const GRANTS: &[(&str, &[(&str, &str)])] = &[
    ("anthropic-deployment", &[("deployment", "depl_1")]),
    ("anthropic-key", &[("key", "apikey_1")]),
    ("anthropic-session", &[("session", "sess_1")]),
    ("cloudflare-token", &[("token", "t1")]),
    ("entra-secret", &[("application", "ee-ff"), ("key", KEY_ID)]),
    ("entra-service-principal", &[("principal", "aa-bb")]),
    ("entra-user", &[("user", "u1")]),
    (
        "gcp-key",
        &[
            ("project", "shop"),
            ("account", "bot@shop.example"),
            ("key", "f00d"),
        ],
    ),
    (
        "gcp-schedule",
        &[
            ("project", "shop"),
            ("region", "europe-west1"),
            ("job", "nightly"),
        ],
    ),
    (
        "gcp-service-account",
        &[("project", "shop"), ("account", "bot@shop.example")],
    ),
    ("gemini-interaction", &[("interaction", "int-1")]),
    ("github", &[]),
    ("github-actions", &[("repo", "acme/shop")]),
    ("github-app", &[("installation", "1")]),
    ("github-deploy-key", &[("repo", "acme/shop"), ("key", "7")]),
    ("github-installation", &[]),
    (
        "github-repository-access",
        &[("installation", "1"), ("repository", "77")],
    ),
    (
        "github-workflow",
        &[("repo", "acme/shop"), ("workflow", "agent.yml")],
    ),
    ("gitlab", GITLAB),
    (
        "gitlab-access-token",
        &[
            ("address", "https://gitlab.example"),
            ("id", "shop"),
            ("token", "7"),
        ],
    ),
    (
        "gitlab-ci",
        &[("address", "https://gitlab.example"), ("project", "shop")],
    ),
    (
        "gitlab-schedule",
        &[
            ("address", "https://gitlab.example"),
            ("project", "shop"),
            ("schedule", "3"),
        ],
    ),
    (
        "gitlab-token",
        &[("address", "https://gitlab.example"), ("token", "7")],
    ),
    (
        "gitlab-user",
        &[("address", "https://gitlab.example"), ("user", "42")],
    ),
    ("neon-endpoint", &[("project", "p1"), ("endpoint", "ep-1")]),
    ("neon-key", &[("key", "165432")]),
    ("okta", OKTA),
    (
        "okta-app",
        &[("address", "https://acme.okta.com"), ("app", "0oa1")],
    ),
    (
        "okta-token",
        &[("address", "https://acme.okta.com"), ("token", "00T1")],
    ),
    (
        "okta-user",
        &[("address", "https://acme.okta.com"), ("user", "00u1")],
    ),
    ("openai-admin-key", &[("key", "key_1")]),
    ("openai-key", &[("project", "proj_1"), ("key", "key_1")]),
    ("openai-response", &[("response", "resp_1")]),
    (
        "openai-service-account",
        &[("project", "proj_1"), ("account", "svc_1")],
    ),
    ("slack", &[]),
    ("stripe-key", &[]),
    ("stripe-webhook", &[("endpoint", "we_1")]),
    ("supabase-key", &[("project", "abcd"), ("key", "k1")]),
    ("supabase-legacy-keys", &[("project", "abcd")]),
    ("supabase-token", &[]),
    ("vercel", &[]),
    ("vercel-token", &[("token", "5d9f")]),
];
const OKTA: &[(&str, &str)] = &[("address", "https://acme.okta.com")];
const KEY_ID: &str = "00000000-0000-0000-0000-000000000007";
const GITLAB: &[(&str, &str)] = &[("address", "https://gitlab.example")];

/// A request without what may differ.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    method: String,
    path: String,
    body: Value,
    /// The credential it carries, whichever header that is in.
    login: Option<String>,
    beta: Option<String>,
}

impl Sent {
    fn new(method: &str, path: &str, headers: &BTreeMap<String, String>, body: &str) -> Self {
        // Anthropic documents X-Api-Key and its library sends a bearer: both are taken. GitHub takes `token` and
        // `Bearer` alike.
        let login = ["authorization", "x-api-key", "x-goog-api-key", "private-token"]
            .iter()
            .find_map(|name| headers.get(*name))
            .map(|value| value.trim_start_matches("Bearer ").trim_start_matches("token "))
            .map(str::to_owned);
        // What is the default anyway.
        let path = path
            .trim_end_matches("?alt=json")
            .trim_end_matches("?stream=false");
        Sent {
            method: method.to_owned(),
            path: percent_decode_str(path).decode_utf8_lossy().into_owned(),
            body: meaning(body),
            login,
            beta: headers.get("anthropic-beta").cloned(),
        }
    }
}

/// A body as data: JSON, or a form. None at all is an empty one.
fn meaning(body: &str) -> Value {
    if body.is_empty() {
        return json!({});
    }
    let json = serde_json::from_str(body).map(|mut value: Value| {
        // The name of its own class, which Microsoft's library adds and its documentation does not ask for.
        value
            .as_object_mut()
            .and_then(|fields| fields.remove("@odata.type"));
        value
    });
    json.unwrap_or_else(|_| {
        let pairs = url::form_urlencoded::parse(body.as_bytes());
        pairs.map(|(k, v)| (k.into_owned(), v.into_owned())).collect()
    })
}

/// Remembers what would have gone out, and answers that there is no such thing.
#[derive(Default, Clone)]
struct Recorder(Rc<RefCell<Vec<Sent>>>);

impl Http for Recorder {
    fn send(&self, request: HttpRequest) -> Later<'_, Result<HttpResponse, NetError>> {
        let url = Url::parse(&request.url).unwrap();
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let headers = request.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.expose().to_owned()));
        let body = request.body.as_ref().map_or("", |b| b.expose());
        self.0
            .borrow_mut()
            .push(Sent::new(&request.method, &path, &headers.collect(), body));
        Box::pin(async {
            Ok(HttpResponse {
                status: 404,
                headers: Vec::new(),
                body: b"{}".to_vec(),
            })
        })
    }
}

/// What our table sends in this phase: its first request.
fn ours(provider: &str, with: &[(&str, &str)], phase: &str) -> Sent {
    let recorder = Recorder::default();
    let mut world = network_world();
    world.http = Box::new(recorder.clone());
    let mut case = Case::new(&world, provider, with).auth(AUTH).secret(SECRET);
    let saved = json!({"name": "deploy", "policies": [{"effect": "allow", "id": "p1"}], "status": "active"});
    case.undo = Some(saved.to_string().into_bytes());
    let (adapter, ctx, target) = (case.adapter(), case.ctx(), &case.target);
    match phase {
        "cut" => drop(world.wait(adapter.cut(ctx, target))),
        "lookup" => drop(world.wait(adapter.glance(ctx, target))),
        "use" => drop(world.wait(adapter.open(ctx, target))),
        other => panic!("{other}"),
    }
    let mut sent = recorder.0.take();
    assert!(!sent.is_empty(), "{provider}/{phase}: nothing was sent");
    sent.remove(0)
}

#[test]
fn the_tables_send_what_the_vendors_own_libraries_send() {
    let folders = ["python", "graph", "node", "descriptions"].map(contracts);
    let [Some(python), Some(graph), Some(node), Some(descriptions)] = folders else {
        not_tested("the vendors' client libraries (INCIDENT_CONTRACTS names no folder that has them)");
        return;
    };
    let stub = Stub::start(|_, _| say(200, "{}"));
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/providers");
    let mut from_pypi = Command::new("python3");
    from_pypi
        .args([&format!("{here}/sdk.py"), &stub.address()])
        .arg(&descriptions)
        .env(
            "PYTHONPATH",
            std::env::join_paths([&python, &graph, &descriptions]).unwrap(),
        );
    // A module that is read from standard input finds its libraries where it runs.
    let mut from_npm = Command::new("node");
    from_npm
        .args(["--input-type=module", "-", &stub.address()])
        .current_dir(&node)
        .stdin(std::fs::File::open(format!("{here}/sdk.mjs")).unwrap());
    let under_way = [from_pypi, from_npm].map(|mut library| {
        let library = library.env_remove("HTTP_PROXY").env_remove("http_proxy");
        library
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    });
    for library in under_way {
        let out = library.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let mut golden: BTreeMap<(String, String), Seen> = BTreeMap::new();
    for seen in stub.seen() {
        let mut parts = seen.path.splitn(4, '/').skip(1).map(str::to_owned);
        let key = (parts.next().unwrap(), parts.next().unwrap());
        // The first request of each: what a library asks in answer to an answer is its own affair.
        golden.entry(key).or_insert(seen);
    }
    let sent: BTreeSet<&str> = golden.keys().map(|(provider, _)| provider.as_str()).collect();
    let known: BTreeSet<&str> = GRANTS.iter().map(|(provider, _)| *provider).collect();
    assert_eq!(sent, known);
    for (provider, with) in GRANTS {
        for ((_, phase), seen) in golden.iter().filter(|((p, _), _)| p == provider) {
            let prefix = format!("/{provider}/{phase}");
            let path = seen.path.strip_prefix(&prefix).unwrap();
            let theirs = Sent::new(&seen.method, path, &seen.headers, &seen.body);
            assert_eq!(ours(provider, with, phase), theirs, "{provider}/{phase}");
        }
    }
}

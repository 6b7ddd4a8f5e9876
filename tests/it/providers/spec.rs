//! Every request of our tables stands in the vendor's published description, with that method and body.
//!
//! GitHub publishes OpenAPI (`@octokit/openapi` on npm), Google its discovery documents (inside
//! `google-api-python-client` on PyPI). They are read where `.ci/tools` put them; nothing of them is kept.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use incident::world::http::{Http, HttpRequest, HttpResponse};
use incident::world::{Later, NetError};
use serde_json::{Value, json};
use url::Url;

use super::contract::Case;
use crate::support::{contracts, network_world, not_tested};

/// Descriptions, provider, and what names the grant.
type Line = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const GRANTS: &[Line] = &[
    ("api.github.com.json", "github", &[]),
    ("api.github.com.json", "github-actions", &[("repo", "acme/shop")]),
    ("api.github.com.json", "github-app", &[("installation", "1")]),
    ("api.github.com.json", "github-copilot", &[("org", "acme")]),
    (
        "api.github.com.json",
        "github-deploy-key",
        &[("repo", "acme/shop"), ("key", "7")],
    ),
    ("api.github.com.json", "github-installation", &[]),
    ("api.github.com.json", "github-oauth", &[("client", "Iv1.1")]),
    (
        "api.github.com.json",
        "github-workflow",
        &[("repo", "acme/shop"), ("workflow", "agent.yml")],
    ),
    ("ghec.json", "github-sso", &[("org", "acme"), ("user", "bot")]),
    (
        "iam.v1.json",
        "gcp-key",
        &[
            ("project", "shop"),
            ("account", "bot@shop.example"),
            ("key", "f00d"),
        ],
    ),
    (
        "iam.v1.json",
        "gcp-service-account",
        &[("project", "shop"), ("account", "bot@shop.example")],
    ),
    (
        "cloudscheduler.v1.json cloudresourcemanager.v1.json",
        "gcp-schedule",
        &[
            ("project", "shop"),
            ("region", "europe-west1"),
            ("job", "nightly"),
        ],
    ),
];

/// One operation of a description.
struct Operation {
    method: String,
    /// Path with `{name}` where anything may stand.
    template: String,
    query: BTreeSet<String>,
    /// Schema of the body, where there is one.
    body: Option<Value>,
    /// The status of success.
    status: u16,
}

/// A published description.
struct Description {
    root: Value,
    operations: Vec<Operation>,
}

impl Description {
    fn read(path: &Path) -> Self {
        let root: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut operations = Vec::new();
        match root.get("paths") {
            Some(paths) => openapi(&root, paths, &mut operations),
            None => discovery(&root, &mut operations),
        }
        assert!(operations.len() > 10, "{}: hardly an operation", path.display());
        Description { root, operations }
    }

    /// The operation of this request: where several templates fit, the one with the most words of its own.
    fn operation(&self, method: &str, path: &str) -> Option<&Operation> {
        let fits = |o: &&Operation| o.method == method && fits(&o.template, path);
        let own_words = |o: &&Operation| o.template.split('/').filter(|p| !p.contains('{')).count();
        self.operations.iter().filter(fits).max_by_key(own_words)
    }

    /// What is wrong with a value, by its schema; looks at names, types and fixed choices.
    fn wrong(&self, schema: &Value, value: &Value, at: &str) -> Option<String> {
        let schema = self.resolved(schema);
        for several in ["oneOf", "anyOf"] {
            if let Some(choices) = schema.get(several).and_then(Value::as_array) {
                let all: Vec<_> = choices.iter().map(|c| self.wrong(c, value, at)).collect();
                return match all.iter().any(Option::is_none) {
                    true => None,
                    false => all.into_iter().flatten().next(),
                };
            }
        }
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or("object");
        let right = match kind {
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" | "number" => value.is_number(),
            "array" => value.is_array(),
            _ => value.is_object(),
        };
        if !right {
            return Some(format!("{at}: {value} is no {kind}"));
        }
        if let Some(choices) = schema.get("enum").and_then(Value::as_array)
            && !choices.contains(value)
        {
            return Some(format!("{at}: {value} is none of {choices:?}"));
        }
        if let (Some(items), Some(inner)) = (value.as_array(), schema.get("items")) {
            return items.iter().find_map(|item| self.wrong(inner, item, at));
        }
        let fields = value.as_object()?;
        let required = schema.get("required").and_then(Value::as_array);
        if let Some(missing) = required
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .find(|name| !fields.contains_key(*name))
        {
            return Some(format!("{at}: {missing} is missing"));
        }
        fields.iter().find_map(|(name, inner)| {
            match schema.get("properties").and_then(|known| known.get(name)) {
                Some(schema) => self.wrong(schema, inner, &format!("{at}/{name}")),
                None => Some(format!("{at}: {name} is not known")),
            }
        })
    }

    fn resolved<'v>(&'v self, schema: &'v Value) -> &'v Value {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(place) => match place.strip_prefix('#') {
                Some(pointer) => self.root.pointer(pointer).unwrap(),
                None => &self.root["schemas"][place],
            },
            None => schema,
        }
    }
}

fn openapi(root: &Value, paths: &Value, into: &mut Vec<Operation>) {
    let resolved = |value: &'_ Value| match value.get("$ref").and_then(Value::as_str) {
        Some(place) => root.pointer(&place[1..]).unwrap().clone(),
        None => value.clone(),
    };
    for (template, methods) in paths.as_object().unwrap() {
        for (method, said) in methods.as_object().unwrap() {
            let parameters = said["parameters"].as_array().into_iter().flatten();
            let query = parameters
                .map(resolved)
                .filter(|p| p["in"] == "query")
                .map(|p| p["name"].as_str().unwrap().to_owned());
            let success = said["responses"].as_object().into_iter().flatten();
            let status = success
                .filter_map(|(status, _)| status.parse().ok())
                .find(|s| (200..300).contains(s));
            into.push(Operation {
                method: method.to_uppercase(),
                template: template.clone(),
                query: query.collect(),
                body: said
                    .pointer("/requestBody/content/application~1json/schema")
                    .cloned(),
                status: status.unwrap_or(200),
            });
        }
    }
}

fn discovery(at: &Value, into: &mut Vec<Operation>) {
    for said in at["methods"].as_object().into_iter().flatten().map(|(_, m)| m) {
        let parameters = said["parameters"].as_object().into_iter().flatten();
        let query = parameters
            .filter(|(_, p)| p["location"] == "query")
            .map(|(name, _)| name.clone());
        into.push(Operation {
            method: said["httpMethod"].as_str().unwrap().to_owned(),
            template: format!("/{}", said["flatPath"].as_str().unwrap()),
            query: query.collect(),
            body: said.get("request").cloned(),
            status: 200,
        });
    }
    for below in at["resources"].as_object().into_iter().flatten().map(|(_, r)| r) {
        discovery(below, into);
    }
}

/// True where the path is the template with something in each of its holes.
fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let segment = |(wanted, found): (&&str, &&str)| match (wanted.find('{'), wanted.find('}')) {
        (Some(open), Some(close)) => {
            found.len() > open + wanted.len() - close - 1
                && found.starts_with(&wanted[..open])
                && found.ends_with(&wanted[close + 1..])
                // `{name}` does not swallow the verb of `…/{name}:disable`.
                && (wanted.contains(':') || !found.contains(':'))
        }
        _ => wanted == found,
    };
    template.len() == path.len() && template.iter().zip(&path).all(segment)
}

/// Answers as the description says a success looks, with a little of everything, and notes what is wrong.
#[derive(Clone)]
struct Vendor {
    descriptions: Vec<Rc<Description>>,
    wrong: Rc<RefCell<Vec<String>>>,
    asked: Rc<RefCell<BTreeMap<String, u32>>>,
}

impl Vendor {
    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let url = Url::parse(&request.url).unwrap();
        let said = format!("{} {}", request.method, url.path());
        *self.asked.borrow_mut().entry(said.clone()).or_default() += 1;
        let wrong = |why: &str| self.wrong.borrow_mut().push(format!("{said}: {why}"));
        let known = |d: &'_ Rc<Description>| d.operation(&request.method, url.path()).is_some();
        let described = self.descriptions.iter().find(|d| known(d));
        let Some((description, operation)) =
            described.and_then(|d| Some((d, d.operation(&request.method, url.path())?)))
        else {
            wrong("no such operation is published");
            return answer(404, json!({}));
        };
        for (name, _) in url.query_pairs() {
            if !operation.query.contains(&*name) {
                wrong(&format!("`{name}` is not asked for"));
            }
        }
        let body = request.body.as_ref().map_or("", |b| b.expose());
        match (&operation.body, body) {
            (None, "") | (Some(_), "") => {}
            (None, _) => wrong("it takes no body"),
            (Some(schema), text) => {
                let sent: Value = serde_json::from_str(text).unwrap();
                let found = description.wrong(schema, &sent, "body");
                found.iter().for_each(|why| wrong(why));
            }
        }
        let list = url.path().ends_with("/credential-authorizations");
        let everything = json!({
            "id": 1, "key": "ssh-ed25519 AAAA", "title": "t", "read_only": true, "state": "active", "enabled": true,
            "allowed_actions": "all", "sha_pinning_required": false, "enabled_repositories": "all",
            "workflow_runs": [{"id": 9}], "name": "x", "email": "bot@shop.example", "role": "admin",
        });
        answer(
            operation.status,
            if list {
                json!([{"credential_id": 5}])
            } else {
                everything
            },
        )
    }
}

fn answer(status: u16, body: Value) -> HttpResponse {
    HttpResponse {
        status,
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    }
}

impl Http for Vendor {
    fn send(&self, request: HttpRequest) -> Later<'_, Result<HttpResponse, NetError>> {
        let answer = self.answer(&request);
        Box::pin(async move { Ok(answer) })
    }
}

#[test]
fn every_request_stands_in_the_published_description() {
    let Some(folder) = contracts("descriptions") else {
        not_tested("published descriptions (INCIDENT_CONTRACTS names no folder that has them)");
        return;
    };
    let mut read: BTreeMap<&str, Rc<Description>> = BTreeMap::new();
    let mut all = Vec::new();
    for (files, provider, with) in GRANTS {
        let described = files.split(' ').map(|file| {
            let read = read.entry(file);
            Rc::clone(read.or_insert_with(|| Rc::new(Description::read(&folder.join(file)))))
        });
        let vendor = Vendor {
            descriptions: described.collect(),
            wrong: Rc::default(),
            asked: Rc::default(),
        };
        let mut world = network_world();
        world.http = Box::new(vendor.clone());
        let mut case = Case::new(&world, provider, with)
            .auth("made-up-of-the-responder")
            .secret("ghp_made_up_of_the_agent");
        case.before();
        case.cut();
        case.sessions();
        case.probe();
        case.armed();
        if case.undo.is_some() {
            case.restore();
        }
        assert!(!vendor.asked.borrow().is_empty(), "{provider} asked nothing");
        all.extend(
            vendor
                .wrong
                .take()
                .into_iter()
                .map(|why| format!("{provider}: {why}")),
        );
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

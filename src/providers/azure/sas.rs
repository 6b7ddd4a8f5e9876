//! Shared access signatures of a container that name a stored access policy: they end with the policy.

use std::time::Duration;

use futures_util::future::join;
use regex::Regex;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Call, Desk, Refusal, WINDOW, refused};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::Target;
use crate::providers::limits::Turn;
use crate::providers::xml::{self, escaped};
use crate::providers::{About, Adapter, Ctx, Opened, ProvedBy, not_tried, seen_alive, was_alive, with};
use crate::world::Later;
use crate::world::http::HttpResponse;

/// The adapter `azure-sas`.
pub(super) struct Sas;

const NEEDS: [(&str, &str); 3] = [
    ("account", "name of the storage account"),
    ("container", "name of the container"),
    (
        "policy",
        "name of the stored access policy, `si` in the signature",
    ),
];
const MAY: [(&str, &str); 2] = [
    (
        "endpoint",
        "address of the account's blobs where it is not Azure's own",
    ),
    ("ca", "file with the certificate authority of that address"),
];
const MANUAL: &str = "Azure portal, the storage account, Containers, the container, Access policy: delete the policy. A \
                      signature without a policy ends only with the account key (azure-key)";

/// A stored access policy, as it stands in the list of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    id: String,
    start: Option<String>,
    expiry: Option<String>,
    permission: Option<String>,
}

/// Everything that one call sets together: whatever is not written back is lost.
struct Acl {
    policies: Vec<Policy>,
    /// Whether anybody may read; absent means nobody.
    public: Option<String>,
    /// When it was last changed, as the server says it.
    changed: Option<String>,
}

impl Acl {
    fn read(answer: &HttpResponse) -> Result<Acl, Fact> {
        let unreadable = |text: String| Fact::Error {
            status: answer.status,
            text,
        };
        let root = xml::parse(&answer.body).map_err(|e| unreadable(e.to_string()))?;
        let one = |element: &xml::Element| {
            let text = |name: &str| {
                let text = element.text_at(&["AccessPolicy", name]);
                text.filter(|t| !t.is_empty()).map(str::to_owned)
            };
            Some(Policy {
                id: element.text_at(&["Id"])?.to_owned(),
                start: text("Start"),
                expiry: text("Expiry"),
                permission: text("Permission"),
            })
        };
        let policies: Option<Vec<Policy>> = root.children.iter().map(one).collect();
        let header = |name: &str| answer.header(name).map(str::to_owned);
        Ok(Acl {
            policies: policies.ok_or_else(|| unreadable("a policy in the answer has no name".to_owned()))?,
            public: header("x-ms-blob-public-access"),
            changed: header("last-modified"),
        })
    }

    fn written(&self) -> String {
        let mut all = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><SignedIdentifiers>");
        for policy in &self.policies {
            let fields = [
                ("Start", &policy.start),
                ("Expiry", &policy.expiry),
                ("Permission", &policy.permission),
            ];
            let fields = fields.into_iter().filter_map(|(name, value)| {
                let value = escaped(value.as_ref()?);
                Some(format!("<{name}>{value}</{name}>"))
            });
            let fields: String = fields.collect();
            let id = escaped(&policy.id);
            all.push_str(&format!(
                "<SignedIdentifier><Id>{id}</Id><AccessPolicy>{fields}</AccessPolicy></SignedIdentifier>"
            ));
        }
        all + "</SignedIdentifiers>"
    }
}

/// The container and its policy.
struct Container<'a> {
    desk: Desk<'a>,
    path: String,
    policy: &'a str,
}

/// Names the access list of a container.
const ACL: [(&str, &str); 2] = [("restype", "container"), ("comp", "acl")];

impl<'a> Container<'a> {
    fn open(ctx: Ctx<'a>, target: &'a Target, turn: Turn) -> Result<Self, Fact> {
        let given = with(target);
        let need = |key: &str| {
            given
                .get(key)
                .ok_or_else(|| not_tried(format!("`with` has no `{key}`")))
        };
        let container = need("container")?;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'$';
        if container.is_empty() || !container.bytes().all(plain) {
            return Err(not_tried("`container` is not the name of a container"));
        }
        Ok(Container {
            desk: Desk::open(ctx, target, turn)?,
            path: format!("/{container}"),
            policy: need("policy")?,
        })
    }

    async fn acl(&self) -> Result<Acl, Fact> {
        let call = Call {
            method: "GET",
            path: &self.path,
            query: &ACL,
            headers: &[],
            body: "",
        };
        let answer = self.desk.signed(self.desk.key()?, call).await?;
        Acl::read(&answer.map_err(Fact::from)?)
    }

    /// Reads the list, changes it and writes it back, again where somebody else wrote in between.
    /// `None` where there was nothing to change.
    async fn change(&self, change: impl Fn(&mut Vec<Policy>) -> bool) -> Result<Option<u16>, Fact> {
        for last in [false, false, true] {
            let mut acl = self.acl().await?;
            if !change(&mut acl.policies) {
                return Ok(None);
            }
            let body = acl.written();
            let mut headers = vec![("content-type", "application/xml")];
            headers.extend(acl.public.as_deref().map(|p| ("x-ms-blob-public-access", p)));
            headers.extend(acl.changed.as_deref().map(|at| ("if-unmodified-since", at)));
            let call = Call {
                method: "PUT",
                path: &self.path,
                query: &ACL,
                headers: &headers,
                body: &body,
            };
            match self.desk.signed(self.desk.key()?, call).await? {
                Ok(answer) => return Ok(Some(answer.status)),
                Err(Refusal { status: 412, .. }) if !last => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Ok(None)
    }

    /// Tries the agent's signature.
    async fn attempt(&self) -> Result<bool, Fact> {
        let ctx = self.desk.ctx;
        let secret = ctx
            .secret
            .ok_or_else(|| not_tried("the agent's own secret is not at hand"))?;
        let text = secret.expose().trim();
        let (place, query) = match text.split_once('?') {
            Some((place, query)) => (place, query),
            None => ("", text),
        };
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let value = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        if value("sig").is_none() {
            return Err(not_tried("the secret at hand is no shared access signature"));
        }
        // One that names another policy is tried all the same: it lives on, and that is to be said.
        let list = [("restype", "container"), ("comp", "list"), ("maxresults", "1")];
        let own = place.is_empty() || value("sr") == Some("c");
        let mut call = Call {
            method: "GET",
            path: &self.path,
            query: &list,
            headers: &[],
            body: "",
        };
        let mut url = self.desk.url(call);
        if !own {
            let there = Url::parse(place).map_err(|_| not_tried("the signature is not behind an address"))?;
            if there.origin() != url.origin() || !there.path().starts_with(url.path()) {
                return Err(not_tried(
                    "the address of the signature is not that of this container",
                ));
            }
            url = there;
            call.headers = &[("x-ms-range", "bytes=0-0")];
        }
        url.query_pairs_mut().extend_pairs(&pairs);
        refused(ctx, self.desk.send(call, &url, &|_| None).await)
    }
}

impl Adapter for Sas {
    fn name(&self) -> &str {
        "azure-sas"
    }

    fn title(&self) -> &str {
        "Azure storage SAS: its stored access policy deleted"
    }

    fn about(&self) -> About {
        let pairs = NEEDS.iter().chain(&MAY);
        About {
            kinds: vec!["service SAS of a blob container with a stored access policy".to_owned()],
            proved_by: ProvedBy::Emulator,
            permissions: vec!["an account key (Get and Set Container ACL)".to_owned()],
            needs: pairs
                .map(|(key, is)| ((*key).to_owned(), (*is).to_owned()))
                .collect(),
            manual: MANUAL.to_owned(),
        }
    }

    fn window(&self) -> Duration {
        WINDOW
    }

    fn reversible(&self, _: &Target) -> bool {
        true
    }

    fn revives(&self) -> Option<&str> {
        Some("every signature that names the policy, the agent's own as well")
    }

    fn check(&self, target: &Target) -> Vec<String> {
        super::account::check(self.name(), target, &NEEDS, &MAY)
    }

    fn shapes(&self) -> &[Regex] {
        &[]
    }

    fn open<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Opened> {
        Box::pin(async move {
            let tried = async { Container::open(ctx, target, Turn::Look)?.attempt().await };
            let seen = match tried.await {
                Ok(false) => Some(seen_alive("use")),
                Ok(true) => None,
                Err(fact) => Some(fact),
            };
            Opened {
                session: None,
                facts: [Some(Fact::NoSessions), seen].into_iter().flatten().collect(),
            }
        })
    }

    fn glance<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Glance> {
        Box::pin(async move {
            let looked = async {
                let container = Container::open(ctx, target, Turn::Look)?;
                let acl = container.acl().await?;
                Ok(acl.policies.into_iter().find(|p| p.id == container.policy))
            };
            match looked.await {
                Ok(Some(policy)) => Glance {
                    facts: vec![
                        seen_alive("record"),
                        Fact::Noted {
                            label: "also hit".to_owned(),
                            text: format!("every signature that names the policy {} ends with it", policy.id),
                        },
                    ],
                    undo: serde_json::to_vec(&policy).ok(),
                },
                // Deleted before: its earlier state is on record already.
                Ok(None) => Glance::default(),
                Err(fact) => Glance {
                    facts: vec![fact],
                    undo: None,
                },
            }
        })
    }

    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let done = async {
                let container = Container::open(ctx, target, Turn::Cut)?;
                let without = |policies: &mut Vec<Policy>| {
                    let before = policies.len();
                    policies.retain(|p| p.id != container.policy);
                    policies.len() != before
                };
                container.change(without).await
            };
            match done.await {
                Ok(Some(status)) => vec![Fact::Accepted { status }],
                Ok(None) => vec![Fact::AlreadyDone { status: 200 }],
                Err(fact) => {
                    let unsent = matches!(fact, Fact::NotTried { .. });
                    let manual = unsent.then(|| Fact::Manual {
                        how: MANUAL.to_owned(),
                    });
                    [Some(fact), manual].into_iter().flatten().collect()
                }
            }
        })
    }

    fn sessions<'a>(&'a self, _: Ctx<'a>, _: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async { Vec::new() })
    }

    fn probe<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let record = async {
                let container = Container::open(ctx, target, Turn::Look)?;
                let acl = container.acl().await?;
                let there = acl.policies.iter().any(|p| p.id == container.policy);
                Ok(match there || was_alive(ctx.earlier, "record") {
                    true => Fact::ReadBack { dead: !there },
                    false => not_tried("the container has no such policy, and none was seen before the cut"),
                })
            };
            let tried = async {
                let refused = Container::open(ctx, target, Turn::Look)?.attempt().await?;
                Ok(Fact::TriedNew { refused })
            };
            let (record, tried) = join(record, tried).await;
            [record, tried]
                .map(|seen| seen.unwrap_or_else(|why: Fact| why))
                .to_vec()
        })
    }

    fn restore<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target, undo: &'a [u8]) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let Ok(saved) = serde_json::from_slice::<Policy>(undo) else {
                return vec![not_tried("what was saved before the cut cannot be read")];
            };
            let put_back = async {
                let container = Container::open(ctx, target, Turn::Cut)?;
                let with_it = |policies: &mut Vec<Policy>| {
                    policies.retain(|p| p.id != saved.id);
                    policies.push(saved.clone());
                    true
                };
                let status = container.change(with_it).await?.unwrap_or(200);
                let there = container.acl().await?.policies.contains(&saved);
                Ok(vec![
                    Fact::Residual {
                        what: format!(
                            "every signature that names the policy {} works again, the agent's own as well; a policy \
                             of another name and new signatures would not bring it back",
                            saved.id
                        ),
                        until_ms: None,
                    },
                    Fact::Accepted { status },
                    Fact::ReadBack { dead: !there },
                ])
            };
            put_back.await.unwrap_or_else(|fact: Fact| vec![fact])
        })
    }

    fn armed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let looked = async {
                let container = Container::open(ctx, target, Turn::Look)?;
                let acl = container.acl().await?;
                Ok(match acl.policies.iter().any(|p| p.id == container.policy) {
                    // Whoever holds the account key may do everything with its containers.
                    true => Fact::Noted {
                        label: "armed".to_owned(),
                        text: "the responder's account key may make this cut".to_owned(),
                    },
                    false => Fact::Error {
                        status: 0,
                        text: "the container has no such policy".to_owned(),
                    },
                })
            };
            vec![looked.await.unwrap_or_else(|fact: Fact| fact)]
        })
    }
}

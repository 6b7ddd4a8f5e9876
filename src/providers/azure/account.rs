//! Account keys of Azure storage: a person makes a new one, and the old one is tried.

use std::time::Duration;

use regex::Regex;

use super::{Call, Desk, WINDOW, refused};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::Target;
use crate::providers::limits::Turn;
use crate::providers::{About, Adapter, Ctx, Opened, ProvedBy, not_tried, seen_alive, with};
use crate::world::Later;

/// The adapter `azure-key`.
pub(super) struct Account;

const NEEDS: [(&str, &str); 1] = [("account", "name of the storage account")];
const UNARMED: &str = "a person renews the key; nothing can be checked from here";
const MAY: [(&str, &str); 2] = [
    (
        "endpoint",
        "address of the account's blobs where it is not Azure's own",
    ),
    ("ca", "file with the certificate authority of that address"),
];
const MANUAL: &str = "az storage account keys renew --account-name ACCOUNT --key primary (or secondary: whichever the \
                      agent holds). Whatever else uses that key, and every signature made with it, stops working";

/// What is missing or unknown in the target's `with`.
pub(super) fn check(
    name: &str,
    target: &Target,
    needs: &[(&'static str, &'static str)],
    may: &[(&'static str, &'static str)],
) -> Vec<String> {
    let given = with(target);
    let lacking = needs.iter().filter(|(key, _)| !given.contains_key(*key));
    let lacking = lacking.map(|(key, is)| format!("`with` has no `{key}` ({is})"));
    let known = |key: &str| needs.iter().chain(may).any(|(name, _)| *name == key);
    let unknown = given.keys().filter(|key| !known(key));
    let unknown = unknown.map(|key| format!("`{name}` does not know `{key}`"));
    lacking.chain(unknown).collect()
}

async fn attempt(ctx: Ctx<'_>, target: &Target) -> Result<bool, Fact> {
    let desk = Desk::open(ctx, target, Turn::Look)?;
    let key = ctx
        .secret
        .ok_or_else(|| not_tried("the agent's own secret is not at hand"))?;
    let call = Call {
        method: "GET",
        path: "/",
        query: &[("comp", "list"), ("maxresults", "1")],
        headers: &[],
        body: "",
    };
    refused(ctx, desk.signed(key, call).await)
}

impl Adapter for Account {
    fn name(&self) -> &str {
        "azure-key"
    }

    fn title(&self) -> &str {
        "Azure storage account key: renewed by hand, then tried"
    }

    fn about(&self) -> About {
        let pairs = NEEDS.iter().chain(&MAY);
        About {
            kinds: vec!["account key of Azure storage, and every SAS signed with it".to_owned()],
            proved_by: ProvedBy::Emulator,
            permissions: Vec::new(),
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
        false
    }

    fn check(&self, target: &Target) -> Vec<String> {
        check(self.name(), target, &NEEDS, &MAY)
    }

    fn shapes(&self) -> &[Regex] {
        &[]
    }

    fn open<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Opened> {
        Box::pin(async move {
            let seen = match attempt(ctx, target).await {
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

    fn glance<'a>(&'a self, _: Ctx<'a>, _: &'a Target) -> Later<'a, Glance> {
        Box::pin(async { Glance::default() })
    }

    fn cut<'a>(&'a self, _: Ctx<'a>, _: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async {
            vec![Fact::Manual {
                how: MANUAL.to_owned(),
            }]
        })
    }

    fn sessions<'a>(&'a self, _: Ctx<'a>, _: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async { Vec::new() })
    }

    fn probe<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let tried = attempt(ctx, target).await;
            vec![tried.map_or_else(|why| why, |refused| Fact::TriedNew { refused })]
        })
    }

    fn restore<'a>(&'a self, _: Ctx<'a>, _: &'a Target, _: &'a [u8]) -> Later<'a, Vec<Fact>> {
        Box::pin(async { vec![not_tried("a renewed account key cannot be brought back")] })
    }

    fn unarmed(&self) -> Option<&str> {
        Some(UNARMED)
    }

    fn armed<'a>(&'a self, _: Ctx<'a>, _: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async { vec![not_tried(UNARMED)] })
    }
}

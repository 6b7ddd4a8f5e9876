//! One address of a server, part after part where it answers in parts.

use std::path::PathBuf;

use serde_json::Value;

use super::source::{self, Item, Taken};
use super::{Ctx, Interrupted};
use crate::model::event::ItemStatus;
use crate::model::secret::{Secret, SecretRef};
use crate::world::NetError;
use crate::world::http::{BODY_CAP, HttpRequest, HttpResponse, TlsFiles};

/// Parts of one answer that are fetched, at most.
const PARTS: usize = 100;
/// Headers that are kept: what tells a cache, a proxy or a version. Cookies and tokens are not among them.
const HEADERS: [&str; 12] = [
    "age",
    "cache-control",
    "content-length",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "server",
    "via",
    "x-request-id",
];

/// How a server is reached.
#[derive(Debug, Clone)]
pub(super) struct Door {
    /// What every address begins with.
    pub base: String,
    /// Where the bearer token is read from.
    pub bearer: Option<SecretRef>,
    /// PEM file of a private authority.
    pub ca: Option<PathBuf>,
    /// JSON pointer to the mark of the next part, and the parameter that takes it.
    pub next: Option<(String, String)>,
}

/// One address.
#[derive(Debug, Clone)]
pub(super) struct Get {
    /// Name of the answer in the exhibit.
    pub name: String,
    /// What comes after the base.
    pub path: String,
    /// How the server is reached.
    pub door: Door,
    /// True where status and headers are the thing to keep, the body beside them.
    pub head: bool,
}

/// One answer, its parts in order.
pub(super) struct Answered {
    pub parts: Vec<HttpResponse>,
    pub ms: u64,
    /// Why there are no more of them, where there are.
    pub cut: Option<NotFetched>,
}

/// Why a part did not come.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotFetched {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl NotFetched {
    fn status(&self) -> ItemStatus {
        match self {
            NotFetched::Net(NetError::Silent(_)) => ItemStatus::TimedOut,
            _ => ItemStatus::Failed,
        }
    }
}

impl Get {
    pub(super) fn item(&self) -> Item {
        Item {
            name: self.name.clone(),
            touches: format!("GET {}{}", self.door.base, self.path),
        }
    }

    /// Fetches it. An error where not even the first part came.
    pub(super) async fn fetch(&self, ctx: Ctx<'_>) -> Result<Answered, NotFetched> {
        let began = ctx.world.clock.now().mono_us;
        let token = match &self.door.bearer {
            Some(from) => {
                let token = ctx.world.secrets.read(from).await;
                Some(token.map_err(|e| NetError::Setup(e.to_string()))?)
            }
            None => None,
        };
        let mut parts: Vec<HttpResponse> = Vec::new();
        let mut url = format!("{}{}", self.door.base, self.path);
        let cut = loop {
            let headers = token.iter().map(|token| {
                (
                    "authorization".to_owned(),
                    Secret::joined(&["Bearer ", token.expose()]),
                )
            });
            let answer = ctx.world.http.send(HttpRequest {
                method: "GET".to_owned(),
                url,
                headers: headers.collect(),
                body: None,
                deadline: ctx.limits.silence(),
                tls: TlsFiles {
                    ca: self.door.ca.clone(),
                    identity: None,
                },
            });
            let answer = match ctx.answer(answer).await.map_err(NotFetched::from) {
                Ok(Ok(answer)) => answer,
                Ok(Err(e)) if parts.is_empty() => return Err(e.into()),
                Err(e) if parts.is_empty() => return Err(e),
                Ok(Err(e)) => break Some(e.into()),
                Err(e) => break Some(e),
            };
            let next = self.next(&answer);
            parts.push(answer);
            match next {
                Some(more) if parts.len() < PARTS => url = more,
                _ => break None,
            }
        };
        let ms = (ctx.world.clock.now().mono_us - began) / 1_000;
        Ok(Answered { parts, ms, cut })
    }

    fn next(&self, answer: &HttpResponse) -> Option<String> {
        let (pointer, parameter) = self.door.next.as_ref()?;
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let mark = body.pointer(pointer)?.as_str().filter(|m| !m.is_empty())?;
        let mark: String = url::form_urlencoded::byte_serialize(mark.as_bytes()).collect();
        let joint = if self.path.contains('?') { '&' } else { '?' };
        Some(format!(
            "{}{}{joint}{parameter}={mark}",
            self.door.base, self.path
        ))
    }

    pub(super) async fn take(self, ctx: Ctx<'_>) -> Vec<Taken> {
        let item = self.item();
        let answered = match self.fetch(ctx).await {
            Ok(answered) => answered,
            Err(e) => return vec![Taken::hole(item, e.status(), &e.to_string())],
        };
        let mut taken = Vec::new();
        if self.head {
            let head = Item {
                name: format!("{}.head", item.name),
                touches: item.touches.clone(),
            };
            taken.push(keep(
                ctx,
                head,
                &heads(&answered),
                &answered,
                ItemStatus::Collected,
                None,
            ));
        }
        let (status, why) = word(&answered, self.door.next.is_some(), self.head);
        let mut body = Vec::new();
        for part in &answered.parts {
            body.extend_from_slice(&part.body);
            // Parts are told apart; of an answer that says nothing nothing is kept.
            if !part.body.is_empty() && !part.body.ends_with(b"\n") {
                body.push(b'\n');
            }
        }
        taken.push(keep(ctx, item, &body, &answered, status, why));
        taken
    }
}

fn word(answered: &Answered, in_parts: bool, any_status: bool) -> (ItemStatus, Option<String>) {
    let last = answered.parts.last().map_or(0, |a| a.status);
    let cut = answered.parts.iter().any(|a| a.body.len() >= BODY_CAP);
    if let Some(why) = &answered.cut {
        let parts = answered.parts.len();
        return (
            ItemStatus::Truncated,
            Some(format!("{why}; the parts before are kept: {parts}")),
        );
    }
    match last {
        // A probe asks for the status: every one is an answer.
        _ if any_status && !cut => (ItemStatus::Collected, None),
        401 | 403 => (
            ItemStatus::Forbidden,
            Some(format!("HTTP {last}; what it said is kept")),
        ),
        200..=299 if cut => (
            ItemStatus::Truncated,
            Some(format!("only {BODY_CAP} bytes of a part are read")),
        ),
        200..=299 if in_parts && answered.parts.len() >= PARTS => (
            ItemStatus::Truncated,
            Some(format!("only {PARTS} parts are fetched")),
        ),
        200..=299 => (ItemStatus::Collected, None),
        _ => (
            ItemStatus::Failed,
            Some(format!("HTTP {last}; what it said is kept")),
        ),
    }
}

fn heads(answered: &Answered) -> Vec<u8> {
    let mut text = String::new();
    for part in &answered.parts {
        text.push_str(&format!(
            "HTTP {}\nanswered after {} ms\n",
            part.status, answered.ms
        ));
        let kept = part
            .headers
            .iter()
            .filter(|(name, _)| HEADERS.contains(&name.as_str()));
        text.extend(kept.map(|(name, value)| format!("{name}: {value}\n")));
    }
    text.into_bytes()
}

fn keep(
    ctx: Ctx<'_>,
    item: Item,
    bytes: &[u8],
    of: &Answered,
    status: ItemStatus,
    why: Option<String>,
) -> Taken {
    let taken = source::keep(ctx, item, bytes, of.ms);
    match taken.status {
        ItemStatus::Collected => Taken { status, why, ..taken },
        _ => taken,
    }
}

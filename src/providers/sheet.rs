//! What is known about each adapter, for people and programs, and as one page.

use serde::Serialize;

use super::{About, Adapter, ProvedBy, Registry};
use crate::model::grant::{Grant, Shared, Target};
use crate::model::ids::TargetId;

/// One adapter.
#[derive(Debug, Serialize)]
pub struct Sheet {
    /// Name in `access.yaml`.
    pub provider: String,
    /// What it cuts, in a few words.
    pub title: String,
    /// Kinds, proof, rights, needs and the way by hand.
    #[serde(flatten)]
    pub about: About,
    /// Milliseconds a cut may take to reach every server of the provider.
    pub window_ms: u64,
    /// True where the access can be given back as it was.
    pub reversible: bool,
    /// True where the secret alone is enough.
    pub by_itself: bool,
    /// What else comes to life when it is given back.
    pub revives: Option<String>,
    /// Why nothing tells beforehand that the cut would be allowed; none where something does.
    pub unarmed: Option<String>,
}

impl Sheet {
    /// The sheet of one adapter.
    pub fn of(adapter: &dyn Adapter) -> Sheet {
        let bare = TargetId::new("example").ok().map(|id| {
            Target::Grant(Grant {
                id,
                provider: adapter.name().to_owned(),
                agent: None,
                with: Default::default(),
                auth: None,
                secret: None,
                shared: Shared::No,
                reaches: Vec::new(),
            })
        });
        Sheet {
            provider: adapter.name().to_owned(),
            title: adapter.title().to_owned(),
            about: adapter.about(),
            window_ms: u64::try_from(adapter.window().as_millis()).unwrap_or(u64::MAX),
            reversible: bare.is_some_and(|target| adapter.reversible(&target)),
            by_itself: adapter.by_itself(),
            revives: adapter.revives().map(str::to_owned),
            unarmed: adapter.unarmed().map(str::to_owned),
        }
    }

    /// What its tests hold it against, in words.
    pub fn proved(&self) -> &'static str {
        match self.about.proved_by {
            ProvedBy::RealServer => "a real server",
            ProvedBy::Emulator => "an emulator that enforces it",
            ProvedBy::Sdk => "the vendor's own client library",
            ProvedBy::Contract => "the published documentation",
        }
    }

    /// Whether it can be given back, in words.
    pub fn undo(&self) -> &'static str {
        match self.reversible {
            true => "can be given back",
            false => "for good",
        }
    }

    /// Whether it can be known beforehand that the cut would be allowed, in words.
    pub fn check(&self) -> String {
        match &self.unarmed {
            Some(why) => format!("not told: {why}"),
            None => "says whether the cut would be allowed".to_owned(),
        }
    }

    /// The window, in words.
    pub fn window(&self) -> String {
        match self.window_ms {
            0 => "at once".to_owned(),
            ms if ms % 3_600_000 == 0 => format!("{} h", ms / 3_600_000),
            ms if ms % 60_000 == 0 => format!("{} min", ms / 60_000),
            ms if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
            ms => format!("{ms} ms"),
        }
    }
}

/// The page of providers: Markdown, the same bytes for the same adapters.
pub fn page(registry: &Registry) -> String {
    let sheets: Vec<Sheet> = registry.all().map(Sheet::of).collect();
    let mut page = format!(
        "# Providers\n\n\
        What `incident` can cut elsewhere: {} kinds of access. This page is made from the adapters themselves \
        (`incident access providers --markdown`).\n\n\
        *Proved by* says what the tests run against. An emulator is somebody else's server that enforces what the \
        provider does; for sessions, denies and triggers of AWS it is fakecloud, which is built once, as the \
        server of Kubernetes is: a run without it names that as not tested. *Window* is the time within which the provider may still honour \
        what was cut: the proof is repeated after it. *For good* means that nothing brings it back. *Check beforehand* is \
        `incident access check`: it asks, and changes nothing.\n\n\
        A team's own provider is a table under `providers:` in `access.yaml`; the format stands at the top of\n\
        [`vault-token.yaml`](../src/providers/rest/tables/vault-token.yaml).\n\n\
        | provider | cuts | undo | window | proved by |\n|---|---|---|---|---|\n",
        sheets.len()
    );
    for sheet in &sheets {
        page.push_str(&format!(
            "| [`{0}`](#{0}) | {1} | {2} | {3} | {4} |\n",
            sheet.provider,
            cell(&sheet.title),
            sheet.undo(),
            sheet.window(),
            sheet.proved()
        ));
    }
    for sheet in &sheets {
        page.push_str(&format!("\n## {}\n\n{}.\n\n", sheet.provider, cell(&sheet.title)));
        let mut row = |name: &str, text: &str| {
            if !text.is_empty() {
                page.push_str(&format!("- **{name}:** {}\n", cell(text)));
            }
        };
        row("Kinds", &sheet.about.kinds.join(", "));
        row("The responder needs", &sheet.about.permissions.join("; "));
        for (key, is) in &sheet.about.needs {
            row(&format!("`with: {key}`"), is);
        }
        row("Undo", sheet.undo());
        row("Giving it back revives", sheet.revives.as_deref().unwrap_or(""));
        row("Window", &sheet.window());
        row("Check beforehand", &sheet.check());
        row("Proved by", sheet.proved());
        row("By hand", &sheet.about.manual);
    }
    page
}

/// Text that stays one cell and one line of Markdown.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

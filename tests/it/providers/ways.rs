//! The ways out to a provider: certificates of strangers, client certificates, proxies, no trust store.

use std::path::PathBuf;
use std::time::Duration;

use incident::model::fact::Fact;
use incident::model::grant::Target;

use super::contract::Case;
use super::published::{Published, case, detoured, published};
use crate::support::desk::{Desk, PROGRAM};
use crate::support::network_world;
use crate::support::servers::Bao;
use crate::support::stub::{Sealed, Stub, say};

/// A private authority and a certificate for 127.0.0.1 by it. OpenBao makes them.
struct Papers {
    folder: tempfile::TempDir,
}

impl Papers {
    fn new() -> Option<Papers> {
        let folder = tempfile::tempdir().unwrap();
        Bao::start_tls(folder.path())?;
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let both = std::fs::read_to_string(cert).unwrap() + &std::fs::read_to_string(key).unwrap();
        std::fs::write(folder.path().join("both.pem"), both).unwrap();
        Some(Papers { folder })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A server with that certificate; it asks for one in return where it is to know who comes.
    fn server(&self, ip: &str, asks: bool) -> Sealed {
        let authority = asks.then(|| self.file("ca.pem"));
        Sealed::start(
            ip,
            &self.file("cert.pem"),
            &self.file("key.pem"),
            authority.as_deref(),
        )
    }
}

fn with(case: &mut Case<'_>, key: &str, path: PathBuf) {
    let Target::Grant(grant) = &mut case.target else {
        panic!("no grant")
    };
    grant.with.insert(key.to_owned(), path.display().to_string());
}

/// Facts after the whole order, with this provider reached at `server`.
fn stopped(published: &Published, papers: &Papers, server: &Sealed, ip: &str) -> Vec<Fact> {
    let at = format!("https://{ip}:{}", server.port);
    let (world, _) = detoured(&at, Duration::from_secs(5), 1);
    let mut case = case(&world, published);
    with(&mut case, "ca", papers.file("ca.pem"));
    let mut facts = case.armed();
    case.stop();
    assert!(!case.proof().is_dead(), "{}: {}", published.table, case.proof());
    facts.extend(case.facts.into_iter().map(|o| o.fact));
    facts
}

#[test]
fn a_certificate_of_another_name_is_told_nothing() {
    let Some(papers) = Papers::new() else { return };
    let stranger = papers.server("127.0.0.2", false);
    for published in published() {
        let facts = stopped(&published, &papers, &stranger, "127.0.0.2");
        let table = &published.table;
        let said = format!("{facts:?}");
        assert!(said.contains("certificate not valid for name"), "{table}: {said}");
        assert!(!said.contains("attempts"), "{table}: asked again: {said}");
        let learned = |f: &Fact| match f {
            Fact::Accepted { .. } | Fact::AlreadyDone { .. } | Fact::ReadBack { .. } => true,
            Fact::TriedNew { .. } | Fact::Listed { .. } | Fact::Ended { .. } => true,
            Fact::Noted { label, .. } => label == "armed" || label == "before",
            _ => false,
        };
        assert!(!facts.iter().any(learned), "{table}: {said}");
    }
    assert!(stranger.knocks() >= published().len());
    assert_eq!(stranger.heard(), Vec::<String>::new());

    // The same server is talked to where its certificate has its name.
    let itself = papers.server("127.0.0.1", false);
    let one = published().into_iter().find(|p| p.table == "github").unwrap();
    stopped(&one, &papers, &itself, "127.0.0.1");
    assert!(
        itself
            .heard()
            .iter()
            .any(|h| h.starts_with("POST /credentials/revoke"))
    );
}

#[test]
fn a_client_certificate_opens_the_door_that_asks_for_one() {
    let Some(papers) = Papers::new() else { return };
    let server = papers.server("127.0.0.1", true);
    let at = format!("https://127.0.0.1:{}", server.port);
    let world = network_world();
    let mut case = Case::new(&world, "okta", &[("address", &at)]).secret("agents-leaked-key");
    with(&mut case, "ca", papers.file("ca.pem"));
    case.cut();
    assert_eq!(
        server.heard(),
        Vec::<String>::new(),
        "let in without a certificate"
    );
    with(&mut case, "client-cert", papers.file("both.pem"));
    case.cut();
    assert!(server.heard()[0].starts_with("DELETE /api/v1/api-tokens/current"));
}

const ACCESS: &str = "version: 1
agents:
  - name: bot
    grants:
      - { id: far, provider: github, secret: { env: TOKEN } }
      - { id: near, provider: okta, with: { address: ADDRESS }, secret: { env: TOKEN } }
";
const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

/// `access check` with one provider far away and one on this machine, in this environment.
fn checked(desk: &Desk, near: &Stub, environment: &[String]) -> String {
    desk.file(
        "incident/access.yaml",
        &ACCESS.replace("ADDRESS", &near.address()),
    );
    let mut command = desk.jailed("env");
    command.arg(format!("TOKEN={TOKEN}")).args(environment);
    let out = command.args([PROGRAM, "access", "check"]).output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    // Long lines are broken at words.
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!said.contains(TOKEN), "{said}");
    said
}

#[test]
fn a_proxy_is_used_for_what_is_far_away_and_never_sees_the_secret() {
    let Some(desk) = Desk::new() else { return };
    let near = Stub::start(|_, _| say(200, r#"{"id": "00u1"}"#));
    let proxy = Stub::start(|_, _| say(403, ""));
    let proxied = format!("HTTPS_PROXY={}", proxy.address());
    let said = checked(&desk, &near, &[proxied.clone(), proxied.replace("HTTPS", "HTTP")]);
    assert!(said.contains("armed near"), "{said}");
    assert!(!proxy.seen().is_empty(), "{said}");
    for seen in proxy.seen() {
        assert_eq!(
            (seen.method.as_str(), seen.path.as_str()),
            ("CONNECT", "api.github.com:443")
        );
        assert!(!format!("{seen:?}").contains(TOKEN));
    }
    assert!(!near.seen().is_empty());
}

#[test]
fn without_a_trust_store_this_machine_is_reached_and_the_rest_says_what_it_lacks() {
    let Some(desk) = Desk::new() else { return };
    let near = Stub::start(|_, _| say(200, r#"{"id": "00u1"}"#));
    let nothing = ["SSL_CERT_FILE=/nonexistent", "SSL_CERT_DIR=/nonexistent"];
    let said = checked(&desk, &near, &nothing.map(str::to_owned));
    assert!(said.contains("armed near"), "{said}");
    assert!(said.contains("name a file with `ca`"), "{said}");
}

//! The real halves of the ports: what they refuse, and what they never let out.

use std::path::PathBuf;
use std::time::Duration;

use incident::model::secret::{Secret, SecretRef};
use incident::world::http::{BODY_CAP, HttpRequest, TlsFiles};
use incident::world::{NetError, World};

use crate::support::network_world;
use crate::support::servers::{Bao, Pg};
use crate::support::stub::{Stub, say};

fn get(world: &World, url: &str, tls: TlsFiles) -> Result<usize, NetError> {
    let request = HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: None,
        deadline: Duration::from_secs(5),
        tls,
    };
    world
        .wait(world.http.send(request))
        .unwrap()
        .map(|a| a.body.len())
}

#[test]
fn plain_http_reaches_this_machine_only() {
    let world = network_world();
    for url in [
        "http://api.example/",
        "http://127.0.0.1.example/",
        "http://10.0.0.1/",
        "ftp://localhost/",
    ] {
        assert!(
            matches!(get(&world, url, TlsFiles::default()), Err(NetError::Setup(_))),
            "{url}"
        );
    }
    let stub = Stub::start(|_, _| say(200, "ok"));
    assert_eq!(get(&world, &stub.address(), TlsFiles::default()), Ok(2));
}

#[test]
fn an_endless_body_is_cut() {
    let world = network_world();
    let stub = Stub::start(|_, _| say(200, &"x".repeat(BODY_CAP + 100_000)));
    assert_eq!(get(&world, &stub.address(), TlsFiles::default()), Ok(BODY_CAP));
}

#[test]
fn an_unusable_certificate_file_is_named() {
    let world = network_world();
    let tls = TlsFiles {
        ca: Some(PathBuf::from("/nonexistent/ca.pem")),
        identity: None,
    };
    let error = get(&world, "https://127.0.0.1:1/", tls).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/ca.pem"), "{error}");
}

#[test]
fn secrets_are_read_from_where_they_are_said_to_be() {
    let world = network_world();
    let read = |from: &SecretRef| {
        let read = world.wait(world.secrets.read(from)).unwrap();
        read.map(|s| s.expose().to_owned()).map_err(|e| e.to_string())
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "in-a-file\r\n").unwrap();
    let command = |words: &[&str]| SecretRef::Command(words.iter().map(|w| (*w).to_owned()).collect());
    world.secrets.hold("pasted", Secret::new("in-memory".to_owned()));
    assert_eq!(read(&SecretRef::File(file)), Ok("in-a-file".to_owned()));
    assert_eq!(
        read(&command(&["printf", "from-a-program\n"])),
        Ok("from-a-program".to_owned())
    );
    assert_eq!(
        read(&SecretRef::Held("pasted".to_owned())),
        Ok("in-memory".to_owned())
    );
    assert_eq!(
        read(&SecretRef::Env("PATH".to_owned())),
        Ok(std::env::var("PATH").unwrap())
    );

    let mut known = Vec::new();
    world.secrets.known(&mut |value| known.push(value.to_owned()));
    for value in ["in-a-file", "from-a-program", "in-memory"] {
        assert!(
            known.iter().any(|k| k == value),
            "the redactor is not told of {value}"
        );
    }

    assert_eq!(
        read(&SecretRef::Env("INCIDENT_NO_SUCH".to_owned())),
        Err("cannot read the secret from $INCIDENT_NO_SUCH: it is not set".to_owned())
    );
    assert!(
        read(&command(&["sh", "-c", "echo half-a-secret; exit 3"]))
            .is_err_and(|e| e.contains("exit status: 3"))
    );
    assert!(read(&SecretRef::Process("TOKEN".to_owned())).is_err_and(|e| e.contains("no frozen process")));
    assert!(
        read(&SecretRef::File(folder.path().to_owned())).is_err_and(|e| e.contains("not a regular file"))
    );
}

#[test]
fn a_refused_login_says_why_and_not_with_what() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    let wrong = Secret::new(pg.url("postgres", "made-up-password"));
    let opened = world
        .wait(world.sql.open(&wrong, Duration::from_secs(5)))
        .unwrap();
    let Err(error @ NetError::Refused(_)) = opened.map(|_| ()) else {
        panic!("not refused");
    };
    assert!(error.to_string().contains("28P01") && !error.to_string().contains("made-up-password"));
    let broken = Secret::new("postgres://a:made-up-password@127.0.0.1:port/x".to_owned());
    let opened = world
        .wait(world.sql.open(&broken, Duration::from_secs(5)))
        .unwrap();
    let text = opened.map(|_| ()).unwrap_err().to_string();
    assert!(!text.contains("made-up-password"), "{text}");
}

#[test]
fn an_ended_session_is_lost_and_a_bad_statement_is_not() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    let session = pg.session(&world, &pg.admin());
    let ask = |sql: &str| world.wait(session.query(sql)).unwrap();
    assert!(matches!(ask("SELEC 1"), Err(NetError::Refused(text)) if text.starts_with("42601")));
    let rows = ask("SELECT 1, NULL; SELECT 'two', 'x'").unwrap();
    let cell = |t: &str| Some(t.to_owned());
    assert_eq!(rows, [[cell("1"), None], [cell("two"), cell("x")]]);
    pg.run(&world, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'postgres' AND backend_type = 'client backend'");
    let ended = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        ask("SELECT 1").err()
    });
    assert!(
        matches!(&ended, Some(NetError::Lost(text)) if text.contains("57P01")),
        "{ended:?}"
    );
    assert!(matches!(ask("SELECT 1"), Err(NetError::Lost(_))));
}

#[test]
fn a_private_authority_is_trusted_only_where_it_is_named() {
    let world = network_world();
    let folder = tempfile::tempdir().unwrap();
    let Some(bao) = Bao::start_tls(folder.path()) else {
        return;
    };
    let (ca, cert, key) = (
        folder.path().join("ca.pem"),
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    let health = format!("{}/v1/sys/health", bao.address);
    let stranger = get(&world, &health, TlsFiles::default()).unwrap_err();
    assert!(
        matches!(&stranger, NetError::Setup(text) if text.contains("UnknownIssuer")),
        "{stranger:?}"
    );
    let named = TlsFiles {
        ca: Some(ca.clone()),
        identity: None,
    };
    assert!(get(&world, &health, named).is_ok());

    let Some(pg) = Pg::start_with(&world, Some((&cert, &key))) else {
        return;
    };
    let open = |rest: &str| {
        let url = Secret::new(format!("{}?{rest}", pg.admin()));
        let session = world
            .wait(world.sql.open(&url, Duration::from_secs(5)))
            .unwrap()?;
        world
            .wait(session.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
            .unwrap()
    };
    let stranger = open("sslmode=require").unwrap_err();
    assert!(stranger.to_string().contains("UnknownIssuer"), "{stranger:?}");
    let rows = open(&format!("sslmode=verify-full&sslrootcert={}", ca.display())).unwrap();
    assert_eq!(rows, [[Some("t".to_owned())]]);
}

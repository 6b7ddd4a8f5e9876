//! Readers of what providers say that are no tables: XML, JSON, rows, what scripts print, replies of Redis.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use incident::model::secret::Secret;
use incident::providers::Registry;
use incident::providers::rest::SHIPPED;
use incident::world::Sql;
use incident::world::World;
use incident::world::sql::RealSql;

use super::answers::{AUTH, SECRET, walk};
use super::machine::Shared;
use super::mutant::{Mutant, Random};
use super::{as_is, feed};
use crate::providers::contract::Case;
use crate::support::network_world;

/// One answer of each kind.
pub const ANSWERS: [&str; 10] = [
    "<GetAccessKeyLastUsedResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><GetAccessKeyLastUsedResult><UserName>bot</UserName></GetAccessKeyLastUsedResult></GetAccessKeyLastUsedResponse>",
    "<ListAccessKeysResponse><ListAccessKeysResult><IsTruncated>false</IsTruncated><AccessKeyMetadata><member><UserName>bot</UserName><AccessKeyId>AKIAIOSFODNN7EXAMPLE</AccessKeyId><Status>Active</Status></member></AccessKeyMetadata></ListAccessKeysResult></ListAccessKeysResponse>",
    "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no &amp; &#x41;</Message></Error><RequestId>1</RequestId></ErrorResponse>",
    "<?xml version=\"1.0\"?><SignedIdentifiers><SignedIdentifier><Id>a</Id><AccessPolicy><Start>2026-11-22T03:14:07Z</Start><Expiry>2027-11-22</Expiry><Permission>rw</Permission></AccessPolicy></SignedIdentifier></SignedIdentifiers>",
    "{\"Name\":\"x\",\"State\":\"ENABLED\",\"ReservedConcurrentExecutions\":0,\"value\":[{\"keyName\":\"key1\",\"value\":\"a2V5\"}]}",
    "bot\tt\tf\t2026-11-22 03:14:07+00\t\\N\n16384\tbot\tf\tt\t-1\n",
    "user bot on sanitize-payload #5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8 ~* +@all\nflags\ton\n",
    "incident:begin\nfile /home/bot/.ssh/authorized_keys\ntext c3NoLWVkMjU1MTkgQUFBQUMzIGJvdAo=\nwritable yes\nend\n",
    "incident:begin\nme 1\nmyuid 0\nuid 1000\nstat /proc/9/stat:9 (sshd) S 1 9 9 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77 0\nowner /proc/9/status:Uid: 1000\nend\n",
    "",
];

/// What adapters need to name their target.
pub type Needs = (String, Vec<String>);

/// Every shipped adapter, or only those that are no tables.
pub fn adapters(tables: bool) -> Vec<Needs> {
    let shipped: BTreeSet<&str> = SHIPPED
        .iter()
        .map(|(file, _)| file.trim_end_matches(".yaml"))
        .collect();
    let registry = Registry::shipped();
    let all = registry.all().filter(|a| tables || !shipped.contains(a.name()));
    let needs =
        |a: &dyn incident::providers::Adapter| a.about().needs.into_iter().map(|(key, _)| key).collect();
    all.map(|a| (a.name().to_owned(), needs(a))).collect()
}

/// A grant of this adapter, with the responder's credential and the agent's.
pub fn grant<'w>(world: &'w World, (name, needs): &Needs) -> Case<'w> {
    let value = |key: &str| match key {
        "host" => "db1",
        "key" => "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvdGJvdGJvdGJvdGJvdGJvdGJvdGJvdGJvdGJvdGJv",
        "address" | "api" | "url" | "endpoint" => "https://api.example",
        _ => "bot",
    };
    let with: Vec<(&str, &str)> = needs.iter().map(|key| (key.as_str(), value(key))).collect();
    let keys = |of: &str| match name.starts_with("aws") {
        true => format!("AKIAIOSFODNN7EXAMPLE:{of}"),
        false => of.to_owned(),
    };
    Case::new(world, name, &with)
        .auth(&keys(AUTH))
        .secret(&keys(SECRET))
}

/// Adapters that are no tables, and answers of the kind each reads: XML, JSON, rows, what scripts print.
#[test]
#[ignore = "runs in a process of its own"]
fn coded_answers() {
    let coded = adapters(false);
    assert!(coded.len() >= 10, "{coded:?}");
    let words = [
        "<member>",
        "</member>",
        "<![CDATA[",
        "<!DOCTYPE a [<!ENTITY b \"c\">]>",
        "&amp;",
        "&#x0;",
        "<a ",
        "/>",
        "Inactive",
        "DISABLED",
        "\t",
        "\\N\n",
        "incident:begin\n",
        "end\n",
        "stat /proc/",
        "base64",
    ];
    let machine = Shared::default();
    let world: World = machine.world();
    let turn = Cell::new((0, 200));
    let choose = |random: &mut Random, input: Vec<u8>| {
        let status = [200, 200, 200, 201, 204, 400, 401, 403, 404, 409, 412][random.below(11)];
        turn.set((random.below(coded.len()), status));
        input
    };
    feed("coded answers", &Mutant::new(ANSWERS, &words), choose, |input| {
        let (at, status) = turn.get();
        {
            let mut machine = machine.0.borrow_mut();
            machine.files.clear();
            machine.started.clear();
            machine.says = input.to_vec();
            machine.status = status;
        }
        walk(grant(&world, &coded[at]));
    });
}

/// What calls itself a Redis and is none: no reply holds us up, and no cell comes of nothing.
#[test]
#[ignore = "runs in a process of its own"]
fn redis_replies() {
    let seeds = [
        "+OK\r\n*2\r\n$5\r\nflags\r\n*2\r\n:1\r\n*2\r\n+a\r\n+b\r\n",
        "+OK\r\n$9\r\nid=1 x=y\n\r\n",
        "-NOAUTH no\r\n",
        "+PONG\r\n*-1\r\n$-1\r\n*0\r\n",
        "%2\r\n+a\r\n:1\r\n+b\r\n#t\r\n",
    ];
    let words = [
        "*2147483647\r\n",
        "$9999999\r\n",
        "*1\r\n",
        "$-1\r\n",
        "\r\n",
        ":",
        "-ERR x\r\n",
        "_\r\n",
    ];
    let world = network_world();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://bot:{SECRET}@{}/0", listener.local_addr().unwrap());
    let url = Secret::new(url);
    feed("Redis replies", &Mutant::new(seeds, &words), as_is, |input| {
        let said = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                // Whoever has read enough hangs up.
                let _ = stream.write_all(input);
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            });
            world.wait(async {
                let session = RealSql.open(&url, Duration::from_secs(10)).await?;
                session.query("CLIENT LIST").await
            })
        });
        match said.unwrap() {
            Ok(rows) => {
                let cells: usize = rows.iter().flatten().flatten().map(String::len).sum();
                // A byte that is no UTF-8 becomes three.
                assert!(cells <= 3 * input.len(), "{cells} of {}", input.len());
            }
            Err(e) => assert!(!e.to_string().contains(SECRET), "{e}"),
        }
    });
}

/// What a responder pastes as a credential, well or badly: no refusal repeats it.
#[test]
#[ignore = "runs in a process of its own"]
fn pasted_credentials() {
    const PASTED: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let seeds = [
        format!("AKIAIOSFODNN7EXAMPLE:{PASTED}"),
        format!(
            "{{\"Credentials\":{{\"AccessKeyId\":\"AKIAIOSFODNN7EXAMPLE\",\"SecretAccessKey\":\"{PASTED}\"}}}}"
        ),
        format!(
            "[default]\nexport aws_access_key_id=AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = '{PASTED}'\n"
        ),
        format!(
            "mysql://root:{}@127.0.0.1:1/orders?sslmode=disable",
            PASTED.replace('/', "%2F")
        ),
        format!(
            "redis://:{}@127.0.0.1:1/0?sslrootcert=/none",
            PASTED.replace('/', "%2F")
        ),
    ];
    let words = [
        "[prod]\n",
        "aws_access_key_id=x\n",
        "%zz",
        "@",
        ":",
        "?sslmode=maybe",
        "\"SessionToken\":\"t\",",
        "\r\n",
    ];
    let machine = Shared::default();
    machine.0.borrow_mut().status = 403;
    let world = machine.world();
    let real = network_world();
    let keys: Vec<Needs> = adapters(false)
        .into_iter()
        .filter(|(name, _)| name.starts_with("aws"))
        .collect();
    assert!(!keys.is_empty());
    feed(
        "pasted credentials",
        &Mutant::new(seeds, &words),
        as_is,
        |input| {
            let Ok(text) = std::str::from_utf8(input) else {
                return;
            };
            let needs = &keys[input.len() % keys.len()];
            let mut case = grant(&world, needs).auth(text).secret(text);
            case.before();
            case.cut();
            let told = format!("{:?}", case.facts);
            assert!(!told.contains(&PASTED[..12]), "{told}");
            // Nothing but a port of this machine on which nobody listens is asked.
            let here = |url: url::Url| {
                url.host_str() == Some("127.0.0.1")
                    && url.port() == Some(1)
                    && url.query_pairs().all(|(k, _)| k != "socket")
            };
            let known = text.starts_with("mysql:") || text.starts_with("redis:");
            if known && url::Url::parse(text).is_ok_and(here) {
                let url = Secret::new(text.to_owned());
                let opened = real.wait(RealSql.open(&url, Duration::from_secs(10))).unwrap();
                let why = opened.err().map(|e| e.to_string()).unwrap_or_default();
                assert!(!why.is_empty() && !why.contains(&PASTED[..12]), "{why}");
            }
        },
    );
}

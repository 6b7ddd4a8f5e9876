//! The Azure adapters against Azurite, which refuses a signature once its stored access policy is gone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use incident::model::fact::{Fact, Observed, Proof, TargetKind, proof};
use incident::model::secret::Secret;
use incident::world::World;
use incident::world::http::{HttpRequest, TlsFiles};
use sha2::Sha256;

use super::contract::Case;
use crate::support::clouds::Azure;
use crate::support::network_world;

const KEY: &str = "ZGVzay1rZXktb2YtdGhlLWluY2lkZW50LXRlc3RzLTMyYg==";
const OTHER: &str = "b3RoZXIta2V5LW9mLXRoZS1pbmNpZGVudC10ZXN0cy0zMg==";

fn mac(text: &str) -> String {
    let key = STANDARD.decode(KEY).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A service SAS: of the container (`c`), or of one blob in it (`b`). Written from the documentation of
/// Azure, apart from the code it tests.
fn sas(kind: &str, policy: &str, blob: &str) -> String {
    let version = "2020-12-06";
    let resource = format!("/blob/desk/box{blob}");
    // permissions, start, expiry, resource, identifier, ip, protocol, version, kind, snapshot, scope, 5 headers
    let lines = [
        "", "", "", &resource, policy, "", "", version, kind, "", "", "", "", "", "", "",
    ];
    format!(
        "sv={version}&si={policy}&sr={kind}&sig={}",
        encoded(&mac(&lines.join("\n")))
    )
}

/// A request signed with the account key; status and body.
fn ask(
    world: &World,
    azure: &Azure,
    method: &str,
    path: &str,
    query: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let now = httpdate::fmt_http_date(std::time::SystemTime::now());
    let length = if body.is_empty() {
        String::new()
    } else {
        body.len().to_string()
    };
    let blob = if method == "PUT" && query.is_empty() {
        "x-ms-blob-type:BlockBlob\n"
    } else {
        ""
    };
    let mut sorted: Vec<String> = query.iter().map(|(n, v)| format!("\n{n}:{v}")).collect();
    sorted.sort();
    let to_sign = format!(
        "{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n{blob}x-ms-date:{now}\nx-ms-version:2021-12-02\n/desk/desk{path}{}",
        sorted.concat()
    );
    let mut headers = vec![
        ("x-ms-date", now),
        ("x-ms-version", "2021-12-02".to_owned()),
        ("authorization", format!("SharedKey desk:{}", mac(&to_sign))),
    ];
    if !blob.is_empty() {
        headers.push(("x-ms-blob-type", "BlockBlob".to_owned()));
    }
    let pairs: Vec<String> = query.iter().map(|(n, v)| format!("{n}={}", encoded(v))).collect();
    let request = HttpRequest {
        method: method.to_owned(),
        url: format!("{}{path}?{}", azure.endpoint, pairs.join("&")),
        headers: headers
            .into_iter()
            .map(|(n, v)| (n.to_owned(), Secret::new(v)))
            .collect(),
        body: (!body.is_empty()).then(|| Secret::new(body.to_owned())),
        deadline: std::time::Duration::from_secs(10),
        tls: TlsFiles::default(),
    };
    let answer = world.wait(world.http.send(request)).unwrap().unwrap();
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}

const ACL: [(&str, &str); 2] = [("restype", "container"), ("comp", "acl")];

/// A container `box` with a blob and two policies, one of which a careless writer would lose.
fn filled(world: &World) -> Option<Azure> {
    let azure = Azure::start(KEY)?;
    assert_eq!(
        ask(world, &azure, "PUT", "/box", &[("restype", "container")], "").0,
        201
    );
    assert_eq!(ask(world, &azure, "PUT", "/box/a.txt", &[], "hello").0, 201);
    let policy = |id: &str, may: &str| {
        format!(
            "<SignedIdentifier><Id>{id}</Id><AccessPolicy><Start>2026-01-01T00:00:00Z</Start><Expiry>2099-01-01T00:00:00Z</Expiry><Permission>{may}</Permission></AccessPolicy></SignedIdentifier>"
        )
    };
    let body = format!(
        "<SignedIdentifiers>{}{}</SignedIdentifiers>",
        policy("bot", "rl"),
        policy("nightly", "r")
    );
    assert_eq!(ask(world, &azure, "PUT", "/box", &ACL, &body).0, 200);
    Some(azure)
}

fn case<'w>(world: &'w World, azure: &Azure, provider: &str, more: &[(&str, &str)]) -> Case<'w> {
    let mut with = vec![("account", "desk"), ("endpoint", azure.endpoint.as_str())];
    with.extend(more);
    let case = Case::new(world, provider, &with).auth(KEY);
    let wrong = case.adapter().check(&case.target);
    assert!(wrong.is_empty(), "{wrong:?}");
    case
}

const BOX: [(&str, &str); 2] = [("container", "box"), ("policy", "bot")];

/// The word after the window, without waiting for it: the last look, half a minute later.
fn settled(case: &Case<'_>) -> Proof {
    let window = case.adapter().window();
    let late = u64::try_from(window.as_micros()).unwrap();
    let mut facts = case.facts.clone();
    let last = facts.last().unwrap().at_us;
    let again: Vec<Observed> = facts.iter().filter(|o| o.at_us == last).cloned().collect();
    facts.extend(again.into_iter().map(|o| Observed {
        at_us: o.at_us + late,
        ..o
    }));
    proof(TargetKind::Grant, &facts, window)
}

#[test]
fn a_signature_dies_with_its_policy_and_the_other_policy_lives() {
    let world = network_world();
    let Some(azure) = filled(&world) else { return };
    let of_blob = format!("{}/box/a.txt?{}", azure.endpoint, sas("b", "bot", "/a.txt"));
    for secret in [sas("c", "bot", ""), of_blob] {
        let before = ask(&world, &azure, "GET", "/box", &ACL, "").1;
        let mut case = case(&world, &azure, "azure-sas", &BOX).secret(&secret);
        assert!(
            matches!(case.armed()[..], [Fact::Noted { .. }]),
            "{:?}",
            case.armed()
        );
        case.before();
        assert_eq!(case.cut(), [Fact::Accepted { status: 200 }], "{:?}", case.facts);
        let seen = case.probe();
        assert_eq!(
            seen,
            [Fact::ReadBack { dead: true }, Fact::TriedNew { refused: true }],
            "{:?}",
            case.facts
        );
        assert_eq!(case.proof(), Proof::Confirmed, "the window is not over");
        assert_eq!(settled(&case), Proof::Refused);
        let after = ask(&world, &azure, "GET", "/box", &ACL, "").1;
        assert!(after.contains("nightly") && !after.contains(">bot<"), "{after}");

        // A second stop changes nothing and saves nothing over what was saved.
        let saved = case.undo.clone();
        case.before();
        assert_eq!(case.cut(), [Fact::AlreadyDone { status: 200 }]);
        assert!(case.undo == saved && saved.is_some());

        let back = case.restore();
        assert!(back.contains(&Fact::ReadBack { dead: false }), "{back:?}");
        assert!(
            matches!(&back[0], Fact::Residual { what, .. } if what.contains("agent's own")),
            "{back:?}"
        );
        assert!(case.probe().contains(&Fact::TriedNew { refused: false }));
        let again = ask(&world, &azure, "GET", "/box", &ACL, "").1;
        for part in ["2099-01-01", ">bot<", ">nightly<", ">rl<"] {
            assert_eq!(
                again.matches(part).count(),
                before.matches(part).count(),
                "{part}: {again}"
            );
        }
        assert!(!format!("{:?}", case.facts).contains("sig="));
    }
}

#[test]
fn a_signature_that_the_cut_does_not_reach_is_never_called_dead() {
    let world = network_world();
    let Some(azure) = filled(&world) else { return };
    // Of another policy; misspelt from the start; none at all.
    let wrong = sas("c", "bot", "").replace("sig=", "sig=A");
    let secrets = [
        (sas("c", "nightly", ""), Proof::StillLive),
        (wrong, Proof::Confirmed),
        ("hunter2".to_owned(), Proof::Confirmed),
    ];
    for (secret, word) in secrets {
        let mut case = case(&world, &azure, "azure-sas", &BOX).secret(&secret);
        case.before();
        case.cut();
        let seen = case.probe();
        assert!(
            !seen.contains(&Fact::TriedNew { refused: true }),
            "{secret}: {seen:?}"
        );
        assert_eq!(settled(&case), word, "{secret}: {seen:?}");
        let back = case.undo.is_some().then(|| case.restore());
        assert!(back.is_some());
    }
    let mut other = case(
        &world,
        &azure,
        "azure-sas",
        &[("container", "box"), ("policy", "none")],
    )
    .secret(&sas("c", "none", ""));
    other.before();
    assert_eq!(other.cut(), [Fact::AlreadyDone { status: 200 }]);
    other.probe();
    assert_eq!(
        settled(&other),
        Proof::Accepted,
        "a policy nobody saw is no policy that died: {:?}",
        other.facts
    );
    let mut locked = case(&world, &azure, "azure-sas", &BOX).auth(OTHER);
    locked.before();
    assert!(
        matches!(&locked.cut()[..], [Fact::Error { status: 403, .. }]),
        "{:?}",
        locked.facts
    );
    assert_eq!(locked.proof(), Proof::Failed);
}

#[test]
fn an_account_key_is_renewed_by_hand_and_the_try_proves_it() {
    let world = network_world();
    let Some(azure) = filled(&world) else { return };
    let mut case = case(&world, &azure, "azure-key", &[]).secret(KEY);
    case.before();
    assert!(
        matches!(&case.cut()[..], [Fact::Manual { how }] if how.contains("az storage account keys renew"))
    );
    case.probe();
    assert_eq!(case.proof(), Proof::StillLive);
    let renewed = Azure::start(OTHER).unwrap();
    let facts = std::mem::take(&mut case.facts);
    let mut case = self::case(&world, &renewed, "azure-key", &[]).secret(KEY);
    case.facts = facts;
    assert_eq!(case.probe(), [Fact::TriedNew { refused: true }]);
    assert_eq!(case.proof(), Proof::Confirmed);
    // A key that was never seen to work proves nothing by being refused.
    case.facts.clear();
    assert!(matches!(&case.probe()[..], [Fact::NotTried { .. }]));
}

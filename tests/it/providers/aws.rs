//! The AWS adapters against servers of others: SeaweedFS refuses inactive keys, moto weighs policies and
//! takes inactive keys, ministack takes every revocation and enforces none.

use incident::model::fact::{Fact, Proof};
use incident::world::World;
use serde_json::json;

use super::contract::{Case, error_text};
use crate::support::clouds::Aws;
use crate::support::network_world;
use crate::support::stub::{Reply, Stub, say};

/// A grant at a stand-in, with the responder's credentials.
pub(super) fn case<'w>(world: &'w World, aws: &Aws, provider: &str, with: &[(&str, &str)]) -> Case<'w> {
    let mut all = vec![("endpoint", aws.endpoint.as_str())];
    all.extend(with);
    let case = Case::new(world, provider, &all).auth(&format!("{}:{}", aws.root.0, aws.root.1));
    let wrong = case.adapter().check(&case.target);
    assert!(wrong.is_empty(), "{wrong:?}");
    case
}

pub(super) fn pair((key, secret): &(String, String)) -> String {
    format!("{key}:{secret}")
}

pub(super) fn all(case: &Case<'_>) -> Vec<Fact> {
    case.facts.iter().map(|o| o.fact.clone()).collect()
}

pub(super) const LIST: &str = "b.client('s3').list_buckets()";

#[test]
fn an_inactive_key_is_really_refused_and_comes_back() {
    let world = network_world();
    let Some(aws) = Aws::seaweed() else { return };
    let bot = aws.user("bot", "s3:*");
    let mut case = case(&world, &aws, "aws-key", &[("user", "bot"), ("key", &bot.0)]).secret(&pair(&bot));

    assert_eq!(case.stop(), Proof::RefusedNewUse, "{:?}", case.facts);
    assert!(case.has(&Fact::Accepted { status: 200 }) && case.has(&Fact::TriedNew { refused: true }));
    assert!(aws.boto((&bot.0, &bot.1, None), LIST).is_err());
    assert_eq!(aws.status("bot", &bot.0), "Inactive");
    let left = |f: &Fact| matches!(f, Fact::Residual { what, until_ms: Some(_) } if what.contains("GetSessionToken"));
    assert!(
        all(&case).iter().any(left),
        "it takes no deny, so sessions are named: {:?}",
        case.facts
    );

    // A second stop changes nothing and saves nothing over what was saved.
    let saved = case.undo.clone();
    assert_eq!(
        saved,
        Some(format!("{{\"user\":\"bot\",\"key\":\"{}\"}}", bot.0).into_bytes())
    );
    case.before();
    assert_eq!(case.cut()[0], Fact::Accepted { status: 200 });
    assert_eq!(case.undo, saved);

    let back = case.restore();
    assert!(back.contains(&Fact::ReadBack { dead: false }), "{back:?}");
    assert!(case.probe().contains(&Fact::TriedNew { refused: false }));
    assert_eq!(case.proof(), Proof::StillLive);
    assert!(aws.boto((&bot.0, &bot.1, None), LIST).is_ok());
}

#[test]
fn a_record_that_says_inactive_is_not_believed_where_the_key_still_works() {
    let world = network_world();
    let Some(aws) = Aws::moto() else { return };
    let bot = aws.user("bot", "s3:*");
    let given = [("user", "bot"), ("key", bot.0.as_str())];
    let mut tried = case(&world, &aws, "aws-key", &given).secret(&pair(&bot));
    assert_eq!(tried.stop(), Proof::StillLive, "{:?}", tried.facts);
    assert_eq!(aws.status("bot", &bot.0), "Inactive");
    assert!(tried.has(&Fact::TriedNew { refused: false }));

    // Without the secret nobody knows: the record alone is not called a proof.
    let world = network_world();
    let mut untried = case(&world, &aws, "aws-key", &given);
    assert_eq!(untried.stop(), Proof::Accepted, "{:?}", untried.facts);
}

#[test]
fn a_denied_user_is_refused_and_the_deny_is_looked_at_again() {
    let world = network_world();
    let Some(aws) = Aws::moto() else { return };
    let bot = aws.user("bot", "s3:*");
    let desk = aws.user("desk", "*");
    aws.guard();
    let mut case = case(&world, &aws, "aws-user", &[("user", "bot")])
        .auth(&pair(&desk))
        .secret(&pair(&bot));
    assert_eq!(case.stop(), Proof::RefusedNewUse, "{:?}", case.facts);
    assert!(
        case.has(&Fact::Ended { count: 1 }),
        "its key is made inactive, too: {:?}",
        case.facts
    );
    let refused = aws.boto((&bot.0, &bot.1, None), LIST);
    assert!(
        refused.as_ref().is_err_and(|e| e.contains("AccessDenied")),
        "{refused:?}"
    );

    // An agent that may write IAM takes the deny away: the next look sees it.
    let undone = "b.client('iam').delete_user_policy(UserName='bot', PolicyName='IncidentDenyAll')";
    aws.boto((&desk.0, &desk.1, None), undone).unwrap();
    let seen = case.probe();
    assert!(seen.contains(&Fact::ReadBack { dead: false }), "{seen:?}");
    assert!(seen.contains(&Fact::TriedNew { refused: false }), "{seen:?}");
    assert_eq!(case.proof(), Proof::StillLive);

    case.cut();
    assert!(case.probe().contains(&Fact::TriedNew { refused: true }));
    let back = case.restore();
    assert!(back.contains(&Fact::ReadBack { dead: false }), "{back:?}");
    assert_eq!(aws.status_by(&desk, "bot", &bot.0), "Active");
    // The old sessions stay denied. moto takes no notice of the date and would deny the rest, too.
    let older = "b.client('iam').delete_user_policy(UserName='bot', PolicyName='IncidentDenyOldSessions')";
    aws.boto((&desk.0, &desk.1, None), older).unwrap();
    assert!(aws.boto((&bot.0, &bot.1, None), LIST).is_ok());
}

#[test]
fn whoever_may_not_cut_is_told_so() {
    let world = network_world();
    let Some(aws) = Aws::moto() else { return };
    let bot = aws.user("bot", "s3:*");
    let weak = aws.user("weak", "s3:*");
    aws.guard();
    let given = [("user", "bot"), ("key", bot.0.as_str())];
    for (secret, said) in [
        (weak.1.as_str(), "AccessDenied"),
        ("made-up-and-wrong", "SignatureDoesNotMatch"),
    ] {
        let mut case = case(&world, &aws, "aws-key", &given).auth(&format!("{}:{secret}", weak.0));
        assert_eq!(case.stop(), Proof::Failed, "{:?}", case.facts);
        assert!(error_text(&all(&case)).contains(said), "{:?}", case.facts);
        assert!(!format!("{:?}", case.facts).contains(secret));
    }
}

#[test]
fn nothing_is_called_dead_where_nothing_is_enforced() {
    let world = network_world();
    let Some(aws) = Aws::ministack() else { return };
    let bot = aws.user("bot", "*");
    aws.as_root(
        "allow = {'Effect': 'Allow', 'Principal': {'AWS': '*'}, 'Action': 'sts:AssumeRole'}\n\
         trust = json.dumps({'Version': '2012-10-17', 'Statement': [allow]})\n\
         b.client('iam').create_role(RoleName='worker', AssumeRolePolicyDocument=trust)\n\
         b.client('events').put_rule(Name='nightly', ScheduleExpression='rate(1 minute)')\n\
         arn = 'arn:aws:iam::000000000000:role/worker'\n\
         target = {'Arn': arn, 'RoleArn': arn}\n\
         b.client('scheduler').create_schedule(Name='hourly', ScheduleExpression='rate(1 hour)', \
         FlexibleTimeWindow={'Mode': 'OFF'}, Target=target)\n\
         import io, zipfile\n\
         z = io.BytesIO()\n\
         zipfile.ZipFile(z, 'w').writestr('a.py', 'def f(e, c): return 1')\n\
         b.client('lambda').create_function(FunctionName='agent', Runtime='python3.12', Role=arn, \
         Handler='a.f', Code={'ZipFile': z.getvalue()})",
    );
    let secret = pair(&bot);
    let grants = [
        ("aws-key", vec![("user", "bot"), ("key", bot.0.as_str())]),
        ("aws-user", vec![("user", "bot")]),
        ("aws-role", vec![("role", "worker")]),
        ("aws-rule", vec![("rule", "nightly")]),
        ("aws-schedule", vec![("schedule", "hourly")]),
        ("aws-function", vec![("function", "agent")]),
    ];
    for (provider, with) in grants {
        for tried in [true, false] {
            let mut case = case(&world, &aws, provider, &with);
            if tried {
                case = case.secret(&secret);
            }
            let word = case.stop();
            assert!(!word.is_dead(), "{provider}: {word}: {:?}", case.facts);
            assert!(
                case.has(&Fact::Accepted { status: 200 }),
                "{provider}: {:?}",
                case.facts
            );
            let over = |f: &Fact| matches!(f, Fact::Over { .. });
            assert!(!all(&case).iter().any(over), "{provider}: {:?}", case.facts);
            if tried && ["aws-key", "aws-user", "aws-role"].contains(&provider) {
                assert_eq!(word, Proof::StillLive, "{provider}: {:?}", case.facts);
            }
        }
    }
}

const KEY: &str = "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn at_stub<'w>(world: &'w World, stub: &Stub, provider: &str, with: &[(&str, &str)]) -> Case<'w> {
    let address = stub.address();
    let mut all = vec![("endpoint", address.as_str())];
    all.extend(with);
    Case::new(world, provider, &all).auth(KEY)
}

#[test]
fn throttling_is_waited_out_and_silence_is_no_success() {
    let world = network_world();
    let busy = "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>";
    let changing = busy.replace("Throttling", "ConcurrentModification");
    let stub = Stub::start(move |n, _| match n {
        0 => say(400, busy),
        1 => say(409, &changing),
        2 => Reply::Reset,
        _ => say(200, "<UpdateAccessKeyResponse/>"),
    });
    let given = [("user", "bot"), ("key", "AKIAOTHER")];
    let facts = at_stub(&world, &stub, "aws-key", &given).cut();
    assert_eq!(facts[0], Fact::Accepted { status: 200 }, "{facts:?}");
    assert_eq!(stub.seen().len(), 4);

    let elsewhere = Stub::start(|_, _| say(200, ""));
    let there = elsewhere.address();
    let moved = Stub::start(move |_, _| Reply::Say(307, vec![("location", there.clone())], String::new()));
    let facts = at_stub(&world, &moved, "aws-key", &given).cut();
    assert!(error_text(&facts).contains("redirects"), "{facts:?}");
    assert!(elsewhere.seen().is_empty());

    let page = Stub::start(|_, _| say(418, &"<html>".repeat(1_700_000)));
    let facts = at_stub(&world, &page, "aws-key", &given).cut();
    assert!(
        matches!(&facts[..], [Fact::Error { status: 418, text }] if text.chars().count() <= 200),
        "{facts:?}"
    );
}

#[test]
fn a_user_whose_policies_are_full_is_bound_whole() {
    let world = network_world();
    let full = "<ErrorResponse><Error><Code>LimitExceeded</Code><Message>Maximum policy size of 2048 bytes exceeded</Message></Error></ErrorResponse>";
    let stub = Stub::start(move |_, seen| match seen.body.contains("Action=PutUserPolicy&") {
        true => say(409, full),
        false => say(200, "<Response/>"),
    });
    let given = [("user", "bot"), ("region", "cn-north-1")];
    let facts = at_stub(&world, &stub, "aws-user", &given).cut();
    assert!(error_text(&facts).contains("LimitExceeded"), "{facts:?}");
    assert!(facts.contains(&Fact::Accepted { status: 200 }), "{facts:?}");
    let sent = stub.seen().pop().unwrap().body;
    assert!(
        sent.contains("Action=PutUserPermissionsBoundary&")
            && sent.ends_with("arn%3Aaws-cn%3Aiam%3A%3Aaws%3Apolicy%2FAWSDenyAll"),
        "{sent}"
    );
    // A key alone is not reason enough to take the whole user: what lives on is named.
    let facts = at_stub(&world, &stub, "aws-key", &[("user", "bot"), ("key", "AKIAOTHER")]).sessions();
    let left =
        |f: &Fact| matches!(f, Fact::Residual { what, .. } if what.starts_with("sessions of user bot"));
    assert!(facts.iter().any(left), "{facts:?}");
}

#[test]
fn a_clock_that_is_wrong_is_corrected_by_the_clock_of_the_provider() {
    let world = network_world();
    let late = std::time::SystemTime::now() + std::time::Duration::from_secs(7200);
    let date = httpdate::fmt_http_date(late);
    let skewed = "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Signature expired</Message></Error></ErrorResponse>";
    let stub = Stub::start(move |n, _| match n {
        0 => Reply::Say(403, vec![("date", date.clone())], skewed.to_owned()),
        _ => say(200, "<UpdateAccessKeyResponse/>"),
    });
    let given = [("user", "bot"), ("key", "AKIAOTHER")];
    let facts = at_stub(&world, &stub, "aws-key", &given).cut();
    assert_eq!(facts[0], Fact::Accepted { status: 200 }, "{facts:?}");
    let sent: Vec<String> = stub
        .seen()
        .iter()
        .map(|s| s.headers["x-amz-date"].clone())
        .collect();
    assert!(sent.len() == 2 && sent[0][..11] < sent[1][..11], "{sent:?}");
}

#[test]
fn no_credential_goes_anywhere_but_to_aws_or_the_endpoint() {
    let world = network_world();
    let given = [
        ("user", "bot"),
        ("key", "AKIAOTHER"),
        ("region", "x.thief.example/"),
    ];
    let mut case = Case::new(&world, "aws-key", &given).auth(KEY);
    let facts = case.cut();
    assert!(
        matches!(&facts[..], [Fact::Error { .. } | Fact::NotTried { .. }, ..] if format!("{facts:?}").contains("region")),
        "{facts:?}"
    );
    let stub = Stub::start(|_, seen| say(400, &format!("{} {:?}", seen.body, seen.headers)));
    let mut case = at_stub(&world, &stub, "aws-user", &[("user", "bot")]).secret(KEY);
    case.stop();
    let text = format!("{:?}", case.facts);
    assert!(!text.contains("wJalr") && !stub.seen().is_empty(), "{text}");
    assert!(stub.seen().iter().all(|s| !format!("{s:?}").contains("wJalr")));
}

#[test]
fn a_target_is_checked_beforehand() {
    let world = network_world();
    let check = |provider: &str, with: &[(&str, &str)]| {
        let case = Case::new(&world, provider, with);
        case.adapter().check(&case.target).join("; ")
    };
    assert!(check("aws-key", &[]).contains("`with` has no `key`"));
    assert!(check("aws-key", &[("key", "ASIAABC")]).contains("session"));
    assert!(check("aws-role", &[("role", "a"), ("user", "b")]).contains("does not know `user`"));
    assert_eq!(
        check("aws-user", &[("user", "a"), ("region", "eu-central-1")]),
        ""
    );
    assert!(
        json!(Case::new(&world, "aws-user", &[]).adapter().about())
            .to_string()
            .contains("iam:PutUserPolicy")
    );
}

//! Keys, users and roles at fakecloud, where a session outlives its key, and denies and boundaries count.
//!
//! The responder may do exactly what the adapter says it needs, and nothing else.

use std::sync::atomic::{AtomicU32, Ordering};

use incident::model::fact::{Fact, Proof};
use incident::world::World;

use super::aws::{LIST, all, case, pair};
use super::contract::{Case, error_text};
use crate::support::clouds::Aws;
use crate::support::network_world;

/// Key, secret and token of a session.
pub(super) type Session = (String, String, String);

/// A grant at a stand-in, cut by somebody who may do what the adapter asks for and nothing else.
pub(super) fn narrow<'w>(world: &'w World, aws: &Aws, provider: &str, with: &[(&str, &str)]) -> Case<'w> {
    narrower(world, aws, provider, with, "")
}

/// Like [`narrow`], without one permission.
fn narrower<'w>(
    world: &'w World,
    aws: &Aws,
    provider: &str,
    with: &[(&str, &str)],
    without: &str,
) -> Case<'w> {
    static DESKS: AtomicU32 = AtomicU32::new(0);
    let case = case(world, aws, provider, with);
    let about = case.adapter().about();
    let first = |said: &String| said.split(' ').next().unwrap_or("").to_owned();
    let may: Vec<String> = about.permissions.iter().map(first).collect();
    let mut may: Vec<&str> = may.iter().map(String::as_str).filter(|p| *p != without).collect();
    // AWS asks nobody for it; fakecloud does.
    may.push("sts:GetCallerIdentity");
    let name = format!("desk{}", DESKS.fetch_add(1, Ordering::Relaxed));
    let desk = aws.user_who(&name, &may);
    case.auth(&pair(&desk))
}

fn three(printed: &str) -> Session {
    let mut parts = printed.split(' ').map(str::to_owned);
    (
        parts.next().unwrap(),
        parts.next().unwrap(),
        parts.next().unwrap(),
    )
}

/// A session made with a key, by the vendor's own client.
pub(super) fn session(aws: &Aws, key: &(String, String)) -> Session {
    let script = "c = b.client('sts').get_session_token()['Credentials']\n\
                  print(c['AccessKeyId'], c['SecretAccessKey'], c['SessionToken'])";
    three(&aws.boto((&key.0, &key.1, None), script).unwrap())
}

const WORKER: &str = "arn:aws:iam::123456789012:role/team/worker";

/// A session of the role, or why there is none.
pub(super) fn assume(aws: &Aws, key: &(String, String)) -> Result<Session, String> {
    let script = format!(
        "c = b.client('sts').assume_role(RoleArn='{WORKER}', RoleSessionName='work')['Credentials']\n\
         print(c['AccessKeyId'], c['SecretAccessKey'], c['SessionToken'])"
    );
    Ok(three(&aws.boto((&key.0, &key.1, None), &script)?))
}

/// What using a session comes to.
pub(super) fn uses(aws: &Aws, session: &Session) -> Result<String, String> {
    aws.boto((&session.0, &session.1, Some(&session.2)), LIST)
}

pub(super) fn is_denied(outcome: &Result<String, String>) -> bool {
    outcome.as_ref().is_err_and(|e| e.contains("AccessDenied"))
}

fn sleep_through(case: &Case<'_>) {
    let window = case.adapter().window();
    case.world.wait(case.world.clock.sleep(window)).unwrap();
}

fn left(case: &Case<'_>, words: &str) -> bool {
    let open = case.facts.iter().rev().find_map(|o| match &o.fact {
        Fact::Residual { what, until_ms } if what.starts_with(words) => Some(until_ms.is_some()),
        Fact::Over { what } if what.starts_with(words) => Some(false),
        _ => None,
    });
    open.unwrap_or(false)
}

/// The look before the cut, again where this machine was too busy for it to be in time.
pub(super) fn look(case: &mut Case<'_>) {
    let seen = |case: &Case<'_>, what: &str| {
        let wanted = format!("{what}: alive");
        all(case)
            .iter()
            .any(|f| matches!(f, Fact::Noted { text, .. } if *text == wanted))
    };
    let is_session = |case: &Case<'_>| {
        case.secret
            .as_ref()
            .is_some_and(|s| s.expose().matches(':').count() > 1)
    };
    for _ in 0..40 {
        let late = |f: &Fact| matches!(f, Fact::Noted { text, .. } if text.contains("unknown service"));
        let late = case.before().iter().any(late);
        if !late && seen(case, "use") && (is_session(case) || seen(case, "session")) {
            return;
        }
    }
    panic!("the look before the cut is never in time: {:?}", case.facts);
}

/// Everything in order.
fn stop(case: &mut Case<'_>) -> Proof {
    look(case);
    case.after()
}

#[test]
fn a_session_outlives_its_inactive_key_and_is_named_until_it_is_denied() {
    let world = network_world();
    let Some(aws) = Aws::fakecloud() else { return };
    let bot = aws.user("bot", "*");
    let own = session(&aws, &bot);
    let sessions = "sessions of user bot";
    let mut case = narrow(&world, &aws, "aws-key", &[("user", "bot"), ("key", &bot.0)]).secret(&pair(&bot));
    case.before();
    assert!(
        case.cut().contains(&Fact::Accepted { status: 200 }),
        "{:?}",
        case.facts
    );
    let refused = aws.boto((&bot.0, &bot.1, None), LIST);
    assert!(refused.is_err_and(|e| e.contains("InvalidAccessKeyId") || e.contains("InvalidClientTokenId")));
    assert_eq!(uses(&aws, &own), Ok(String::new()), "the session lives on");
    let seen = case.probe();
    assert!(seen.contains(&Fact::TriedNew { refused: true }), "{seen:?}");
    assert!(seen.contains(&Fact::TriedOpen { refused: false }), "{seen:?}");
    assert!(left(&case, sessions), "{:?}", case.facts);
    assert_eq!(case.proof(), Proof::StillLive);

    case.sessions();
    assert!(is_denied(&uses(&aws, &own)));
    sleep_through(&case);
    let seen = case.probe();
    assert!(seen.contains(&Fact::TriedOpen { refused: true }), "{seen:?}");
    assert!(!left(&case, sessions), "{:?}", case.facts);
    assert_eq!(case.proof(), Proof::Refused, "{:?}", case.facts);

    // An agent that may write IAM takes the deny away: the next look names its sessions again.
    let undone = "b.client('iam').delete_user_policy(UserName='bot', PolicyName='IncidentDenyOldSessions')";
    aws.as_root(undone);
    case.probe();
    assert!(left(&case, sessions), "{:?}", case.facts);
    assert_eq!(case.proof(), Proof::StillLive);

    // A second stop: nothing new is saved, and it ends as the first.
    let saved = case.undo.clone();
    assert_eq!(stop(&mut case), Proof::Refused, "{:?}", case.facts);
    assert!(!left(&case, sessions) && case.undo == saved);

    // Given back: the key works, the old session does not, a new one does.
    let back = case.restore();
    assert!(back.contains(&Fact::ReadBack { dead: false }), "{back:?}");
    assert_eq!(aws.boto((&bot.0, &bot.1, None), LIST), Ok(String::new()));
    assert!(is_denied(&uses(&aws, &own)));
    assert_eq!(uses(&aws, &session(&aws, &bot)), Ok(String::new()));
}

#[test]
fn a_key_that_may_cuts_itself_and_one_that_may_not_says_so() {
    let world = network_world();
    let Some(aws) = Aws::fakecloud() else { return };
    let bot = aws.user("bot", "*");
    let own = session(&aws, &bot);
    let mut alone = case(&world, &aws, "aws-key", &[("key", &bot.0)]).secret(&pair(&bot));
    alone.auth = None;
    assert_eq!(stop(&mut alone), Proof::Refused, "{:?}", alone.facts);
    assert!(is_denied(&uses(&aws, &own)), "its sessions go before it");

    let weak = aws.user("weak", "s3:*");
    let mut alone = case(&world, &aws, "aws-key", &[("key", &weak.0)]).secret(&pair(&weak));
    alone.auth = None;
    assert_eq!(alone.stop(), Proof::StillLive, "{:?}", alone.facts);
    assert!(
        error_text(&all(&alone)).contains("AccessDenied"),
        "{:?}",
        alone.facts
    );
}

#[test]
fn a_denied_user_takes_its_sessions_along_and_comes_back_as_it_was() {
    let world = network_world();
    let Some(aws) = Aws::fakecloud() else { return };
    let bot = aws.user("bot", "*");
    let own = session(&aws, &bot);
    aws.as_root(
        "iam = b.client('iam')\n\
         iam.create_login_profile(UserName='bot', Password='made-Up-1-by-nobody')\n\
         k = iam.create_access_key(UserName='bot')['AccessKey']['AccessKeyId']\n\
         iam.update_access_key(UserName='bot', AccessKeyId=k, Status='Inactive')\n\
         for n in range(2):\n\
         \x20   c = iam.create_service_specific_credential(UserName='bot', ServiceName='codecommit.amazonaws.com')\n\
         c = c['ServiceSpecificCredential']['ServiceSpecificCredentialId']\n\
         iam.update_service_specific_credential(UserName='bot', ServiceSpecificCredentialId=c, Status='Inactive')",
    );
    let look = "iam = b.client('iam')\n\
                keys = [k['Status'] for k in iam.list_access_keys(UserName='bot')['AccessKeyMetadata']]\n\
                own = iam.list_service_specific_credentials(UserName='bot')['ServiceSpecificCredentials']\n\
                print(sorted(keys), sorted(c['Status'] for c in own), iam.get_user(UserName='bot')['User'].get('PermissionsBoundary'))";
    let before = aws.as_root(look);
    assert_eq!(before, "['Active', 'Inactive'] ['Active', 'Inactive'] None");

    let mut case = narrow(&world, &aws, "aws-user", &[("user", "bot")]).secret(&pair(&bot));
    assert_eq!(stop(&mut case), Proof::Refused, "{:?}", case.facts);
    assert!(is_denied(&uses(&aws, &own)), "the session goes with its user");
    assert_eq!(
        aws.as_root(look),
        "['Inactive', 'Inactive'] ['Inactive', 'Inactive'] None"
    );
    let noted = |word: &str| {
        all(&case)
            .iter()
            .any(|f| matches!(f, Fact::Noted { label, .. } if label == word))
    };
    assert!(noted("console"), "the password is named: {:?}", case.facts);
    assert!(!format!("{:?}", case.facts).contains("made-Up"));

    let saved = case.undo.clone();
    case.before();
    assert!(case.cut().contains(&Fact::Accepted { status: 200 }));
    assert_eq!(case.undo, saved, "a second stop saves nothing over it");

    let back = case.restore();
    assert!(back.contains(&Fact::ReadBack { dead: false }), "{back:?}");
    assert_eq!(aws.as_root(look), before, "what was inactive before stays so");
    assert_eq!(aws.boto((&bot.0, &bot.1, None), LIST), Ok(String::new()));
    assert!(is_denied(&uses(&aws, &own)), "no old session comes back");
    sleep_through(&case);
    assert_eq!(uses(&aws, &session(&aws, &bot)), Ok(String::new()));
    assert_eq!(
        stop(&mut case),
        Proof::Refused,
        "and it can be cut again: {:?}",
        case.facts
    );

    // What was deleted meanwhile does not keep the rest from coming back.
    aws.as_root(
        "iam = b.client('iam')\n\
         own = iam.list_service_specific_credentials(UserName='bot')['ServiceSpecificCredentials']\n\
         for c in own: iam.delete_service_specific_credential(UserName='bot', ServiceSpecificCredentialId=c['ServiceSpecificCredentialId'])",
    );
    let back = case.restore();
    assert!(back.contains(&Fact::ReadBack { dead: false }), "{back:?}");
    assert!(!back.iter().any(|f| matches!(f, Fact::Error { .. })), "{back:?}");
    assert_eq!(aws.boto((&bot.0, &bot.1, None), LIST), Ok(String::new()));
}

#[test]
fn where_no_inline_policy_is_taken_a_boundary_denies_and_the_old_one_comes_back() {
    let world = network_world();
    let Some(aws) = Aws::fakecloud() else { return };
    let bot = aws.user("bot", "*");
    let own = session(&aws, &bot);
    let bounded = "arn:aws:iam::aws:policy/AdministratorAccess";
    aws.as_root(&format!(
        "b.client('iam').put_user_permissions_boundary(UserName='bot', PermissionsBoundary='{bounded}')"
    ));
    let look = "u = b.client('iam').get_user(UserName='bot')['User']\n\
                print(u['PermissionsBoundary']['PermissionsBoundaryArn'])";
    let given = [("user", "bot")];
    let mut case = narrower(&world, &aws, "aws-user", &given, "iam:PutUserPolicy").secret(&pair(&bot));
    assert_eq!(stop(&mut case), Proof::Refused, "{:?}", case.facts);
    assert_eq!(aws.as_root(look), "arn:aws:iam::aws:policy/AWSDenyAll");
    assert!(is_denied(&uses(&aws, &own)));

    // Without a deny of their own the old sessions would come back: then nothing is given back.
    let back = case.restore();
    assert!(error_text(&back).contains("old sessions"), "{back:?}");
    assert_eq!(aws.as_root(look), "arn:aws:iam::aws:policy/AWSDenyAll");

    let mut case = Case {
        auth: narrow(&world, &aws, "aws-user", &given).auth,
        ..case
    };
    let back = case.restore();
    assert!(back.contains(&Fact::ReadBack { dead: false }), "{back:?}");
    assert_eq!(aws.as_root(look), bounded);
    assert_eq!(aws.boto((&bot.0, &bot.1, None), LIST), Ok(String::new()));
    assert!(is_denied(&uses(&aws, &own)));
}

/// A role that the bot may assume, and a second one who may, too.
pub(super) fn role(aws: &Aws) -> ((String, String), (String, String)) {
    let [bot, other] = ["bot", "other"].map(|name| aws.user_who(name, &["sts:*", "s3:*"]));
    aws.as_root(
        "iam = b.client('iam')\n\
         who = ['arn:aws:iam::123456789012:user/bot', 'arn:aws:iam::123456789012:user/other']\n\
         allow = {'Sid': 'a b+c&d', 'Effect': 'Allow', 'Principal': {'AWS': who}, 'Action': 'sts:AssumeRole'}\n\
         trust = json.dumps({'Version': '2012-10-17', 'Statement': [allow]}, indent=2)\n\
         iam.create_role(Path='/team/', RoleName='worker', AssumeRolePolicyDocument=trust)\n\
         allow = {'Effect': 'Allow', 'Action': '*', 'Resource': '*'}\n\
         iam.put_role_policy(RoleName='worker', PolicyName='work', PolicyDocument=json.dumps({'Version': '2012-10-17', 'Statement': [allow]}))",
    );
    (bot, other)
}

const ROLE: &str = "iam = b.client('iam')\n\
    r = iam.get_role(RoleName='worker')['Role']\n\
    print(json.dumps(r['AssumeRolePolicyDocument']), r.get('PermissionsBoundary'), iam.list_role_policies(RoleName='worker')['PolicyNames'])";

#[test]
fn a_role_is_closed_its_old_sessions_die_and_it_comes_back_for_new_ones() {
    let world = network_world();
    let Some(aws) = Aws::fakecloud() else { return };
    let (bot, other) = role(&aws);
    let own = assume(&aws, &bot).unwrap();
    let theirs = assume(&aws, &other).unwrap();
    let before = aws.as_root(ROLE);
    let mut case = narrow(&world, &aws, "aws-role", &[("role", "worker")]).secret(&pair(&bot));
    case.before();
    case.cut();
    assert_eq!(
        uses(&aws, &own),
        Ok(String::new()),
        "closing the role ends no session"
    );
    assert!(left(&case, "sessions of role worker"), "{:?}", case.facts);
    assert_eq!(stop(&mut case), Proof::Refused, "{:?}", case.facts);
    assert!(!left(&case, "sessions of role worker"), "{:?}", case.facts);
    for session in [&own, &theirs] {
        assert!(is_denied(&uses(&aws, session)));
    }
    assert!(is_denied(&assume(&aws, &bot).map(|s| s.0)));
    let also = |f: &Fact| matches!(f, Fact::Noted { label, text } if label == "also hit" && text.contains("user/other"));
    assert!(all(&case).iter().any(also), "{:?}", case.facts);

    // The secret at hand may be a session of the role itself.
    let of_role = format!("{}:{}:{}", own.0, own.1, own.2);
    let mut late = Case {
        secret: Some(incident::model::secret::Secret::new(of_role)),
        ..case
    };
    let seen = late.probe();
    assert!(seen.contains(&Fact::TriedOpen { refused: true }), "{seen:?}");
    let mut case = late.secret(&pair(&bot));

    let back = case.restore();
    assert!(back.contains(&Fact::ReadBack { dead: false }), "{back:?}");
    let after = aws.as_root(ROLE);
    assert_eq!(
        after.replace("'AWSRevokeOlderSessions', ", ""),
        before,
        "trusted as it was"
    );
    assert!(is_denied(&uses(&aws, &own)), "old sessions stay dead");
    let new = assume(&aws, &bot).unwrap();
    assert_eq!(uses(&aws, &new), Ok(String::new()), "a new one works");
    assert_eq!(stop(&mut case), Proof::Refused, "{:?}", case.facts);
    assert!(is_denied(&uses(&aws, &new)));
    assert!(case.restore().contains(&Fact::ReadBack { dead: false }));
    assert!(assume(&aws, &bot).is_ok());
}

#[test]
fn a_role_whose_policies_cannot_be_written_is_bound_whole() {
    let world = network_world();
    let Some(aws) = Aws::fakecloud() else { return };
    let (bot, _) = role(&aws);
    let own = assume(&aws, &bot).unwrap();
    let before = aws.as_root(ROLE);
    let given = [("role", "worker")];
    let mut case = narrower(&world, &aws, "aws-role", &given, "iam:PutRolePolicy").secret(&pair(&bot));
    // Where production uses it, too, only its sessions are cut: no boundary, which would stop everybody.
    case.sessions();
    assert!(left(&case, "sessions of role worker"), "{:?}", case.facts);
    assert_eq!(aws.as_root(ROLE), before);
    assert_eq!(stop(&mut case), Proof::Refused, "{:?}", case.facts);
    assert!(is_denied(&uses(&aws, &own)));
    assert!(aws.as_root(ROLE).contains("AWSDenyAll"));
    let back = case.restore();
    assert!(error_text(&back).contains("old sessions"), "{back:?}");
    assert!(assume(&aws, &bot).is_err());

    let mut case = Case {
        auth: narrow(&world, &aws, "aws-role", &given).auth,
        ..case
    };
    let back = case.restore();
    assert!(back.contains(&Fact::ReadBack { dead: false }), "{back:?}");
    assert_eq!(
        aws.as_root(ROLE).replace("'AWSRevokeOlderSessions', ", ""),
        before
    );
    assert!(is_denied(&uses(&aws, &own)));
}

#[test]
fn a_session_of_a_role_in_the_hand_dies_with_it() {
    let world = network_world();
    let Some(aws) = Aws::fakecloud() else { return };
    let (bot, _) = role(&aws);
    let own = assume(&aws, &bot).unwrap();
    let mut case = narrow(&world, &aws, "aws-role", &[("role", "worker")]);
    case = case.secret(&format!("{}:{}:{}", own.0, own.1, own.2));
    assert_eq!(stop(&mut case), Proof::Refused, "{:?}", case.facts);
    // Without any secret there is only the record, and it is not that of AWS itself.
    let mut untried = narrow(&world, &aws, "aws-role", &[("role", "worker")]);
    assert_eq!(untried.stop(), Proof::Accepted, "{:?}", untried.facts);
    assert!(left(&untried, "sessions of role worker"), "{:?}", untried.facts);
}

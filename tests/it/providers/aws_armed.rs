//! The armed check at fakecloud, and what is not there any more.

use incident::model::fact::{Fact, Proof};

use super::aws::{all, case, pair};
use super::aws_sessions::{look, narrow};
use super::contract::error_text;
use crate::support::clouds::Aws;
use crate::support::network_world;

const SETTING: &str = "iam = b.client('iam')\n\
    allow = {'Effect': 'Allow', 'Principal': {'AWS': '*'}, 'Action': 'sts:AssumeRole'}\n\
    trust = json.dumps({'Version': '2012-10-17', 'Statement': [allow]})\n\
    iam.create_role(RoleName='worker', AssumeRolePolicyDocument=trust)\n\
    iam.create_role(Path='/sso/', RoleName='desk', AssumeRolePolicyDocument=trust)\n\
    may = {'Effect': 'Allow', 'Action': '*', 'Resource': '*'}\n\
    iam.put_role_policy(RoleName='desk', PolicyName='work', PolicyDocument=json.dumps({'Version': '2012-10-17', 'Statement': [may]}))\n\
    b.client('events').put_rule(Name='nightly', ScheduleExpression='rate(1 hour)')\n\
    b.client('sqs').create_queue(QueueName='agent')\n\
    target = {'Arn': 'arn:aws:sqs:us-east-1:123456789012:agent', 'RoleArn': 'arn:aws:iam::123456789012:role/worker'}\n\
    b.client('scheduler').create_schedule(Name='hourly', ScheduleExpression='rate(1 hour)', FlexibleTimeWindow={'Mode': 'OFF'}, Target=target)\n\
    import io, zipfile\n\
    z = io.BytesIO()\n\
    zipfile.ZipFile(z, 'w').writestr('a.py', 'def f(e, c): return 1')\n\
    b.client('lambda').create_function(FunctionName='agent', Runtime='python3.12', Role='arn:aws:iam::123456789012:role/worker', Handler='a.f', Code={'ZipFile': z.getvalue()})";

fn is_armed(facts: &[Fact]) -> bool {
    matches!(facts, [Fact::Noted { label, .. }] if label == "armed")
}

#[test]
fn a_switch_is_armed_for_whoever_may_and_names_what_is_lacking() {
    let world = network_world();
    let Some(aws) = Aws::fakecloud() else { return };
    aws.as_root(SETTING);
    let bot = aws.user("bot", "*");
    let weak = aws.user_who(
        "weak",
        &[
            "iam:GetUser",
            "iam:GetRole",
            "iam:ListAccessKeys",
            "iam:GetAccessKeyLastUsed",
            "iam:SimulatePrincipalPolicy",
            "sts:GetCallerIdentity",
            "events:DescribeRule",
            "scheduler:*",
            "lambda:Get*",
        ],
    );
    // A responder who came in by single sign-on: a session of a role with a path.
    let sso = "c = b.client('sts').assume_role(RoleArn='arn:aws:iam::123456789012:role/sso/desk', RoleSessionName='ana')['Credentials']\n\
               print(c['AccessKeyId'], c['SecretAccessKey'], c['SessionToken'], sep=':')";
    let sso = aws.boto((&bot.0, &bot.1, None), sso).unwrap();
    let grants = [
        (
            "aws-key",
            vec![("user", "bot"), ("key", bot.0.as_str())],
            "iam:UpdateAccessKey",
        ),
        ("aws-user", vec![("user", "bot")], "iam:PutUserPolicy"),
        ("aws-role", vec![("role", "worker")], "iam:UpdateAssumeRolePolicy"),
        ("aws-rule", vec![("rule", "nightly")], "events:DisableRule"),
        ("aws-schedule", vec![("schedule", "hourly")], "iam:PassRole"),
        (
            "aws-function",
            vec![("function", "agent")],
            "lambda:PutFunctionConcurrency",
        ),
    ];
    for (provider, with, lacks) in &grants {
        let case = narrow(&world, &aws, provider, with);
        assert!(is_armed(&case.armed()), "{provider}: {:?}", case.armed());
        let case = self::case(&world, &aws, provider, with).auth(&sso);
        assert!(
            is_armed(&case.armed()),
            "{provider}, single sign-on: {:?}",
            case.armed()
        );
        let case = self::case(&world, &aws, provider, with).auth(&pair(&weak));
        let said = case.armed();
        assert!(error_text(&said).contains(lacks), "{provider}: {said:?}");
    }
    // Somebody who may pass roles to the scheduler only, as one should.
    aws.as_root(
        "only = {'StringEquals': {'iam:PassedToService': 'scheduler.amazonaws.com'}}\n\
         may = {'Effect': 'Allow', 'Action': 'iam:PassRole', 'Resource': '*', 'Condition': only}\n\
         b.client('iam').put_user_policy(UserName='weak', PolicyName='pass', PolicyDocument=json.dumps({'Version': '2012-10-17', 'Statement': [may]}))",
    );
    let case = self::case(&world, &aws, "aws-schedule", &[("schedule", "hourly")]).auth(&pair(&weak));
    assert!(is_armed(&case.armed()), "{:?}", case.armed());
    // It looked and changed nothing.
    assert_eq!(aws.status("bot", &bot.0), "Active");
    for (provider, with, _) in &grants[..2] {
        let case = self::case(&world, &aws, provider, with).auth(&pair(&bot));
        let said = case.armed();
        assert!(error_text(&said).contains("this very"), "{provider}: {said:?}");
    }
}

#[test]
fn what_is_not_there_is_never_called_dead_for_it() {
    let world = network_world();
    let Some(aws) = Aws::fakecloud() else { return };
    let bot = aws.user("bot", "*");
    let grants = [
        (
            "aws-key",
            vec![("user", "nobody"), ("key", "AKIANOSUCHKEYNOSUCHK")],
        ),
        ("aws-user", vec![("user", "nobody")]),
        ("aws-role", vec![("role", "nobody")]),
        ("aws-rule", vec![("rule", "nothing")]),
        ("aws-schedule", vec![("schedule", "nothing")]),
        ("aws-function", vec![("function", "nothing")]),
    ];
    for (provider, with) in grants {
        let mut case = narrow(&world, &aws, provider, &with);
        assert_eq!(case.stop(), Proof::Accepted, "{provider}: {:?}", case.facts);
        assert!(
            case.has(&Fact::AlreadyDone { status: 404 }),
            "{provider}: {:?}",
            case.facts
        );
        assert_eq!(case.undo, None, "{provider}");
    }
    // Seen alive, deleted by somebody else before the cut: the key itself says so.
    let given = [("user", "bot"), ("key", bot.0.as_str())];
    let mut case = narrow(&world, &aws, "aws-key", &given).secret(&pair(&bot));
    look(&mut case);
    let delete = format!(
        "b.client('iam').delete_access_key(UserName='bot', AccessKeyId='{}')",
        bot.0
    );
    aws.as_root(&delete);
    assert_eq!(case.cut()[0], Fact::AlreadyDone { status: 404 });
    case.sessions();
    world.wait(world.clock.sleep(case.adapter().window())).unwrap();
    assert!(
        case.probe().contains(&Fact::TriedNew { refused: true }),
        "{:?}",
        case.facts
    );
    assert_eq!(case.proof(), Proof::Refused, "{:?}", all(&case));
    let back = case.restore();
    assert!(error_text(&back).contains("NoSuchEntity"), "{back:?}");
}

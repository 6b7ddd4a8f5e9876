//! What starts an agent at AWS: moto keeps the switches, fakecloud obeys them.

use incident::model::fact::{Fact, Proof};

use super::aws::case;
use super::aws_sessions::narrow;
use super::contract::Case;
use crate::support::clouds::Aws;
use crate::support::network_world;

#[test]
fn triggers_are_switched_off_and_put_back_as_they_were() {
    let world = network_world();
    let Some(aws) = Aws::moto() else { return };
    aws.as_root(
        "b.client('events').put_rule(Name='nightly', ScheduleExpression='rate(1 minute)')\n\
         arn = 'arn:aws:iam::123456789012:role/worker'\n\
         target = {'Arn': arn, 'RoleArn': arn, 'Input': 'a&b'}\n\
         b.client('scheduler').create_schedule(Name='hourly', ScheduleExpression='rate(1 hour)', \
         Description='kept', FlexibleTimeWindow={'Mode': 'OFF'}, Target=target)",
    );
    let rule = "print(b.client('events').describe_rule(Name='nightly')['State'])";
    let schedule = "s = b.client('scheduler').get_schedule(Name='hourly')\n\
                    print(s['State'], s['Description'], s['Target']['Input'])";
    let triggers = [
        ("aws-rule", ("rule", "nightly"), rule, "DISABLED", "ENABLED"),
        (
            "aws-schedule",
            ("schedule", "hourly"),
            schedule,
            "DISABLED kept a&b",
            "ENABLED kept a&b",
        ),
    ];
    for (provider, with, look, off, on) in triggers {
        let mut case = case(&world, &aws, provider, &[with]);
        assert_eq!(aws.as_root(look), on);
        case.before();
        assert_eq!(case.cut(), [Fact::Accepted { status: 200 }], "{provider}");
        assert_eq!(aws.as_root(look), off, "{provider}");
        let saved = case.undo.clone();
        assert!(saved.is_some());
        case.before();
        assert_eq!(case.undo, saved, "a second stop saves nothing over it");
        let back = case.restore();
        assert_eq!(
            back,
            [Fact::Accepted { status: 200 }, Fact::ReadBack { dead: false }],
            "{provider}"
        );
        assert_eq!(aws.as_root(look), on, "{provider}");
        let mut gone = self::case(&world, &aws, provider, &[(with.0, "no-such-thing")]);
        assert_eq!(gone.stop(), Proof::Accepted, "{:?}", gone.facts);
        assert!(gone.has(&Fact::AlreadyDone { status: 404 }), "{:?}", gone.facts);
    }
}

#[test]
fn a_rule_that_hears_everything_hears_everything_again() {
    let world = network_world();
    let Some(aws) = Aws::moto() else { return };
    let look = "r = b.client('events').describe_rule(Name='heard')\n\
                print(r['State'], r['Description'], r['EventPattern'])";
    let all = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS";
    aws.as_root(&format!(
        "b.client('events').put_rule(Name='heard', State='{all}', Description='kept', EventPattern='{{\"source\":[\"repo\"]}}')"
    ));
    let before = aws.as_root(look);
    assert_eq!(before, format!("{all} kept {{\"source\":[\"repo\"]}}"));
    let mut case = case(&world, &aws, "aws-rule", &[("rule", "heard")]);
    case.before();
    case.cut();
    assert!(aws.as_root(look).starts_with("DISABLED "));
    assert!(case.restore().contains(&Fact::ReadBack { dead: false }));
    assert_eq!(aws.as_root(look), before);
}

/// Switches off, looks that nothing starts, puts back, looks that it starts again, and twice.
fn switched(mut case: Case<'_>, starts: impl Fn() -> bool) {
    let name = case.adapter().name().to_owned();
    assert!(starts(), "{name} starts something before");
    case.before();
    for _ in 0..2 {
        let facts = case.cut();
        assert_eq!(facts[0], Fact::Accepted { status: 200 }, "{name}");
    }
    assert!(!starts(), "{name} starts something though it is off");
    let saved = case.undo.clone();
    case.before();
    assert_eq!(case.undo, saved, "{name}: a second stop saves nothing over it");
    case.probe();
    assert_eq!(case.proof(), Proof::Accepted, "{name}: {:?}", case.facts);
    let back = [Fact::Accepted { status: 200 }, Fact::ReadBack { dead: false }];
    assert_eq!(case.restore(), back, "{name}");
    assert!(starts(), "{name} starts nothing though it was put back");
    assert_eq!(case.restore(), back, "{name}, given back twice");
}

#[test]
fn a_rule_that_is_off_delivers_nothing() {
    let world = network_world();
    let Some(aws) = Aws::fakecloud() else { return };
    aws.as_root(
        "b.client('sqs').create_queue(QueueName='agent')\n\
         e = b.client('events')\n\
         e.put_rule(Name='pushed', EventPattern=json.dumps({'source': ['repo']}))\n\
         e.put_targets(Rule='pushed', Targets=[{'Id': '1', 'Arn': 'arn:aws:sqs:us-east-1:123456789012:agent'}])",
    );
    let push = "e, q = b.client('events'), b.client('sqs')\n\
                e.put_events(Entries=[{'Source': 'repo', 'DetailType': 'push', 'Detail': '{}'}])\n\
                url = q.get_queue_url(QueueName='agent')['QueueUrl']\n\
                got = q.receive_message(QueueUrl=url, WaitTimeSeconds=1).get('Messages', [])\n\
                for m in got: q.delete_message(QueueUrl=url, ReceiptHandle=m['ReceiptHandle'])\n\
                print(len(got))";
    let starts = || aws.as_root(push) != "0";
    switched(narrow(&world, &aws, "aws-rule", &[("rule", "pushed")]), starts);
}

#[test]
fn a_function_without_concurrency_is_not_invoked() {
    let world = network_world();
    let Some(aws) = Aws::fakecloud() else { return };
    aws.as_root(
        "import io, zipfile\n\
         z = io.BytesIO()\n\
         zipfile.ZipFile(z, 'w').writestr('a.py', 'def f(e, c): return 1')\n\
         l = b.client('lambda')\n\
         for name in ['agent', 'other']:\n\
         \x20   l.create_function(FunctionName=name, Runtime='python3.12', Role='arn:aws:iam::123456789012:role/r', Handler='a.f', Code={'ZipFile': z.getvalue()})\n\
         l.put_function_concurrency(FunctionName='other', ReservedConcurrentExecutions=7)",
    );
    for (name, reserved) in [("agent", "None"), ("other", "7")] {
        let invoke = format!(
            "l = b.client('lambda')\n\
             try:\n\
             \x20   l.invoke(FunctionName='{name}', InvocationType='DryRun')\n\
             \x20   print('invoked')\n\
             except l.exceptions.TooManyRequestsException:\n\
             \x20   print('throttled')"
        );
        let starts = || match aws.as_root(&invoke).as_str() {
            "invoked" => true,
            "throttled" => false,
            other => panic!("{other}"),
        };
        switched(
            narrow(&world, &aws, "aws-function", &[("function", name)]),
            starts,
        );
        let look = format!(
            "print(b.client('lambda').get_function_concurrency(FunctionName='{name}').get('ReservedConcurrentExecutions'))"
        );
        assert_eq!(aws.as_root(&look), reserved);
    }
}

#[test]
fn a_schedule_that_is_off_starts_nothing() {
    let world = network_world();
    let Some(aws) = Aws::fakecloud() else { return };
    // Two that are due at the same moment: one stays off, the other was given back before it.
    aws.as_root(
        "import datetime\n\
         b.client('sqs').create_queue(QueueName='agent')\n\
         b.client('scheduler').create_schedule_group(Name='team')\n\
         due = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=20)\n\
         for name in ['off', 'on']:\n\
         \x20   target = {'Arn': 'arn:aws:sqs:us-east-1:123456789012:agent', 'RoleArn': 'arn:aws:iam::123456789012:role/r', 'Input': name}\n\
         \x20   b.client('scheduler').create_schedule(Name=name, GroupName='team', ScheduleExpression=due.strftime('at(%Y-%m-%dT%H:%M:%S)'), \
         FlexibleTimeWindow={'Mode': 'OFF'}, Target=target)",
    );
    let mut cases = ["off", "on"].map(|name| {
        let given = [("schedule", name), ("group", "team")];
        narrow(&world, &aws, "aws-schedule", &given)
    });
    for case in &mut cases {
        case.before();
        assert_eq!(case.cut(), [Fact::Accepted { status: 200 }]);
        assert_eq!(case.cut(), [Fact::Accepted { status: 200 }], "and again");
    }
    let back = [Fact::Accepted { status: 200 }, Fact::ReadBack { dead: false }];
    assert_eq!(cases[1].restore(), back);
    let started = "q = b.client('sqs')\n\
                   url = q.get_queue_url(QueueName='agent')['QueueUrl']\n\
                   for n in range(60):\n\
                   \x20   got = [m['Body'] for m in q.receive_message(QueueUrl=url, WaitTimeSeconds=1).get('Messages', [])]\n\
                   \x20   if got: break\n\
                   time.sleep(4)\n\
                   got += [m['Body'] for m in q.receive_message(QueueUrl=url).get('Messages', [])]\n\
                   print(got)";
    assert_eq!(aws.as_root(started), "['on']");
    assert_eq!(cases[0].restore(), back, "given back late, it is on all the same");
}

//! A rule of EventBridge: disabled.

use serde_json::{Value, json};

use super::Card;
use super::call::{Caller, Refusal, Service};
use super::switch::{Setting, Switch, need};
use crate::model::grant::Target;
use crate::providers::{ProvedBy, with};

/// The switch behind `aws-rule`.
pub(super) struct Rule;

/// What PutRule takes of what DescribeRule gives.
const TAKEN: [&str; 6] = [
    "Name",
    "ScheduleExpression",
    "EventPattern",
    "Description",
    "RoleArn",
    "EventBusName",
];

impl Rule {
    async fn ask(caller: &Caller<'_>, target: &Target, action: &str) -> Result<Value, Refusal> {
        let mut body = json!({"Name": need(target, "rule")?});
        if let Some(bus) = with(target).get("bus") {
            body["EventBusName"] = json!(bus);
        }
        caller
            .target(Service::Events, &format!("AWSEvents.{action}"), &body)
            .await
    }
}

impl Switch for Rule {
    const NAME: &'static str = "aws-rule";
    const TITLE: &'static str = "EventBridge rule: disabled";
    const CARD: Card = Card {
        kinds: &["EventBridge rule, with a schedule or a pattern"],
        proved_by: ProvedBy::Emulator,
        permissions: &[
            "events:DescribeRule",
            "events:DisableRule",
            "events:EnableRule",
            "events:PutRule (to undo a rule that hears all CloudTrail management events)",
            "iam:PassRole (with it, where the rule has a role)",
            "iam:GetRole (armed check, for single sign-on)",
            "iam:SimulatePrincipalPolicy (armed check)",
        ],
        needs: &[("rule", "name of the rule")],
        may: &[("bus", "name of its event bus, default where it is left out")],
        manual: "aws events disable-rule --name RULE",
    };
    const ACTIONS: &'static [&'static str] =
        &["events:DescribeRule", "events:DisableRule", "events:EnableRule"];
    const RUNS_ON: Option<(&'static str, i64)> = None;

    fn named(&self, target: &Target) -> Result<(&'static str, String), Refusal> {
        let rule = need(target, "rule")?;
        let bus = with(target)
            .get("bus")
            .map(|bus| bus.rsplit('/').next().unwrap_or(bus));
        let last = match bus.filter(|bus| *bus != "default") {
            Some(bus) => format!("rule/{bus}/{rule}"),
            None => format!("rule/{rule}"),
        };
        Ok(("events", last))
    }

    async fn read(&self, caller: &Caller<'_>, target: &Target) -> Result<Option<Setting>, Refusal> {
        match Rule::ask(caller, target, "DescribeRule").await {
            Ok(rule) => {
                let state = rule.get("State").cloned().unwrap_or_default();
                Ok(Some(Setting {
                    on: state != "DISABLED",
                    saved: json!({"State": state}),
                    passes: None,
                }))
            }
            Err(refusal) if refusal.is_absent() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn off(&self, caller: &Caller<'_>, target: &Target) -> Result<(), Refusal> {
        Rule::ask(caller, target, "DisableRule").await.map(|_| ())
    }

    async fn put_back(&self, caller: &Caller<'_>, target: &Target, saved: &Value) -> Result<(), Refusal> {
        let state = saved.get("State").and_then(Value::as_str);
        let Some(state) = state.filter(|state| !["ENABLED", "DISABLED"].contains(state)) else {
            return Rule::ask(caller, target, "EnableRule").await.map(|_| ());
        };
        // A rule that also hears what only reads (ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS) is written
        // back whole: enabling it would make it hear less than before.
        let mut whole = Rule::ask(caller, target, "DescribeRule").await?;
        if let Some(fields) = whole.as_object_mut() {
            fields.retain(|name, value| TAKEN.contains(&name.as_str()) && !value.is_null());
            fields.insert("State".to_owned(), json!(state));
        }
        caller
            .target(Service::Events, "AWSEvents.PutRule", &whole)
            .await
            .map(|_| ())
    }
}

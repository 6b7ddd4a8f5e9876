//! A rule of EventBridge: disabled.

use serde_json::{Value, json};

use super::Card;
use super::call::{Caller, Refusal, Service};
use super::switch::{Setting, Switch, need};
use crate::model::grant::Target;
use crate::providers::{ProvedBy, with};

/// The switch behind `aws-rule`.
pub(super) struct Rule;

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
        permissions: &["events:DescribeRule", "events:DisableRule", "events:EnableRule"],
        needs: &[("rule", "name of the rule")],
        may: &[("bus", "name of its event bus, default where it is left out")],
        manual: "aws events disable-rule --name RULE",
    };
    const RUNS_ON: Option<(&'static str, i64)> = None;

    async fn read(&self, caller: &Caller<'_>, target: &Target) -> Result<Option<Setting>, Refusal> {
        match Rule::ask(caller, target, "DescribeRule").await {
            Ok(rule) => {
                let state = rule.get("State").cloned().unwrap_or_default();
                Ok(Some(Setting {
                    on: state != "DISABLED",
                    saved: json!({"State": state}),
                }))
            }
            Err(refusal) if refusal.is_absent() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn off(&self, caller: &Caller<'_>, target: &Target) -> Result<(), Refusal> {
        Rule::ask(caller, target, "DisableRule").await.map(|_| ())
    }

    async fn put_back(&self, caller: &Caller<'_>, target: &Target, _: &Value) -> Result<(), Refusal> {
        Rule::ask(caller, target, "EnableRule").await.map(|_| ())
    }
}

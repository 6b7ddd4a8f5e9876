//! A schedule of EventBridge Scheduler: disabled, by writing it back whole with its state changed.

use serde_json::{Value, json};

use super::Card;
use super::call::{Caller, Refusal, Service, path};
use super::sigv4::encoded;
use super::switch::{Setting, Switch, need};
use crate::model::grant::Target;
use crate::providers::{ProvedBy, with};

/// The switch behind `aws-schedule`.
pub(super) struct Schedule;

/// What GetSchedule gives and UpdateSchedule does not take.
const GIVEN: [&str; 4] = ["Arn", "CreationDate", "LastModificationDate", "Name"];

impl Schedule {
    async fn get(caller: &Caller<'_>, target: &Target) -> Result<Value, Refusal> {
        let mut at = path(&["schedules", need(target, "schedule")?]);
        if let Some(group) = with(target).get("group") {
            at.push_str(&format!("?groupName={}", encoded(group, "")));
        }
        caller.rest(Service::Scheduler, "GET", &at, None).await
    }

    async fn put(
        caller: &Caller<'_>,
        target: &Target,
        mut whole: Value,
        state: &Value,
    ) -> Result<(), Refusal> {
        if let Some(fields) = whole.as_object_mut() {
            fields.retain(|name, value| !GIVEN.contains(&name.as_str()) && !value.is_null());
            fields.insert("State".to_owned(), state.clone());
        }
        let at = path(&["schedules", need(target, "schedule")?]);
        caller
            .rest(Service::Scheduler, "PUT", &at, Some(&whole))
            .await
            .map(|_| ())
    }
}

impl Switch for Schedule {
    const NAME: &'static str = "aws-schedule";
    const TITLE: &'static str = "EventBridge Scheduler schedule: disabled";
    const CARD: Card = Card {
        kinds: &["schedule of EventBridge Scheduler"],
        proved_by: ProvedBy::Emulator,
        permissions: &[
            "scheduler:GetSchedule",
            "scheduler:UpdateSchedule",
            "iam:PassRole on the role of the schedule",
            "iam:GetRole (armed check, for single sign-on)",
            "iam:SimulatePrincipalPolicy (armed check)",
        ],
        needs: &[("schedule", "name of the schedule")],
        may: &[("group", "name of its group, default where it is left out")],
        manual: "EventBridge console, Schedules, the schedule: Disable",
    };
    const ACTIONS: &'static [&'static str] = &["scheduler:GetSchedule", "scheduler:UpdateSchedule"];
    const RUNS_ON: Option<(&'static str, i64)> = None;

    fn named(&self, target: &Target) -> Result<(&'static str, String), Refusal> {
        let group = with(target).get("group").map_or("default", String::as_str);
        let last = format!("schedule/{group}/{}", need(target, "schedule")?);
        Ok(("scheduler", last))
    }

    async fn read(&self, caller: &Caller<'_>, target: &Target) -> Result<Option<Setting>, Refusal> {
        match Schedule::get(caller, target).await {
            Ok(whole) => {
                let state = whole.get("State").cloned().unwrap_or_default();
                let role = whole.pointer("/Target/RoleArn").and_then(Value::as_str);
                Ok(Some(Setting {
                    on: state != "DISABLED",
                    saved: json!({"State": state}),
                    passes: role.map(|arn| (arn.to_owned(), "scheduler.amazonaws.com")),
                }))
            }
            Err(refusal) if refusal.is_absent() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn off(&self, caller: &Caller<'_>, target: &Target) -> Result<(), Refusal> {
        let whole = Schedule::get(caller, target).await?;
        Schedule::put(caller, target, whole, &json!("DISABLED")).await
    }

    async fn put_back(&self, caller: &Caller<'_>, target: &Target, saved: &Value) -> Result<(), Refusal> {
        // As it is now but for its state: somebody may have changed the rest since, and knew why.
        let whole = Schedule::get(caller, target).await?;
        let state = saved.get("State").cloned().unwrap_or_else(|| json!("ENABLED"));
        Schedule::put(caller, target, whole, &state).await
    }
}

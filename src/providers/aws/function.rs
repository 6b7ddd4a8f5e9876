//! A Lambda function: no concurrency, so that no invocation begins.

use serde_json::{Value, json};

use super::Card;
use super::call::{Caller, Refusal, Service, path};
use super::switch::{Setting, Switch, need};
use crate::model::grant::Target;
use crate::providers::ProvedBy;

/// The switch behind `aws-function`.
pub(super) struct Function;

impl Function {
    async fn ask(
        caller: &Caller<'_>,
        target: &Target,
        method: &str,
        body: Option<&Value>,
    ) -> Result<Value, Refusal> {
        let version = if method == "GET" {
            "2019-09-30"
        } else {
            "2017-10-31"
        };
        let at = path(&[version, "functions", need(target, "function")?, "concurrency"]);
        caller.rest(Service::Lambda, method, &at, body).await
    }

    async fn set(caller: &Caller<'_>, target: &Target, reserved: &Value) -> Result<(), Refusal> {
        let body = json!({"ReservedConcurrentExecutions": reserved});
        Function::ask(caller, target, "PUT", Some(&body))
            .await
            .map(|_| ())
    }
}

impl Switch for Function {
    const NAME: &'static str = "aws-function";
    const TITLE: &'static str = "Lambda function: concurrency 0";
    const CARD: Card = Card {
        kinds: &["Lambda function, whatever invokes it"],
        proved_by: ProvedBy::Emulator,
        permissions: &[
            "lambda:GetFunctionConcurrency",
            "lambda:PutFunctionConcurrency",
            "lambda:DeleteFunctionConcurrency",
            "iam:GetRole (armed check, for single sign-on)",
            "iam:SimulatePrincipalPolicy (armed check)",
        ],
        needs: &[("function", "name of the function")],
        may: &[],
        manual: "Lambda console, the function, Throttle",
    };
    const ACTIONS: &'static [&'static str] = &[
        "lambda:GetFunctionConcurrency",
        "lambda:PutFunctionConcurrency",
        "lambda:DeleteFunctionConcurrency",
    ];
    const RUNS_ON: Option<(&'static str, i64)> = Some((
        "invocations of the function that had begun run to their end",
        15 * 60_000,
    ));

    fn named(&self, target: &Target) -> Result<(&'static str, String), Refusal> {
        let name = need(target, "function")?;
        Ok(match name.starts_with("arn:") {
            true => ("lambda", name.to_owned()),
            false => ("lambda", format!("function:{name}")),
        })
    }

    async fn read(&self, caller: &Caller<'_>, target: &Target) -> Result<Option<Setting>, Refusal> {
        match Function::ask(caller, target, "GET", None).await {
            Ok(answer) => {
                let reserved = answer
                    .get("ReservedConcurrentExecutions")
                    .cloned()
                    .unwrap_or_default();
                Ok(Some(Setting {
                    on: reserved != 0,
                    saved: reserved,
                    passes: None,
                }))
            }
            Err(refusal) if refusal.is_absent() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn off(&self, caller: &Caller<'_>, target: &Target) -> Result<(), Refusal> {
        Function::set(caller, target, &json!(0)).await
    }

    async fn put_back(&self, caller: &Caller<'_>, target: &Target, saved: &Value) -> Result<(), Refusal> {
        match saved {
            // Nothing was reserved for it.
            Value::Null => Function::ask(caller, target, "DELETE", None).await.map(|_| ()),
            reserved => Function::set(caller, target, reserved).await,
        }
    }
}

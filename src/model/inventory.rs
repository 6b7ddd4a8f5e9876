//! What agents hold, written in advance in `access.yaml`: grants, trees and triggers, never a secret.
//!
//! A broken file never stops the stop stage: what parses is used, the rest comes back as mistakes.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::{Diagnostic, Place};
use super::grant::{Grant, Shared, Target, Tree, TreeRule, Trigger, TriggerKind};
use super::ids::TargetId;
use super::runbook::secret_ref;
use super::yaml::{self, Fields, Mistakes, Node, Value};

/// Everything `access.yaml` says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inventory {
    /// What to stop, in the order of the file.
    pub targets: Vec<Target>,
    /// The team's own provider tables, by name, as YAML nodes for the table engine.
    pub tables: BTreeMap<String, Node>,
}

impl Inventory {
    /// Reads what can be read, and every mistake beside it.
    pub fn parse(file: &str, source: &str) -> (Inventory, Vec<Diagnostic>) {
        let mut inventory = Inventory::default();
        let node = match yaml::parse(file, source) {
            Ok(node) => node,
            Err(diagnostic) => return (inventory, vec![diagnostic]),
        };
        let mistakes = Mistakes::of(file);
        if let Some(mut fields) = Fields::of(&node, "the access file", &mistakes) {
            if let Some(version) = fields.need("version", "write `version: 1` as the first line")
                && yaml::text(version, "version", &mistakes).is_some_and(|v| v != "1")
            {
                mistakes.add(
                    version.place,
                    "this version is not known",
                    Some("write `version: 1`".into()),
                );
            }
            if let Some(agents) = fields.take("agents") {
                for item in yaml::items(agents, "agents", &mistakes) {
                    agent(item, &mut inventory, &mistakes);
                }
            }
            if let Some(node) = fields.take("providers") {
                match &node.value {
                    Value::Map(entries) => {
                        inventory.tables = entries.iter().map(|(k, v)| (k.text.clone(), v.clone())).collect();
                    }
                    _ => mistakes.add(node.place, "`providers` must be a mapping of tables", None),
                }
            }
            fields.finish();
        }
        let mut seen = BTreeSet::new();
        inventory.targets.retain(|t| {
            let fresh = seen.insert(t.id().clone());
            if !fresh {
                let remedy =
                    Some("give each grant and trigger its own `id`; the first one is used".to_owned());
                mistakes.add(
                    Place::default(),
                    format!("two entries are named `{}`", t.id()),
                    remedy,
                );
            }
            fresh
        });
        (inventory, mistakes.into_sorted())
    }

    /// Identities named by the grants, as they appear in a backup's `writable-by`.
    pub fn identities(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for target in &self.targets {
            if let Target::Grant(grant) = target {
                all.insert(grant.id.to_string());
                all.extend(grant.with.values().cloned());
                all.extend(grant.reaches.iter().cloned());
            }
        }
        all
    }
}

fn agent(node: &Node, inventory: &mut Inventory, mistakes: &Mistakes) {
    let Some(mut fields) = Fields::of(node, "an agent", mistakes) else {
        return;
    };
    let name_node = fields.need("name", "give the agent a name");
    let name = name_node
        .and_then(|n| yaml::text(n, "name", mistakes))
        .unwrap_or_else(|| "agent".into());
    if let Some(host) = fields.take("host")
        && yaml::text(host, "host", mistakes).is_some_and(|h| h != "local")
    {
        let remedy =
            Some("run `incident stop` on that host; its grants below are still cut from here".to_owned());
        mistakes.add(host.place, "only `host: local` can be reached from here", remedy);
    }
    if let Some(rule) = fields.take("processes").and_then(|n| rule(n, mistakes)) {
        let place = name_node.map_or(node.place, |n| n.place);
        if let Some(id) = target_id(&format!("tree:{name}"), place, mistakes) {
            inventory.targets.push(Target::Tree(Tree {
                id,
                agent: name.clone(),
                rule,
            }));
        }
    }
    if let Some(list) = fields.take("grants") {
        for item in yaml::items(list, "grants", mistakes) {
            inventory
                .targets
                .extend(grant(item, &name, mistakes).map(Target::Grant));
        }
    }
    if let Some(list) = fields.take("triggers") {
        for item in yaml::items(list, "triggers", mistakes) {
            inventory
                .targets
                .extend(trigger(item, &name, mistakes).map(Target::Trigger));
        }
    }
    fields.finish();
}

fn target_id(text: &str, place: Place, mistakes: &Mistakes) -> Option<TargetId> {
    TargetId::new(text)
        .map_err(|e| mistakes.add(place, e.to_string(), None))
        .ok()
}

fn rule(node: &Node, mistakes: &Mistakes) -> Option<TreeRule> {
    let mut fields = Fields::of(node, "`processes`", mistakes)?;
    let rule = TreeRule {
        exe: fields.texts("exe"),
        argv: fields.texts("argv"),
        env: fields.texts("env"),
        cwd: fields.texts("cwd"),
        user: fields.texts("user"),
    };
    fields.finish();
    if rule.exe.is_empty() && rule.argv.is_empty() && rule.env.is_empty() && rule.cwd.is_empty() {
        let remedy = Some("name at least one of exe, argv, env, cwd".to_owned());
        mistakes.add(node.place, "this rule would match nothing", remedy);
        return None;
    }
    Some(rule)
}

fn pairs(node: &Node, key: &str, mistakes: &Mistakes) -> BTreeMap<String, String> {
    let Value::Map(entries) = &node.value else {
        mistakes.add(node.place, format!("`{key}` must be a mapping"), None);
        return BTreeMap::new();
    };
    entries
        .iter()
        .filter_map(|(k, v)| yaml::text(v, &k.text, mistakes).map(|text| (k.text.clone(), text)))
        .collect()
}

fn grant(node: &Node, agent: &str, mistakes: &Mistakes) -> Option<Grant> {
    let mut fields = Fields::of(node, "a grant", mistakes)?;
    let id = fields.need("id", "give it a name").and_then(|n| {
        let text = yaml::text(n, "id", mistakes)?;
        target_id(&text, n.place, mistakes)
    });
    let provider = fields.need(
        "provider",
        "name an adapter; `incident access list --providers` shows them",
    );
    let provider = provider.and_then(|n| yaml::text(n, "provider", mistakes));
    let with = fields
        .take("with")
        .map(|n| pairs(n, "with", mistakes))
        .unwrap_or_default();
    let auth = fields.take("auth").and_then(|n| secret_ref(n, mistakes));
    let secret = fields.take("secret").and_then(|n| secret_ref(n, mistakes));
    let shared = match fields
        .take("shared")
        .map(|n| (n, yaml::text(n, "shared", mistakes)))
    {
        None => Shared::No,
        Some((node, text)) => match text.as_deref() {
            Some("no") => Shared::No,
            Some("production") => Shared::Production,
            Some("responder") => Shared::Responder,
            _ => {
                mistakes.add(node.place, "`shared` is `no`, `production` or `responder`", None);
                // The careful reading: somebody else may use it.
                Shared::Production
            }
        },
    };
    let reaches = fields.texts("reaches");
    fields.finish();
    Some(Grant {
        id: id?,
        provider: provider?,
        agent: Some(agent.to_owned()),
        with,
        auth,
        secret,
        shared,
        reaches,
    })
}

fn trigger(node: &Node, agent: &str, mistakes: &Mistakes) -> Option<Trigger> {
    let mut fields = Fields::of(node, "a trigger", mistakes)?;
    let id = fields.need("id", "give it a name").and_then(|n| {
        let text = yaml::text(n, "id", mistakes)?;
        target_id(&text, n.place, mistakes)
    });
    let kind = if let Some(cron) = fields.take("cron") {
        let mut inner = Fields::of(cron, "`cron`", mistakes)?;
        let file = inner.text("file");
        let user = inner.text("user");
        let contains = inner.need("contains", "write text that the line holds");
        let contains = contains.and_then(|n| yaml::text(n, "contains", mistakes));
        inner.finish();
        match (file, user, contains?) {
            (Some(path), _, contains) => Some(TriggerKind::CronFile { path, contains }),
            (None, Some(user), contains) => Some(TriggerKind::Cron { user, contains }),
            (None, None, _) => {
                mistakes.add(cron.place, "`cron` names neither a `user` nor a `file`", None);
                None
            }
        }
    } else if let Some(jobs) = fields.take("at") {
        let mut inner = Fields::of(jobs, "`at`", mistakes)?;
        let user = inner.need("user", "name whose jobs");
        let user = user.and_then(|n| yaml::text(n, "user", mistakes));
        let contains = inner.need("contains", "write text that a line of the job holds");
        let contains = contains.and_then(|n| yaml::text(n, "contains", mistakes));
        inner.finish();
        Some(TriggerKind::At {
            user: user?,
            contains: contains?,
        })
    } else if let Some(path) = fields.text("script") {
        Some(TriggerKind::Script { path })
    } else if let Some(path) = fields.text("file") {
        Some(TriggerKind::File { path })
    } else if let Some(unit) = fields.take("systemd") {
        match &unit.value {
            Value::Text(unit) => Some(TriggerKind::Systemd {
                unit: unit.clone(),
                root: None,
                user: false,
                of: None,
            }),
            _ => {
                let mut inner = Fields::of(unit, "`systemd`", mistakes)?;
                let name = inner.need("unit", "name the unit with its suffix, as in `agent.timer`");
                let name = name.and_then(|n| yaml::text(n, "unit", mistakes));
                let root = inner.text("root");
                let of = inner.text("of");
                let user = inner.flag("user").unwrap_or(of.is_some());
                inner.finish();
                Some(TriggerKind::Systemd {
                    unit: name?,
                    root,
                    user,
                    of,
                })
            }
        }
    } else if let Some(provider) = fields.text("provider") {
        let with = fields
            .take("with")
            .map(|n| pairs(n, "with", mistakes))
            .unwrap_or_default();
        let auth = fields.take("auth").and_then(|n| secret_ref(n, mistakes));
        Some(TriggerKind::Provider { provider, with, auth })
    } else if let Some(how) = fields.text("manual") {
        Some(TriggerKind::Manual { how })
    } else {
        let remedy = Some("write one of cron, at, script, file, systemd, provider, manual".to_owned());
        mistakes.add(node.place, "this trigger does not say what it is", remedy);
        None
    };
    fields.finish();
    Some(Trigger {
        id: id?,
        agent: Some(agent.to_owned()),
        kind: kind?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "version: 1
agents:
  - name: deploy-bot
    host: local
    processes: {argv: [deploy-bot], env: [CLAUDECODE=1]}
    grants:
      - id: vault
        provider: vault-token
        with: {address: \"http://127.0.0.1:8200\", accessor: abc}
        auth: {env: VAULT_TOKEN}
        reaches: [production]
      - id: broken
        provider: vault-token
        secret: hunter2
    triggers:
      - {id: nightly, systemd: agent.timer}
      - {id: cronline, cron: {user: bot, contains: claude}}
";

    #[test]
    fn what_parses_is_used_and_the_rest_is_named() {
        let (inventory, mistakes) = Inventory::parse("access.yaml", SAMPLE);
        let ids: Vec<String> = inventory.targets.iter().map(|t| t.id().to_string()).collect();
        assert_eq!(ids, ["tree:deploy-bot", "vault", "broken", "nightly", "cronline"]);
        assert_eq!(mistakes.len(), 1);
        assert_eq!((mistakes[0].place.line, mistakes[0].place.column), (14, 17));
        assert!(
            !mistakes[0].to_string().contains("hunter2"),
            "a secret in the file is not repeated"
        );
    }
}

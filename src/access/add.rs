//! One more grant in the text of `access.yaml`, everything else left as it was written.

use crate::model::diagnostic::Diagnostic;
use crate::model::grant::{Grant, Shared, Target};
use crate::model::inventory::Inventory;
use crate::model::secret::SecretRef;
use crate::model::yaml::{self, Node, Value};

/// Why the text could not be changed. The lines to put in by hand stand beside it.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct CannotAdd {
    /// The reason.
    pub why: String,
    /// What would have been written.
    pub lines: String,
}

/// What a file begins with where there is none yet.
const EMPTY: &str = "version: 1\nagents:\n";

/// The text with the grant in it, under its agent, who is added where the file does not know one of the name.
///
/// The result is read again before it is handed out: it holds what was there, and the grant, and nothing else.
pub fn add(file: &str, text: &str, grant: &Grant) -> Result<String, CannotAdd> {
    let agent = grant.agent.clone().unwrap_or_else(|| "agent".to_owned());
    let no = |why: String| CannotAdd {
        why,
        lines: lines(grant).join("\n"),
    };
    let text = if text.trim().is_empty() { EMPTY } else { text };
    let (before, mistakes) = Inventory::parse(file, text);
    if before.targets.iter().any(|t| *t.id() == grant.id) {
        return Err(no(format!("{file} names `{}` already", grant.id)));
    }
    let node = yaml::parse(file, text).map_err(|d| no(d.to_string()))?;
    let by_hand = || {
        no(format!(
            "{file} is not laid out one entry a line there; put this under `grants:`"
        ))
    };
    let (at, new) = place(text, &node, &agent, grant).ok_or_else(by_hand)?;
    let mut all: Vec<&str> = text.lines().collect();
    all.splice(at..at, new.iter().map(String::as_str));
    let changed = all.join("\n") + "\n";
    let (after, later) = Inventory::parse(file, &changed);
    let kept: Vec<&Target> = after.targets.iter().filter(|t| *t.id() != grant.id).collect();
    let holds = after.targets.iter().any(|t| *t == Target::Grant(grant.clone()));
    let words = |all: &[Diagnostic]| all.iter().map(|d| d.message.clone()).collect::<Vec<_>>();
    if !holds || kept != before.targets.iter().collect::<Vec<_>>() || words(&mistakes) != words(&later) {
        return Err(by_hand());
    }
    Ok(changed)
}

/// Before which line (from 0), and what. `None` where the file is laid out otherwise.
fn place(text: &str, node: &Node, agent: &str, grant: &Grant) -> Option<(usize, Vec<String>)> {
    let all: Vec<&str> = text.lines().collect();
    let entry = |node: &Node, name: &str| match &node.value {
        Value::Map(entries) => entries.iter().find(|(k, _)| k.text == name).cloned(),
        _ => None,
    };
    let block = |node: &Node| {
        let line = all.get(index(node.place.line))?;
        let first = line.chars().nth(index(node.place.column))?;
        (!"[{&*".contains(first)).then_some(())
    };
    let indented = |by: usize, lines: Vec<String>| -> Vec<String> {
        lines.into_iter().map(|l| format!("{:by$}{l}", "")).collect()
    };
    let Some((key, agents)) = entry(node, "agents") else {
        return Some((all.len(), with_agent(0, agent, grant, true)));
    };
    let items = match &agents.value {
        Value::Null => return Some((index(key.place.line) + 1, with_agent(2, agent, grant, false))),
        Value::List(items) if !items.is_empty() => items,
        _ => return None,
    };
    block(&agents)?;
    let named = |item: &&Node| matches!(entry(item, "name"), Some((_, n)) if n.value == Value::Text(agent.to_owned()));
    let Some(item) = items.iter().find(named) else {
        let last = items.last()?;
        block(last)?;
        let dash = index(last.place.column).checked_sub(2)?;
        let end = end_of(&all, index(last.place.line), dash);
        return Some((end, with_agent(dash, agent, grant, false)));
    };
    block(item)?;
    let column = index(item.place.column);
    let Some((key, grants)) = entry(item, "grants") else {
        let end = end_of(&all, index(item.place.line), column.checked_sub(1)?);
        let mut new = vec![format!("{:column$}grants:", "")];
        new.extend(indented(column + 2, lines(grant)));
        return Some((end, new));
    };
    match &grants.value {
        Value::Null => Some((index(key.place.line) + 1, indented(column + 2, lines(grant)))),
        Value::List(old) => {
            let last = old.last()?;
            block(&grants)?;
            let line = all.get(index(last.place.line))?;
            let dash = line.find(|c: char| c != ' ')?;
            line.get(dash..)?.starts_with("- ").then_some(())?;
            Some((
                end_of(&all, index(last.place.line), dash),
                indented(dash, lines(grant)),
            ))
        }
        _ => None,
    }
}

fn index(one_based: u32) -> usize {
    usize::try_from(one_based).unwrap_or(0).saturating_sub(1)
}

/// The line after the last one of the entry that begins on `start` and stands deeper than `indent`.
fn end_of(all: &[&str], start: usize, indent: usize) -> usize {
    let mut end = start + 1;
    for (n, line) in all.iter().enumerate().skip(start + 1) {
        let depth = line.len() - line.trim_start().len();
        match line.trim_start() {
            "" => continue,
            words if words.starts_with('#') && depth <= indent => continue,
            _ if depth > indent => end = n + 1,
            _ => break,
        }
    }
    end
}

fn with_agent(indent: usize, agent: &str, grant: &Grant, key: bool) -> Vec<String> {
    let mut new = vec![format!("- name: {}", quoted(agent)), "  grants:".to_owned()];
    new.extend(lines(grant).into_iter().map(|l| format!("    {l}")));
    let indent = if key { 2 } else { indent };
    let new = new.into_iter().map(|l| format!("{:indent$}{l}", ""));
    key.then(|| "agents:".to_owned()).into_iter().chain(new).collect()
}

/// The grant as an entry of `grants:`, without indentation.
fn lines(grant: &Grant) -> Vec<String> {
    let mut all = vec![
        format!("- id: {}", quoted(grant.id.as_str())),
        format!("  provider: {}", quoted(&grant.provider)),
    ];
    if !grant.with.is_empty() {
        let with: Vec<String> = grant
            .with
            .iter()
            .map(|(k, v)| format!("{}: {}", quoted(k), quoted(v)))
            .collect();
        all.push(format!("  with: {{{}}}", with.join(", ")));
    }
    for (name, source) in [("auth", &grant.auth), ("secret", &grant.secret)] {
        all.extend(
            source
                .as_ref()
                .and_then(written)
                .map(|s| format!("  {name}: {s}")),
        );
    }
    match grant.shared {
        Shared::No => {}
        Shared::Production => all.push("  shared: production".to_owned()),
        Shared::Responder => all.push("  shared: responder".to_owned()),
    }
    if !grant.reaches.is_empty() {
        let reaches: Vec<String> = grant.reaches.iter().map(|r| quoted(r)).collect();
        all.push(format!("  reaches: [{}]", reaches.join(", ")));
    }
    all
}

/// A source as the file says it; a value held in memory has none.
fn written(source: &SecretRef) -> Option<String> {
    Some(match source {
        SecretRef::Env(name) => format!("{{env: {}}}", quoted(name)),
        SecretRef::File(path) => format!("{{file: {}}}", quoted(&path.display().to_string())),
        SecretRef::Command(argv) => {
            let words: Vec<String> = argv.iter().map(|a| quoted(a)).collect();
            format!("{{command: [{}]}}", words.join(", "))
        }
        SecretRef::Process(name) => format!("{{process: {}}}", quoted(name)),
        SecretRef::Held(_) => return None,
    })
}

/// As a plain word where YAML cannot misread it, else in quotes.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    match plain {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::ids::TargetId;

    fn grant(agent: &str) -> Grant {
        Grant {
            id: TargetId::new("ci").unwrap(),
            provider: "github".into(),
            agent: Some(agent.into()),
            with: BTreeMap::from([("address".into(), "https://git.example/api".into())]),
            auth: Some(SecretRef::Env("GH_ADMIN".into())),
            secret: None,
            shared: Shared::No,
            reaches: Vec::new(),
        }
    }

    const FILE: &str = "# ours\nversion: 1\nagents:\n  - name: bot   # the night shift\n    grants:\n      - id: db\n        provider: postgres\n        with: {role: bot}\n\n    triggers:\n      - {id: t, systemd: a.timer}\n\n# the end\n";

    #[test]
    fn a_grant_goes_under_its_agent_and_nothing_else_changes() {
        let text = add("access.yaml", FILE, &grant("bot")).unwrap();
        let new = "      - id: ci\n        provider: github\n        with: {address: \"https://git.example/api\"}\n        auth: {env: GH_ADMIN}\n";
        assert_eq!(
            text,
            FILE.replace("{role: bot}\n", &format!("{{role: bot}}\n{new}"))
        );
    }

    #[test]
    fn an_agent_nobody_named_is_added() {
        for file in ["", "version: 1\n", "version: 1\nagents:\n", FILE] {
            let text = add("access.yaml", file, &grant("ci-bot")).unwrap();
            let (inventory, mistakes) = Inventory::parse("access.yaml", &text);
            assert_eq!(mistakes, [], "{text}");
            assert!(
                inventory.targets.contains(&Target::Grant(grant("ci-bot"))),
                "{text}"
            );
        }
    }

    #[test]
    fn an_agent_without_grants_gets_some() {
        for file in [
            "version: 1\nagents:\n  - name: bot\n    host: local\n",
            "version: 1\nagents:\n- name: bot\n  grants:\n",
        ] {
            let text = add("access.yaml", file, &grant("bot")).unwrap();
            assert!(Inventory::parse("access.yaml", &text).1.is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_laid_out_otherwise_is_left_alone_and_the_lines_are_given() {
        for file in [
            "version: 1\nagents: [{name: bot, grants: []}]\n",
            "version: 1\nagents:\n  - {name: bot, grants: [{id: a, provider: x}]}\n",
            "version: 1\nagents:\n  - name: bot\n    grants: [{id: a, provider: x}]\n",
        ] {
            let error = add("access.yaml", file, &grant("bot")).unwrap_err();
            assert!(
                error.lines.starts_with("- id: ci\n  provider: github\n"),
                "{}",
                error.lines
            );
        }
        let error = add(
            "access.yaml",
            FILE,
            &Grant {
                id: TargetId::new("db").unwrap(),
                ..grant("bot")
            },
        );
        assert_eq!(error.unwrap_err().to_string(), "access.yaml names `db` already");
    }
}

//! Terraform's state and variables, from where the agent works upward: passwords stand there as plain text.

use std::path::{Path, PathBuf};

use super::look::{Format, Look};
use super::{Agent, Whose, dotenv};

/// Most such files in one folder.
const MOST: usize = 16;
/// Folder of the states of workspaces.
const WORKSPACES: &str = "terraform.tfstate.d";

pub(super) fn look(look: &mut Look<'_>, agent: &Agent) {
    for folder in dotenv::upward(agent) {
        let here = look.list(folder, Path::new(""), 4_096);
        let mut files: Vec<PathBuf> = here.into_iter().filter(|name| format(name).is_some()).collect();
        files.truncate(MOST);
        files.push(PathBuf::from(".terraform/terraform.tfstate"));
        for workspace in look.list(folder, Path::new(WORKSPACES), MOST) {
            files.push(Path::new(WORKSPACES).join(workspace).join("terraform.tfstate"));
        }
        for name in files {
            let format = format(&name).unwrap_or(Format::Json);
            look.file(folder, &name, format, Whose::Project, agent.name.as_deref());
        }
    }
}

fn format(name: &Path) -> Option<Format> {
    let name = name.to_str()?;
    let json = [".tfstate", ".tfstate.backup", ".tfvars.json"];
    match json.iter().any(|end| name.ends_with(end)) {
        true => Some(Format::Json),
        false => name.ends_with(".tfvars").then_some(Format::Lines),
    }
}

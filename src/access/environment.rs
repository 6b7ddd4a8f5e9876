//! Variables of the agent's processes.

use zeroize::Zeroizing;

use super::look::Look;
use super::{Agent, Place, Whose};

/// Variables that say which server a secret beside them is for.
const ADDRESSES: [&str; 2] = ["VAULT_ADDR", "BAO_ADDR"];

pub(super) fn look(look: &mut Look<'_>, agent: &Agent) {
    let name = agent.name.as_deref();
    for variable in &agent.variables {
        let at = format!("{} (pid {})", name.unwrap_or("process"), variable.pid);
        let raw = Zeroizing::new(format!("{}={}", variable.name, variable.value.expose()));
        look.text(Whose::Process, &at, &variable.name, &raw, name);
        if variable.name == "SSH_AUTH_SOCK" {
            look.hole(format!(
                "{at} may use every key in the ssh agent behind {}: `ssh-add -D` there takes them out",
                variable.value.expose()
            ));
        }
    }
    let host = &look.world.host;
    let mut own: Vec<(String, Place)> = Vec::new();
    for variable in &agent.variables {
        // The responder's shell exports it, too: cutting it would cut the responder.
        if host.env(&variable.name).as_deref() == Some(variable.value.expose()) {
            let place = Place {
                whose: Whose::Responder,
                at: "this terminal".to_owned(),
                key: variable.name.clone(),
            };
            own.push((variable.name.clone(), place));
        }
    }
    for finding in look.findings() {
        let Some(first) = finding.places.first() else {
            continue;
        };
        if first.whose == Whose::Process && finding.agent.as_deref() == name {
            let shared = own.iter().filter(|(key, _)| *key == first.key);
            let shared: Vec<Place> = shared.map(|(_, place)| place.clone()).collect();
            finding.places.extend(shared);
        }
    }
}

/// Says of what is the agent's alone which server it is for, as the agent's processes were told.
///
/// Of nothing else: whoever sets the agent's variables must not choose where others' secrets are sent.
pub(super) fn address(look: &mut Look<'_>, agents: &[Agent]) {
    for finding in look.findings() {
        let of = |a: &&Agent| finding.is_agents_alone() && a.name == finding.agent;
        let variables = agents.iter().filter(of).flat_map(|a| &a.variables);
        let addresses = variables.filter(|v| ADDRESSES.contains(&v.name.as_str()));
        let near = addresses.map(|v| (v.name.clone(), v.value.expose().to_owned()));
        finding.near = near.collect();
    }
}

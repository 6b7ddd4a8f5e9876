//! Signatures are made by `ssh-keygen`: agents, touch and PIN come for free, and no key is ever ours.

use super::{Engine, EngineError};
use crate::model::secret::Secret;
use crate::world::World;
use crate::world::spawn::{Command, End};

/// What `ssh-keygen` and the programs it asks for a PIN need of the environment.
const HANDED_ON: [&str; 7] = [
    "HOME",
    "PATH",
    "SSH_AUTH_SOCK",
    "DISPLAY",
    "SSH_ASKPASS",
    "SSH_ASKPASS_REQUIRE",
    "SSH_SK_PROVIDER",
];

impl Engine<'_> {
    /// Signs with `ssh-keygen -Y sign`: private key file, or its public half for an agent.
    pub fn ssh_sign(&self, key: &str, namespace: &str, message: &[u8]) -> Result<Vec<u8>, EngineError> {
        ssh_sign(self.world, key, namespace, message)
    }
}

/// The same where there is no incident at hand, as for a bundle from elsewhere.
pub fn ssh_sign(world: &World, key: &str, namespace: &str, message: &[u8]) -> Result<Vec<u8>, EngineError> {
    let program = world
        .spawn
        .find("ssh-keygen")
        .ok_or_else(|| EngineError::Escalation("ssh-keygen is not installed here".into()))?;
    let text = String::from_utf8_lossy(message).into_owned();
    let env = HANDED_ON.iter().filter_map(|name| {
        let value = world.host.env(name)?;
        Some(((*name).to_owned(), Secret::new(value)))
    });
    let sign = ["-Y", "sign", "-f", key, "-n", namespace];
    let command = Command {
        argv: std::iter::once(program.display().to_string())
            .chain(sign.map(str::to_owned))
            .collect(),
        cwd: None,
        env: env.collect(),
        stdin: Some(Secret::new(text)),
        deadline: std::time::Duration::from_secs(120),
        no_progress: None,
        cap: 64 << 10,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ran = world.wait(world.spawn.run(command, &mut out, &mut err, &mut |_| {}));
    match ran.map(|r| r.end) {
        Some(End::Exit(0)) => Ok(out),
        _ => {
            let err = String::from_utf8_lossy(&err);
            let last = err.lines().last().unwrap_or("no answer").to_owned();
            Err(EngineError::Escalation(format!(
                "ssh-keygen did not sign with {key}: {last}"
            )))
        }
    }
}

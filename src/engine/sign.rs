//! Signatures are made by `ssh-keygen`: agents, touch and PIN come for free, and no key is ever ours.

use std::collections::BTreeSet;
use std::io::Read;

use super::{Engine, EngineError};
use crate::local::known::KNOWN;
use crate::model::secret::Secret;
use crate::world::World;
use crate::world::spawn::{Command, End};

/// What `ssh-keygen` and the programs it asks for a PIN need of the environment.
const HANDED_ON: [&str; 8] = [
    "HOME",
    "PATH",
    "SSH_AUTH_SOCK",
    "DISPLAY",
    "SSH_ASKPASS",
    "SSH_ASKPASS_REQUIRE",
    "SSH_SK_PROVIDER",
    "TERM",
];

/// Keys that are tried where none is named, the hardest to steal first.
const USUAL: [&str; 5] = ["id_ed25519_sk", "id_ecdsa_sk", "id_ed25519", "id_ecdsa", "id_rsa"];

impl Engine<'_> {
    /// Signs with `ssh-keygen -Y sign`: private key file, or its public half for an agent.
    pub fn ssh_sign(&self, key: &str, namespace: &str, message: &[u8]) -> Result<Vec<u8>, EngineError> {
        ssh_sign(self.world, key, namespace, message)
    }

    /// The same for what only a person may say: refused inside an agent's session.
    pub(super) fn sign_in_person(
        &self,
        key: &str,
        namespace: &str,
        message: &[u8],
    ) -> Result<Vec<u8>, EngineError> {
        sign_in_person(self.world, key, namespace, message)
    }
}

/// Signs for a person; refused where an agent's session is around us.
pub fn sign_in_person(
    world: &World,
    key: &str,
    namespace: &str,
    message: &[u8],
) -> Result<Vec<u8>, EngineError> {
    match agent_session(world) {
        Some(why) => Err(EngineError::AgentSession(why)),
        None => ssh_sign(world, key, namespace, message),
    }
}

/// Whose session this is, where it is an agent's: by what its programs inherit, or because one of the
/// processes that started us is it.
///
/// No sign of one proves nothing: an agent that means harm drops both. What holds then is a key that wants a
/// touch, or lies on another machine.
pub fn agent_session(world: &World) -> Option<String> {
    let marked = |agent: &str, marker: &str, value: Option<String>| {
        let (name, wanted) = marker.split_once('=').unwrap_or((marker, ""));
        let value = value?;
        (!value.is_empty() && (wanted.is_empty() || value == wanted))
            .then(|| format!("{agent} ({name} is set)"))
    };
    let mut markers = KNOWN
        .iter()
        .flat_map(|k| k.markers.iter().map(move |m| (k.agent, *m)));
    let ours = markers.find_map(|(agent, marker)| {
        let name = marker.split('=').next().unwrap_or(marker);
        marked(agent, marker, world.host.env(name))
    });
    if ours.is_some() {
        return ours;
    }
    let all = world.host.processes().unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut pid = world.host.identity().pid.pid;
    while seen.insert(pid) {
        let process = all.iter().find(|p| p.id.pid == pid)?;
        for known in KNOWN {
            if let Some(why) = known.is_it(process) {
                return Some(format!("{} (process {pid}: {why})", known.agent));
            }
        }
        let environment = world.host.environment(process.id);
        for (agent, marker) in KNOWN
            .iter()
            .flat_map(|k| k.markers.iter().map(move |m| (k.agent, *m)))
        {
            let name = marker.split('=').next().unwrap_or(marker);
            let value = environment.iter().find(|(n, _)| n == name);
            let value = value.map(|(_, v)| v.expose().to_owned());
            if let Some(why) = marked(agent, marker, value) {
                return Some(format!("{why} in process {pid}"));
            }
        }
        pid = process.ppid;
    }
    None
}

/// The key of the person at the keyboard, where none is named: the usual files of OpenSSH.
pub fn usual_key(world: &World) -> Option<String> {
    let folder = world.host.home()?.join(".ssh");
    let mut paths = USUAL.iter().map(|name| folder.join(name));
    let found = paths.find(|path| world.files.stat(path).is_ok_and(|s| s.is_file))?;
    Some(found.display().to_string())
}

/// Why any program that runs as its owner could sign with this key, too; `None` where it could not, or nobody
/// can say. `algorithm` in OpenSSH's words.
pub fn weakness(world: &World, key: &str, algorithm: &str) -> Option<&'static str> {
    if algorithm.starts_with("sk-") {
        return None;
    }
    if key.ends_with(".pub") {
        return Some("an agent holds it: whatever runs as you can ask that agent to sign, unseen");
    }
    // The first line and a half name the cipher; nothing secret stands there.
    let mut head = Vec::new();
    let file = world.files.open(&world.host.cwd().join(key)).ok()?;
    file.take(106).read_to_end(&mut head).ok()?;
    let head = String::from_utf8_lossy(&head);
    // `openssh-key-v1`, then the name of the cipher: `none`.
    const OPEN: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";
    head.contains(OPEN).then_some(
        "it has no passphrase and asks for no touch: whatever runs as you can sign with it, unseen",
    )
}

/// The same where there is no incident at hand, as for a bundle from elsewhere.
pub fn ssh_sign(world: &World, key: &str, namespace: &str, message: &[u8]) -> Result<Vec<u8>, EngineError> {
    let program = world
        .spawn
        .find("ssh-keygen")
        .ok_or_else(|| EngineError::Escalation("ssh-keygen is not installed here".into()))?;
    let text = String::from_utf8_lossy(message).into_owned();
    let env: Vec<(String, Secret)> = HANDED_ON
        .iter()
        .filter_map(|name| {
            let value = world.host.env(name)?;
            Some(((*name).to_owned(), Secret::new(value)))
        })
        .collect();
    let sign = ["-Y", "sign", "-f", key, "-n", namespace];
    let argv: Vec<String> = std::iter::once(program.display().to_string())
        .chain(sign.map(str::to_owned))
        .collect();
    let not = |why: &str| EngineError::Escalation(format!("ssh-keygen did not sign with {key}: {why}"));
    if let Some(attended) = world.spawn.at_terminal(&argv, &env, message) {
        return match attended.end {
            End::Exit(0) => Ok(attended.out),
            End::NotStarted(why) => Err(not(&why)),
            _ => Err(not("it said why above")),
        };
    }
    let command = Command {
        argv,
        cwd: None,
        env,
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
            Err(not(err.lines().last().unwrap_or("no answer")))
        }
    }
}

//! Builds the real World, and finds the places a command works in. The only file that reads the
//! program's own environment.

use std::path::{Path, PathBuf};

use super::error::CliError;
use super::exit::Exit;
use crate::engine::{ApprovalFile, MOST_APPROVALS, TrustFile, Written};
use crate::journal::Hash;
use crate::world::clock::RealClock;
use crate::world::entropy::RealEntropy;
use crate::world::executor::RealExecutor;
use crate::world::files::RealFiles;
use crate::world::host::RealHost;
use crate::world::http::RealHttp;
use crate::world::interrupt::RealInterrupt;
use crate::world::secrets::RealSecrets;
use crate::world::spawn::RealSpawn;
use crate::world::sql::RealSql;
use crate::world::{World, WorldKind};

/// Longest file written in advance that is read, in bytes.
const WRITTEN_CAP: u64 = 1 << 20;

/// This machine and its network.
pub fn real_world() -> Result<World, CliError> {
    let no = |e: std::io::Error| CliError::new(Exit::Failed, format!("cannot start: {e}"));
    let interrupt = RealInterrupt::install().map_err(no)?;
    Ok(World {
        kind: WorldKind::Real,
        clock: Box::new(RealClock::new()),
        entropy: Box::new(RealEntropy),
        http: Box::new(RealHttp::new()),
        sql: Box::new(RealSql),
        spawn: Box::new(RealSpawn::new(Box::new(interrupt.clone()))),
        host: Box::new(RealHost::new()),
        files: Box::new(RealFiles),
        secrets: Box::new(RealSecrets::new()),
        interrupt: Box::new(interrupt),
        executor: Box::new(RealExecutor::new().map_err(no)?),
    })
}

/// Where cases lie: `--store`, else the user's data folder, else the temporary folder.
pub fn store_root(world: &World, given: Option<&Path>) -> PathBuf {
    if let Some(path) = given {
        return world.host.cwd().join(path);
    }
    let data = world
        .host
        .env("XDG_DATA_HOME")
        .filter(|p| p.starts_with('/'))
        .map(PathBuf::from);
    match (data, world.host.home()) {
        (Some(data), _) => data.join("incident"),
        (None, Some(home)) => home.join(".local/share/incident"),
        (None, None) => std::env::temp_dir().join(format!("incident-{}", world.host.identity().uid)),
    }
}

/// The place off this host that the environment names for new incidents, as it is written there. It is never read
/// from the folder with the runbook: an agent may write that.
pub fn mirror(world: &World) -> Option<String> {
    world
        .host
        .env("INCIDENT_MIRROR")
        .filter(|place| !place.is_empty())
}

/// Where the record goes when no case folder can be written, best first.
pub fn spool_folders(world: &World) -> Vec<PathBuf> {
    let runtime = world
        .host
        .env("XDG_RUNTIME_DIR")
        .filter(|p| p.starts_with('/'))
        .map(PathBuf::from);
    let others = ["/dev/shm", "/tmp", "/var/tmp"].map(PathBuf::from);
    runtime.into_iter().chain(others).collect()
}

/// Folders that hold a plan, as found from here; the first is the one in force.
pub fn places(world: &World, given: Option<&Path>) -> Vec<PathBuf> {
    match given {
        Some(path) => vec![world.host.cwd().join(path)],
        None => upward(world).into_iter().chain(of_user(world)).collect(),
    }
}

/// One file written in advance.
pub fn read(world: &World, path: &Path) -> std::io::Result<Vec<u8>> {
    world.files.read(path, WRITTEN_CAP)
}

/// The files a team wrote in advance: `--config`, else `incident/` upward from here, else the user's own.
pub fn written(world: &World, given: Option<&Path>) -> Result<Written, CliError> {
    let folder = places(world, given).into_iter().next();
    let Some(folder) = folder else {
        return Ok(Written::default());
    };
    if given.is_some() && !world.files.stat(&folder).is_ok_and(|s| s.is_dir) {
        let error = CliError::new(Exit::Usage, format!("{} is not a folder", folder.display()));
        return Err(error.hint("Name the folder that holds runbook.yaml and access.yaml"));
    }
    let read = |name: &str| {
        let path = folder.join(name);
        let bytes = read(world, &path).ok()?;
        Some((path.display().to_string(), bytes))
    };
    let trust = trust_path(world, &folder).and_then(|path| trusted(world, &folder, path));
    let trusted_before = match trust {
        Some(_) => None,
        None => trust_note(world, &folder).and_then(|path| noted(world, &path)),
    };
    let (approvals, approvals_left) = approvals(world, &folder);
    Ok(Written {
        trust,
        trusted_before,
        runbook: read("runbook.yaml"),
        access: read("access.yaml"),
        signers: read("allowed_signers"),
        revoked: read("revoked_keys"),
        approvals,
        approvals_left,
        folder: Some(folder),
    })
}

/// Where the record of what was trusted in this folder lies: in the user's own state, never in the repository.
pub fn trust_path(world: &World, folder: &Path) -> Option<PathBuf> {
    let state = world
        .host
        .env("XDG_STATE_HOME")
        .filter(|p| p.starts_with('/'))
        .map(PathBuf::from)
        .or_else(|| world.host.home().map(|home| home.join(".local/state")))?;
    let name: String = Hash::of(folder.display().to_string().as_bytes())
        .to_string()
        .chars()
        .take(16)
        .collect();
    Some(state.join("incident/trust").join(format!("{name}.json")))
}

/// Where it is noted that these files were trusted here: in another place than the record, so that a record that is
/// gone is missed.
pub fn trust_note(world: &World, folder: &Path) -> Option<PathBuf> {
    let name = trust_path(world, folder)?.file_stem()?.to_owned();
    let data = store_root(world, None);
    Some(data.parent()?.join("incident-trusted").join(name))
}

/// The first line of a note, as far as anybody would read it.
fn noted(world: &World, path: &Path) -> Option<String> {
    const CAP: u64 = 4 << 10;
    let text = String::from_utf8(world.files.read(path, CAP).ok()?).ok()?;
    Some(text.lines().next()?.chars().take(120).collect())
}

/// Where approvals of acts lie, beside the runbook.
pub const APPROVED: &str = "approved";

/// The approvals beside the runbook, the first by name, and how many more there are.
fn approvals(world: &World, folder: &Path) -> (Vec<ApprovalFile>, usize) {
    const CAP: u64 = 32 << 10;
    let folder = folder.join(APPROVED);
    let names = world.files.list(&folder).unwrap_or_default();
    let text = |path: &Path| {
        let bytes = world.files.read(path, CAP).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let statements: Vec<&PathBuf> = names
        .iter()
        .filter(|n| n.extension().is_some_and(|e| e == "json"))
        .collect();
    let one = |name: &&PathBuf| {
        let path = folder.join(name);
        ApprovalFile {
            name: format!("{APPROVED}/{}", name.display()),
            signature: text(&signature_of(&path)),
            statement: text(&path),
        }
    };
    let read = statements.iter().take(MOST_APPROVALS).map(one).collect();
    (read, statements.len().saturating_sub(MOST_APPROVALS))
}

/// The signature beside a record.
pub fn signature_of(path: &Path) -> PathBuf {
    path.with_extension("json.sig")
}

/// The record of what was trusted, where there is one.
fn trusted(world: &World, folder: &Path, path: PathBuf) -> Option<TrustFile> {
    // The record holds whole copies of files that may each be as long as any that is read.
    let statement = world.files.read(&path, 8 * WRITTEN_CAP).ok()?;
    let sig = signature_of(&path);
    let loose = |path: &Path| {
        world
            .files
            .stat(path)
            .is_ok_and(|s| !s.is_file || s.mode & 0o022 != 0)
    };
    Some(TrustFile {
        loose: loose(&path) || loose(&sig),
        signature: read(world, &sig).unwrap_or_default(),
        statement,
        revoked: read(world, &folder.join("revoked_keys")).ok(),
        path,
    })
}

fn upward(world: &World) -> Option<PathBuf> {
    let cwd = world.host.cwd();
    cwd.ancestors()
        .map(|p| p.join("incident"))
        .find(|p| holds_a_plan(world, p))
}

fn of_user(world: &World) -> Option<PathBuf> {
    let config = world
        .host
        .env("XDG_CONFIG_HOME")
        .filter(|p| p.starts_with('/'))
        .map(PathBuf::from);
    let folder = config
        .or_else(|| world.host.home().map(|h| h.join(".config")))?
        .join("incident");
    holds_a_plan(world, &folder).then_some(folder)
}

fn holds_a_plan(world: &World, folder: &Path) -> bool {
    ["runbook.yaml", "access.yaml"]
        .iter()
        .any(|name| world.files.stat(&folder.join(name)).is_ok_and(|s| s.is_file))
}

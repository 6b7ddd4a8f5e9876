//! Who has a home on this host.

use std::path::{Path, PathBuf};

use crate::world::World;

/// Largest list of users that is read, in bytes.
const CAP: u64 = 4 << 20;

/// A user of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Home folder.
    pub home: PathBuf,
}

/// Every user in the list of this host.
pub fn all(world: &World) -> Vec<User> {
    below(world, Path::new("/"))
}

/// Every user in the list of a tree; homes are as they stand in it.
pub fn below(world: &World, root: &Path) -> Vec<User> {
    let list = world
        .files
        .read(&root.join("etc/passwd"), CAP)
        .unwrap_or_default();
    let user = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let (name, uid, home) = (fields.first()?, fields.get(2)?, fields.get(5)?);
        Some(User {
            name: (*name).to_owned(),
            uid: uid.parse().ok()?,
            home: PathBuf::from(home),
        })
    };
    String::from_utf8_lossy(&list).lines().filter_map(user).collect()
}

/// Homes that may hold anything: the responder's, and those of users that are there, each once.
pub fn homes(world: &World) -> Vec<PathBuf> {
    let real =
        |home: &PathBuf| home.components().count() > 1 && world.files.stat(home).is_ok_and(|s| s.is_dir);
    let mut all: Vec<PathBuf> = world.host.home().into_iter().collect();
    all.extend(self::all(world).into_iter().map(|u| u.home).filter(real));
    all.sort();
    all.dedup();
    all
}

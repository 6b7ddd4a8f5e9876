//! Whether a user could read a file: what is kept from the agent, and what only looks so.

use std::path::Path;

use crate::world::Files;

/// True where the user `uid` could read `path`, as far as owner and permission bits say.
///
/// `None` where that depends on groups, links or access lists, which are not looked at, or where the
/// path cannot be seen from here.
pub fn by(files: &dyn Files, path: &Path, uid: u32) -> Option<bool> {
    if uid == 0 {
        return Some(true);
    }
    let mut sure = true;
    let folders: Vec<&Path> = path.ancestors().skip(1).collect();
    for folder in folders.into_iter().rev() {
        match may(files, folder, uid, 0o1)? {
            Some(true) => {}
            Some(false) => return Some(false),
            None => sure = false,
        }
    }
    match may(files, path, uid, 0o4)? {
        Some(false) => Some(false),
        answer if sure => answer,
        _ => None,
    }
}

/// Whether the bit is set for this user; the inner `None` where a group decides.
fn may(files: &dyn Files, path: &Path, uid: u32, bit: u32) -> Option<Option<bool>> {
    let stat = files.stat(path).ok().filter(|s| !s.is_link)?;
    let set = |shift: u32| stat.mode & (bit << shift) != 0;
    Some(match (stat.uid == uid, set(3) == set(0)) {
        (true, _) => Some(set(6)),
        (false, true) => Some(set(0)),
        (false, false) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;
    use crate::world::files::RealFiles;

    #[test]
    fn bits_of_the_file_and_of_every_folder_above_it_count() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "x").unwrap();
        let mine = fs::metadata(&file).unwrap().uid();
        let other = mine + 4_711;
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let read = |uid| by(&RealFiles, &file, uid);
        mode(folder.path(), 0o755);
        mode(&file, 0o644);
        assert_eq!(read(other), Some(true));
        mode(&file, 0o600);
        assert_eq!((read(other), read(mine)), (Some(false), Some(true)));
        mode(&file, 0o640);
        assert_eq!(read(other), None, "a group decides");
        mode(&file, 0o644);
        mode(folder.path(), 0o700);
        assert_eq!(read(other), Some(false), "the folder is closed");
        mode(folder.path(), 0o755);
        assert_eq!(by(&RealFiles, &folder.path().join("none"), other), None);
        assert_eq!(by(&RealFiles, Path::new("/anything"), 0), Some(true));
    }
}

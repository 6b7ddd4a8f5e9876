//! Whether this build may signal processes here.
//!
//! A test build that could freeze or kill the developer's own processes is a trap, so debug builds
//! signal only inside a PID namespace that was made for them:
//! `unshare --pid --fork --kill-child --mount-proc env -i HOME=… PATH=… …`.

use std::fs;
use std::path::Path;

/// Inode of the first PID namespace of a kernel (`PID_NS_INIT_INO` in `linux/nsfs.h`).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// What a debug build says when it refuses to signal.
const REFUSAL: &str = "a debug build signals processes only inside a PID namespace made for it \
     (unshare --pid --fork --kill-child --mount-proc env -i HOME=… PATH=… …)";

/// Ok where signals may be sent: always in a release build, only in a jail in a debug build.
pub fn signals_allowed() -> Result<(), &'static str> {
    if !cfg!(any(test, debug_assertions)) || is_jail() {
        Ok(())
    } else {
        Err(REFUSAL)
    }
}

/// True in the first PID namespace of the kernel, where every process of the host has a number.
pub(super) fn in_first_pid_namespace() -> bool {
    fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link == Path::new(FIRST_PID_NAMESPACE))
}

/// True in a PID namespace of its own whose `/proc` was mounted over another one.
///
/// `unshare --mount-proc` leaves that second mount behind; a container has only one, so a debug
/// build inside a developer's container still refuses.
fn is_jail() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    !in_first_pid_namespace() && proc_mounts(&mounts) >= 2
}

/// How many file systems of type `proc` are mounted at `/proc`.
fn proc_mounts(mountinfo: &str) -> usize {
    mountinfo
        .lines()
        .filter(|line| {
            let at = line.split(' ').nth(4);
            let kind = line.split(" - ").nth(1).and_then(|tail| tail.split(' ').next());
            at == Some("/proc") && kind == Some("proc")
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_not_a_jail() {
        let container = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
                         23 22 0:21 /sys /proc/sys ro - proc proc rw\n";
        let jail = "45 43 0:21 / /proc rw,relatime - proc proc rw\n\
                    63 45 0:39 / /proc rw,nosuid shared:7 - proc proc rw\n";
        assert_eq!(proc_mounts(container), 1);
        assert_eq!(proc_mounts(jail), 2);
    }
}

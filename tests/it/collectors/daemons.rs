//! Looks at real daemons of a host: journald, docker, podman. Everything they write lies on disks of a jail, mounted over
//! folders that are made where they are missing.

use std::path::Path;
use std::process::Command;

use incident::collectors::Taken;
use incident::model::event::ItemStatus;
use serde_json::Value;

use super::shelf::{LIMITS, of, status, take};
use crate::local::yard::{Keys, world};
use crate::support::not_tested;

macro_rules! jailed {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { crate::local::jailed(concat!("collectors::daemons::inner::", stringify!($name))); })*
    };
}

jailed!(
    a_real_journal_tells_what_is_new_and_of_whom,
    a_real_docker_tells_its_containers,
    a_real_podman_tells_its_containers,
);

/// What the script prints when it ends; `None`, said aloud, where what it is about is not to be had here.
fn set_up(script: &str, folder: &Path, lacks: &str) -> Option<String> {
    let out = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    if out.status.code() == Some(MISSING) {
        not_tested(&format!("{lacks}: {said}"));
        return None;
    }
    assert!(out.status.success(), "{said}");
    Some(String::from_utf8(out.stdout).unwrap())
}

/// How a script ends where a program is missing or does not come up.
const MISSING: i32 = 77;

fn collected(taken: &[Taken], begin: &str) -> usize {
    let good = |t: &&Taken| t.name.starts_with(begin) && t.status == ItemStatus::Collected;
    taken.iter().filter(good).count()
}

/// A machine of its own number, without the messages of this kernel.
const JOURNAL: &str = "set -e; [ -x /lib/systemd/systemd-journald ] && [ -e /etc/machine-id ] && [ -e /dev/kmsg ] || exit 77
    mount -t tmpfs none /run; mkdir -p /run/systemd/journal /run/log/journal
    echo 0123456789abcdef0123456789abcdef > /run/machine-id
    mount --bind /run/machine-id /etc/machine-id; mount --bind /dev/null /dev/kmsg
    /lib/systemd/systemd-journald > /run/journald.log 2>&1 &
    n=0; until [ -S /run/systemd/journal/socket ]; do n=$((n+1)); [ $n -lt 100 ] || { cat /run/journald.log >&2; exit 77; }; sleep 0.1; done
    printf 'MESSAGE=%s\\nSYSLOG_IDENTIFIER=shop\\nOBJECT_SYSTEMD_UNIT=shop.service\\n' 'one of orders' | logger --journald
    printf 'MESSAGE=%s\\nSYSLOG_IDENTIFIER=bank\\nOBJECT_SYSTEMD_UNIT=bank.service\\n' 'nobody asked' | logger --journald
    journalctl --sync";

/// Nothing of it is reached by a network, and its containers are never started: that takes control groups which a jail
/// need not have. The log is written as the daemon's own driver writes it.
const DOCKER: &str = "set -e; command -v dockerd > /dev/null && command -v docker > /dev/null || exit 77
    for d in /run /var/lib/docker /etc/docker /opt; do mkdir -p $d; mount -t tmpfs none $d; done
    dockerd --bridge=none --iptables=false --ip6tables=false --storage-driver=vfs > /run/dockerd.log 2>&1 &
    n=0; until docker version > /dev/null 2>&1; do n=$((n+1)); [ $n -lt 150 ] || { tail -n 5 /run/dockerd.log >&2; exit 77; }; sleep 0.2; done
    mkdir $1/image; echo orders > $1/image/hello; tar -C $1/image -c . | docker import - shop:7 > /dev/null
    id=$(docker create --network none --name web --env MODE=made-up shop:7 /serve)
    line() { printf '{\"log\":\"%s\\\\n\",\"stream\":\"stdout\",\"time\":\"%s\"}\\n' \"$1\" \"$2\"; }
    { line 'long ago' 2026-01-01T00:00:00.5Z; line 'orders dropped' $(date -u +%Y-%m-%dT%H:%M:%S.5Z); } \\
        > /var/lib/docker/containers/$id/$id-json.log
    docker cp $1/image/hello $id:/left-behind 2> /dev/null
    sleep 1.1; echo $id";

/// A container is made and not started, as above.
const PODMAN: &str = "command -v podman > /dev/null || exit 77
    for d in /var/lib/containers /run /dev/shm /etc/containers; do mkdir -p $d && mount -t tmpfs none $d || exit 9; done
    printf '[storage]\\ndriver = \"vfs\"\\nrunroot = \"/run/containers/storage\"\\ngraphroot = \"/var/lib/containers/storage\"\\n' \
        > /etc/containers/storage.conf
    printf '[engine]\\nevents_logger = \"file\"\\ncgroup_manager = \"cgroupfs\"\\n' > /etc/containers/containers.conf
    printf '{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}' > /etc/containers/policy.json
    mkdir -p $1/image && echo orders > $1/image/hello && tar -C $1/image -cf $1/image.tar . || exit 8
    podman import -q $1/image.tar shop:7 && podman create --network none --name web --env MODE=made-up shop:7 /serve";

mod inner {
    use super::*;

    #[test]
    #[ignore = "runs in a jail"]
    fn a_real_journal_tells_what_is_new_and_of_whom() {
        let folder = tempfile::tempdir().unwrap();
        if set_up(JOURNAL, folder.path(), "a real journald (Debian systemd)").is_none() {
            return;
        }
        let world = world(&Keys::default());
        let of_logs = |since: &str| {
            let given = [
                ("since", since),
                ("unit", "shop"),
                ("folder", folder.path().to_str().unwrap()),
            ];
            take(&world, &of("logs", &given), LIMITS)
        };
        let (taken, shelf) = of_logs("1h");
        assert_eq!(status(&taken, "journal.jsonl"), ItemStatus::Collected);
        let text = shelf.text("journal.jsonl");
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let told = |word: &str| lines.iter().filter(|l| l["SYSLOG_IDENTIFIER"] == word).count();
        assert_eq!((told("shop"), told("bank")), (1, 0), "{text}");
        assert!(text.contains("one of orders"), "{text}");
        assert!(
            shelf
                .text("boots.txt")
                .lines()
                .any(|l| l.trim().starts_with("0 ")),
            "{taken:#?}"
        );

        let (_, shelf) = of_logs("2100-01-01T00:00:00Z");
        assert!(!shelf.text("journal.jsonl").contains("orders"), "from later on");
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn a_real_docker_tells_its_containers() {
        let folder = tempfile::tempdir().unwrap();
        let Some(id) = set_up(
            DOCKER,
            folder.path(),
            "containers of a real docker (Debian docker.io)",
        ) else {
            return;
        };
        let id = id.trim();
        let world = world(&Keys::default());
        let (taken, shelf) = take(&world, &of("containers", &[("since", "10m")]), LIMITS);
        let running = shelf.text("docker-running.txt");
        assert!(running.contains(id) && running.contains("/serve"), "{running}");
        let log = shelf.text(&format!("docker-logs-{id}.txt"));
        assert!(
            log.contains(".500000000Z orders dropped") && !log.contains("long ago"),
            "{log}"
        );
        assert_eq!(
            shelf.text(&format!("docker-changes-{id}.txt")),
            "A /left-behind\n"
        );
        let told: Value = serde_json::from_str(&shelf.text(&format!("docker-inspect-{id}.json"))).unwrap();
        assert_eq!(told[0]["Name"], "/web");
        let events = shelf.text("docker-events.jsonl");
        let events: Vec<Value> = events.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let made = |e: &&Value| e["Action"] == "create" && e["Actor"]["ID"] == id;
        assert_eq!(events.iter().filter(made).count(), 1, "{events:#?}");
        assert!(shelf.text("docker-images.txt").contains("shop"));
        assert!(shelf.text("docker-info.txt").contains("Storage Driver: vfs"));
        // Nothing runs, so there is nothing to ask for its processes; all else was answered.
        assert_eq!(collected(&taken, "docker-"), 9, "{taken:#?}");
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn a_real_podman_tells_its_containers() {
        let folder = tempfile::tempdir().unwrap();
        let lacks = "containers of a real podman (Debian podman and crun)";
        let Some(id) = set_up(PODMAN, folder.path(), lacks) else {
            return;
        };
        let id = id.lines().last().unwrap();
        let world = world(&Keys::default());
        let (taken, shelf) = take(&world, &of("containers", &[("since", "10m")]), LIMITS);
        let running = shelf.text("podman-running.txt");
        assert!(running.contains(id) && running.contains("/serve"), "{running}");
        assert!(
            shelf.text("podman-images.txt").contains("localhost/shop"),
            "{taken:#?}"
        );
        let told: Value = serde_json::from_str(&shelf.text(&format!("podman-inspect-{id}.json"))).unwrap();
        assert_eq!(told[0]["Name"], "web");
        assert_eq!(
            status(&taken, &format!("podman-logs-{id}.txt")),
            ItemStatus::Collected
        );
        assert_eq!(collected(&taken, "podman-"), 4, "{taken:#?}");
    }
}

//! Which processes of a host came in over SSH as one account.
//!
//! The host only prints what `/proc` says; the choice is made here. Killing sshd alone leaves what it
//! started, so a session's processes are known by descent, by session and by systemd's scope, and those
//! that were handed to init by the variable that sshd gives to everything it starts.

use std::collections::{BTreeMap, BTreeSet};

/// Prints what [`Listing::read`] reads. Of environments only whether a name occurs in them.
/// Argument: the account.
pub(super) const LIST: &str = r#"
printf 'me %s\nmyuid %s\nuid %s\n' "$$" "$(id -u)" "$(id -u -- "$1")"
grep -H '' /proc/[0-9]*/stat 2>/dev/null | sed 's/^/stat /'
grep -H '^Uid:' /proc/[0-9]*/status 2>/dev/null | sed 's/^/owner /'
grep -H 'session-[^/]*[.]scope' /proc/[0-9]*/cgroup 2>/dev/null | sed 's/^/scope /'
grep -l -a 'SSH_CONNECTION=' /proc/[0-9]*/environ 2>/dev/null | sed 's/^/came /'
if [ -n "$SSH_CONNECTION" ]; then
  grep -l -a -F "SSH_CONNECTION=$SSH_CONNECTION" /proc/[0-9]*/environ 2>/dev/null | sed 's/^/ours /'
fi
for f in $(grep -l '^Name:[[:space:]]*sshd\(-session\)\{0,1\}$' /proc/[0-9]*/status 2>/dev/null); do
  printf 'title %s:%s\n' "$f" "$(tr '\000\n' '  ' < "${f%status}cmdline" 2>/dev/null)"
done
echo end
"#;

/// Ends processes, stopped first so that none forks meanwhile. Arguments: `pid:starttime` each.
pub(super) const KILL: &str = r#"
for signal in STOP KILL; do
  for one in "$@"; do
    stat=$(cat "/proc/${one%:*}/stat" 2>/dev/null) || continue
    started=$(printf '%s' "${stat##*) }" | cut -d' ' -f20)
    if [ "$started" = "${one#*:}" ]; then
      kill -s "$signal" "${one%:*}" 2>/dev/null || [ ! -e "/proc/${one%:*}" ] || echo "process ${one%:*} may not be ended"
    fi
  done
done
echo end
"#;

#[derive(Debug, Default)]
struct Process {
    ppid: u32,
    session: u32,
    started: u64,
    uid: Option<u32>,
    scope: Option<String>,
    title: Option<String>,
    came: bool,
    ours: bool,
}

/// Every process of a host, and who asks.
#[derive(Debug)]
pub(super) struct Listing {
    processes: BTreeMap<u32, Process>,
    me: u32,
    my_uid: u32,
    uid: u32,
}

/// What was chosen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// `pid:starttime` of each process.
    pub members: Vec<String>,
    /// Processes of the account that show no sign of SSH.
    pub others: usize,
}

impl Listing {
    /// Reads what [`LIST`] printed; `None` where it is not whole.
    pub fn read(text: &str) -> Option<Listing> {
        let text = text.strip_suffix("end\n")?;
        let mut values: BTreeMap<&str, u32> = BTreeMap::new();
        let mut stats: BTreeMap<u32, String> = BTreeMap::new();
        let mut processes: BTreeMap<u32, Process> = BTreeMap::new();
        for line in text.lines() {
            let Some((kind, rest)) = line.split_once(' ') else {
                continue;
            };
            if let ("me" | "myuid" | "uid", Ok(n)) = (kind, rest.parse()) {
                values.insert(kind, n);
                continue;
            }
            // Paths come first and are the kernel's: no name of a process can pass for another's line.
            let Some((pid, value)) = of_proc(rest) else {
                continue;
            };
            let process = processes.entry(pid).or_default();
            match kind {
                "stat" => {
                    // A name may hold line breaks.
                    let stat = stats.entry(pid).or_default();
                    stat.push_str(value);
                    stat.push('\n');
                }
                "owner" => process.uid = value.split_whitespace().nth(1).and_then(|n| n.parse().ok()),
                "scope" => process.scope = value.split_once(":/").map(|(_, path)| path.to_owned()),
                "came" => process.came = true,
                "ours" => process.ours = true,
                "title" => process.title = Some(value.trim_end().to_owned()),
                _ => {}
            }
        }
        processes.retain(|pid, process| {
            let mut read = || {
                let (_, fields) = stats.get(pid)?.rsplit_once(") ")?;
                let fields: Vec<&str> = fields.split_whitespace().collect();
                let number = |n: usize| fields.get(n).and_then(|f| f.parse::<u64>().ok());
                process.ppid = u32::try_from(number(1)?).ok()?;
                process.session = u32::try_from(number(3)?).ok()?;
                process.started = number(19)?;
                (fields.first() != Some(&"Z")).then_some(())
            };
            read().is_some()
        });
        Some(Listing {
            processes,
            me: *values.get("me")?,
            my_uid: *values.get("myuid")?,
            uid: *values.get("uid")?,
        })
    }

    /// True where this login sees every process of the account.
    pub fn sees_all(&self) -> bool {
        self.my_uid == 0 || self.my_uid == self.uid
    }

    /// True where the account is the superuser's.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// The processes of the account's SSH sessions but for our own; `whole` = every process of the account.
    pub fn choose(&self, account: &str, whole: bool) -> Chosen {
        let own = self.own();
        let mut members: BTreeSet<u32> = self
            .processes
            .iter()
            .filter(|(pid, p)| {
                let theirs = p.uid == Some(self.uid);
                let door = p.title.as_deref().is_some_and(|title| is_session(title, account));
                !own.contains(*pid)
                    && ((door && (theirs || p.uid == Some(0))) || (theirs && (p.came || whole)))
            })
            .map(|(pid, _)| *pid)
            .collect();
        loop {
            let scopes: BTreeSet<&str> = members
                .iter()
                .filter_map(|pid| self.processes.get(pid)?.scope.as_deref())
                .collect();
            let more: Vec<u32> = self
                .processes
                .iter()
                .filter(|(pid, p)| {
                    let below = members.contains(&p.ppid);
                    // A session is theirs where its leader is.
                    let session = members.contains(&p.session);
                    let scope = p.scope.as_deref().is_some_and(|scope| scopes.contains(scope));
                    !members.contains(*pid) && !own.contains(*pid) && (below || session || scope)
                })
                .map(|(pid, _)| *pid)
                .collect();
            if more.is_empty() {
                break;
            }
            members.extend(more);
        }
        let others = self
            .processes
            .iter()
            .filter(|(pid, p)| p.uid == Some(self.uid) && !members.contains(*pid) && !own.contains(*pid));
        Chosen {
            others: others.count(),
            members: members
                .iter()
                .filter_map(|pid| Some(format!("{pid}:{}", self.processes.get(pid)?.started)))
                .collect(),
        }
    }

    /// Ourselves: what we run under, up to the first process, and all of our own SSH connection.
    fn own(&self) -> BTreeSet<u32> {
        let mut own = BTreeSet::from([0, 1]);
        let ours = self.processes.iter().filter(|(_, p)| p.ours).map(|(pid, _)| *pid);
        for mut pid in ours.chain([self.me]) {
            while own.insert(pid) {
                let Some(process) = self.processes.get(&pid) else {
                    break;
                };
                pid = process.ppid;
            }
        }
        own
    }
}

/// `/proc/PID/…`, and what stands behind the first colon.
fn of_proc(text: &str) -> Option<(u32, &str)> {
    let rest = text.strip_prefix("/proc/")?;
    let (pid, rest) = rest.split_once('/')?;
    let value = rest.split_once(':').map_or("", |(_, value)| value);
    Some((pid.parse().ok()?, value))
}

/// True for the title of an sshd that serves a session of the account, as in `sshd: bot [priv]` or
/// `sshd-session: bot@pts/0`.
fn is_session(title: &str, account: &str) -> bool {
    let title = title
        .strip_prefix("sshd: ")
        .or_else(|| title.strip_prefix("sshd-session: "));
    let rest = title.and_then(|title| title.strip_prefix(account));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' ') || rest.starts_with('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Host(String);

    impl Host {
        fn new(me: u32) -> Self {
            Host(format!("me {me}\nmyuid 0\nuid 1000\n"))
        }

        fn process(mut self, pid: u32, ppid: u32, session: u32, uid: u32, name: &str) -> Self {
            self.0 += &format!(
                "stat /proc/{pid}/stat:{pid} ({name}) S {ppid} {pid} {session} 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {} 0\n\
                 owner /proc/{pid}/status:Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n",
                pid * 10
            );
            self
        }

        fn line(mut self, line: &str) -> Self {
            self.0 += line;
            self.0.push('\n');
            self
        }

        fn read(self) -> Listing {
            Listing::read(&format!("{}end\n", self.0)).unwrap()
        }
    }

    fn host() -> Host {
        Host::new(900)
            .process(1, 0, 1, 0, "init")
            .process(10, 1, 10, 0, "sshd")
            .line("title /proc/10/status:sshd: /usr/sbin/sshd -D [listener]")
            .process(20, 10, 20, 0, "sshd")
            .line("title /proc/20/status:sshd: bot [priv]")
            .process(21, 20, 20, 1000, "sshd")
            .line("title /proc/21/status:sshd: bot@notty")
            .process(22, 21, 22, 1000, "sh")
            .line("scope /proc/22/cgroup:0::/user.slice/session-4.scope")
    }

    #[test]
    fn a_session_is_everything_it_started_however_far_it_ran() {
        let listing = host()
            .process(23, 22, 22, 0, "sudo-child")
            .process(30, 1, 30, 1000, "nohup")
            .line("came /proc/30/environ")
            .process(31, 1, 31, 0, "escaped")
            .line("scope /proc/31/cgroup:0::/user.slice/session-4.scope")
            .process(40, 1, 40, 1000, "service")
            .process(50, 10, 50, 0, "sshd")
            .line("title /proc/50/status:sshd: botany [priv]")
            .process(51, 50, 51, 1001, "sh")
            .line("came /proc/51/environ")
            .read();
        let chosen = listing.choose("bot", false);
        assert_eq!(
            chosen.members,
            ["20:200", "21:210", "22:220", "23:230", "30:300", "31:310"]
        );
        assert_eq!(chosen.others, 1, "the service");
        assert!(listing.choose("bot", true).members.contains(&"40:400".to_owned()));
    }

    #[test]
    fn our_own_connection_as_the_same_account_is_spared() {
        let listing = host()
            .process(60, 10, 60, 0, "sshd")
            .line("title /proc/60/status:sshd: bot [priv]")
            .process(61, 60, 60, 1000, "sshd")
            .line("title /proc/61/status:sshd: bot@notty")
            .process(900, 61, 900, 1000, "sh")
            .line("came /proc/900/environ")
            .line("ours /proc/900/environ")
            .process(901, 61, 901, 1000, "other-shell")
            .line("came /proc/901/environ")
            .line("ours /proc/901/environ")
            .read();
        assert_eq!(
            listing.choose("bot", true).members,
            ["20:200", "21:210", "22:220"]
        );
    }

    #[test]
    fn a_name_of_a_process_is_no_line_of_another() {
        let listing = host()
            .line("stat /proc/70/stat:70 (x")
            .line("stat /proc/70/stat:10 (y) S 21 1 22) S 21 70 22 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 700 0")
            .line("owner /proc/70/status:Uid:\t1000\t1000\t1000\t1000")
            .read();
        let members = listing.choose("bot", false).members;
        assert!(members.contains(&"70:700".to_owned()), "{members:?}");
        assert!(!members.iter().any(|m| m.starts_with("10:")), "{members:?}");
    }

    #[test]
    fn half_a_list_is_no_list() {
        let text = host().0;
        assert!(Listing::read(&text).is_none());
        assert!(Listing::read("me 1\nmyuid 0\nend\n").is_none(), "no such account");
    }
}

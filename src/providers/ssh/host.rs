//! The host that a key opens, reached by the responder's own ssh or right here, and what runs there.
//!
//! Everything goes through the standard input of one `sh`, arguments quoted: nothing of it is read by
//! another shell, and none of it shows in a list of processes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::fact::Fact;
use crate::model::grant::Target;
use crate::model::secret::Secret;
use crate::providers::desk::error;
use crate::providers::scrub::scrub;
use crate::providers::{Ctx, not_tried, with};
use crate::world::spawn::{Command, End};

/// Longest wait for one script, the connection included.
const DEADLINE: Duration = Duration::from_secs(12);
/// Most bytes of its answer.
const CAP: u64 = 8 << 20;

/// Prints the file and what is in it. Arguments: account, file or nothing, sshd's configuration, key.
pub(super) const LOOK_FILE: &str = r#"
home=$(getent passwd "$1" 2>/dev/null | cut -d: -f6)
if [ -z "$home" ]; then home=$(awk -F: -v u="$1" '$1 == u { print $6 }' /etc/passwd); fi
file=${2:-$home/.ssh/authorized_keys}
if [ -z "$2$home" ]; then echo "there is no account $1" >&2; exit 8; fi
file=$(readlink -f -- "$file") || { echo "$2 cannot be resolved" >&2; exit 8; }
printf 'file %s\n' "$file"
if [ -e "$file" ]; then
  if [ ! -r "$file" ]; then echo "$file may not be read" >&2; exit 8; fi
  printf 'text %s\n' "$(base64 < "$file" | tr -d '\n')"
fi
if [ -w "$file" ] && [ -w "$(dirname "$file")" ]; then echo 'writable yes'; fi
sshd=$(command -v sshd || echo /usr/sbin/sshd)
"$sshd" -T -f "$3" -C "user=$1,host=localhost,addr=127.0.0.1" 2>/dev/null | while read -r name value; do
  case $name in
    authorizedkeyscommand) [ "$value" = none ] || printf 'asks %s\n' "$value" ;;
    authorizedkeysfile)
      for other in $value; do
        other=$(printf '%s' "$other" | sed "s|%h|$home|g; s|%u|$1|g")
        case $other in /*) ;; *) other=$home/$other ;; esac
        other=$(readlink -f -- "$other") || continue
        if [ "$other" != "$file" ] && grep -q -F -- "$4" "$other" 2>/dev/null; then printf 'also %s\n' "$other"; fi
      done ;;
  esac
done
echo end
"#;

/// Replaces a file where it is still as it was read. Arguments: file, base64 of the new text, SHA-256 of the old.
pub(super) const WRITE_FILE: &str = r#"
new=$(mktemp "$1.incident.XXXXXX") || exit 8
trap 'rm -f "$new"' EXIT
cp -p -- "$1" "$new" && printf '%s' "$2" | base64 -d > "$new" || exit 8
if [ "$(sha256sum < "$1" | cut -d' ' -f1)" != "$3" ]; then echo changed; exit 0; fi
sync "$new" 2>/dev/null
mv -f -- "$new" "$1" && echo end
"#;

/// Says whether a list revokes a key, and whether sshd reads that list. Arguments: account, list, sshd's
/// configuration, key.
pub(super) const LOOK_KRL: &str = r#"
list=$(readlink -f -- "$2")
work=$(mktemp -d) || exit 8
trap 'rm -rf "$work"' EXIT
printf '%s\n' "$4" > "$work/key.pub"
if [ -e "$list" ]; then
  ssh-keygen -Q -f "$list" "$work/key.pub" > "$work/out" 2> "$work/err"
  code=$?
  if grep -q ': REVOKED$' "$work/out"; then echo 'key revoked'
  elif [ "$code" = 0 ]; then echo 'key valid'
  else printf 'broken %s\n' "$(tr '\n' ' ' < "$work/err")"; fi
else echo 'key absent'; fi
if [ -w "$(dirname "$list")" ]; then echo 'writable yes'; fi
sshd=$(command -v sshd || echo /usr/sbin/sshd)
if "$sshd" -T -f "$3" -C "user=$1,host=localhost,addr=127.0.0.1" > "$work/conf" 2> "$work/err"; then
  used=$(sed -n 's/^revokedkeys //p' "$work/conf")
  if [ "$(readlink -f -- "$used")" = "$list" ]; then echo 'read yes'; else printf 'read %s\n' "$used"; fi
fi
echo end
"#;

/// Adds a key to a list, beside it, and moves it into place once it can be read and says so: a list that
/// cannot be read refuses every key. Arguments: list, key, name under which the old list is kept.
pub(super) const WRITE_KRL: &str = r#"
list=$(readlink -f -- "$1")
kept=$list.incident-$3
tries=0
until mkdir "$list.incident-lock" 2>/dev/null; do
  tries=$((tries + 1))
  if [ "$tries" -gt 50 ]; then echo "$list.incident-lock is held by another change, or left by one" >&2; exit 8; fi
  sleep 0.1
done
work=$(mktemp -d "$list.incident.XXXXXX")
trap 'rm -rf "$work"; rmdir "$list.incident-lock"' EXIT
printf '%s\n' "$2" > "$work/key.pub" && cp -p -- "$list" "$work/new" || exit 8
ssh-keygen -k -u -f "$work/new" "$work/key.pub" > /dev/null || exit 8
ssh-keygen -Q -f "$work/new" "$work/key.pub" > "$work/out"
grep -q ': REVOKED$' "$work/out" || { echo 'the new list does not revoke the key' >&2; exit 8; }
[ -e "$kept" ] || cp -p -- "$list" "$kept" || exit 8
sync "$work/new" "$kept" 2>/dev/null
mv -f -- "$work/new" "$list" || exit 8
sha256sum < "$list" > "$kept.sum" && echo end
"#;

/// Puts the kept list back where nobody changed the list since. Arguments as for [`WRITE_KRL`].
pub(super) const RESTORE_KRL: &str = r#"
list=$(readlink -f -- "$1")
kept=$list.incident-$3
if [ ! -e "$kept" ] || [ ! -e "$kept.sum" ]; then echo "no earlier list is kept beside $list" >&2; exit 8; fi
if [ "$(sha256sum < "$list")" != "$(cat "$kept.sum")" ]; then
  echo "$list was changed since the cut; what it was before is in $kept" >&2; exit 8
fi
mv -f -- "$kept" "$list" && rm -f -- "$kept.sum" && echo end
"#;

/// Stands before what a script prints.
const BEGIN: &str = "incident:begin";

/// Where scripts run.
pub(super) struct Host<'a> {
    pub ctx: Ctx<'a>,
    /// `local`, or a destination for ssh.
    place: &'a str,
}

/// How a program ended, and its words.
pub(super) struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl<'a> Host<'a> {
    pub fn of(ctx: Ctx<'a>, target: &'a Target) -> Result<Self, Fact> {
        let place = with(target).get("host").map_or("local", String::as_str);
        if place.starts_with('-') {
            return Err(not_tried("a host cannot begin with a dash"));
        }
        Ok(Host { ctx, place })
    }

    /// Runs a script that ends with `end`, and gives the lines before it, split after their first word.
    pub async fn lines(&self, script: &str, arguments: &[&str]) -> Result<BTreeMap<String, String>, Fact> {
        let out = self.run(script, arguments).await?;
        let pair = |line: &str| {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            (name.to_owned(), value.to_owned())
        };
        Ok(out.lines().map(pair).collect())
    }

    /// Runs a script and gives what it printed, or the fact that it did not come to its end.
    pub async fn run(&self, script: &str, arguments: &[&str]) -> Result<String, Fact> {
        let quoted: Vec<String> = arguments.iter().map(|a| quoted(a)).collect();
        // A function is read whole before it runs, so that no program in it reads the rest of it.
        let input = format!(
            "main() {{\n{script}\n}}\nset -- {}\necho {BEGIN}\nmain \"$@\" < /dev/null\n",
            quoted.join(" ")
        );
        let argv = match self.place {
            "local" => vec!["sh".to_owned(), "-s".to_owned()],
            place => {
                let mut argv = ssh();
                argv.extend(["-T", "--", place, "sh", "-s"].map(str::to_owned));
                argv
            }
        };
        let said = self.program(argv, Secret::new(input), true).await?;
        // What a shell's own start files print comes before.
        let answer = said
            .out
            .split_once(BEGIN)
            .and_then(|(_, rest)| rest.strip_prefix('\n'));
        match (said.code, answer) {
            (0, Some(answer)) => Ok(answer.to_owned()),
            (code, _) => Err(error(self.scrubbed(&format!(
                "{}: {} (exit {code})",
                self.place,
                said.err.trim()
            )))),
        }
    }

    /// Logs in with a private key and does nothing there: no command is run, not even a forced one.
    pub async fn log_in(&self, login: &str, key: &Secret) -> Result<Said, Fact> {
        // The agent would keep the key for some seconds more.
        const ADD: &str = "if ssh-add -q - > /dev/null 2>&1; then \"$@\"; code=$?; else code=97; fi; \
                           kill \"$SSH_AGENT_PID\"; exit \"$code\"";
        let mut argv: Vec<String> = ["ssh-agent", "sh", "-c", ADD, "sh"].map(str::to_owned).to_vec();
        argv.extend(ssh());
        let options = [
            "IdentityFile=none",
            "IdentitiesOnly=no",
            "PreferredAuthentications=publickey",
            "PermitLocalCommand=yes",
            // Runs here, once the server has taken the key; its parent is ssh.
            "LocalCommand=echo logged in; kill $PPID",
        ];
        // Without the responder's configuration, whose own keys would let us in.
        argv.extend(["-F", "none", "-n", "-N"].map(str::to_owned));
        argv.extend(
            options
                .iter()
                .flat_map(|option| ["-o".to_owned(), (*option).to_owned()]),
        );
        argv.extend(["--".to_owned(), login.to_owned()]);
        let key = Secret::joined(&[key.expose(), "\n"]);
        self.program(argv, key, false).await
    }

    async fn program(&self, argv: Vec<String>, stdin: Secret, agent: bool) -> Result<Said, Fact> {
        let world = self.ctx.world;
        // SSH_CONNECTION is by what our own session on this host is known, and spared.
        let passed = ["HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "SSH_CONNECTION"];
        let passed = passed.iter().filter(|name| agent || **name != "SSH_AUTH_SOCK");
        let mut env: Vec<(String, Secret)> = passed
            .filter_map(|name| Some(((*name).to_owned(), Secret::new(world.host.env(name)?))))
            .collect();
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        env.extend([("PATH", path), ("LC_ALL", "C")].map(|(n, v)| (n.to_owned(), Secret::new(v.to_owned()))));
        let name = argv.first().cloned().unwrap_or_default();
        let command = Command {
            argv,
            cwd: None,
            env,
            stdin: Some(stdin),
            deadline: DEADLINE,
            no_progress: None,
            cap: CAP,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ran = world.spawn.run(command, &mut out, &mut err, &mut |_| {}).await;
        match ran.end {
            End::Exit(_) if ran.truncated => Err(error(format!("{name}: the answer is too long"))),
            End::Exit(code) => Ok(Said {
                code,
                out: String::from_utf8_lossy(&out).into_owned(),
                err: String::from_utf8_lossy(&err).into_owned(),
            }),
            End::Deadline | End::NoProgress => Err(Fact::Silent { after_ms: ran.ms }),
            End::Interrupted => Err(error(format!("{name}: interrupted"))),
            End::NotStarted(why) => Err(error(self.scrubbed(&why))),
            // How we end it ourselves once it is in.
            End::Signal(signal) => Ok(Said {
                code: 128 + signal,
                out: String::from_utf8_lossy(&out).into_owned(),
                err: String::from_utf8_lossy(&err).into_owned(),
            }),
        }
    }

    pub fn scrubbed(&self, text: &str) -> String {
        scrub(text, self.ctx.auth.into_iter().chain(self.ctx.secret))
    }
}

/// The responder's own ssh, which asks nobody anything.
fn ssh() -> Vec<String> {
    let options = ["BatchMode=yes", "ConnectTimeout=5", "StrictHostKeyChecking=yes"];
    let options = options.iter().flat_map(|option| ["-o", option]);
    ["ssh"].into_iter().chain(options).map(str::to_owned).collect()
}

/// One word for a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(quoted("it's $(reboot) `x`"), "'it'\\''s $(reboot) `x`'");
    }
}

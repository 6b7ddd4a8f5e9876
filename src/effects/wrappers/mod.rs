//! Programs that run another program: the inner command is what counts.
//!
//! Wrapping never lowers what is seen: whatever options are not known are seen as `Unknown`, and
//! the inner command is looked at all the same.

use crate::model::effect::Effect;

mod named;

use super::eye::{Cmd, Eye, Stdin};
use super::options::Options;
use super::shell;
use super::tools;
use super::words::Word;

pub(super) use named::container_exec;

/// Where the inner command begins.
struct Wrapper {
    names: &'static str,
    options: Options,
    /// Other words between the options and the inner command, such as the time of `timeout`.
    before: usize,
    inner: Inner,
}

/// What the inner command is given as.
#[derive(PartialEq)]
enum Inner {
    /// The rest of the words, as they are.
    Words,
    /// The rest of the words, joined and read again by a shell.
    Text,
    /// The rest, plus words that only the run knows.
    WordsAndMore,
    /// The rest; the wrapper itself is never merely a read.
    WordsAndUnknown,
}

const fn wrapper(
    names: &'static str,
    valued: &'static str,
    flags: &'static str,
    before: usize,
    inner: Inner,
) -> Wrapper {
    Wrapper {
        names,
        options: Options { valued, flags },
        before,
        inner,
    }
}

const WRAPPERS: [Wrapper; 27] = [
    wrapper(
        "nohup setsid command builtin exec chronic unbuffer noglob eatmydata",
        "-a",
        "-p -v -V -c -f -w --fork --wait --ctty -l",
        0,
        Inner::Words,
    ),
    wrapper(
        "timeout gtimeout",
        "-s --signal -k --kill-after",
        "-v --verbose --foreground --preserve-status -p -f",
        1,
        Inner::Words,
    ),
    wrapper("nice", "-n --adjustment", "", 0, Inner::Words),
    wrapper(
        "ionice",
        "-c --class -n --classdata",
        "-t --ignore",
        0,
        Inner::Words,
    ),
    wrapper("chrt", "", "-b -f -i -o -r -d", 1, Inner::Words),
    wrapper("taskset", "", "-c --cpu-list", 1, Inner::Words),
    wrapper("stdbuf", "-i --input -o --output -e --error", "", 0, Inner::Words),
    wrapper("time", "-f --format", "-p -v --verbose", 0, Inner::Words),
    wrapper("doas", "-u -C", "-n -s -L", 0, Inner::Words),
    wrapper("gosu su-exec", "", "", 1, Inner::Words),
    wrapper("chroot", "--userspec --groups", "--skip-chdir", 1, Inner::Words),
    wrapper("runuser", "-u -g -G --user --group", "", 0, Inner::Words),
    wrapper(
        "flock",
        "-w --timeout -E --conflict-exit-code",
        "-n --nonblock -s --shared -x --exclusive -e -o -u",
        1,
        Inner::Words,
    ),
    wrapper(
        "strace ltrace",
        "-e -s -p -S",
        "-f -v -tt -T",
        0,
        Inner::WordsAndUnknown,
    ),
    wrapper(
        "systemd-run",
        "-u --unit -p --property --slice --uid --gid -M -H -E --setenv",
        "--user --scope --wait --pipe --collect -t -P -G -q --quiet",
        0,
        Inner::WordsAndUnknown,
    ),
    wrapper(
        "unshare nsenter",
        "-t --target -S -G --mount-proc",
        "-m -u -i -n -p -U -r -f -C --fork --pid --mount --net --kill-child --user --map-root-user --all -a",
        0,
        Inner::WordsAndUnknown,
    ),
    wrapper("busybox toybox", "", "", 0, Inner::Words),
    wrapper(
        "watch",
        "-n --interval",
        "-d -t -b -e -g -c -x -p --differences --no-title --color --exec --errexit --chgexit",
        0,
        Inner::Text,
    ),
    wrapper(
        "xargs gxargs",
        "-a --arg-file -d --delimiter -E -I -L --max-lines -n --max-args -P --max-procs -s --max-chars",
        "-0 --null -r --no-run-if-empty -t --verbose -p -x -o",
        0,
        Inner::WordsAndMore,
    ),
    wrapper(
        "parallel",
        "-j --jobs -a -n --colsep --joblog --delay",
        "-k --keep-order -0 --bar --dry-run --halt",
        0,
        Inner::WordsAndMore,
    ),
    wrapper(
        "npx bunx pnpx uvx",
        "-p --package --from",
        "-y --yes --no-install --no -q --quiet",
        0,
        Inner::WordsAndUnknown,
    ),
    wrapper(
        "bundle poetry pipenv uv pdm hatch rye",
        "--project --directory",
        "-q",
        1,
        Inner::WordsAndUnknown,
    ),
    wrapper("dotenv direnv", "-f -e -c", "", 0, Inner::WordsAndUnknown),
    wrapper("caffeinate", "-t", "-i -d -s -m -u", 0, Inner::Words),
    wrapper(
        "numactl prlimit setpriv setarch linux64",
        "",
        "",
        0,
        Inner::WordsAndUnknown,
    ),
    wrapper("firejail bwrap proot fakeroot", "", "", 0, Inner::WordsAndUnknown),
    wrapper(
        "aws-vault op doppler envconsul chamber infisical",
        "",
        "",
        0,
        Inner::WordsAndUnknown,
    ),
];

/// Wrappers behind which a path is another file.
const FAR: [&str; 9] = [
    "chroot",
    "unshare",
    "nsenter",
    "firejail",
    "bwrap",
    "proot",
    "systemd-run",
    "vagrant",
    "parallel",
];

fn find(name: &str) -> Option<&'static Wrapper> {
    WRAPPERS
        .iter()
        .find(|wrapper| wrapper.names.split(' ').any(|known| known == name))
}

/// Whether a program is known to run another one.
pub(super) fn is_wrapper(name: &str) -> bool {
    matches!(
        name,
        "env" | "sudo" | "ssh" | "su" | "script" | "gsudo" | "pkexec"
    ) || shell::is_shell(name)
        || find(name).is_some()
}

/// Looks at the command inside a wrapper; false where this is none.
pub(super) fn unwrap(eye: &mut Eye<'_>, cmd: &Cmd<'_>) -> bool {
    match cmd.name {
        name if shell::is_shell(name) => named::shell_program(eye, cmd),
        "env" => named::env(eye, cmd),
        "sudo" => named::sudo(eye, cmd),
        "ssh" => named::ssh(eye, cmd),
        "su" => named::su(eye, cmd),
        "script" => {
            eye.unknown(&cmd.text(), "wrapper.not-followed");
            named::su(eye, cmd);
        }
        "runuser" | "flock" if named::command_text(cmd).is_some() => named::su(eye, cmd),
        "gsudo" | "pkexec" => {
            eye.moves();
            eye.unknown(&cmd.text(), "wrapper.not-followed");
            inner_text(eye, cmd, &shell::join(cmd.args));
        }
        name => match find(name) {
            Some(wrapper) if FAR.contains(&name) => eye.elsewhere(|eye| generic(eye, cmd, wrapper)),
            Some(wrapper) => generic(eye, cmd, wrapper),
            None => return false,
        },
    }
    true
}

fn generic(eye: &mut Eye<'_>, cmd: &Cmd<'_>, wrapper: &Wrapper) {
    let text = cmd.text();
    // `command -v x` only asks where x is.
    if cmd.name == "command"
        && cmd
            .args
            .first()
            .is_some_and(|arg| matches!(arg.text.as_str(), "-v" | "-V"))
    {
        return eye.see(Effect::Read, &text, "wrapper.command-v");
    }
    let (start, known) = wrapper.options.skip(cmd.args);
    let start = start + wrapper.before;
    if !known || cmd.args.iter().take(start).any(|arg| !arg.fixed) {
        eye.unknown(&text, "wrapper.option-not-known");
    }
    if wrapper.inner == Inner::WordsAndUnknown {
        eye.unknown(&text, "wrapper.not-followed");
    }
    // With options misread the inner command may start one word earlier or later: look at each.
    let ends: &[usize] = if known { &[0] } else { &[0, 1] };
    for shift in ends {
        let Some(inner) = cmd.args.get(start + shift..).filter(|inner| !inner.is_empty()) else {
            if *shift == 0 {
                eye.unknown(&text, "wrapper.nothing-inside");
            }
            continue;
        };
        match wrapper.inner {
            Inner::Text => inner_text(eye, cmd, &shell::join(inner)),
            Inner::WordsAndMore => {
                // With `-I` every word may change, a text for a shell as well.
                let replaces = cmd.name == "parallel"
                    || cmd.args.iter().take(start).any(|arg| {
                        arg.text.starts_with("-I")
                            || arg.text.starts_with("-i")
                            || arg.text.starts_with("--rep")
                    });
                let open = |(n, word): (usize, &Word)| {
                    if replaces && n > 0 {
                        Word::open(&word.text)
                    } else {
                        word.clone()
                    }
                };
                let mut inner: Vec<Word> = inner.iter().enumerate().map(open).collect();
                inner.push(Word::open("…"));
                eye.command(&inner, &Stdin::Unseen);
            }
            // What these run may be a word of the shell's own: `builtin eval …`.
            _ if matches!(cmd.name, "command" | "builtin") => shell::simple(eye, inner, &cmd.stdin),
            _ => eye.command(&unversioned(cmd, inner), &cmd.stdin),
        }
    }
}

/// `npx prisma@5 …` runs `prisma`; `time ! rm …` runs `rm`.
fn unversioned(cmd: &Cmd<'_>, inner: &[Word]) -> Vec<Word> {
    let mut inner = inner.to_vec();
    match cmd.name {
        "npx" | "bunx" | "pnpx" => {
            if let Some(first) = inner.first_mut()
                && let Some(at) = first.text.rfind('@').filter(|at| *at > 0)
            {
                first.text.truncate(at);
            }
        }
        "time" if inner.first().is_some_and(|first| first.text == "!") => {
            inner.remove(0);
        }
        _ => {}
    }
    inner
}

/// Looks for a known program among the words of one that is not: whoever runs them, they may be run.
///
/// It only adds: the program itself has been noted as unknown.
pub(super) fn suspects(eye: &mut Eye<'_>, cmd: &Cmd<'_>, args: &[Word]) {
    const MOST: usize = 16;
    let mut known = 0;
    for (at, arg) in args.iter().take(MOST).enumerate() {
        let value = match arg.text.split_once('=') {
            Some((option, value)) if option.starts_with('-') => value,
            _ => &arg.text,
        };
        let name = value.rsplit('/').next().unwrap_or_default();
        if known < 3 && (tools::is_known(name) || is_wrapper(name)) {
            known += 1;
            eye.command(args.get(at..).unwrap_or_default(), &cmd.stdin);
        } else if value.contains(char::is_whitespace) {
            eye.deeper(value, |eye| shell::text(eye, value, &Stdin::Unseen));
        }
    }
}

fn inner_text(eye: &mut Eye<'_>, cmd: &Cmd<'_>, inner: &str) {
    if cmd.args.iter().any(|arg| !arg.fixed) {
        eye.unknown(inner, "shell.text-not-fixed");
    }
    shell::text(eye, inner, &cmd.stdin);
}

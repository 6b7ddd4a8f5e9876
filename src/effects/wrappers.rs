//! Programs that run another program: the inner command is what counts.
//!
//! Wrapping never lowers what is seen: whatever options are not known are seen as `Unknown`, and
//! the inner command is looked at all the same.

use crate::model::effect::Effect;

use super::eye::{Cmd, Eye, Stdin};
use super::options::Options;
use super::shell;
use super::words::Word;

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
    wrapper("doas", "-u", "-n", 0, Inner::Words),
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

const SUDO: Options = Options {
    valued: "-u --user -g --group -h --host -p --prompt -C -r -t -T -U -D --chdir -R --chroot",
    flags: "-n --non-interactive -E --preserve-env -H --set-home -S --stdin -k -b -A -P -B --",
};
const SSH: Options = Options {
    valued: "-l -p -i -b -c -m -o -J -B -e -F -E",
    flags: "-4 -6 -A -a -C -k -K -n -q -T -t -tt -v -vv -x -X -Y",
};
const SU: Options = Options {
    valued: "-s --shell -g -G",
    flags: "- -l --login -m -p",
};
const CONTAINER_EXEC: Options = Options {
    valued: "-u --user -w --workdir -e --env --env-file --detach-keys -n --namespace --context -c --container -f --file -p --project-name --index --pod-running-timeout --kubeconfig --cluster",
    flags: "-i -t -it -ti -d -T --interactive --tty --detach --stdin --privileged -q --quiet",
};

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
        name if shell::is_shell(name) => shell_program(eye, cmd),
        "env" => env(eye, cmd),
        "sudo" => sudo(eye, cmd),
        "ssh" => ssh(eye, cmd),
        "su" => su(eye, cmd),
        "runuser" if cmd.has("-c") || cmd.has("--command") => su(eye, cmd),
        "flock" if cmd.has("-c") || cmd.has("--command") => su(eye, cmd),
        "script" | "gsudo" | "pkexec" => {
            eye.unknown(&cmd.text(), "wrapper.not-followed");
            inner_text(eye, cmd, &shell::join(cmd.args));
        }
        name => match find(name) {
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
            _ => eye.command(inner, &cmd.stdin),
        }
    }
}

fn inner_text(eye: &mut Eye<'_>, cmd: &Cmd<'_>, inner: &str) {
    if cmd.args.iter().any(|arg| !arg.fixed) {
        eye.unknown(inner, "shell.text-not-fixed");
    }
    shell::text(eye, inner);
}

/// `sh -c TEXT`, `sh FILE`, `sh` with text on standard input.
fn shell_program(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let mut args = cmd.args.iter();
    let mut command = false;
    while let Some(arg) = args.next() {
        let text = arg.text.as_str();
        if !arg.fixed {
            eye.unknown(&line, "shell.text-not-fixed");
        }
        match text {
            "-o" | "+o" | "-O" | "+O" => {
                args.next();
            }
            "--" | "--login" | "--norc" | "--noprofile" | "--posix" => {}
            "--init-file" | "--rcfile" => {
                args.next();
                eye.unknown(&line, "shell.startup-file");
            }
            "-" => break,
            _ if text.starts_with("--") => eye.unknown(&line, "shell.option-not-known"),
            _ if text.starts_with(['-', '+']) => {
                command |= text.starts_with('-') && text.contains('c');
                if text.contains('s') || text.contains('i') {
                    eye.unknown(&line, "shell.reads-terminal");
                }
            }
            _ if command => {
                // Further words become `$0`, `$1`…, which the text sees as not fixed.
                return eye.deeper(&line, |eye| shell::text(eye, text));
            }
            _ => {
                let path = Word {
                    text: text.to_owned(),
                    ..arg.clone()
                };
                return shell::source(eye, &[Word::fixed(cmd.name), path]);
            }
        }
    }
    match cmd.stdin {
        Stdin::Bytes(bytes) if !command => match std::str::from_utf8(bytes) {
            Ok(text) => shell::text(eye, text),
            Err(_) => eye.unknown(&line, "script.not-text"),
        },
        _ => eye.unknown(&line, "shell.reads-terminal"),
    }
}

fn env(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let options = Options {
        valued: "-u --unset -C --chdir -S --split-string",
        flags: "-i --ignore-environment -0 --null -v -",
    };
    if let Some(at) = cmd
        .args
        .iter()
        .position(|arg| arg.text.starts_with("-S") || arg.text.starts_with("--split-string"))
    {
        eye.unknown(&line, "wrapper.env-split");
        let rest = shell::join(cmd.args.get(at..).unwrap_or_default());
        let rest = rest
            .trim_start_matches("--split-string")
            .trim_start_matches("-S")
            .trim_start_matches(['=', ' ']);
        return inner_text(eye, cmd, rest);
    }
    let (start, known) = options.skip(cmd.args);
    if !known {
        eye.unknown(&line, "wrapper.option-not-known");
    }
    let inner = assignments(eye, cmd.args.get(start..).unwrap_or_default());
    if inner.is_empty() {
        eye.see(Effect::Read, &line, "wrapper.env-prints");
    } else {
        eye.command(inner, &cmd.stdin);
    }
}

/// Steps over `NAME=value` words; the rest is the command.
fn assignments<'w>(eye: &mut Eye<'_>, words: &'w [Word]) -> &'w [Word] {
    let mut rest = words;
    while let Some((first, after)) = rest.split_first() {
        let Some(name) = shell::assigned(first) else { break };
        shell::environment(eye, name);
        rest = after;
    }
    rest
}

fn sudo(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    if let [only] = cmd.args
        && matches!(
            only.text.as_str(),
            "-l" | "--list" | "-v" | "-k" | "-K" | "--version"
        )
    {
        return eye.see(Effect::Read, &line, "wrapper.sudo-asks");
    }
    let (mut start, mut known) = SUDO.skip(cmd.args);
    let login = |arg: &Word| matches!(arg.text.as_str(), "-i" | "--login" | "-s" | "--shell");
    let mut shell_text = false;
    // `-i` and `-s` hand the rest to a shell, which reads the words again.
    if !known && cmd.args.iter().take(start).any(login) {
        let kept: Vec<Word> = cmd
            .args
            .iter()
            .take(start)
            .filter(|arg| !login(arg))
            .cloned()
            .collect();
        known = SUDO.skip(&kept).1;
        shell_text = true;
    }
    if !known {
        eye.unknown(&line, "wrapper.option-not-known");
    }
    if cmd
        .args
        .iter()
        .take(start)
        .any(|arg| arg.text == "-e" || arg.text == "--edit")
    {
        return eye.unknown(&line, "wrapper.sudo-edits");
    }
    start = start.min(cmd.args.len());
    let inner = assignments(eye, cmd.args.get(start..).unwrap_or_default());
    if inner.is_empty() {
        eye.unknown(&line, "wrapper.nothing-inside");
    } else if shell_text {
        inner_text(eye, cmd, &shell::join(inner));
    } else {
        eye.command(inner, &cmd.stdin);
    }
}

/// The words after the host are joined with spaces and read again by a shell over there.
fn ssh(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    const HARMLESS: [&str; 10] = [
        "batchmode",
        "connecttimeout",
        "user",
        "port",
        "loglevel",
        "serveraliveinterval",
        "serveralivecountmax",
        "requesttty",
        "identityfile",
        "identitiesonly",
    ];
    let line = cmd.text();
    let (start, known) = SSH.skip(cmd.args);
    let (leading, rest) = cmd.args.split_at(start.min(cmd.args.len()));
    let mut plain = known;
    for (n, arg) in leading.iter().enumerate() {
        let value = arg.text.strip_prefix("-o").filter(|_| arg.text.starts_with("-o"));
        let value = match value {
            Some("") => leading.get(n + 1).map_or("", |next| next.text.as_str()),
            Some(value) => value,
            None => continue,
        };
        let name = value
            .split(['=', ' '])
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        plain &= HARMLESS.contains(&name.as_str());
    }
    // `-F`, or either of them inside a cluster such as `-to`.
    let hidden = |arg: &Word| {
        arg.text.starts_with('-') && !arg.text.starts_with("-o") && arg.text.contains(['o', 'F'])
    };
    let value_of_o = |n: usize| n > 0 && leading.get(n - 1).is_some_and(|before| before.text == "-o");
    plain &= leading
        .iter()
        .enumerate()
        .all(|(n, arg)| !hidden(arg) || value_of_o(n));
    if !plain {
        eye.unknown(&line, "wrapper.ssh-option");
    }
    let after = rest.get(1..).unwrap_or_default();
    // Options may follow the host as well.
    let (more, also_known) = SSH.skip(after);
    if more > 0 {
        eye.unknown(&line, "wrapper.ssh-option");
    }
    let inner = if also_known {
        after.get(more..).unwrap_or_default()
    } else {
        after
    };
    if inner.is_empty() {
        return eye.unknown(&line, "wrapper.nothing-inside");
    }
    inner_text(eye, cmd, &shell::join(inner));
}

fn su(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let at = cmd
        .args
        .iter()
        .position(|arg| matches!(arg.text.as_str(), "-c" | "--command"));
    let Some(inner) = at.and_then(|at| cmd.args.get(at + 1)) else {
        return eye.unknown(&line, "wrapper.nothing-inside");
    };
    let others: Vec<Word> = cmd
        .args
        .iter()
        .filter(|arg| arg.text.starts_with('-') && arg.text != "-c")
        .cloned()
        .collect();
    if cmd.name != "flock" && !SU.skip(&others).1 || cmd.args.iter().any(|arg| !arg.fixed) {
        eye.unknown(&line, "wrapper.option-not-known");
    }
    eye.deeper(&line, |eye| shell::text(eye, &inner.text));
}

/// `docker exec BOX CMD…`, `kubectl exec POD -- CMD…`: the command inside a container.
///
/// `args` are the words after `exec`.
pub(super) fn container_exec(eye: &mut Eye<'_>, cmd: &Cmd<'_>, args: &[Word]) {
    let line = cmd.text();
    let (start, known) = CONTAINER_EXEC.skip(args);
    let dashes = args.iter().position(|arg| arg.text == "--");
    let inner = match dashes {
        Some(at) if at >= start || start == at + 1 => args.get(at + 1..),
        _ => args.get(start + 1..),
    };
    if !known {
        eye.unknown(&line, "wrapper.option-not-known");
        // The inner command may begin anywhere after a misread option.
        for at in 0..args.len().min(6) {
            eye.command(args.get(at..).unwrap_or_default(), &cmd.stdin);
        }
    }
    match inner {
        Some(inner) if !inner.is_empty() => eye.command(inner, &cmd.stdin),
        _ => eye.unknown(&line, "wrapper.nothing-inside"),
    }
}

//! Wrappers with manners of their own: shells, `env`, `sudo`, `su`, `ssh`, containers.

use crate::model::effect::Effect;

use crate::effects::eye::{Cmd, Eye, Stdin};
use crate::effects::options::Options;
use crate::effects::shell;
use crate::effects::words::Word;

use super::inner_text;

const SUDO: Options = Options {
    valued: "-u --user -g --group -h --host -p --prompt -C -r -t -T -U -D --chdir -R --chroot",
    flags: "-n --non-interactive -E --preserve-env -H --set-home -S --stdin -k -b -A -P -B --",
};
const SSH: Options = Options {
    valued: "-l -p -i -b -c -m -o -J -B -e -F -E -L -R -D -W -w -O -S -I -Q",
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

/// `sh -c TEXT`, `sh FILE`, `sh` with text on standard input.
pub(super) fn shell_program(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
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
                return eye.deeper(&line, |eye| shell::text(eye, text, &cmd.stdin));
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
            Ok(text) => shell::text(eye, text, &Stdin::Unseen),
            Err(_) => eye.unknown(&line, "script.not-text"),
        },
        _ => eye.unknown(&line, "shell.reads-terminal"),
    }
}

pub(super) fn env(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let options = Options {
        valued: "-u --unset -C --chdir -S --split-string",
        flags: "-i --ignore-environment -0 --null -v -",
    };
    let split = cmd
        .args
        .iter()
        .enumerate()
        .find_map(|(at, arg)| Some((at, splits(&arg.text)?)));
    if let Some((at, text)) = split {
        eye.unknown(&line, "wrapper.env-split");
        let rest = shell::join(cmd.args.get(at + 1..).unwrap_or_default());
        return inner_text(eye, cmd, format!("{text} {rest}").trim());
    }
    let (start, known) = options.skip(cmd.args);
    if !known {
        eye.unknown(&line, "wrapper.option-not-known");
    }
    if cmd
        .args
        .iter()
        .take(start)
        .any(|arg| arg.text.contains("-C") || arg.text.starts_with("--c"))
    {
        eye.moves();
    }
    let inner = assignments(eye, cmd.args.get(start..).unwrap_or_default());
    if inner.is_empty() {
        eye.see(Effect::Read, &line, "wrapper.env-prints");
    } else {
        eye.command(inner, &cmd.stdin);
    }
}

/// What stands behind `-S` or `--split-string` in this option of `env`, also in a cluster such as `-iS`.
fn splits(option: &str) -> Option<&str> {
    if let Some(long) = option.strip_prefix("--") {
        let (name, value) = long.split_once('=').unwrap_or((long, ""));
        return (!name.is_empty() && "split-string".starts_with(name)).then_some(value);
    }
    let letters = option.strip_prefix('-')?;
    let at = letters.find('S')?;
    // `-u` and `-C` take the rest of their cluster as a value.
    let own = letters.get(..at)?.contains(['u', 'C']);
    (!own).then(|| letters.get(at + 1..).unwrap_or_default())
}

/// Steps over `NAME=value` words; the rest is the command.
fn assignments<'w>(eye: &mut Eye<'_>, words: &'w [Word]) -> &'w [Word] {
    let mut rest = words;
    while let Some((first, after)) = rest.split_first() {
        let Some(name) = shell::assigned(first) else { break };
        shell::assigns(eye, first, name);
        rest = after;
    }
    rest
}

pub(super) fn sudo(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
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
    let leading = || cmd.args.iter().take(start).map(Word::as_str);
    let under = |option: &str| leading().any(|arg| arg.starts_with(option));
    // A login shell starts at home.
    if shell_text || under("-D") || under("--chd") || under("-i") || under("--login") {
        eye.moves();
    }
    let look = |eye: &mut Eye<'_>| {
        if inner.is_empty() {
            eye.unknown(&line, "wrapper.nothing-inside");
        } else if shell_text {
            inner_text(eye, cmd, &shell::join(inner));
        } else {
            eye.command(inner, &cmd.stdin);
        }
    };
    if under("-R") || under("--chr") || under("-h") || under("--host") {
        eye.elsewhere(look);
    } else {
        look(eye);
    }
}

/// The words after the host are joined with spaces and read again by a shell over there.
pub(super) fn ssh(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
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
    // Forwarding opens a way in or out, and a control socket belongs to another session.
    plain &= !leading.iter().any(|arg| {
        ["-L", "-R", "-D", "-W", "-w", "-O", "-S", "-I", "-Q"]
            .iter()
            .any(|o| arg.text.starts_with(o))
    });
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
    if more > 0 && after.first().is_none_or(|first| first.text != "--") {
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
    eye.elsewhere(|eye| inner_text(eye, cmd, &shell::join(inner)));
}

pub(super) fn su(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let Some(inner) = command_text(cmd) else {
        return eye.unknown(&line, "wrapper.nothing-inside");
    };
    let others: Vec<Word> = cmd
        .args
        .iter()
        .filter(|arg| {
            arg.text.starts_with('-') && !arg.text.starts_with("-c") && !arg.text.starts_with("--command")
        })
        .cloned()
        .collect();
    if !matches!(cmd.name, "flock" | "script") && !SU.skip(&others).1 || cmd.args.iter().any(|arg| !arg.fixed)
    {
        eye.unknown(&line, "wrapper.option-not-known");
    }
    if !matches!(cmd.name, "flock" | "script") {
        eye.moves();
    }
    eye.deeper(&line, |eye| shell::text(eye, &inner, &cmd.stdin));
}

/// The text behind `-c` or `--command`, apart, attached, or at the end of a cluster.
pub(super) fn command_text(cmd: &Cmd<'_>) -> Option<String> {
    cmd.args.iter().enumerate().find_map(|(at, arg)| {
        let next = || cmd.args.get(at + 1).map(|next| next.text.clone());
        if let Some(long) = arg.text.strip_prefix("--") {
            let (name, value) = long
                .split_once('=')
                .map_or((long, None), |(name, value)| (name, Some(value)));
            let named =
                name.len() > 2 && ("command".starts_with(name) || "session-command".starts_with(name));
            return if named {
                value.map(str::to_owned).or_else(next)
            } else {
                None
            };
        }
        let letters = arg.text.strip_prefix('-')?;
        let at = letters.find('c').filter(|at| {
            letters
                .get(..*at)
                .is_some_and(|l| l.chars().all(|c| "lmpPqaefn".contains(c)))
        })?;
        let attached = letters.get(at + 1..).unwrap_or_default();
        if attached.is_empty() {
            next()
        } else {
            Some(attached.to_owned())
        }
    })
}

/// `docker exec BOX CMD…`, `kubectl exec POD -- CMD…`: the command inside a container.
///
/// `args` are the words after `exec`.
pub(in crate::effects) fn container_exec(eye: &mut Eye<'_>, cmd: &Cmd<'_>, args: &[Word]) {
    let (start, known) = CONTAINER_EXEC.skip(args);
    let dashes = args.iter().position(|arg| arg.text == "--");
    let inner = match dashes {
        Some(at) if at >= start || start == at + 1 => args.get(at + 1..),
        _ => args.get(start + 1..),
    };
    eye.elsewhere(|eye| in_container(eye, cmd, args, inner, known));
}

fn in_container(eye: &mut Eye<'_>, cmd: &Cmd<'_>, args: &[Word], inner: Option<&[Word]>, known: bool) {
    let line = cmd.text();
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

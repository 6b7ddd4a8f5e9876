//! Programs that write, move and remove files.

use crate::model::effect::Effect::{
    self, BackupChange, BulkData, ConfigChange, CredentialChange, DataRestore, DataWrite, InfraChange,
    OneWay, Read, SecurityConfig,
};

use crate::effects::eye::{Cmd, Eye};
use crate::effects::options::promises;
use crate::effects::paths;
use crate::effects::words::Word;

use super::reads::acts;

fn words<'c>(cmd: &Cmd<'c>) -> impl Iterator<Item = &'c Word> {
    let dashes = cmd
        .args
        .iter()
        .position(|arg| arg.text == "--")
        .unwrap_or(usize::MAX);
    cmd.args
        .iter()
        .enumerate()
        .filter(move |(at, arg)| *at > dashes || !arg.text.starts_with('-') || arg.text == "-")
        .map(|(_, arg)| arg)
}

fn touch(eye: &mut Eye<'_>, path: &Word, line: &str, rule: &str) {
    if let Some(effects) = paths::touched(&path.text) {
        eye.see_all(effects, line, rule);
    } else {
        eye.see(Read, line, "files.nothing");
    }
}

/// `rm` and its like.
///
/// Folders that tools build anew (`node_modules`, `dist`) are a configuration change: nothing is
/// lost, but what runs from them may notice.
pub(super) fn remove(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    if matches!(cmd.args, [only] if matches!(only.text.as_str(), "--version" | "--help")) {
        return eye.see(Read, &line, "files.version");
    }
    let recursive = cmd
        .args
        .iter()
        .any(|arg| acts(&arg.text, "-r -R --recursive --no-preserve-root"));
    let targets: Vec<&Word> = words(cmd).collect();
    let rebuildable = cmd.name == "rm"
        && !targets.is_empty()
        && targets
            .iter()
            .all(|path| path.fixed && paths::rebuildable(&path.text));
    if rebuildable {
        return eye.see(ConfigChange, &line, "files.rm-rebuildable");
    }
    for path in &targets {
        touch(eye, path, &line, &format!("files.{}", cmd.name));
    }
    match cmd.name {
        "rmdir" => eye.see(DataWrite, &line, "files.rmdir"),
        "rm" if recursive || targets.len() > 5 || targets.iter().any(|path| !path.fixed) => {
            eye.see_all(&[BulkData, OneWay], &line, "files.rm-recursive");
        }
        "rm" | "unlink" => eye.see_all(&[DataWrite, OneWay], &line, "files.rm"),
        _ => eye.see_all(&[BulkData, OneWay], &line, &format!("files.{}", cmd.name)),
    }
}

/// `mv`, `cp`, `ln`, `mkdir`: the target may be overwritten, so its kind counts.
pub(super) fn put(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let rule = format!("files.{}", cmd.name);
    let all: Vec<&Word> = words(cmd).collect();
    let noclobber = cmd.args.iter().any(|arg| acts(&arg.text, "-n --no-clobber"));
    match cmd.name {
        "mkdir" | "touch" | "mkfifo" | "split" | "csplit" => {
            if cmd.args.iter().any(|arg| arg.text.starts_with("--f")) {
                eye.unknown(&line, "files.split-filter");
            }
            eye.see(DataWrite, &line, &rule);
        }
        _ => {
            super::reads::secret_files(eye, cmd);
            // `mv` takes its source away: its kind counts too.
            let counted = if cmd.name == "mv" {
                all.as_slice()
            } else {
                all.get(all.len().saturating_sub(1)..).unwrap_or_default()
            };
            for path in counted {
                touch(eye, path, &line, &rule);
            }
            if cmd
                .args
                .iter()
                .any(|arg| arg.text.starts_with("-t") || arg.text.starts_with("--target"))
            {
                eye.unknown(&line, "files.target-option");
            }
            if all.last().is_some_and(|to| backup_copy(&to.text))
                && all.first().is_some_and(|from| !backup_copy(&from.text))
                && cmd.name == "cp"
            {
                eye.see(Effect::Protect, &line, "files.copy-kept");
            } else if all.first().is_some_and(|from| backup_copy(&from.text)) {
                eye.see(DataRestore, &line, "files.copy-restored");
            }
            eye.see(DataWrite, &line, &rule);
            if !noclobber && cmd.name == "mv" && all.len() != 2 {
                eye.see(BulkData, &line, "files.mv-many");
            }
        }
    }
}

fn backup_copy(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    [".bak", ".orig", ".dump", "backup", ".save"]
        .iter()
        .any(|word| lower.contains(word))
}

/// `dd`: what it writes to decides.
pub(super) fn dd(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    match cmd.args.iter().find_map(|arg| arg.text.strip_prefix("of=")) {
        Some(path) => match paths::touched(path) {
            Some(effects) => {
                eye.see_all(effects, &line, "files.dd");
                eye.see_all(&[BulkData, OneWay], &line, "files.dd");
            }
            None => eye.see(Read, &line, "files.dd-nowhere"),
        },
        None => eye.see(Read, &line, "files.dd-stdout"),
    }
}

/// `tee` writes what passes through.
pub(super) fn tee(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let mut any = false;
    for path in words(cmd) {
        any = true;
        touch(eye, path, &line, "files.tee");
    }
    if !any {
        eye.see(Read, &line, "files.tee-nowhere");
    }
}

/// `sed` reads unless it edits in place or its script writes or runs.
pub(super) fn sed(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let in_place = cmd.args.iter().any(|arg| acts(&arg.text, "-i --in-place"));
    let from_file = cmd.args.iter().any(|arg| acts(&arg.text, "-f --file"));
    if in_place {
        for path in words(cmd).skip(1) {
            touch(eye, path, &line, "files.sed-in-place");
        }
        return eye.see(DataWrite, &line, "files.sed-in-place");
    }
    // The commands `w`, `W` and `e`, and the flags of `s` with the same letters, write and run. A
    // plain print, delete or substitution is recognised; anything else is not understood.
    const FLAGS: [&str; 9] = [
        "-n",
        "-E",
        "-r",
        "-nE",
        "-nr",
        "--quiet",
        "--silent",
        "--regexp-extended",
        "--null-data",
    ];
    let known = |arg: &Word| !arg.text.starts_with('-') || arg.text == "-e" || FLAGS.contains(&arg.as_str());
    let expressions: Vec<&str> = cmd
        .args
        .windows(2)
        .filter_map(|pair| match pair {
            [option, script] if option.text == "-e" => Some(script.as_str()),
            _ => None,
        })
        .collect();
    let scripts = if expressions.is_empty() {
        words(cmd).take(1).map(Word::as_str).collect()
    } else {
        expressions
    };
    if from_file || !cmd.args.iter().all(known) || !scripts.iter().all(|script| plain_sed(script)) {
        eye.unknown(&line, "files.sed-script");
    } else {
        super::reads::secret_files(eye, cmd);
        eye.see(Read, &line, "files.sed");
    }
}

fn plain_sed(script: &str) -> bool {
    let address = |c: char| c.is_ascii_digit() || "$,~+!; ".contains(c);
    let body = script.trim_start_matches(address);
    if let Some(rest) = body.strip_prefix('s') {
        let Some(mark) = rest.chars().next().filter(|c| c.is_ascii_punctuation()) else {
            return false;
        };
        let parts: Vec<&str> = rest.split(mark).collect();
        return matches!(parts.as_slice(), [_, from, to, flags]
            if !from.ends_with('\\') && !to.ends_with('\\') && flags.chars().all(|c| c.is_ascii_digit() || "gpiI".contains(c)));
    }
    if let Some(rest) = body.strip_prefix('/') {
        return rest
            .split_once('/')
            .is_some_and(|(_, command)| command.trim().chars().all(|c| "pdq!".contains(c)));
    }
    !script.is_empty() && body.chars().all(|c| "pdq=;".contains(c))
}

/// `awk` reads unless its program can write or run.
pub(super) fn awk(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    const ACTS: [&str; 7] = ["system", "getline", "|", ">>", "fflush", "@", "close"];
    let odd = cmd.args.iter().any(|arg| {
        acts(
            &arg.text,
            "-f --file -i --include -l --load -E --exec -o -p -d --dump-variables",
        ) || ACTS.iter().any(|word| arg.text.contains(word))
    });
    // `>` is a comparison in a condition and a file in an action; no attempt to tell them apart there.
    let writes = cmd.args.iter().any(|arg| {
        arg.text
            .split_once('{')
            .is_some_and(|(_, action)| action.contains('>'))
    });
    if odd || writes {
        eye.unknown(&line, "files.awk-program");
    } else {
        super::reads::secret_files(eye, cmd);
        eye.see(Read, &line, "files.awk");
    }
}

/// Permissions and owners.
pub(super) fn permissions(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    eye.see(CredentialChange, &line, "files.permissions");
    if cmd.name == "chattr" {
        eye.see(SecurityConfig, &line, "files.chattr");
    }
    if cmd.args.iter().any(|arg| acts(&arg.text, "-R --recursive")) {
        eye.see(OneWay, &line, "files.permissions-recursive");
    }
}

/// `rsync`: `--dry-run` and `--list-only` promise to change nothing.
pub(super) fn rsync(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    if cmd
        .args
        .iter()
        .any(|arg| acts(&arg.text, "-e --rsh --rsync-path --daemon --config"))
    {
        eye.unknown(&line, "files.rsync-program");
    }
    const FLAGS: &str = "-a -v -r -z -h -P -i -t -l -u -x -H --archive --verbose --delete --itemize-changes --stats --human-readable --progress --checksum";
    if promises(
        cmd.args,
        &["--dry-run", "--list-only", "-n", "-avn", "-an", "-nav"],
        FLAGS,
    ) {
        return eye.see(Read, &line, "files.rsync-dry-run");
    }
    if let Some(to) = words(cmd).last() {
        touch(eye, to, &line, "files.rsync");
    }
    eye.see(DataWrite, &line, "files.rsync");
    if cmd
        .args
        .iter()
        .any(|arg| arg.text.starts_with("--del") || arg.text.starts_with("--remove-source"))
    {
        eye.see_all(&[BulkData, OneWay], &line, "files.rsync-delete");
    }
}

/// `find`: the expressions that delete, run and write.
pub(super) fn find(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let before = eye.sights();
    let mut args = cmd.args.iter().enumerate();
    while let Some((at, arg)) = args.next() {
        match arg.text.as_str() {
            "-delete" => {
                eye.see_all(&[BulkData, OneWay], &line, "files.find-delete");
                for path in cmd
                    .args
                    .iter()
                    .take_while(|arg| !arg.text.starts_with(['-', '(', '!']))
                {
                    touch(eye, path, &line, "files.find-delete");
                }
            }
            "-exec" | "-execdir" | "-ok" | "-okdir" | "-x" | "-X" | "--exec" | "--exec-batch" => {
                let rest = cmd.args.get(at + 1..).unwrap_or_default();
                let end = rest
                    .iter()
                    .position(|arg| matches!(arg.text.as_str(), ";" | "+"))
                    .unwrap_or(rest.len());
                let inner: Vec<Word> = rest
                    .iter()
                    .take(end)
                    .map(|arg| {
                        if arg.text.contains("{}") {
                            Word::open(&arg.text)
                        } else {
                            arg.clone()
                        }
                    })
                    .collect();
                eye.command(&inner, &cmd.stdin);
                for _ in 0..end {
                    args.next();
                }
            }
            "-fprint" | "-fprint0" | "-fprintf" | "-fls" => eye.see(DataWrite, &line, "files.find-writes"),
            "-files0-from" => eye.unknown(&line, "files.find-list"),
            _ if cmd.name.starts_with("fd")
                && (arg.text.starts_with("--exec") || acts(&arg.text, "-x -X")) =>
            {
                eye.unknown(&line, "files.fd-exec");
            }
            _ => {}
        }
    }
    if eye.sights() == before {
        eye.see(Read, &line, "files.find");
    }
}

/// `tar`: listing reads; unpacking writes over what stands there.
pub(super) fn tar(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    if cmd
        .args
        .iter()
        .any(|arg| acts(&arg.text, "--remove-files --recursive-unlink --unlink-first"))
    {
        eye.see_all(&[BulkData, OneWay], &line, "files.tar-removes");
    }
    const ACTS: &str = "--to-command --checkpoint-action --use-compress-program --info-script --new-volume-script --rsh-command --rmt-command --remove-files -I -F";
    if cmd.args.iter().any(|arg| acts(&arg.text, ACTS))
        || cmd
            .args
            .first()
            .is_some_and(|arg| arg.text.contains(['I', 'F']) && !arg.text.starts_with("--"))
    {
        eye.unknown(&line, "files.tar-program");
    }
    let first = cmd.args.first().map_or("", |arg| arg.text.as_str());
    let mode = |letter: char, long: &str| {
        cmd.has(long)
            || !first.starts_with("--") && first.contains(letter)
            || cmd.args.iter().skip(1).any(|arg| {
                arg.text.starts_with('-') && !arg.text.starts_with("--") && arg.text.contains(letter)
            })
    };
    if mode('x', "--extract") || cmd.has("--get") {
        eye.see_all(&[DataWrite, DataRestore], &line, "files.tar-extract");
    } else if mode('c', "--create") || mode('r', "--append") || mode('u', "--update") || cmd.has("--delete") {
        eye.see(DataWrite, &line, "files.tar-create");
    } else if mode('t', "--list") {
        eye.see(Read, &line, "files.tar-list");
    } else {
        eye.unknown(&line, "files.tar");
    }
}

/// Packers replace their files.
pub(super) fn pack(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let reads: &[&str] = if cmd.name == "unzip" {
        &["-l", "-t", "-Z", "-p", "-v"]
    } else {
        &["-l", "-t", "-dc", "-cd", "--list", "--test", "-c", "-lv"]
    };
    let safe = cmd.name != "zip"
        && cmd
            .args
            .first()
            .is_some_and(|arg| reads.contains(&arg.text.as_str()));
    let known = cmd.args.iter().skip(1).all(|arg| !arg.text.starts_with('-'));
    match (safe, known) {
        (true, true) => eye.see(Read, &line, "files.pack-reads"),
        (true, false) => eye.unknown(&line, "files.pack"),
        _ if cmd.name == "zip"
            && cmd
                .args
                .iter()
                .any(|arg| acts(&arg.text, "-T -TT -m --unzip-command --test --move")) =>
        {
            eye.unknown(&line, "files.pack-runs-or-removes");
        }
        _ => eye.see(DataWrite, &line, "files.pack"),
    }
}

/// Programs that write to whole devices.
pub(super) fn device(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    if cmd
        .args
        .first()
        .is_some_and(|arg| arg.text == "-l" || arg.text == "--list")
        && cmd.name == "fdisk"
    {
        return eye.see(Read, &line, "files.device-list");
    }
    eye.see_all(&[BulkData, InfraChange, OneWay], &line, "files.device");
    if cmd.name == "lvremove" {
        eye.see(BackupChange, &line, "files.device");
    }
}

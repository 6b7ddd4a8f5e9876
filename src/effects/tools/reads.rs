//! Programs that read, so that looking stays free.

use crate::model::effect::Effect;

use crate::effects::eye::{Cmd, Eye};
use crate::effects::paths;

/// A program that only reads, and the options that would make it do more.
pub(super) struct ReadOnly {
    name: &'static str,
    /// Options that write, run something or change state: letters and long names, space separated.
    acts: &'static str,
    /// The most words that may stand beside the options; a further one would be written to.
    words: usize,
}

const fn read(name: &'static str) -> ReadOnly {
    ReadOnly {
        name,
        acts: "",
        words: usize::MAX,
    }
}

const fn unless(name: &'static str, acts: &'static str) -> ReadOnly {
    ReadOnly {
        name,
        acts,
        words: usize::MAX,
    }
}

const fn at_most(name: &'static str, words: usize, acts: &'static str) -> ReadOnly {
    ReadOnly { name, acts, words }
}

const READS: &[ReadOnly] = &[
    read("cat"),
    read("tac"),
    read("head"),
    read("tail"),
    read("grep"),
    read("egrep"),
    read("fgrep"),
    read("zgrep"),
    read("zcat"),
    read("bzcat"),
    read("xzcat"),
    read("zstdcat"),
    read("ls"),
    read("wc"),
    read("cut"),
    read("nl"),
    read("tr"),
    read("stat"),
    read("du"),
    read("df"),
    read("free"),
    read("uptime"),
    read("whoami"),
    read("id"),
    read("who"),
    read("w"),
    read("ps"),
    read("pgrep"),
    read("netstat"),
    read("lsof"),
    read("vmstat"),
    read("iostat"),
    read("mpstat"),
    read("pidstat"),
    read("uname"),
    read("pwd"),
    read("echo"),
    read("printf"),
    read("true"),
    read("false"),
    read("test"),
    read("["),
    read(":"),
    read("basename"),
    read("dirname"),
    read("realpath"),
    read("readlink"),
    read("md5sum"),
    read("sha1sum"),
    read("sha256sum"),
    read("sha512sum"),
    read("b2sum"),
    read("cksum"),
    read("shasum"),
    read("diff"),
    read("cmp"),
    read("comm"),
    read("join"),
    read("paste"),
    read("jq"),
    read("column"),
    read("fold"),
    read("fmt"),
    read("expand"),
    read("seq"),
    read("sleep"),
    read("which"),
    read("type"),
    read("whereis"),
    read("strings"),
    read("od"),
    read("hexdump"),
    read("nslookup"),
    read("host"),
    read("ping"),
    read("ping6"),
    read("traceroute"),
    read("tracepath"),
    read("mtr"),
    read("whois"),
    read("getent"),
    read("groups"),
    read("last"),
    unless("lastlog", "-C --clear -S --set"),
    read("lscpu"),
    read("lsblk"),
    read("lsmod"),
    read("findmnt"),
    read("nproc"),
    read("arch"),
    read("pstree"),
    read("pidof"),
    read("printenv"),
    read("tty"),
    read("numfmt"),
    read("rev"),
    read("cal"),
    read("locale"),
    read("getconf"),
    read("getfacl"),
    read("lsattr"),
    read("pg_isready"),
    read("pg_controldata"),
    unless("pg_waldump", "--save-fullpage"),
    read("pg_config"),
    read("pg_lsclusters"),
    read("pg_verifybackup"),
    read("sum"),
    read("expr"),
    read("apropos"),
    read("logname"),
    read("users"),
    read("runlevel"),
    read("slabtop"),
    read("lspci"),
    read("lsusb"),
    read("ipcs"),
    read("pmap"),
    read("dig"),
    read("drill"),
    at_most("date", 0, "-s --set"),
    unless("sort", "-o --output --compress-program -T --temporary-directory"),
    unless("rg", "--pre --hostname-bin"),
    unless("tree", "-o -R"),
    unless("file", "-C --compile"),
    unless("yq", "-i --inplace --in-place -s --split-exp"),
    unless("base64", "-o --output"),
    unless("ss", "-K --kill -D --diag"),
    unless("top", ""),
    unless("lvs", "--config --devicesfile --logreport"),
    unless("pvs", "--config --devicesfile --logreport"),
    unless("vgs", "--config --devicesfile --logreport"),
    unless(
        "dmesg",
        "-c -C -D -E -n --clear --read-clear --console-off --console-on --console-level",
    ),
    unless(
        "journalctl",
        "--vacuum-size --vacuum-time --vacuum-files --rotate --flush --sync --relinquish-var --smart-relinquish-var --setup-keys --update-catalog --cursor-file",
    ),
    unless("ssh-keyscan", ""),
    unless("pg_dump", "-f --file"),
    unless("pg_dumpall", "-f --file"),
    unless(
        "mysqldump",
        "-r --result-file -T --tab --flush-logs -F --delete-master-logs --delete-source-logs --master-data --source-data --dump-replica --lock-all-tables --flush-privileges",
    ),
    unless("arp", "-s -d -f -i --set --delete --file"),
    unless("atq", ""),
    unless("sar", "-o"),
    unless("xmllint", "--output --shell"),
    at_most("uniq", 1, ""),
    at_most("xxd", 1, "-r"),
    at_most("hostname", 0, "-F -b --file --boot"),
    at_most("timedatectl", 0, ""),
    at_most("hostnamectl", 0, ""),
    at_most("loginctl", 0, ""),
    at_most("route", 0, ""),
    at_most("ifconfig", 1, ""),
    at_most("mount", 0, "-a --all -o -r -w --bind -B -M -t --make-shared"),
];

/// `less`, `more`, `man`: what stands behind a `+` is typed into them, and `man` runs what it is told to.
pub(super) fn pager(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let typed = |arg: &str| {
        arg.strip_prefix('+').is_some_and(|keys| {
            !matches!(keys, "F" | "G") && !keys.starts_with('/') && !keys.chars().all(|c| c.is_ascii_digit())
        })
    };
    let options = "-o -O -k -K -t -T -P -H -C -M -r -l --log-file --LOG-FILE --lesskey-file --lesskey-src --tag --pager --html --config-file --troff-device";
    let acts =
        |arg: &str| typed(arg) || arg.contains('!') || acts(arg, options) || arg.starts_with("--prompt");
    if cmd.args.iter().any(|arg| !arg.fixed || acts(&arg.text)) {
        eye.unknown(&line, "read.pager-may-run");
    } else {
        secret_files(eye, cmd);
        eye.see(Effect::Read, &line, "read.pager");
    }
}

/// `nc -z` only knocks.
pub(super) fn netcat(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let plain = |arg: &str| {
        !arg.starts_with('-')
            || arg.chars().skip(1).all(|c| "zvnu46w0123456789".contains(c)) && !arg.starts_with("--")
    };
    let knocks = cmd
        .args
        .iter()
        .any(|arg| arg.text.starts_with('-') && arg.text.contains('z'));
    if knocks && cmd.args.iter().all(|arg| arg.fixed && plain(&arg.text)) {
        eye.see(Effect::Read, &line, "read.netcat-knocks");
    } else {
        eye.unknown(&line, "read.netcat");
    }
}

/// `history -c` takes the trace of what was typed.
pub(super) fn history(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let plain = |arg: &str| !arg.is_empty() && arg.chars().all(|c| c.is_ascii_digit());
    if cmd.args.iter().all(|arg| plain(&arg.text)) {
        eye.see(Effect::Read, &line, "read.history");
    } else {
        eye.see_all(
            &[Effect::DataWrite, Effect::OneWay],
            &line,
            "read.history-cleared",
        );
    }
}

/// Programs that say something about a file without showing what stands in it.
const ABOUT: &str = " ls stat test [ du df file echo printf true false : basename dirname realpath readlink which type whereis md5sum sha1sum sha256sum sha512sum b2sum cksum shasum sum wc cmp getfacl lsattr lsof tree findmnt sleep seq ssh-keyscan ";

/// Notes files of secrets whose contents a reading program would show.
///
/// What was shown on a screen or to an agent has to be changed: it is a matter of credentials, and so at the boundary
/// also while nobody wants more than to look. The output that is kept is redacted, the one on the screen and in a
/// terminal's scrollback is not, and an agent may be sitting at either. Looking is not blocked by that: what says
/// something about the file without its contents stays a read (`ls`, `stat`, `wc`, `sha256sum`, `kubectl describe
/// secret`, `kubectl get secret -o name`), and so does asking for the names alone (`grep -o '^[A-Z_]*=' .env`).
pub(super) fn secret_files(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    if ABOUT.contains(&format!(" {} ", cmd.name)) || only_names(cmd) {
        return;
    }
    // The first word of these is a pattern or a program.
    let skipped = usize::from(matches!(
        cmd.name,
        "grep" | "egrep" | "fgrep" | "zgrep" | "rg" | "jq" | "yq"
    ));
    let files = cmd
        .args
        .iter()
        .filter(|arg| !arg.text.starts_with('-'))
        .skip(skipped);
    if files.map(|arg| arg.text.as_str()).any(paths::secret) {
        eye.see(Effect::CredentialChange, &cmd.text(), "read.secret-file");
    }
}

/// `grep -o '^[A-Z_]*='`: the names in front of the values.
fn only_names(cmd: &Cmd<'_>) -> bool {
    const NAMES: [&str; 4] = ["^[A-Z_]*=", "^[A-Z_]+=", "^[A-Z0-9_]*=", "^[A-Z0-9_]+="];
    let [option, pattern, files @ ..] = cmd.args else {
        return false;
    };
    matches!(cmd.name, "grep" | "egrep")
        && matches!(option.as_str(), "-o" | "-oE" | "-Eo" | "-oh" | "-ho")
        && NAMES.contains(&pattern.as_str())
        && files.iter().all(|file| !file.text.starts_with('-'))
}

/// The entry of a program, if it is one that reads.
pub(super) fn find(name: &str) -> Option<&'static ReadOnly> {
    READS.iter().find(|read| read.name == name)
}

/// Notes a read, unless an option or a further word makes it more than that.
pub(super) fn look(eye: &mut Eye<'_>, cmd: &Cmd<'_>, read: &ReadOnly) {
    let restricted = !read.acts.is_empty() || read.words != usize::MAX;
    let words = cmd
        .args
        .iter()
        .filter(|arg| !arg.text.starts_with(['-', '+']))
        .count();
    let acts = cmd.args.iter().any(|arg| acts(&arg.text, read.acts));
    let open = cmd.args.iter().any(|arg| !arg.fixed);
    if cmd.args.iter().any(|arg| arg.text.starts_with("--vac")) {
        eye.see_all(
            &[Effect::DataWrite, Effect::OneWay],
            &cmd.text(),
            "read.log-deleted",
        );
    }
    if restricted && (acts || open || words > read.words) {
        return eye.unknown(&cmd.text(), "read.may-act");
    }
    secret_files(eye, cmd);
    eye.see(Effect::Read, &cmd.text(), "read.known-program");
}

/// Whether an argument could be one of the options that act; abbreviations and clusters count.
pub(super) fn acts(arg: &str, options: &str) -> bool {
    if !arg.starts_with('-') || arg == "-" {
        return false;
    }
    let name = arg.split('=').next().unwrap_or(arg);
    options
        .split(' ')
        .filter(|option| !option.is_empty())
        .any(|option| {
            if option.starts_with("--") {
                name.len() > 2
                    && name.starts_with("--")
                    && (option.starts_with(name) || name.starts_with(option))
            } else if name.starts_with("--") {
                false
            } else {
                option.chars().nth(1).is_some_and(|letter| name.contains(letter))
            }
        })
}

//! `git` and the command line of code hosts.

use crate::model::effect::Effect::{
    self, BulkData, ConfigChange, CredentialChange, Deploy, InfraChange, OneWay, Read, SecurityConfig,
    Traffic, Unknown,
};

use crate::effects::eye::{Cmd, Eye};
use crate::effects::options::{Options, Verbs, promises};
use crate::effects::words::Word;

use super::reads::acts;

const GIT: Verbs = Verbs {
    tool: "git",
    options: Options {
        valued: "-C --git-dir --work-tree --namespace -c --config-env --exec-path",
        flags: "--no-pager -P --no-optional-locks --bare --literal-pathspecs --version -p --paginate",
    },
    rows: &[
        ("status", &[Read]),
        ("log", &[Read]),
        ("show", &[Read]),
        ("diff", &[Read]),
        ("blame", &[Read]),
        ("shortlog", &[Read]),
        ("describe", &[Read]),
        ("rev-parse", &[Read]),
        ("rev-list", &[Read]),
        ("ls-files", &[Read]),
        ("ls-tree", &[Read]),
        ("ls-remote", &[Read]),
        ("cat-file", &[Read]),
        ("for-each-ref", &[Read]),
        ("show-ref", &[Read]),
        ("merge-base", &[Read]),
        ("name-rev", &[Read]),
        ("fsck", &[Read]),
        ("count-objects", &[Read]),
        ("check-ignore", &[Read]),
        ("diff-tree", &[Read]),
        ("diff-index", &[Read]),
        ("cherry", &[Read]),
        ("whatchanged", &[Read]),
        ("verify-commit", &[Read]),
        ("verify-tag", &[Read]),
        ("grep", &[Read]),
        ("version", &[Read]),
        ("reflog $", &[Read]),
        ("reflog show", &[Read]),
        ("reflog expire", &[BulkData, OneWay]),
        ("reflog delete", &[BulkData, OneWay]),
        ("stash list", &[Read]),
        ("stash show", &[Read]),
        ("stash drop", &[BulkData, OneWay]),
        ("stash clear", &[BulkData, OneWay]),
        ("stash", &[Effect::DataWrite]),
        ("worktree list", &[Read]),
        ("worktree add", &[Effect::DataWrite]),
        ("worktree remove", &[Effect::DataWrite, OneWay]),
        ("worktree prune", &[Effect::DataWrite]),
        ("bisect log", &[Read]),
        ("fetch", &[Effect::DataWrite]),
        ("add", &[Effect::DataWrite]),
        ("commit", &[Effect::DataWrite]),
        ("bundle create", &[Effect::Protect]),
        ("bundle verify", &[Read]),
        ("archive", &[Read]),
        ("clone", &[Effect::DataWrite]),
        ("pull", &[Effect::DataWrite, ConfigChange]),
        ("merge", &[ConfigChange]),
        ("revert", &[ConfigChange]),
        ("cherry-pick", &[ConfigChange]),
        ("apply", &[ConfigChange]),
        ("am", &[ConfigChange]),
        ("rebase", &[ConfigChange, OneWay]),
        ("switch", &[ConfigChange]),
        ("checkout", &[ConfigChange]),
        ("restore", &[BulkData, OneWay]),
        ("reset", &[ConfigChange]),
        ("clean", &[BulkData, OneWay]),
        ("rm", &[Effect::DataWrite]),
        ("mv", &[Effect::DataWrite]),
        ("branch", &[Effect::DataWrite]),
        ("tag", &[Effect::DataWrite]),
        ("push", &[Deploy]),
        ("remote", &[ConfigChange]),
        ("remote show", &[Read]),
        ("remote get-url", &[Read]),
        ("config", &[ConfigChange]),
        ("config list", &[Read]),
        ("config get", &[Read]),
        ("update-ref", &[Effect::DataWrite, OneWay]),
        ("gc", &[Effect::DataWrite, OneWay]),
        ("prune", &[BulkData, OneWay]),
        ("repack", &[Effect::DataWrite]),
        ("filter-branch", &[BulkData, OneWay, Unknown]),
        ("filter-repo", &[BulkData, OneWay, Unknown]),
        ("submodule status", &[Read]),
        ("submodule", &[ConfigChange, Unknown]),
        ("init", &[Effect::DataWrite]),
        ("notes", &[Effect::DataWrite]),
    ],
};

/// `git`, by its verb and the options that change what the verb does.
pub(super) fn git(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let start = GIT.options.skip(cmd.args).0;
    // `-c alias.x=!…` and friends run anything.
    if acts_before_verb(cmd.args.get(..start).unwrap_or_default()) {
        eye.unknown(&line, "git.option-acts");
    }
    let rest = cmd.args.get(start..).unwrap_or_default();
    let args = rest.get(1..).unwrap_or_default();
    let option = |options: &str| args.iter().any(|arg| acts(&arg.text, options));
    let bare = !args.iter().any(|arg| !arg.text.starts_with('-'));
    // A few verbs read when nothing is named, or when a listing is asked for.
    let lists = match rest.first().map_or("", |verb| verb.text.as_str()) {
        "branch" => {
            bare && !option(
                "-d -D -m -M -c -C -f -u --delete --move --copy --force --set-upstream-to --unset-upstream --edit-description",
            ) || option("--list --contains --merged --no-merged --show-current")
                && !option(
                    "-d -D -m -M -c -C -f -u --delete --move --copy --force --set-upstream-to --unset-upstream --edit-description",
                )
        }
        "tag" => (bare || option("-l --list")) && !option("-d --delete -f --force -a -s -u -m -F -e"),
        "remote" => bare && !option("-u"),
        "config" => {
            option("--get --list -l --get-all --get-regexp")
                && !option("--unset --add --replace-all --edit -e")
        }
        "push" | "clean" | "fetch" | "add" | "commit" | "prune" => {
            // `git commit -n` skips hooks; everywhere else `-n` promises to change nothing.
            let commit = rest.first().is_some_and(|verb| verb.text == "commit");
            let names: &[&str] = if commit {
                &["--dry-run"]
            } else {
                &["--dry-run", "-n", "-nd", "-ndx", "-nfd"]
            };
            promises(
                args,
                names,
                "-u --all --tags --force -f --verbose -v --porcelain --prune -d -x --follow-tags",
            ) && !option("--upload-pack --receive-pack --exec")
        }
        _ => false,
    };
    if lists && start_known(cmd) {
        return eye.see(Read, &line, "git.lists");
    }
    let Some(verb) = GIT.look(eye, cmd) else { return };
    match verb.split(' ').next().unwrap_or_default() {
        "push" => push(eye, args, &line),
        "reset" if option("--hard --merge --keep") => {
            eye.see_all(&[BulkData, OneWay], &line, "git.reset-hard")
        }
        "checkout" | "switch" => checkout(eye, args, &line),
        "branch" if option("-D -d --delete -M -f --force -C") => {
            let forced = option("-D -M -f --force -C");
            let effects: &[Effect] = if forced {
                &[BulkData, OneWay]
            } else {
                &[Effect::DataWrite]
            };
            eye.see_all(effects, &line, "git.branch-delete");
        }
        "tag" if option("-d --delete -f --force") => eye.see(OneWay, &line, "git.tag-delete"),
        "gc" if option("--prune --aggressive") => eye.see_all(&[BulkData, OneWay], &line, "git.gc-prune"),
        "worktree" if option("-f --force") => eye.see_all(&[BulkData, OneWay], &line, "git.worktree-force"),
        "commit" if option("--amend --no-verify") || cmd.has("-n") => {
            eye.see(SecurityConfig, &line, "git.commit-amends-or-skips-hooks")
        }
        "config" => eye.see_all(&[SecurityConfig, Unknown], &line, "git.config"),
        // Options of reading verbs that write or run: an output file, a pager, an external diff.
        "diff" | "log" | "show" | "grep" | "archive" | "ls-remote" | "blame" | "fsck" | "diff-tree"
        | "whatchanged"
            if option(
                "--output -O -o --open-files-in-pager --ext-diff --upload-pack --exec --lost-found --textconv",
            ) =>
        {
            eye.unknown(&line, "git.read-may-act");
        }
        "clone" | "fetch" | "pull"
            if option("-u --upload-pack --config -c --template --recurse-submodules")
                || args.iter().any(|arg| arg.text.starts_with("ext::")) =>
        {
            eye.unknown(&line, "git.fetch-may-run");
        }
        "rebase" if option("-x --exec") => eye.unknown(&line, "git.rebase-exec"),
        _ => {}
    }
}

/// Whether an option in front of the verb could run something.
fn acts_before_verb(leading: &[Word]) -> bool {
    const HARMLESS: [&str; 5] = [
        "color.",
        "safe.directory=",
        "core.quotepath=",
        "core.pager=cat",
        "log.showsignature=",
    ];
    let mut expects = false;
    leading.iter().any(|arg| {
        let setting = if std::mem::take(&mut expects) {
            Some(arg.as_str())
        } else {
            None
        };
        expects = arg.text == "-c";
        match setting.or_else(|| arg.text.strip_prefix("-c").filter(|rest| !rest.is_empty())) {
            Some(setting) => !HARMLESS
                .iter()
                .any(|known| setting.to_ascii_lowercase().starts_with(known)),
            None => !expects && acts(&arg.text, "-p --paginate --config-env --exec-path"),
        }
    })
}

fn start_known(cmd: &Cmd<'_>) -> bool {
    GIT.options.skip(cmd.args).1
}

fn push(eye: &mut Eye<'_>, args: &[Word], line: &str) {
    let option = |options: &str| args.iter().any(|arg| acts(&arg.text, options));
    let forced = option("-f --force --force-with-lease --force-if-includes --mirror --prune")
        || args.iter().any(|arg| arg.text.starts_with('+'));
    let deletes = option("-d --delete")
        || args
            .iter()
            .any(|arg| arg.text.starts_with(':') && arg.text.len() > 1);
    if forced || deletes {
        eye.see_all(&[BulkData, OneWay], line, "git.push-rewrites");
    }
    if option("--no-verify") {
        eye.see(SecurityConfig, line, "git.push-skips-hooks");
    }
    if option("--receive-pack --exec") {
        eye.unknown(line, "git.push-program");
    }
}

/// `checkout -b` makes a branch; `checkout -- .` throws work away.
fn checkout(eye: &mut Eye<'_>, args: &[Word], line: &str) {
    let option = |options: &str| args.iter().any(|arg| acts(&arg.text, options));
    let paths = args.iter().any(|arg| {
        matches!(arg.text.as_str(), "--" | "." | "-p" | "--patch")
            || arg.text.starts_with("--ours")
            || arg.text.starts_with("--theirs")
    });
    let more = args.iter().filter(|arg| !arg.text.starts_with('-')).count() > 1
        && !option("-b -B -c -C --orphan -t --track");
    if paths || more || option("-f --force -B -C --discard-changes") {
        eye.see_all(&[BulkData, OneWay], line, "git.checkout-discards");
    }
}

const GH: Verbs = Verbs {
    tool: "gh",
    options: Options {
        valued: "-R --repo --hostname",
        flags: "--help --version",
    },
    rows: &[
        ("auth status", &[Read]),
        ("auth", &[CredentialChange]),
        ("repo view", &[Read]),
        ("repo list", &[Read]),
        ("repo clone", &[Effect::DataWrite]),
        ("repo delete", &[InfraChange, BulkData, OneWay]),
        ("repo archive", &[InfraChange]),
        ("repo edit", &[SecurityConfig]),
        ("repo deploy-key list", &[Read]),
        ("repo deploy-key", &[CredentialChange]),
        ("pr view", &[Read]),
        ("pr list", &[Read]),
        ("pr diff", &[Read]),
        ("pr status", &[Read]),
        ("pr checks", &[Read]),
        ("pr merge", &[Deploy]),
        ("pr", &[Effect::DataWrite]),
        ("issue view", &[Read]),
        ("issue list", &[Read]),
        ("issue", &[Effect::DataWrite]),
        ("run list", &[Read]),
        ("run view", &[Read]),
        ("run watch", &[Read]),
        ("run cancel", &[Deploy]),
        ("run rerun", &[Deploy]),
        ("run delete", &[OneWay, Effect::DataWrite]),
        ("workflow list", &[Read]),
        ("workflow view", &[Read]),
        ("workflow run", &[Deploy, Unknown]),
        ("workflow disable", &[SecurityConfig]),
        ("workflow enable", &[SecurityConfig]),
        ("release list", &[Read]),
        ("release view", &[Read]),
        ("release delete", &[Deploy, OneWay]),
        ("release", &[Deploy]),
        ("secret list", &[Read]),
        ("secret", &[CredentialChange]),
        ("variable list", &[Read]),
        ("variable get", &[Read]),
        ("variable", &[ConfigChange]),
        ("ssh-key list", &[Read]),
        ("ssh-key", &[CredentialChange]),
        ("ruleset list", &[Read]),
        ("ruleset view", &[Read]),
        ("cache list", &[Read]),
        ("cache delete", &[Effect::DataWrite, Traffic]),
        ("api", &[]),
    ],
};

const GLAB: Verbs = Verbs {
    tool: "glab",
    options: Options {
        valued: "-R --repo -g --group",
        flags: "",
    },
    rows: &[
        ("auth status", &[Read]),
        ("auth", &[CredentialChange]),
        ("repo view", &[Read]),
        ("repo list", &[Read]),
        ("repo clone", &[Effect::DataWrite]),
        ("repo delete", &[InfraChange, BulkData, OneWay]),
        ("repo", &[InfraChange]),
        ("mr view", &[Read]),
        ("mr list", &[Read]),
        ("mr diff", &[Read]),
        ("mr merge", &[Deploy]),
        ("mr", &[Effect::DataWrite]),
        ("issue view", &[Read]),
        ("issue list", &[Read]),
        ("issue", &[Effect::DataWrite]),
        ("ci view", &[Read]),
        ("ci list", &[Read]),
        ("ci status", &[Read]),
        ("ci get", &[Read]),
        ("ci trace", &[Read]),
        ("ci", &[Deploy, Unknown]),
        ("release list", &[Read]),
        ("release view", &[Read]),
        ("release delete", &[Deploy, OneWay]),
        ("release", &[Deploy]),
        ("variable list", &[CredentialChange]),
        ("variable", &[CredentialChange, ConfigChange]),
        ("token", &[CredentialChange]),
        ("ssh-key", &[CredentialChange]),
        ("deploy-key", &[CredentialChange]),
        ("api", &[Unknown]),
    ],
};

/// `glab`.
pub(super) fn glab(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    GLAB.look(eye, cmd);
}

/// `gh`; `gh api` is an HTTP request.
pub(super) fn gh(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    if GH.look(eye, cmd) != Some("api") {
        return;
    }
    let after = |names: &[&str]| {
        let pairs = cmd.args.windows(2);
        let apart = pairs.filter_map(|pair| match pair {
            [name, value] if names.contains(&name.text.as_str()) => Some(value.text.clone()),
            _ => None,
        });
        let glued = cmd.args.iter().filter_map(|arg| {
            names
                .iter()
                .find_map(|name| arg.text.strip_prefix(name))
                .filter(|rest| !rest.is_empty())
                .map(|rest| rest.trim_start_matches('=').to_owned())
        });
        apart.chain(glued).last()
    };
    let fields = cmd
        .args
        .iter()
        .any(|arg| acts(&arg.text, "-f -F --field --raw-field --input"));
    let method = after(&["-X", "--method"]).unwrap_or_else(|| {
        if fields {
            "POST".to_owned()
        } else {
            "GET".to_owned()
        }
    });
    let path = GH.words(cmd.args).0.get(1).copied().unwrap_or_default();
    super::http::request(
        eye,
        &method,
        &format!("https://api.github.com/{}", path.trim_start_matches('/')),
    );
}

//! `git`: what a repository says, without running anything the repository names.
//!
//! A repository that an agent could write may name programs of its own in its configuration: hooks, a
//! file watcher, filters, diff drivers. None of them is run, no lock is taken, nothing is fetched.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use super::source::{Env, Item, Program, Source, Taken};
use super::{Ctx, TOGETHER};
use crate::model::event::ItemStatus;
use crate::model::secret::Secret;
use crate::world::World;
use crate::world::spawn::{Command, End};

/// Settings that would run something, and what they are set to instead.
const TAMED: &[(&str, &str)] = &[
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.pager", "cat"),
    ("core.sshCommand", "false"),
    ("core.alternateRefsCommand", "true"),
    ("log.showSignature", "false"),
    ("credential.helper", ""),
    ("gpg.program", "false"),
    // The folder may belong to the agent's user; everything that check guards against is off above.
    ("safe.directory", "*"),
];

const FORMAT: &str = "--format=%H %P%n  %an <%ae> %aI%n  %cn <%ce> %cI%n  %D%n  %s";

/// A repository, and what the names of its items begin with.
pub(super) struct Repository {
    pub repo: PathBuf,
    pub prefix: String,
}

impl Repository {
    pub(super) fn items(&self) -> Vec<Item> {
        looks(self, &[]).iter().flat_map(Source::items).collect()
    }

    pub(super) async fn take(self, ctx: Ctx<'_>) -> Vec<Taken> {
        let there = match ctx.world.files.stat(&self.repo) {
            Ok(stat) if stat.is_dir => Ok(()),
            Ok(_) => Err("it is no folder".to_owned()),
            Err(e) => Err(e.to_string()),
        };
        if let Err(why) = there {
            let why = format!("{}: {why}", self.repo.display());
            let holes = self.items().into_iter();
            return holes
                .map(|item| Taken::hole(item, ItemStatus::Failed, &why))
                .collect();
        }
        let overrides = match tame(ctx.world, &self.repo).await {
            Ok(overrides) => overrides,
            Err(why) => {
                let holes = self.items().into_iter();
                return holes
                    .map(|item| Taken::hole(item, ItemStatus::Failed, &why))
                    .collect();
            }
        };
        let taken: Vec<Vec<Taken>> = stream::iter(looks(&self, &overrides))
            .map(|look| look.take_or_skip(ctx))
            .buffered(TOGETHER)
            .collect()
            .await;
        taken.into_iter().flatten().collect()
    }
}

fn looks(of: &Repository, overrides: &[(String, String)]) -> Vec<Source> {
    let all: &[(&str, &[&str])] = &[
        ("reflog.txt", &["reflog", "show", "--all", "--date=iso-strict"]),
        ("stash.txt", &["stash", "list", "--date=iso-strict"]),
        (
            "status.txt",
            &[
                "status",
                "--porcelain=v2",
                "--branch",
                "--untracked-files=all",
                "--ignore-submodules=all",
            ],
        ),
        (
            "diff.patch",
            &[
                "diff",
                "--no-ext-diff",
                "--no-textconv",
                "--binary",
                "--ignore-submodules=all",
                "HEAD",
            ],
        ),
        (
            "unpushed.txt",
            &["log", "--branches", "--not", "--remotes", FORMAT],
        ),
        (
            "refs.txt",
            &[
                "for-each-ref",
                "--format=%(objectname) %(objecttype) %(refname) %(upstream)",
            ],
        ),
        ("worktrees.txt", &["worktree", "list", "--porcelain"]),
        ("remotes.txt", &["remote", "-v"]),
        ("log.txt", &["log", "--all", "--max-count=5000", FORMAT]),
    ];
    all.iter()
        .map(|(name, arguments)| {
            let mut argv = vec![
                "git".to_owned(),
                "--no-optional-locks".to_owned(),
                "--no-pager".to_owned(),
            ];
            argv.extend(arguments.iter().map(|a| (*a).to_owned()));
            Source::Program(Program {
                name: format!("{}{name}", of.prefix),
                argv,
                cwd: Some(of.repo.clone()),
                env: Env::Own(environment(overrides)),
                optional: false,
                more: None,
                silent: false,
            })
        })
        .collect()
}

/// The settings to override because this repository names filters of its own, or why it cannot be read.
///
/// `git status` runs a filter on every file whose time stamp changed. Diff drivers are off by option.
async fn tame(world: &World, repo: &Path) -> Result<Vec<(String, String)>, String> {
    let command = Command {
        argv: [
            "git",
            "config",
            "--null",
            "--name-only",
            "--get-regexp",
            r"^filter\.",
        ]
        .map(str::to_owned)
        .to_vec(),
        cwd: Some(repo.to_owned()),
        env: environment(&[])
            .into_iter()
            .chain([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())])
            .map(|(name, value)| (name, Secret::new(value)))
            .collect(),
        stdin: None,
        deadline: Duration::from_secs(5),
        no_progress: None,
        cap: 1 << 20,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ran = world.spawn.run(command, &mut out, &mut err, &mut |_| {}).await;
    match ran.end {
        End::Exit(0 | 1) if !ran.truncated => {}
        End::NotStarted(why) => return Err(why),
        _ => {
            let words = String::from_utf8_lossy(&err);
            let words: String = words.trim().chars().take(200).collect();
            return Err(format!("git cannot read its configuration: {words}"));
        }
    }
    let names = String::from_utf8(out).map_err(|_| "its configuration is not UTF-8".to_owned())?;
    let overrides = names.split('\0').filter_map(|name| {
        let value = match name.rsplit('.').next()? {
            "clean" | "smudge" | "process" => "",
            "required" => "false",
            _ => return None,
        };
        Some((name.to_owned(), value.to_owned()))
    });
    Ok(overrides.collect())
}

/// No configuration but the repository's own, and that one overridden where it could run something.
fn environment(overrides: &[(String, String)]) -> Vec<(String, String)> {
    let fixed = [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ASKPASS", "false"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_PAGER", "cat"),
    ];
    let tamed = TAMED
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let settings: Vec<(String, String)> = tamed.chain(overrides.iter().cloned()).collect();
    let mut env: Vec<(String, String)> = fixed
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    env.push(("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string()));
    for (i, (name, value)) in settings.into_iter().enumerate() {
        env.push((format!("GIT_CONFIG_KEY_{i}"), name));
        env.push((format!("GIT_CONFIG_VALUE_{i}"), value));
    }
    env
}

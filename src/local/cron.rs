//! Cron lines: commented out with the incident's tag, given back by taking the tag off.

use std::path::{Path, PathBuf};

use super::programs::{ask, error, noted};
use super::{known, stamp, telling};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::{Trigger, TriggerKind};
use crate::world::World;

/// Largest cron file that is read, in bytes.
const CAP: u64 = 1 << 20;
/// Largest script that is opened to see whether it calls an agent, in bytes.
const SCRIPT_CAP: u64 = 64 << 10;

/// A crontab or cron file and the text by which lines in it are meant.
pub struct Tab<'t> {
    place: Place<'t>,
    contains: &'t str,
    /// True for what shells run when they start, false for a schedule.
    start_up: bool,
}

enum Place<'t> {
    User(&'t str),
    File(&'t Path),
}

impl<'t> Tab<'t> {
    /// The crontab of a user.
    pub fn of_user(user: &'t str, contains: &'t str) -> Self {
        Tab {
            place: Place::User(user),
            contains,
            start_up: false,
        }
    }

    /// A file like those in `/etc/cron.d`.
    pub fn file(path: &'t str, contains: &'t str) -> Self {
        Tab {
            place: Place::File(Path::new(path)),
            contains,
            start_up: false,
        }
    }

    /// A file that shells run when they start.
    pub fn start_up(path: &'t str, contains: &'t str) -> Self {
        Tab {
            start_up: true,
            ..Tab::file(path, contains)
        }
    }

    /// The lines that start it, and the whole text for an undo.
    pub async fn glance(&self, world: &World) -> Glance {
        match self.read(world).await {
            Ok(Some(text)) => Glance {
                facts: vec![noted("lines", format!("{} to switch off", self.live(&text)))],
                undo: Some(text.into_bytes()),
            },
            Ok(None) => Glance {
                facts: vec![noted("lines", "there is no crontab")],
                undo: None,
            },
            Err(fact) => Glance {
                facts: vec![fact],
                undo: None,
            },
        }
    }

    /// Comments the matching lines out, and reads back.
    pub async fn cut(&self, world: &World, incident: &str) -> Vec<Fact> {
        let text = match self.read(world).await {
            Ok(Some(text)) if self.live(&text) > 0 => text,
            Ok(_) => return [vec![Fact::AlreadyDone { status: 0 }], self.probe(world).await].concat(),
            Err(fact) => return vec![fact],
        };
        let tag = self.tag(incident);
        let disabled: String = text
            .split_inclusive('\n')
            .map(|line| {
                if self.means(line) {
                    format!("{tag}{line}")
                } else {
                    line.to_owned()
                }
            })
            .collect();
        match self.write(world, disabled).await {
            Ok(()) => [vec![Fact::Accepted { status: 0 }], self.probe(world).await].concat(),
            Err(fact) => vec![fact],
        }
    }

    /// Reads back whether a matching line is still live.
    pub async fn probe(&self, world: &World) -> Vec<Fact> {
        match self.read(world).await {
            Ok(text) => {
                let live = text.map_or(0, |text| self.live(&text));
                let mut facts = vec![Fact::ReadBack { dead: live == 0 }];
                if live > 0 {
                    facts.push(noted("lines", format!("{live} still live")));
                }
                facts
            }
            Err(fact) => vec![fact],
        }
    }

    /// Takes the tag off again. What others changed since stays changed.
    pub async fn restore(&self, world: &World, incident: &str, undo: &[u8]) -> Vec<Fact> {
        let text = match self.read(world).await {
            Ok(text) => text.unwrap_or_default(),
            Err(fact) => return vec![fact],
        };
        let tag = self.tag(incident);
        let given_back: String = text
            .split_inclusive('\n')
            .map(|line| line.strip_prefix(tag.as_str()).unwrap_or(line))
            .collect();
        let as_before = given_back.as_bytes() == undo;
        if given_back == text {
            return vec![Fact::AlreadyDone { status: 0 }];
        }
        match self.write(world, given_back).await {
            Ok(()) => {
                let words = if as_before {
                    "as it was before, byte for byte"
                } else {
                    "the tag is off; other lines were changed since and stay as they are"
                };
                let mut facts = vec![Fact::Accepted { status: 0 }, noted("restored", words)];
                facts.extend(self.probe(world).await);
                facts
            }
            Err(fact) => vec![fact],
        }
    }

    fn live(&self, text: &str) -> usize {
        text.lines().filter(|line| self.means(line)).count()
    }

    /// True for a line that runs something and holds the text. An empty text means no line.
    fn means(&self, line: &str) -> bool {
        let runs = match self.start_up {
            true => super::startup::runs(line),
            false => is_entry(line),
        };
        runs && !self.contains.is_empty() && line.contains(self.contains)
    }

    /// What stands before a line that is switched off. To a shell it is a command that does nothing: a
    /// body of nothing but comments would break the rest of the file.
    fn tag(&self, incident: &str) -> String {
        let no_op = if self.start_up { ": " } else { "" };
        format!("{no_op}# incident:{incident} disabled: ")
    }

    /// `None` where the user has no crontab.
    async fn read(&self, world: &World) -> Result<Option<String>, Fact> {
        match &self.place {
            Place::User(user) => {
                let argv = self.crontab(world, user, "-l");
                let said = ask(world, &argv, None).await?;
                match said.code {
                    0 => Ok(Some(said.out)),
                    _ if said.err.contains("no crontab for") => Ok(None),
                    _ => Err(said.error(&argv.join(" "))),
                }
            }
            Place::File(path) => match world.files.read(path, CAP) {
                Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| {
                    error(&format!(
                        "{} is not UTF-8: comment its lines out by hand",
                        path.display()
                    ))
                }),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(error(&format!("{}: {e}", path.display()))),
            },
        }
    }

    async fn write(&self, world: &World, text: String) -> Result<(), Fact> {
        match &self.place {
            Place::User(user) => {
                let argv = self.crontab(world, user, "-");
                let said = ask(world, &argv, Some(text)).await?;
                if said.code == 0 {
                    Ok(())
                } else {
                    Err(said.error(&argv.join(" ")))
                }
            }
            Place::File(path) => {
                let failed = |e: std::io::Error| error(&format!("{}: {e}", path.display()));
                let mode = world.files.stat(path).map_err(failed)?.mode;
                world.files.replace(path, text.as_bytes(), mode).map_err(failed)
            }
        }
    }

    /// One's own crontab needs no privilege, and `-u` would ask for it.
    fn crontab<'a>(&self, world: &World, user: &'a str, what: &'a str) -> Vec<&'a str> {
        if world.host.identity().user == user {
            vec!["crontab", what]
        } else {
            vec!["crontab", "-u", user, what]
        }
    }
}

/// True for a line with a schedule: no comment, no variable, not empty.
fn is_entry(line: &str) -> bool {
    line.trim_start()
        .starts_with(|c: char| c.is_ascii_digit() || matches!(c, '*' | '@' | '~' | '-'))
}

/// Cron lines of this host, as far as we may read them, that call a known agent: directly, or in a
/// script they name. Second: what could not be read.
pub async fn find(world: &World) -> (Vec<Trigger>, Vec<String>) {
    let mut found = Vec::new();
    let mut unread = Vec::new();
    let spools = ["/var/spool/cron/crontabs", "/var/spool/cron"];
    let mut users: Vec<String> = Vec::new();
    let spool = spools
        .iter()
        .map(Path::new)
        .find(|s| world.files.stat(s).is_ok_and(|s| s.is_dir));
    match spool.map(|s| (s, world.files.list(s))) {
        Some((spool, Ok(names))) => users.extend(
            names
                .iter()
                .filter(|name| world.files.stat(&spool.join(name)).is_ok_and(|s| s.is_file))
                .filter_map(|name| name.to_str().map(str::to_owned)),
        ),
        Some((spool, Err(e))) => {
            unread.push(format!(
                "{}: {e}; only your own crontab was read",
                spool.display()
            ));
            users.push(world.host.identity().user);
        }
        None => users.push(world.host.identity().user),
    }
    for user in users {
        match Tab::of_user(&user, "").read(world).await {
            Ok(text) => add(world, &mut found, &text.unwrap_or_default(), |contains| {
                TriggerKind::Cron {
                    user: user.clone(),
                    contains,
                }
            }),
            Err(Fact::Error { text, .. }) => unread.push(text),
            Err(_) => unread.push(format!("crontab of {user}: no answer")),
        }
    }
    let mut files = vec![PathBuf::from("/etc/crontab"), PathBuf::from("/etc/anacrontab")];
    let folder = Path::new("/etc/cron.d");
    files.extend(
        world
            .files
            .list(folder)
            .unwrap_or_default()
            .iter()
            .map(|name| folder.join(name)),
    );
    for file in files {
        match world.files.read(&file, CAP) {
            Ok(bytes) => add(world, &mut found, &String::from_utf8_lossy(&bytes), |contains| {
                TriggerKind::CronFile {
                    path: file.display().to_string(),
                    contains,
                }
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => unread.push(format!("{}: {e}", file.display())),
        }
    }
    for period in ["hourly", "daily", "weekly", "monthly"] {
        let folder = PathBuf::from(format!("/etc/cron.{period}"));
        for name in world.files.list(&folder).unwrap_or_default() {
            let path = folder.join(name);
            let runs = world
                .files
                .stat(&path)
                .is_ok_and(|s| s.is_file && s.mode & 0o111 != 0);
            if let Some(agent) = called_by_script(world, &path).filter(|_| runs) {
                let path = path.display().to_string();
                push(&mut found, agent, TriggerKind::Script { path });
            }
        }
    }
    (found, unread)
}

fn add(world: &World, found: &mut Vec<Trigger>, text: &str, kind: impl Fn(String) -> TriggerKind) {
    for line in text.lines().filter(|line| is_entry(line)) {
        if let Some(agent) = calls_agent(world, line) {
            push(found, agent, kind(telling(line)));
        }
    }
}

fn push(found: &mut Vec<Trigger>, agent: &str, kind: TriggerKind) {
    found.extend(stamp("cron", agent, kind));
}

/// The agent that a command line calls, itself or in a script it names by absolute path.
pub(super) fn calls_agent(world: &World, line: &str) -> Option<&'static str> {
    known::called_in(line).map(|known| known.agent).or_else(|| {
        line.split(|c: char| c.is_whitespace() || "=;&|'\"()-+!@:".contains(c))
            .filter(|word| word.starts_with('/'))
            .find_map(|path| called_by_script(world, Path::new(path)))
    })
}

pub(super) fn called_by_script(world: &World, path: &Path) -> Option<&'static str> {
    let bytes = world.files.read(path, SCRIPT_CAP).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    if !text.starts_with("#!") {
        return None;
    }
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .find_map(known::called_in)
        .map(|known| known.agent)
}

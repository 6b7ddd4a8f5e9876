//! One program of a supervisor of several: stopped by the supervisor's own tool, so that it does not start it
//! again, and started by it on restore. Its other programs are not touched.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::programs::{Ask, Said, error, noted};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::Supervisor;
use crate::world::World;

/// Longest wait for one call of a supervisor's tool. Some are slow to start; who waits for a trigger gives up
/// before.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long a program may be on its way down: daemontools takes no order in the first second of a start.
const DOWN: Duration = Duration::from_secs(3);
/// Pause between two looks at it.
const PAUSE: Duration = Duration::from_millis(100);
/// Largest file that is read, in bytes.
const CAP: u64 = 1 << 20;

/// A program of a supervisor, and how the supervisor is spoken to.
pub struct Entry<'t> {
    /// Which supervisor.
    pub by: Supervisor,
    /// pm2's process id, supervisord's `GROUP:PROGRAM`, or the folder of the service.
    pub entry: &'t str,
    /// Whose supervisor it is.
    pub user: &'t str,
    /// Its tool.
    pub tool: &'t str,
    /// pm2's home or supervisord's configuration.
    pub at: Option<&'t str>,
}

/// What an undo must bring back: the program ran.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    running: String,
}

/// How a supervisor says its program stands.
#[derive(Debug, PartialEq, Eq)]
struct State {
    /// Its own words.
    words: String,
    /// True where it runs, or is to run again.
    live: bool,
    /// Its process.
    pid: Option<u32>,
}

impl Entry<'_> {
    /// It is here because the agent was seen to run under it; that is what an undo brings back.
    pub async fn glance(&self) -> Glance {
        let running = self.entry.to_owned();
        Glance {
            facts: vec![noted("supervisor", self.words())],
            undo: serde_json::to_vec(&Before { running }).ok(),
        }
    }

    /// Stops it, and reads back. `is_agents` says of a process whether it is the agent's: which program is
    /// meant may be the agent's own word, and another's must not be stopped for it.
    pub async fn cut(&self, world: &World, incident: &str, is_agents: impl Fn(u32) -> bool) -> Vec<Fact> {
        let state = match self.state(world).await {
            Ok(state) => state,
            Err(fact) => return vec![fact, self.by_hand()],
        };
        if let Some(pid) = state.pid.filter(|pid| !is_agents(*pid)) {
            let why = format!(
                "{} says that this is process {pid}, which was not seen to be the agent's; if it is: {}",
                self.by.name(),
                self.line("stop")
            );
            return vec![Fact::Spared { why }];
        }
        let mut facts = Vec::new();
        if state.live {
            facts.extend(self.stay_down(world, incident));
            match self.ask(world, &self.argv("stop")).await {
                Ok(said) if said.code == 0 => facts.push(Fact::Accepted { status: 0 }),
                Ok(said) => facts.extend([said.error(&self.line("stop")), self.by_hand()]),
                Err(fact) => facts.extend([fact, self.by_hand()]),
            }
        } else {
            facts.push(Fact::AlreadyDone { status: 0 });
        }
        facts.extend(self.settled(world).await);
        facts
    }

    /// Reads back whether it runs or is to run again.
    pub async fn probe(&self, world: &World) -> Vec<Fact> {
        match self.state(world).await {
            Ok(state) => self.facts(&state),
            Err(fact) => vec![fact],
        }
    }

    /// Starts it again.
    pub async fn restore(&self, world: &World, incident: &str, undo: &[u8]) -> Vec<Fact> {
        let known = serde_json::from_slice::<Before>(undo).is_ok_and(|b| b.running == self.entry);
        if !known {
            let text = format!("the undo data of {} cannot be read", self.words());
            return vec![error(&text)];
        }
        let mut facts = Vec::new();
        if let Some(down) = self.down_file() {
            let ours = world.files.read(Path::new(&down), CAP);
            if ours.is_ok_and(|text| text == tag(incident).as_bytes())
                && let Err(e) = world.files.remove(Path::new(&down))
            {
                facts.push(error(&format!("{down}: {e}")));
            }
        }
        facts.push(match self.ask(world, &self.argv("start")).await {
            Ok(said) if said.code == 0 => Fact::Accepted { status: 0 },
            Ok(said) => said.error(&self.line("start")),
            Err(fact) => fact,
        });
        facts.extend(self.probe(world).await);
        facts
    }

    /// The line a person types.
    pub fn line(&self, verb: &str) -> String {
        let home = match (self.by, self.at) {
            (Supervisor::Pm2, Some(home)) => vec![format!("PM2_HOME={home}")],
            _ => Vec::new(),
        };
        [home, self.argv(verb)].concat().join(" ")
    }

    fn words(&self) -> String {
        format!("{} of {}, entry {}", self.by.name(), self.user, self.entry)
    }

    fn by_hand(&self) -> Fact {
        let how = format!("as {}: {}", self.user, self.line("stop"));
        Fact::Manual { how }
    }

    fn argv(&self, verb: &str) -> Vec<String> {
        let sibling = |name: &str| {
            let folder = Path::new(self.tool).parent().unwrap_or(Path::new("/"));
            folder.join(name).display().to_string()
        };
        let tool = match (self.by, verb) {
            (Supervisor::S6, "status") => sibling("s6-svstat"),
            (Supervisor::Daemontools, "status") => sibling("svstat"),
            _ => self.tool.to_owned(),
        };
        let words: Vec<&str> = match (self.by, verb) {
            (Supervisor::Pm2, "status") => vec!["jlist"],
            (Supervisor::Pm2, verb) => vec![verb, self.entry],
            (Supervisor::Supervisord, verb) => {
                let file = self.at.map(|file| ["-c", file]);
                let file = file.iter().flatten().copied();
                file.chain([verb, self.entry]).collect()
            }
            (Supervisor::Runit, "status") => vec!["status", self.entry],
            (Supervisor::Runit, "stop") => vec!["-w", "1", "down", self.entry],
            (Supervisor::Runit, _) => vec!["-w", "1", "up", self.entry],
            (_, "status") => vec![self.entry],
            (_, "stop") => vec!["-d", self.entry],
            (_, _) => vec!["-u", self.entry],
        };
        let words = words.into_iter().map(str::to_owned);
        std::iter::once(tool).chain(words).collect()
    }

    /// Runs the tool as the supervisor's owner: nobody's tool is run with more rights than its owner has.
    async fn ask(&self, world: &World, argv: &[String]) -> Result<Said, Fact> {
        let mut all: Vec<&str> = Vec::new();
        if world.host.identity().user != self.user {
            all.extend(["runuser", "-u", self.user, "--"]);
        }
        all.extend(argv.iter().map(String::as_str));
        let folder = Path::new(self.tool).parent().unwrap_or(Path::new("/"));
        let mut env = vec![("PATH", format!("{}:{}", folder.display(), super::programs::PATH))];
        env.extend(self.home(world).map(|home| ("HOME", home)));
        if let (Supervisor::Pm2, Some(home)) = (self.by, self.at) {
            env.push(("PM2_HOME", home.to_owned()));
        }
        let ask = Ask {
            argv: &all,
            stdin: None,
            env,
            deadline: DEADLINE,
        };
        ask.run(world).await
    }

    fn home(&self, world: &World) -> Option<String> {
        if world.host.identity().user == self.user {
            return world.host.home().map(|home| home.display().to_string());
        }
        super::users::all(world)
            .into_iter()
            .find(|u| u.name == self.user)
            .map(|u| u.home.display().to_string())
    }

    async fn settled(&self, world: &World) -> Vec<Fact> {
        let end = world.clock.now().mono_us + u64::try_from(DOWN.as_micros()).unwrap_or(0);
        loop {
            match self.state(world).await {
                // It was told, and is on its way.
                Ok(state) if state.live && world.clock.now().mono_us < end => {}
                Ok(state) => return self.facts(&state),
                Err(fact) => return vec![fact],
            }
            world.clock.sleep(PAUSE).await;
        }
    }

    fn facts(&self, state: &State) -> Vec<Fact> {
        let words = format!("{}: {}", self.by.name(), state.words);
        let mut facts = vec![noted("supervisor", words), Fact::ReadBack { dead: !state.live }];
        let boot = match self.by {
            Supervisor::Pm2 => {
                "`pm2 resurrect` starts what was saved last: `pm2 save` keeps it stopped then, too"
            }
            Supervisor::Supervisord => {
                "supervisord starts it again when it is itself restarted, unless autostart=false"
            }
            _ => return facts,
        };
        if !state.live {
            facts.push(noted("after a reboot", boot));
        }
        facts
    }

    async fn state(&self, world: &World) -> Result<State, Fact> {
        // pm2's tool would start a supervisor where none runs.
        if self.by == Supervisor::Pm2 && !self.pm2_runs(world) {
            return Err(Fact::NotTried {
                why: format!(
                    "no pm2 of {} runs; when it does again, it may start this",
                    self.user
                ),
            });
        }
        let argv = self.argv("status");
        let said = self.ask(world, &argv).await?;
        let state = match self.by {
            Supervisor::Pm2 => of_pm2(&said.out, self.entry),
            Supervisor::Supervisord => of_supervisord(&said.out),
            _ => of_service(&said.out, self.entry),
        };
        let mut state = state.ok_or_else(|| said.error(&argv.join(" ")))?;
        if self.by == Supervisor::Supervisord && state.live && state.pid.is_none() {
            // While it starts its process is told only to who asks for it.
            let said = self.ask(world, &self.argv("pid")).await?;
            state.pid = said.out.trim().parse().ok().filter(|pid| *pid > 0);
        }
        Ok(state)
    }

    fn pm2_runs(&self, world: &World) -> bool {
        let all = world.host.processes().unwrap_or_default();
        let home = self.at.map(|home| format!("({home})"));
        all.iter().any(|p| {
            let title = p.argv.first().map(String::as_str).unwrap_or_default();
            p.user == self.user
                && title.starts_with("PM2 ")
                && home.as_ref().is_none_or(|home| title.contains(home.as_str()))
        })
    }

    /// Keeps a service down when its supervisor is itself restarted. A file somebody else put there stays.
    fn stay_down(&self, world: &World, incident: &str) -> Option<Fact> {
        let down = self.down_file()?;
        let path = Path::new(&down);
        if world.files.stat(path).is_ok() {
            return None;
        }
        let put = world.files.replace(path, tag(incident).as_bytes(), 0o644);
        put.err().map(|e| error(&format!("{down}: {e}")))
    }

    fn down_file(&self) -> Option<String> {
        match self.by {
            Supervisor::Pm2 | Supervisor::Supervisord => None,
            _ => Some(format!("{}/down", self.entry)),
        }
    }
}

fn tag(incident: &str) -> String {
    format!("incident:{incident} keeps this service down; delete this file to give it back\n")
}

/// The tool that a supervisor is spoken to with.
pub fn tool_of(by: Supervisor) -> &'static str {
    match by {
        Supervisor::Pm2 => "pm2",
        Supervisor::Supervisord => "supervisorctl",
        Supervisor::Runit => "sv",
        Supervisor::S6 => "s6-svc",
        Supervisor::Daemontools => "svc",
    }
}

/// Finds one entry in what `pm2 jlist` prints, which may come after lines for people.
fn of_pm2(out: &str, entry: &str) -> Option<State> {
    #[derive(Deserialize)]
    struct Item {
        pm_id: u64,
        pid: Option<u32>,
        pm2_env: Env,
    }
    #[derive(Deserialize)]
    struct Env {
        status: String,
    }
    let list = out.lines().rev().find(|line| line.starts_with('['))?;
    let items: Vec<Item> = serde_json::from_str(list).ok()?;
    let item = items.into_iter().find(|item| item.pm_id.to_string() == entry)?;
    let words = item.pm2_env.status;
    Some(State {
        live: !matches!(words.as_str(), "stopped" | "errored"),
        pid: item.pid.filter(|pid| *pid > 0),
        words,
    })
}

/// Reads `GROUP:PROGRAM  RUNNING  pid 12, uptime 0:00:03`.
fn of_supervisord(out: &str) -> Option<State> {
    const WORDS: [&str; 8] = [
        "STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNKNOWN",
    ];
    let mut words = out.lines().next()?.split_whitespace().skip(1);
    let word = words.next().filter(|word| WORDS.contains(word))?;
    let pid = words.next().filter(|w| *w == "pid").and_then(|_| words.next());
    Some(State {
        words: word.to_owned(),
        // One that exited may be started again by its own rule.
        live: !matches!(word, "STOPPED" | "FATAL"),
        pid: pid.and_then(|pid| pid.trim_end_matches(',').parse().ok()),
    })
}

/// Reads `run: /srv/x: (pid 12) 3s` of runit, `up (pid 12) 3 seconds` of s6, `/srv/x: up (pid 12) 3 seconds`
/// of daemontools, and what they say of a service that is down. Its folder may have any name, also that of a state.
fn of_service(out: &str, entry: &str) -> Option<State> {
    let line = out.lines().next()?;
    let said = line.replacen(entry, "", 1);
    let mut words = said.split(|c: char| c.is_whitespace() || ":,()".contains(c));
    let word = words.find(|word| !word.is_empty())?;
    if !matches!(word, "run" | "up" | "down" | "finish") {
        return None;
    }
    let pid = said.split("(pid ").nth(1).and_then(|rest| rest.split(')').next());
    Some(State {
        words: line.chars().take(120).collect(),
        live: word != "down" || said.contains("want up"),
        pid: pid.and_then(|pid| pid.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(words: &str, live: bool, pid: Option<u32>) -> Option<State> {
        let words = words.to_owned();
        Some(State { words, live, pid })
    }

    #[test]
    fn pm2_is_read_by_its_list_alone() {
        let out = "[PM2] something for people\n[{\"pid\":812,\"pm_id\":3,\"pm2_env\":{\"status\":\"online\",\"x\":1}},{\"pid\":0,\"pm_id\":4,\"pm2_env\":{\"status\":\"stopped\"}}]\n";
        assert_eq!(of_pm2(out, "3"), state("online", true, Some(812)));
        assert_eq!(of_pm2(out, "4"), state("stopped", false, None));
        assert_eq!(of_pm2(out, "5"), None);
        assert_eq!(of_pm2("no list", "3"), None);
    }

    #[test]
    fn services_are_down_only_where_nobody_wants_them_up() {
        let run = "run: /srv/a: (pid 12) 3s";
        let of_service = |line: &str| of_service(line, "/srv/a");
        assert_eq!(of_service(run), state(run, true, Some(12)));
        let down = "down: /srv/a: 0s, normally up";
        assert_eq!(of_service(down), state(down, false, None));
        for line in [
            "down: /srv/a: 1s, normally up, want up",
            "finish: /srv/a: (pid 9) 0s",
        ] {
            assert!(of_service(line).unwrap().live, "{line}");
        }
        assert_eq!(of_service("/srv/a: up (pid 9) 2 seconds").unwrap().pid, Some(9));
        assert!(
            !of_service("down (signal SIGTERM) 1 seconds, normally up")
                .unwrap()
                .live
        );
        let named = |line: &str| super::of_service(line, "/srv/a (pid 1) down");
        let up = named("/srv/a (pid 1) down: up (pid 9) 2 seconds").unwrap();
        assert!(up.live && up.pid == Some(9), "{up:?}");
        assert!(!named("down: /srv/a (pid 1) down: 0s").unwrap().live);
        assert_eq!(of_service("fail: /srv/a: runsv not running"), None);
        assert_eq!(of_service("svstat: fatal: unable to open"), None);
    }

    #[test]
    fn supervisord_is_read_by_its_word() {
        let out = "agent:agent                      RUNNING   pid 12, uptime 0:00:03\n";
        assert_eq!(of_supervisord(out), state("RUNNING", true, Some(12)));
        assert_eq!(
            of_supervisord("agent STOPPED Nov 22 06:00 PM"),
            state("STOPPED", false, None)
        );
        assert_eq!(of_supervisord("agent: ERROR (no such process)"), None);
        assert_eq!(of_supervisord("unix:///run/supervisor.sock no such file"), None);
    }
}

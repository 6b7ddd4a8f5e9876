//! Jobs of `at` that start the agent: kept word for word, removed, submitted again on restore.

use serde::{Deserialize, Serialize};

use super::known;
use super::programs::{Said, ask, error, noted};
use super::{stamp, telling};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::{Trigger, TriggerKind};
use crate::world::World;

/// The jobs of one user that hold a text.
pub struct Jobs<'t> {
    user: &'t str,
    contains: &'t str,
}

/// One job in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    number: String,
    /// When it runs, as `at -t` takes it: `202611221851.00`.
    time: String,
    queue: String,
    user: String,
    script: String,
}

impl<'t> Jobs<'t> {
    /// Jobs of `user` whose commands contain the text. An empty text means no job.
    pub fn of_user(user: &'t str, contains: &'t str) -> Self {
        Jobs { user, contains }
    }

    /// The jobs, whole, for an undo.
    pub async fn glance(&self, world: &World) -> Glance {
        let (facts, undo) = match self.jobs(world).await {
            Ok(jobs) if jobs.is_empty() => (vec![noted("jobs", "no such job is in the queue")], None),
            Ok(jobs) => {
                let each = jobs.iter().map(|j| format!("{} at {}", j.number, j.time));
                let words = each.collect::<Vec<_>>().join(", ");
                (vec![noted("jobs", words)], serde_json::to_vec(&jobs).ok())
            }
            Err(fact) => (vec![fact], None),
        };
        Glance { facts, undo }
    }

    /// Removes them, and reads the queue back.
    pub async fn cut(&self, world: &World) -> Vec<Fact> {
        let jobs = match self.jobs(world).await {
            Ok(jobs) => jobs,
            Err(fact) => return vec![fact],
        };
        let mut facts = Vec::new();
        if jobs.is_empty() {
            facts.push(Fact::AlreadyDone { status: 0 });
        }
        for job in &jobs {
            facts.push(match ask(world, &["atrm", &job.number], None).await {
                Ok(said) if said.code == 0 => Fact::Accepted { status: 0 },
                Ok(said) => said.error(&format!("atrm {}", job.number)),
                Err(fact) => fact,
            });
        }
        facts.extend(self.probe(world).await);
        facts
    }

    /// Reads back whether such a job waits.
    pub async fn probe(&self, world: &World) -> Vec<Fact> {
        match self.jobs(world).await {
            Ok(jobs) if jobs.is_empty() => vec![Fact::ReadBack { dead: true }],
            Ok(jobs) => vec![
                noted("jobs", format!("{} waiting", jobs.len())),
                Fact::ReadBack { dead: false },
            ],
            Err(fact) => vec![fact],
        }
    }

    /// Submits the jobs again, for the same time. One whose time has passed would run at once, so it does not.
    pub async fn restore(&self, world: &World, undo: &[u8]) -> Vec<Fact> {
        let Ok(jobs) = serde_json::from_slice::<Vec<Job>>(undo) else {
            return vec![error("the saved jobs cannot be read")];
        };
        let now = match ask(world, &["date", "+%Y%m%d%H%M.%S"], None).await {
            Ok(said) => said.out.trim().to_owned(),
            Err(fact) => return vec![fact],
        };
        let mut facts = Vec::new();
        for job in jobs {
            if job.time <= now {
                facts.push(error(&format!(
                    "the time of job {} ({}) has passed, and it would run at once: submit it by hand",
                    job.number, job.time
                )));
                continue;
            }
            let mut argv = vec!["at", "-q", &job.queue, "-t", &job.time];
            if world.host.identity().user != job.user {
                argv.splice(0..0, ["runuser", "-u", job.user.as_str(), "--"]);
            }
            facts.push(match ask(world, &argv, Some(job.script.clone())).await {
                Ok(said) if said.code == 0 => Fact::Accepted { status: 0 },
                Ok(said) => said.error("at"),
                Err(fact) => fact,
            });
        }
        facts.extend(self.probe(world).await);
        facts
    }

    async fn jobs(&self, world: &World) -> Result<Vec<Job>, Fact> {
        let mine = |job: &Job| job.user == self.user && !self.contains.is_empty();
        let holds = |job: &Job| job.script.lines().any(|line| line.contains(self.contains));
        let all = queue(world).await?;
        Ok(all.into_iter().filter(|job| mine(job) && holds(job)).collect())
    }
}

/// Every job we may see, with its script.
async fn queue(world: &World) -> Result<Vec<Job>, Fact> {
    let said = ask(world, &["atq"], None).await?;
    if said.code != 0 {
        return Err(said.error("atq"));
    }
    let mut jobs = Vec::new();
    for line in said.out.lines() {
        let Some(mut job) = listed(line) else {
            return Err(error(&format!("atq says what nobody here understands: {line}")));
        };
        match ask(world, &["at", "-c", &job.number], None).await? {
            Said { code: 0, out, .. } => job.script = out,
            // It ran, or somebody removed it, between the list and this.
            said if said.err.contains("Cannot find") => continue,
            said => return Err(said.error("at -c")),
        }
        jobs.push(job);
    }
    Ok(jobs)
}

/// A line of `atq` in the C locale, as in `1 Sun Nov 22 18:51:00 2026 a root`.
fn listed(line: &str) -> Option<Job> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let words: Vec<&str> = line.split_whitespace().collect();
    let [number, _, month, day, time, year, queue, user] = words.as_slice() else {
        return None;
    };
    let month = 1 + MONTHS.iter().position(|m| m == month)?;
    let day: u32 = day.parse().ok()?;
    let (hm, seconds) = time.rsplit_once(':')?;
    Some(Job {
        number: (*number).to_owned(),
        time: format!("{year}{month:02}{day:02}{}.{seconds}", hm.replace(':', "")),
        queue: (*queue).to_owned(),
        user: (*user).to_owned(),
        script: String::new(),
    })
}

/// Jobs that call a known agent. Second: what could not be read. Where there is no `at`, nothing.
pub async fn find(world: &World) -> (Vec<Trigger>, Vec<String>) {
    if world.spawn.find("atq").is_none() {
        return (Vec::new(), Vec::new());
    }
    let jobs = match queue(world).await {
        Ok(jobs) => jobs,
        // The program is here, its spool is not: no job can wait.
        Err(Fact::Error { text, .. }) if text.contains("No such file") => return (Vec::new(), Vec::new()),
        Err(Fact::Error { text, .. }) => return (Vec::new(), vec![format!("jobs of at: {text}")]),
        Err(_) => return (Vec::new(), vec!["jobs of at: no answer".to_owned()]),
    };
    let trigger = |job: &Job| {
        // Above the commands stands the environment of whoever submitted it.
        let line = job
            .script
            .lines()
            .rev()
            .find(|line| known::called_in(line).is_some())?;
        let agent = known::called_in(line)?.agent;
        let kind = TriggerKind::At {
            user: job.user.clone(),
            contains: telling(line),
        };
        stamp("at", agent, kind)
    };
    (jobs.iter().filter_map(trigger).collect(), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_queue_is_read_whole_or_not_at_all() {
        let job = listed("12\tSun Nov  2 08:51:07 2026 a bot").unwrap();
        assert_eq!(
            (job.number.as_str(), job.time.as_str()),
            ("12", "202611020851.07")
        );
        assert_eq!((job.queue.as_str(), job.user.as_str()), ("a", "bot"));
        assert_eq!(listed("12\tSo 2. Nov 08:51 a bot"), None);
    }
}

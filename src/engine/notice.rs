//! Telling others of a request: one rung of the ladder after the other, by program or webhook. What is
//! carried is the request; whoever carries it can sign nothing.

use std::time::Duration;

use super::{Engine, EngineError, Slice};
use crate::model::event::{Event, NoticeBegun, NoticeEnded, Unreached};
use crate::model::incident::{Incident, RequestState};
use crate::model::runbook::{Rung, Way, Webhook, WebhookUrl};
use crate::model::secret::{Secret, SecretRef};
use crate::model::time::Moment;
use crate::world::NetError;
use crate::world::http::{HttpRequest, TlsFiles};
use crate::world::spawn::{Command, End};

/// What came of telling somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The request it is about.
    pub request: u64,
    /// Name of the rung, or `everybody`.
    pub name: String,
    /// By what: a program, or a host.
    pub via: String,
    /// True where it went out. Never that anybody read it.
    pub sent: bool,
    /// In words.
    pub why: String,
    /// What of the record went with it, or why nothing did, in words; empty where nothing was to.
    pub with: String,
}

/// Where the ladder of one request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ladder {
    /// The runbook has none.
    None,
    /// This rung is due: nobody was told yet, or whoever was has not answered in time.
    Due {
        /// Its number, from 1.
        rung: usize,
    },
    /// Somebody was told and may still answer.
    Waits {
        /// Its number, from 1.
        rung: usize,
        /// Its name.
        name: String,
        /// When the next one is due, ms since the epoch.
        until_ms: i64,
    },
    /// Every rung was climbed and its time is over.
    NobodyAnswered,
}

/// Longest time one way of telling somebody may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Output kept of a program that tells somebody, in bytes.
const CAP: u64 = 4 << 10;
/// The number of what is told to everybody, outside the ladder.
pub(super) const WIDE: u32 = 0;

impl Engine<'_> {
    /// Where the ladder of a request stands now.
    pub fn ladder(&self, incident: &Incident, request: u64) -> Ladder {
        stands(
            &self.runbook.reach.ladder,
            incident,
            request,
            self.world.clock.now(),
        )
    }

    /// Climbs every rung that is due: no daemon does it, but whichever command comes next, and `watch`.
    pub fn climb(&self) -> Result<Vec<Told>, EngineError> {
        let ladder = &self.runbook.reach.ladder;
        if ladder.is_empty() || self.case().is_err() {
            return Ok(Vec::new());
        }
        let incident = self.incident()?;
        let mut told = Vec::new();
        for (seq, request) in &incident.requests {
            if !waits_for_answers(&incident, request) {
                continue;
            }
            let Ladder::Due { rung } = self.ladder(&incident, *seq) else {
                continue;
            };
            let number = u32::try_from(rung).unwrap_or(u32::MAX);
            let Some(rung) = ladder.get(rung.saturating_sub(1)) else {
                continue;
            };
            // A notice never waits for what goes with it.
            let slice = self
                .slice(*seq, number, rung)
                .map_err(|e| self.scrubbed(&e.to_string()));
            if let Err(why) = &slice {
                self.note(&format!(
                    "no part of the record goes to rung {number}, {}: {why}",
                    rung.name
                ))?;
            }
            let with = match &slice {
                Ok(slice) => slice.as_ref().map(Slice::words).unwrap_or_default(),
                Err(why) => format!("no part of the record: {why}"),
            };
            let slice = slice.ok().flatten();
            for way in &rung.ways {
                let one = self.tell(*seq, number, rung, way, slice.as_ref())?;
                told.extend(one.map(|told| Told {
                    with: with.clone(),
                    ..told
                }));
            }
        }
        Ok(told)
    }

    /// Tells one: recorded, done, recorded. `None` where another terminal did it meanwhile.
    pub(super) fn tell(
        &self,
        request: u64,
        number: u32,
        rung: &Rung,
        way: &Way,
        slice: Option<&Slice>,
    ) -> Result<Option<Told>, EngineError> {
        let now = self.world.clock.now();
        let via = self.scrubbed(&way.name());
        let begun = NoticeBegun {
            request,
            rung: number,
            name: rung.name.clone(),
            who: rung.who.clone(),
            via: via.clone(),
            within_ms: rung.within_ms,
            mono_us: now.mono_us,
            utc_ms: now.utc_ms,
        };
        let decide = |incident: Option<&Incident>| {
            let incident = incident.ok_or(EngineError::NoIncident)?;
            // Told once each: by whoever comes first.
            let same = |n: &NoticeBegun| n.rung == number && n.name == rung.name && n.via == via;
            if number != WIDE && incident.notices_of(request).any(|(_, n)| same(&n.begun)) {
                return Ok((Vec::new(), ()));
            }
            Ok((vec![Event::from(begun)], ()))
        };
        let (seqs, ()) = self.recorder.borrow_mut().decide(decide)?;
        let Some(notice) = seqs.first().copied() else {
            return Ok(None);
        };
        let (sent, why) = match self.words_for(request, rung, slice) {
            Ok(text) => match way {
                Way::Program(argv) => self.tell_by_program(argv, text, slice),
                Way::Webhook(hook) => self.tell_by_webhook(hook, request, text, slice),
            },
            Err(e) => (false, e.to_string()),
        };
        let why = self.scrubbed(&why);
        self.record(NoticeEnded {
            notice,
            sent,
            why: why.clone(),
        })?;
        Ok(Some(Told {
            request,
            name: rung.name.clone(),
            via,
            sent,
            why,
            with: String::new(),
        }))
    }

    /// What is sent: who asks for what and how to answer, and the text itself.
    fn words_for(&self, seq: u64, rung: &Rung, slice: Option<&Slice>) -> Result<String, EngineError> {
        let incident = self.incident()?;
        let request = incident.requests.get(&seq).ok_or(EngineError::NoIncident)?;
        let steps: Vec<&str> = request.asked.steps.iter().map(|s| s.as_str()).collect();
        let mut text = format!(
            "{} asks for your signature, or your refusal: {} ({} the repair boundary).\n",
            request.asked.requester,
            steps.join(", "),
            request.asked.zone
        );
        if let (Some(asked), Some(lone)) = (&request.lone, &incident.opened.policy.lone) {
            text.push_str(&format!(
                "If nobody signs or refuses, one person runs it alone after {}, because: {}\n",
                crate::model::time::span(lone.after_ms),
                asked.asked.why
            ));
        }
        if rung.sends.brief {
            let lines = self.brief_lines(&incident);
            text.push_str(&format!("\n{lines}\n"));
        }
        if let Some(slice) = slice {
            text.push_str(&format!(
                "\nWith it goes {}. `incident verify FILE` shows that it is unchanged; {} tells you the hash.\n",
                slice.words(),
                request.asked.requester
            ));
        }
        let command = crate::signoff::signing_command(incident.opened.drill, "request.txt");
        text.push_str(&format!(
            "\nSave the text below as request.txt, read it, and sign it: {command}\nTo refuse, sign it with the \
             line `decision: refuse`. Send the .sig back; an answer in a chat counts for nothing.\n\n"
        ));
        text.push_str(&self.statement_of(seq)?);
        // Verbatim but for secrets: what is signed must arrive as it is.
        let (clean, _) = self.redactor().redact(text.as_bytes());
        Ok(String::from_utf8_lossy(&clean).into_owned())
    }

    /// Where the incident stands, in a few lines that name no secret.
    pub(super) fn brief_lines(&self, incident: &Incident) -> String {
        let Some((_, head)) = self.head() else {
            return String::new();
        };
        let due = crate::report::Due {
            what: "a signature is asked for".into(),
            command: "see below".into(),
        };
        crate::report::brief(incident, &head, &due, self.world.clock.now()).join("\n")
    }

    /// The program is given the text on standard input, and where the part of the record lies in its environment.
    fn tell_by_program(&self, argv: &[String], text: String, slice: Option<&Slice>) -> (bool, String) {
        let cwd = self.base.display().to_string();
        let (Some(name), rest) = (argv.first(), argv.get(1..).unwrap_or_default()) else {
            return (false, "no program is named".into());
        };
        let Some(program) = self.program(name, &cwd) else {
            return (
                false,
                format!("there is no program `{name}` (looked in PATH and from {cwd})"),
            );
        };
        if let Some(path) = self.strange(argv) {
            return (
                false,
                format!("{path} is not the script that was trusted; it is not run"),
            );
        }
        let mut env = self.plain_env();
        if let Some(slice) = slice {
            let path = slice.path.display().to_string();
            env.push(("INCIDENT_SLICE".into(), Secret::new(path)));
            env.push(("INCIDENT_SLICE_SHA256".into(), Secret::new(slice.sha256.clone())));
        }
        let command = Command {
            argv: std::iter::once(program).chain(rest.iter().cloned()).collect(),
            cwd: Some(self.base.clone()),
            env,
            stdin: Some(Secret::new(text)),
            deadline: LIMIT,
            no_progress: None,
            cap: CAP,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ran = self
            .world
            .wait(self.world.spawn.run(command, &mut out, &mut err, &mut |_| {}));
        let last = String::from_utf8_lossy(&err);
        let last: String = last.lines().last().unwrap_or("").chars().take(200).collect();
        match ran.map(|r| r.end) {
            Some(End::Exit(0)) => (true, "the program took it".into()),
            Some(end) => (
                false,
                format!("the program {}: {last}", super::act::end_words(&end)),
            ),
            None => (false, "the program did not end; it may have gone out".into()),
        }
    }

    fn tell_by_webhook(
        &self,
        hook: &Webhook,
        request: u64,
        text: String,
        slice: Option<&Slice>,
    ) -> (bool, String) {
        match self.webhook_request(hook, request, text, slice) {
            Err(why) => (false, why),
            // A redirect is an answer, and not one that tells anybody anything.
            Ok(send) => match self.world.wait(self.world.http.send(send)) {
                Some(Ok(answer)) => (
                    (200..300).contains(&answer.status),
                    format!("{} answered HTTP {}", hook.host, answer.status),
                ),
                Some(Err(e @ (NetError::Silent(_) | NetError::Lost(_)))) => {
                    (false, format!("{e}; it may have arrived all the same"))
                }
                Some(Err(e)) => (false, e.to_string()),
                None => (false, "no answer".into()),
            },
        }
    }

    /// Of the part of the record a webhook is told the hash and where it lies: what holds evidence goes to nobody
    /// who did not fetch it.
    fn webhook_request(
        &self,
        hook: &Webhook,
        request: u64,
        text: String,
        slice: Option<&Slice>,
    ) -> Result<HttpRequest, String> {
        let commands = hook.secrets().filter_map(|s| match s {
            SecretRef::Command(argv) => self.strange(argv),
            _ => None,
        });
        if let Some(path) = commands.into_iter().next() {
            return Err(format!(
                "{path} is not the script that was trusted; it reads no secret"
            ));
        }
        let read = |from| match self.world.wait(self.world.secrets.read(from)) {
            Some(Ok(secret)) => Ok(secret),
            Some(Err(e)) => Err(e.to_string()),
            None => Err("its secret could not be read".to_owned()),
        };
        let url = match &hook.url {
            WebhookUrl::Plain(url) => url.clone(),
            WebhookUrl::From(from) => read(from)?.expose().to_owned(),
        };
        if crate::model::runbook::host_of(&url) != Some(hook.host.as_str()) {
            return Err(format!(
                "the address is not one of {}, the only host it may reach",
                hook.host
            ));
        }
        let mut headers = vec![
            ("content-type".to_owned(), Secret::new("application/json".into())),
            ("user-agent".to_owned(), Secret::new("incident".into())),
        ];
        if let Some(token) = &hook.token {
            let token = read(token)?;
            headers.push((
                "authorization".into(),
                Secret::new(format!("Bearer {}", token.expose())),
            ));
        }
        let incident = self.incident().map_err(|e| e.to_string())?;
        let mut body = serde_json::json!({ "text": text, "incident": incident.id(), "request": request });
        if let Some(slice) = slice {
            let host = self.world.host.identity().host;
            body["slice"] = serde_json::json!({
                "sha256": slice.sha256, "bytes": slice.bytes, "shown": slice.shown, "left": slice.left,
                "where": format!("{host}:{}", slice.path.display()),
            });
        }
        Ok(HttpRequest {
            method: "POST".into(),
            url,
            headers,
            body: Some(Secret::new(body.to_string())),
            deadline: LIMIT,
            tls: TlsFiles::default(),
        })
    }

    /// Records a person's word that nobody could be reached.
    pub fn unreached(&self, request: u64, words: &str) -> Result<u64, EngineError> {
        if words.trim().is_empty() {
            return Err(EngineError::NoWords("that nobody can be reached"));
        }
        self.record(Unreached {
            request,
            words: self.scrubbed(words),
        })
    }
}

/// True where people are still to answer.
fn waits_for_answers(incident: &Incident, request: &RequestState) -> bool {
    let signed = incident.approvals_of(request).count();
    let need = usize::try_from(incident.need_of(request).people).unwrap_or(usize::MAX);
    incident.closed_ts.is_none() && request.is_open() && request.statement.is_some() && signed < need
}

fn stands(ladder: &[Rung], incident: &Incident, request: u64, now: Moment) -> Ladder {
    if ladder.is_empty() {
        return Ladder::None;
    }
    let climbed = incident.notices_of(request).filter(|(_, n)| n.begun.rung != WIDE);
    let newest = climbed.max_by_key(|(seq, n)| (n.begun.rung, std::cmp::Reverse(*seq)));
    let Some((_, notice)) = newest else {
        return Ladder::Due { rung: 1 };
    };
    let begun = &notice.begun;
    let wall = u64::try_from(now.utc_ms.saturating_sub(begun.utc_ms)).unwrap_or(0);
    let mono = now.mono_us.saturating_sub(begun.mono_us) / 1000;
    let rung = usize::try_from(begun.rung).unwrap_or(usize::MAX);
    // To ask one more is never wrong: either clock may say that it is time.
    if wall.max(mono) < begun.within_ms {
        let within = i64::try_from(begun.within_ms).unwrap_or(i64::MAX);
        return Ladder::Waits {
            rung,
            name: begun.name.clone(),
            until_ms: begun.utc_ms.saturating_add(within),
        };
    }
    match rung < ladder.len() {
        true => Ladder::Due { rung: rung + 1 },
        false => Ladder::NobodyAnswered,
    }
}

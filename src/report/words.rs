//! Events and facts in words a person would say.

use std::fmt::Display;

use crate::model::effect::Effects;
use crate::model::event::{AnchorFiled, AnchorKind, ClockOffset, CustodyBegan, Event, Outcome, StopFacts};
use crate::model::fact::{Fact, Observed};
use crate::model::incident::TargetState;
use crate::model::runbook::{Need, Touch};
use crate::model::time::{rfc3339, span};

/// `no target`, `1 target`, `3 targets`.
pub fn count(n: usize, thing: &str) -> String {
    match n {
        0 => format!("no {thing}"),
        1 => format!("1 {thing}"),
        n => format!("{n} {thing}s"),
    }
}

/// The items with commas between.
pub fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = items.into_iter().map(|i| i.to_string()).collect();
    words.join(", ")
}

/// What was found by the look and has a name of ours that says nothing, as in ` (github …8B4a, GITHUB_TOKEN of
/// claude-code (pid 20))`; empty for what somebody listed under a name of their own.
pub fn what_it_is(target: &TargetState) -> String {
    match target.aim.found_by.strip_prefix("scan: ") {
        Some(found) => format!(" ({found})"),
        None => String::new(),
    }
}

/// Why nothing was tried against what still lives, and how a person does it, as in `; not cut: cannot read the secret
/// from $VAULT_TOKEN: it is not set; by hand: vault token revoke …`; empty where a cut was taken.
pub fn why_not_cut(target: &TargetState) -> String {
    let facts = &target.facts;
    let taken = |f: &Observed| matches!(f.fact, Fact::Accepted { .. } | Fact::AlreadyDone { .. });
    if facts.iter().any(taken) {
        return String::new();
    }
    // What failed was tried: what was missing before that is there now.
    let failed = |f: &Observed| matches!(f.fact, Fact::Error { .. } | Fact::Silent { .. });
    let since = facts.iter().rposition(failed).map_or(0, |at| at + 1);
    let facts = facts.get(since..).unwrap_or_default();
    // The first says most: what the others lack is what it could not get.
    let why = facts.iter().find_map(|f| match &f.fact {
        Fact::NotTried { why } => Some(why),
        _ => None,
    });
    let how = facts.iter().rev().find_map(|f| match &f.fact {
        Fact::Manual { how } => Some(how),
        _ => None,
    });
    let why = why.map(|why| format!("; not cut: {why}")).unwrap_or_default();
    let how = how.map(|how| format!("; by hand: {how}")).unwrap_or_default();
    why + &how
}

/// Effects by their words.
pub fn effects(effects: &Effects) -> String {
    match effects.is_empty() {
        true => "nothing declared or seen".into(),
        false => list(effects),
    }
}

/// Who must sign, as in `2 people, one of them database`.
pub fn need(need: &Need) -> String {
    let people = match need.people {
        1 => "1 person".to_owned(),
        n => format!("{n} people"),
    };
    let mut text = match need.roles.is_empty() {
        true => people,
        false => format!("{people}, with the roles {}", list(&need.roles)),
    };
    if need.teams_apart {
        text += ", of different teams";
    }
    text += match need.touch {
        Touch::None => "",
        Touch::Present => ", with touched FIDO keys",
        Touch::Verified => ", with FIDO keys, touched and their PIN given",
    };
    text
}

/// One event in words; `None` for what only the program needs.
pub fn words_of(event: &Event) -> Option<String> {
    Some(match event {
        Event::Opened(e) => match e.drill {
            true => format!("opened a drill: {}", e.title),
            false => format!("opened the incident: {}", e.title),
        },
        Event::StopStarted(e) => {
            let problems = match e.problems.len() {
                0 => String::new(),
                n => format!("; {} could not be used", count(n, "thing")),
            };
            format!("began to stop {}{problems}", count(e.targets.len(), "target"))
        }
        Event::StopFacts(e) => stop_facts(e),
        Event::StopEnded(e) => match (e.interrupted, e.first_cut_us) {
            (true, _) => "the stop was interrupted before its end".into(),
            (false, None) => "the stop ended; nothing was there to cut".into(),
            (false, Some(_)) => "the stop ended".into(),
        },
        Event::TargetAnswered(e) => format!("answers for {}: {}", e.target, e.words),
        Event::StageEntered(e) => format!("went on to {}", e.stage),
        Event::ActStarted(e) => {
            let verb = if e.undoes { "began to take back" } else { "began" };
            let signed = match e.consumes.is_empty() {
                _ if e.alone => format!(
                    "; alone, nobody signed for {}",
                    list(e.consumes.iter().map(|r| format!("#{r}")))
                ),
                true => String::new(),
                false => format!(
                    "; signed for in {}",
                    list(e.consumes.iter().map(|r| format!("#{r}")))
                ),
            };
            let why = e.why.as_ref().map(|w| format!("; why: {w}")).unwrap_or_default();
            let (step, zone, effects) = (&e.step, e.zone, effects(&e.effects));
            let approved = e
                .approved
                .as_ref()
                .map(|a| format!("; {}", a.words()))
                .unwrap_or_default();
            format!(
                "{verb} {step} ({zone} the boundary: {effects}): {}{approved}{signed}{why}",
                e.title
            )
        }
        Event::ActChild(_) => return None,
        Event::ActEnded(e) => {
            let outcome = match e.outcome {
                Outcome::Done => "done",
                Outcome::Failed => "failed",
                Outcome::InDoubt => "in doubt",
            };
            let code = e.code.map(|c| format!(", exit {c}")).unwrap_or_default();
            format!(
                "act #{} is {outcome} after {}{code}{}",
                e.act,
                span(e.ms),
                reason(&e.why)
            )
        }
        Event::ActChecked(e) => {
            let word = if e.passed { "passed" } else { "failed" };
            format!("the check of act #{} {word}{}", e.act, reason(&e.text))
        }
        Event::StepSkipped(e) => format!("skipped {}{}", e.step, reason(&e.why)),
        Event::QuestionAnswered(e) => format!("answered {}: {}", e.step, e.text),
        Event::CaptureStarted(e) => format!("began to capture {} ({})", e.name, e.purpose),
        Event::CaptureEnded(e) => {
            let holes = e.items.iter().filter(|i| i.status.is_hole()).count();
            let (things, holes) = (count(e.items.len(), "thing"), count(holes, "hole"));
            format!(
                "capture #{} ended after {}: {things}, {holes}",
                e.capture,
                span(e.ms)
            )
        }
        Event::ExhibitFiled(_) => return None,
        Event::BaselineSealed(e) => {
            let unknown = match e.unknown.is_empty() {
                true => String::new(),
                false => format!("; not known yet: {}", e.unknown.join("; ")),
            };
            let captures = list(e.captures.iter().map(|c| format!("#{c}")));
            format!("sealed the baseline over captures {captures}{unknown}")
        }
        Event::NoteAdded(e) => format!("note: {}", e.text),
        Event::WindowSeen(e) => {
            let hold = match e.hold.as_str() {
                "" => String::new(),
                hold => format!("; what would hold it: {hold}"),
            };
            format!("{} closes at {}{hold}", e.what, rfc3339(e.closes_ms))
        }
        Event::WindowOver(e) => format!("window #{} is dealt with: {}", e.window, e.text),
        Event::FileAttached(e) => format!("attached {}", e.from),
        Event::DidElsewhere(e) => format!("done outside the tool: {}", e.text),
        Event::EscalationRequested(e) => {
            let (steps, zone, rule, need) = (list(&e.steps), e.zone, &e.rule, need(&e.need));
            format!("asked {need} to sign for {steps} ({zone} the boundary, rule {rule})")
        }
        Event::StatementIssued(e) => format!("wrote what is to be signed for request #{}", e.request),
        Event::ResponderProven(e) => {
            let (name, person, key) = (&e.name, &e.person, &e.key.fingerprint);
            format!("{name} is {person}, proved with {key}")
        }
        Event::EscalationWithdrawn(e) => format!("withdrew request #{}{}", e.request, reason(&e.why)),
        Event::SignoffFiled(e) => {
            let word = if e.approves { "approved" } else { "refused" };
            let (person, request, key) = (&e.person, e.request, &e.key.fingerprint);
            format!("{person} {word} request #{request}, signed with {key}")
        }
        Event::SignoffRejected(e) => match e.request {
            Some(request) => format!("an answer to request #{request} does not count: {}", e.text),
            None => format!("a signed answer does not count: {}", e.text),
        },
        Event::NoticeBegun(e) => match e.rung {
            0 => format!("began to tell everybody of request #{} by {}", e.request, e.via),
            n => {
                let who = match e.who.is_empty() {
                    true => String::new(),
                    false => format!(" ({})", list(&e.who)),
                };
                let (request, name, via) = (e.request, &e.name, &e.via);
                format!("began to ask {name}{who} by {via} for request #{request}, rung {n}")
            }
        },
        Event::NoticeEnded(e) => match e.sent {
            true => format!("notice #{} went out{}", e.notice, reason(&e.why)),
            false => format!("notice #{} did not go out{}", e.notice, reason(&e.why)),
        },
        Event::SliceCut(e) => {
            let left = match e.left.is_empty() {
                true => String::new(),
                false => format!("; not in it: {}", list(&e.left)),
            };
            let (name, shown, hash) = (&e.name, list(&e.shown), e.sha256.get(..16).unwrap_or(""));
            format!("cut a part of the record for {name} ({hash}…): {shown}{left}")
        }
        Event::Unreached(e) => format!("nobody can be reached for request #{}: {}", e.request, e.words),
        Event::LoneAsked(e) => format!("asked to run request #{} alone: {}", e.request, e.why),
        Event::SignerEnrolled(e) => format!(
            "wrote {} into the roster during the incident, to refuse and to countersign: {}",
            e.person, e.words
        ),
        Event::DelegationFiled(e) => format!(
            "{} lent the role {} to {} until {}, signed with {}",
            e.from,
            e.role,
            e.to,
            rfc3339(e.until_ms),
            e.key.fingerprint
        ),
        Event::SignerRevoked(e) => format!(
            "took {} out: no signature of theirs counts any more in this incident{}",
            e.subject,
            reason(&e.why)
        ),
        Event::PlanFrozen(e) => format!("fixed the plan: {}", list(e.steps.iter().map(|s| &s.step))),
        Event::PlanAmended(e) => {
            let changes = match e.changes.is_empty() {
                true => "the same steps, to be tried again".to_owned(),
                false => list(
                    e.changes
                        .iter()
                        .map(|c| format!("{} {}", c.step, c.change.word())),
                ),
            };
            format!("changed the plan: {changes}{}{}", fell(&e.fell), reason(&e.why))
        }
        Event::PlanDropped(e) => {
            let stands = match e.stands.is_empty() {
                true => String::new(),
                false => format!("; in force all the same: {}", list(&e.stands)),
            };
            format!("gave the plan up{stands}{}{}", fell(&e.fell), reason(&e.why))
        }
        Event::ProbeAnswered(e) => {
            let word = if e.passed { "passed" } else { "failed" };
            format!("probe {} {word}{}", e.probe, reason(&e.text))
        }
        Event::Recovered(e) => format!(
            "recovered: {} passed, the state after is kept in {}",
            count(e.probes.len(), "probe"),
            list(e.captures.iter().map(|c| format!("#{c}")))
        ),
        Event::Closed(e) => format!("closed the incident, {} unproved: {}", e.unproved.len(), e.words),
        Event::BundleSealed(e) => match e.signed {
            true => "sealed a bundle, signed".into(),
            false => "sealed a bundle, not signed".into(),
        },
        Event::MirrorChosen(e) => format!("every record goes to {} as well", e.place),
        Event::MirrorAcked(e) => match e.behind {
            0 => format!("the mirror {} held all {} records", e.place, e.there),
            n => format!(
                "the mirror {} held {} of {} records{}",
                e.place,
                e.there,
                e.there + n,
                reason(&e.why)
            ),
        },
        Event::MirrorEnded(e) => format!(
            "the mirror {} was switched off: it keeps the {} of {} records it held",
            e.place,
            e.there,
            e.there + e.behind
        ),
        Event::JournalRecovered(e) => format!(
            "the last line of the record was torn: {} bytes of it were set aside in {}",
            e.bytes, e.file
        ),
        Event::JournalContinued(e) => format!(
            "this record continues {}, which is damaged from byte {} on{}",
            e.damaged,
            e.at,
            reason(&e.why)
        ),
        Event::SpoolAbsorbed(e) => {
            format!("took over {} records that were kept in {}", e.records, e.place)
        }
        Event::AnchorRequested(e) => format!("asked for a time stamp of record #{}", e.head_seq),
        Event::AnchorFiled(e) => anchored(e),
        Event::CustodyBegan(_) => return None,
        Event::ClockOffset(e) => clock(e),
        Event::CustodyHanded(e) => match &e.key {
            Some(key) => format!(
                "handed the record over to {} at #{}, who signed for it with {}",
                e.to, e.head_seq, key.fingerprint
            ),
            None => format!(
                "handed the record over to {} at #{}, who signed nothing",
                e.to, e.head_seq
            ),
        },
    })
}

/// Who looks from here on, where and with what.
pub fn began(e: &CustodyBegan) -> String {
    // The whole hash is in the record.
    let program = match e.program_sha256.get(..16) {
        None => "a program that could not be read".to_owned(),
        Some(hash) => format!("program {hash}…"),
    };
    let (user, host, tool) = (&e.user, &e.host, &e.tool);
    format!("looked as {user} on {host} with incident {tool} ({program})")
}

/// Who holds a head elsewhere, as told.
pub fn anchored(e: &AnchorFiled) -> String {
    let head = e.head_seq;
    match (e.anchor, &e.time) {
        (AnchorKind::TimeStamp, Some(time)) => {
            format!("record #{head} was time-stamped at {time}, as the stamp says")
        }
        (AnchorKind::TimeStamp, None) => format!("record #{head} was time-stamped"),
        (AnchorKind::Witness, _) => format!("record #{head} was shown to others{}", reason(&e.words)),
    }
}

/// How this host's clock stands beside another.
pub fn clock(e: &ClockOffset) -> String {
    let by = span(e.offset_ms.unsigned_abs());
    let (source, give) = (&e.source, span(e.uncertainty_ms));
    match e.offset_ms {
        0 => format!("this clock agrees with {source}, give or take {give}"),
        1.. => format!("this clock is {by} ahead of {source}, give or take {give}"),
        _ => format!("this clock is {by} behind {source}, give or take {give}"),
    }
}

fn fell(requests: &[u64]) -> String {
    match requests.is_empty() {
        true => String::new(),
        false => format!(
            "; what was signed for in {} fell with it",
            list(requests.iter().map(|r| format!("#{r}")))
        ),
    }
}

fn reason(why: &str) -> String {
    match why.is_empty() {
        true => String::new(),
        false => format!(": {why}"),
    }
}

/// What was observed of one target in one part of its chain.
pub fn stop_facts(e: &StopFacts) -> String {
    format!("{}, {}: {}", e.target, e.phase, facts(&e.facts).join("; "))
}

/// Facts in words, oldest first; one that only repeats the one before it is said once.
pub fn facts(facts: &[Observed]) -> Vec<String> {
    let mut words: Vec<String> = facts.iter().map(|o| fact(&o.fact)).collect();
    words.dedup();
    words
}

/// One fact in words.
pub fn fact(fact: &Fact) -> String {
    match fact {
        Fact::Accepted { status } => format!("cut was taken{}", http(*status)),
        Fact::AlreadyDone { status } => format!("was cut before{}", http(*status)),
        Fact::ReadBack { dead: true } => "the provider's record says dead".into(),
        Fact::ReadBack { dead: false } => "the provider's record says alive".into(),
        Fact::TriedNew { refused: true } => "new use refused".into(),
        Fact::TriedNew { refused: false } => "new use still works".into(),
        Fact::TriedOpen { refused: true } => "session opened before refused".into(),
        Fact::TriedOpen { refused: false } => "session opened before still works".into(),
        Fact::NoSessions => "has no sessions that could outlive it".into(),
        Fact::Listed { live } => format!("{} listed", count(whole(*live), "live session")),
        Fact::Ended { count: n } => format!("{} ended", count(whole(*n), "session")),
        Fact::Residual { what, until_ms } => residual(what, *until_ms),
        Fact::InFlight { what } => format!("still running at the provider: {what}"),
        Fact::Window {
            what,
            closes_ms,
            hold,
        } => {
            format!("{what} closes at {}; to hold it: {hold}", rfc3339(*closes_ms))
        }
        Fact::Revives { what, until_ms } => match until_ms {
            Some(at) => format!(
                "undoing it would revive {what}, until {} at the latest",
                rfc3339(*at)
            ),
            None => format!("undoing it would revive {what}"),
        },
        Fact::Starter { what, line, .. } => {
            format!("{what} can start it again; to keep it from that: {line}")
        }
        Fact::Over { what } => format!("over: {what}"),
        Fact::Saved { .. } => "what an undo needs was put away".into(),
        Fact::GivenBack { act } => format!("given back on purpose by act #{act}"),
        Fact::Renewed {
            act,
            service,
            name,
            print,
        } => {
            let print = print.as_ref().map(|p| format!(" (fingerprint {p})"));
            format!(
                "act #{act} made a new credential for {service}: {name}{}; this one stays cut",
                print.unwrap_or_else(|| ", by hand".into())
            )
        }
        Fact::Silent { after_ms } => format!(
            "no answer after {}; it may have been carried out",
            span(*after_ms)
        ),
        Fact::Error { status, text } => format!("failed{}: {text}", http(*status)),
        Fact::Manual { how } => format!("by hand: {how}"),
        Fact::NotTried { why } => format!("not tried: {why}"),
        Fact::Frozen { count: n } => format!("{} frozen", processes(*n)),
        Fact::Killed { count: n } => format!("{} killed", processes(*n)),
        Fact::LookedFor { found, scope, .. } => format!("looked for in {scope}: {} found", processes(*found)),
        Fact::Spared { why } => format!("left alone: {why}"),
        Fact::Noted { label, text } => format!("{label}: {text}"),
    }
}

/// What may outlive the cut.
pub fn residual(what: &str, until_ms: Option<i64>) -> String {
    match until_ms {
        Some(at) => format!("{what} may live until {}", rfc3339(at)),
        None => format!("{what} may live on, with no known end"),
    }
}

fn processes(n: u32) -> String {
    match n {
        0 => "no process".into(),
        1 => "1 process".into(),
        n => format!("{n} processes"),
    }
}

fn http(status: u16) -> String {
    match status {
        0 => String::new(),
        status => format!(" (HTTP {status})"),
    }
}

fn whole(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

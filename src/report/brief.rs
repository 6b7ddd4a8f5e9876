//! Ten lines for the chat.

use super::danger::{clock, elapsed, standing, still_dangerous, where_it_is};
use super::{Due, escape, words};
use crate::journal::Hash;
use crate::model::fact::Proof;
use crate::model::incident::{Incident, RequestState};
use crate::model::time::Moment;

/// Longest line, in characters.
const LINE: usize = 200;

/// Ten lines at most, to paste into a chat: nobody is called by a name in foreign text.
pub fn brief(incident: &Incident, head: &Hash, due: &Due, now: Moment) -> Vec<String> {
    let dangers = still_dangerous(incident, now);
    let named = |wanted: &dyn Fn(Proof) -> bool| {
        let targets = incident.targets().into_iter();
        let all = targets.filter(|(_, t)| wanted(t.proof()));
        words::list(all.map(|(id, t)| format!("{id} ({})", t.proof())))
    };
    let (dead, alive) = (named(&Proof::is_dead), named(&|p: Proof| !p.is_dead()));
    let deadline = dangers
        .iter()
        .filter_map(|d| Some((d.deadline_ms?, &d.what)))
        .min();
    let down = incident
        .answers
        .iter()
        .find(|(step, _)| step.as_str() == "services");
    let waiting = incident.requests.iter().filter(|(_, r)| r.is_open());
    let waiting: Vec<String> = waiting.map(|(seq, r)| waits(incident, *seq, r)).collect();
    let alone = incident
        .alone
        .keys()
        .map(|seq| format!("act #{seq} run by one person alone"));
    let enrolled = incident
        .enrolled
        .keys()
        .map(|who| format!("{who} enrolled on the day"));
    let out = incident
        .revocations
        .iter()
        .map(|r| format!("{} taken out (#{})", r.revoked.subject, r.seq));
    let lent = incident.lent.iter().map(|l| {
        let (to, role, from) = (&l.filed.to, &l.filed.role, &l.filed.from);
        format!("{to} signs as {role}, lent by {from}")
    });
    let odd: Vec<String> = alone.chain(enrolled).chain(out).chain(lent).collect();
    let waiting: Vec<String> = waiting.into_iter().chain(odd).collect();
    let or = |text: String, none: &str| if text.is_empty() { none.to_owned() } else { text };
    let lines = [
        format!("{}: {}", incident.id(), incident.opened.title),
        format!(
            "stage {}, {} since the start, {}",
            where_it_is(incident),
            elapsed(incident, now),
            standing(incident)
        ),
        format!("proved dead: {}", or(dead, "nothing")),
        format!(
            "not proved: {}",
            or(alive + ", access nobody listed", "").trim_start_matches(", ")
        ),
        match dangers.first() {
            Some(d) => format!("most dangerous now: {}", d.what),
            None => String::new(),
        },
        match deadline {
            Some((at, what)) => format!("next deadline: {}, {what}", clock(at, now)),
            None => "next deadline: none known".into(),
        },
        format!(
            "services: {}",
            down.map_or("nobody has said yet", |(_, a)| a.text.as_str())
        ),
        format!("next decision: {} ({})", due.what, due.command),
        format!("waiting for: {}", or(waiting.join("; "), "nobody")),
        format!(
            "record: #{}, head {}",
            incident.records.saturating_sub(1),
            head.short()
        ),
    ];
    lines.iter().map(|line| shortened(&escape::chat(line))).collect()
}

/// Who has to answer a request, and what of it is there.
pub(super) fn waits(incident: &Incident, seq: u64, request: &RequestState) -> String {
    let need = incident.need_of(request);
    let filed = incident.approvals_of(request).count();
    // Whoever acted, has answered or was taken out cannot help any more.
    let free = incident.opened.policy.people.keys().filter(|who| {
        !incident.actors.contains(*who)
            && !request.signoffs.iter().any(|s| s.person == **who)
            && incident.taken_out(who, &[]).is_none()
    });
    let free: Vec<&String> = free.collect();
    let who = match free.is_empty() {
        true => "nobody on the roster is left to ask".to_owned(),
        false => format!("to be asked: {}", words::list(free)),
    };
    format!(
        "request #{seq} for {}: {filed} of {} signed; {who}",
        words::list(&request.asked.steps),
        words::need(&need)
    )
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LINE) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

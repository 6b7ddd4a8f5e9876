//! Facts are what adapters observe; the proof is the word those facts allow.
//!
//! No adapter holds a proof word, so none can round up: [`proof`] is the only place that says one.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::TargetId;

/// Something an adapter observed about one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// The provider took the request to cut (HTTP status, or 0 where the protocol has none).
    Accepted {
        /// HTTP status, 0 where there is none.
        status: u16,
    },
    /// The provider says it was already cut before this request. Still to be probed.
    AlreadyDone {
        /// HTTP status, 0 where there is none.
        status: u16,
    },
    /// The provider's own record was read back.
    ReadBack {
        /// True: the record says dead, disabled or gone.
        dead: bool,
    },
    /// The credential was used afresh (a new login, a new request).
    TriedNew {
        /// True: the provider refused it.
        refused: bool,
    },
    /// A session opened before the cut was used again.
    TriedOpen {
        /// True: the old session no longer works.
        refused: bool,
    },
    /// Nothing like an earlier session exists for this kind of credential.
    NoSessions,
    /// Derived sessions, leases or children were listed.
    Listed {
        /// How many were still alive.
        live: u32,
    },
    /// Derived sessions were told to end.
    Ended {
        /// How many.
        count: u32,
    },
    /// A derived session that may outlive the cut, and until when at the latest.
    Residual {
        /// What it is, in words.
        what: String,
        /// Latest wall time it can live to, ms since the epoch; `None` = no known end.
        until_ms: Option<i64>,
    },
    /// A provider operation the agent started that is still running.
    InFlight {
        /// What it is, in words.
        what: String,
    },
    /// A window in which damage can still be undone, and when it closes.
    Window {
        /// What closes (undelete, PITR, rotation, scheduled deletion).
        what: String,
        /// Wall time at which it closes, ms since the epoch.
        closes_ms: i64,
        /// The act that would hold it open, in words.
        hold: String,
    },
    /// What works again if this cut is undone: old tokens and sessions that the cut stopped and did not destroy.
    Revives {
        /// What it is, in words.
        what: String,
        /// Latest wall time at which it would still work, ms since the epoch; `None` = no known end.
        until_ms: Option<i64>,
    },
    /// What can start the agent again and was left alive, because it is not only the agent's.
    Starter {
        /// What it is, in words.
        what: String,
        /// The line that keeps it from starting the agent.
        line: String,
        /// Its process id.
        pid: u32,
        /// Its start time in clock ticks since boot.
        starttime: u64,
        /// The trigger that is switched off so that it does not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trigger: Option<TargetId>,
    },
    /// What was reported in flight, closing, residual or a starter in these words is so no longer.
    Over {
        /// The words it was reported in.
        what: String,
    },
    /// Hung up after this long without an answer. It may have been carried out.
    Silent {
        /// Milliseconds waited.
        after_ms: u64,
    },
    /// The request could not be made or was answered with an error.
    Error {
        /// HTTP status, 0 where there was none.
        status: u16,
        /// What went wrong, scrubbed, at most 200 characters.
        text: String,
    },
    /// There is no way for the tool to do or check this: where a person does it by hand.
    Manual {
        /// Exact console path or command.
        how: String,
    },
    /// Not looked at in this way, and why (no secret at hand, no permission).
    NotTried {
        /// The reason.
        why: String,
    },
    /// A process was frozen (SIGSTOP seen to take effect).
    Frozen {
        /// How many processes.
        count: u32,
    },
    /// A process was killed by the tool.
    Killed {
        /// How many processes.
        count: u32,
    },
    /// The target was looked for.
    LookedFor {
        /// How many were found alive.
        found: u32,
        /// Host, users and namespaces the look covered.
        scope: String,
        /// True where the scope covers every user of the whole host.
        whole: bool,
    },
    /// The target was deliberately left alone, and why (own ancestor, shared, responder's own).
    Spared {
        /// The reason, with what remains open.
        why: String,
    },
    /// What an undo of the next cut needs was put away.
    Saved {
        /// Its file below `undo/`.
        file: String,
        /// SHA-256 of its bytes, hexadecimal.
        sha256: String,
    },
    /// The access was given back on purpose. What was seen of its death before says nothing any more.
    GivenBack {
        /// The `act.started` that did it.
        act: u64,
    },
    /// A new credential was made in its place, for a service that needs one. What was cut stays cut.
    Renewed {
        /// The `act.started` that did it.
        act: u64,
        /// The service it is for.
        service: String,
        /// What the provider knows it by, which is not a secret.
        name: String,
        /// Keyed fingerprint of the secret; `None` where a person made it.
        print: Option<String>,
    },
    /// A volatile fact worth keeping (argv, cwd, sockets, last use), in words without secrets.
    Noted {
        /// A label such as `argv` or `last-used`.
        label: String,
        /// The text, scrubbed.
        text: String,
    },
}

/// A fact with the moment it was observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// Monotonic microseconds at which it was observed.
    pub at_us: u64,
    /// What was observed.
    pub fact: Fact,
}

/// What a glance before the cut gave: facts, and what puts things back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Glance {
    /// What was seen.
    pub facts: Vec<Fact>,
    /// Bytes from which the cut can be undone; they may hold secrets. `None` where nothing is to be undone.
    pub undo: Option<Vec<u8>>,
}

/// What kind of thing is being proved dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// A credential.
    Grant,
    /// A process tree.
    Tree,
    /// Something that starts the agent again.
    Trigger,
}

/// Label of the note that something was seen alive before a cut.
pub const BEFORE: &str = "before";

impl Fact {
    /// True where this was seen of something that lives.
    fn is_life(&self) -> bool {
        match self {
            Fact::TriedNew { refused: dead }
            | Fact::TriedOpen { refused: dead }
            | Fact::ReadBack { dead } => !dead,
            Fact::GivenBack { .. } => true,
            Fact::Noted { label, .. } => label == BEFORE,
            _ => false,
        }
    }

    fn is_cut(&self) -> bool {
        matches!(self, Fact::Accepted { .. } | Fact::AlreadyDone { .. })
    }
}

/// When it was cut, monotonic microseconds; `None` = never.
///
/// Cutting again what was not seen alive since takes nothing away, neither from the moment of the first cut nor
/// from what was proved after it. Where life was seen after every cut, the newest one counts.
pub fn cut_us(facts: &[Observed]) -> Option<u64> {
    let cuts = |range: &[Observed]| range.iter().find(|o| o.fact.is_cut()).map(|o| o.at_us);
    let lived = facts.iter().rposition(|o| o.fact.is_life());
    let since = facts.get(lived.map_or(0, |n| n + 1)..).unwrap_or_default();
    cuts(since).or_else(|| facts.iter().rev().find(|o| o.fact.is_cut()).map(|o| o.at_us))
}

/// The strongest word the facts allow. Later variants are weaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Tried afterwards, again after the window, and with an old session: refused each time.
    Refused,
    /// Looked for over the whole host and not found.
    Gone,
    /// New use refused, also after the window; an old session could not be tried.
    RefusedNewUse,
    /// The provider's own record says dead; the credential itself was not tried.
    Confirmed,
    /// Not found in the part of the host that could be seen.
    NotSeenHere,
    /// The provider took the request. Nothing more is known.
    Accepted,
    /// No way to tell from here; a named person must answer for it.
    Unprovable,
    /// The attempt failed, or its outcome is unknown.
    Failed,
    /// Seen alive after the cut.
    StillLive,
}

impl Proof {
    /// The words used in records and on screen.
    pub fn word(self) -> &'static str {
        match self {
            Proof::Refused => "refused",
            Proof::Gone => "gone",
            Proof::RefusedNewUse => "refused (new use)",
            Proof::Confirmed => "confirmed",
            Proof::NotSeenHere => "not-seen-here",
            Proof::Accepted => "accepted",
            Proof::Unprovable => "unprovable",
            Proof::Failed => "failed",
            Proof::StillLive => "still-live",
        }
    }

    /// True where the record holds a proof of death rather than a hope.
    pub fn is_dead(self) -> bool {
        matches!(
            self,
            Proof::Refused | Proof::Gone | Proof::RefusedNewUse | Proof::Confirmed
        )
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The word that these facts allow, never a stronger one.
///
/// `window` is the provider's propagation time: a refusal seen earlier than `window` after the last
/// accepted cut does not count as [`Proof::Refused`] yet. Facts may come in any order of kind but are
/// given oldest first. Facts from before the cut ([`cut_us`]) prove nothing about life after it, except that
/// an observation of life without any later observation of death always counts.
pub fn proof(kind: TargetKind, facts: &[Observed], window: Duration) -> Proof {
    match kind {
        TargetKind::Tree => tree_proof(facts),
        TargetKind::Grant | TargetKind::Trigger => grant_proof(facts, window),
    }
}

fn tree_proof(facts: &[Observed]) -> Proof {
    let mut word = Proof::Failed;
    for observed in facts {
        match &observed.fact {
            Fact::LookedFor {
                found: 0,
                whole: true,
                ..
            } => word = Proof::Gone,
            Fact::LookedFor {
                found: 0,
                whole: false,
                ..
            } => word = Proof::NotSeenHere,
            Fact::LookedFor { .. } | Fact::Spared { .. } => word = Proof::StillLive,
            _ => {}
        }
    }
    word
}

fn grant_proof(facts: &[Observed], window: Duration) -> Proof {
    // Alive is alive whenever it was last seen so: take the latest look of each kind.
    let latest = |pick: &dyn Fn(&Fact) -> Option<bool>| {
        facts
            .iter()
            .rev()
            .find_map(|o| pick(&o.fact).map(|dead| (dead, o.at_us)))
    };
    let new_use = latest(&|f| match f {
        Fact::TriedNew { refused } => Some(*refused),
        _ => None,
    });
    let old_use = latest(&|f| match f {
        Fact::TriedOpen { refused } => Some(*refused),
        _ => None,
    });
    let record = latest(&|f| match f {
        Fact::ReadBack { dead } => Some(*dead),
        _ => None,
    });
    let listed = latest(&|f| match f {
        Fact::Listed { live } => Some(*live == 0),
        _ => None,
    });
    let cut_us = cut_us(facts);
    let window_us = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
    let settles = cut_us.map(|at| at.saturating_add(window_us));
    // What a record said while the cut was still spreading is over once the credential itself was tried
    // after that and refused: the record may have been read with a credential that died meanwhile.
    let outlived = |(dead, at): (bool, u64)| {
        let tried = new_use.is_some_and(|(refused, tried)| refused && tried > at && Some(tried) >= settles);
        !dead && tried && settles.is_some_and(|end| at < end)
    };
    let record = record.filter(|look| !outlived(*look));
    // A credential that worked before the first cut that was taken, and was not at hand afterwards, is as dead as the
    // record says that was read since: otherwise a cut that failed at first could never be proved. One that worked
    // after a cut has shown what such a record is worth.
    let first_cut = facts.iter().find(|o| o.fact.is_cut()).map(|o| o.at_us);
    let buried = |(dead, at): (bool, u64)| {
        let before = !dead && first_cut.is_some_and(|cut| at < cut);
        before && record.is_some_and(|(gone, read)| gone && cut_us.is_some_and(|cut| read >= cut))
    };
    let new_use = new_use.filter(|look| !buried(*look));
    let looks = [new_use, old_use, record, listed];
    if looks.into_iter().flatten().any(|(dead, _)| !dead) {
        return Proof::StillLive;
    }
    let newest = |pick: &dyn Fn(&Fact) -> bool| facts.iter().rposition(|o| pick(&o.fact));
    let cut = newest(&Fact::is_cut);
    if newest(&|f| matches!(f, Fact::GivenBack { .. })) > cut {
        return Proof::StillLive;
    }
    let spared = newest(&|f| matches!(f, Fact::Spared { .. })) > cut;
    if spared && new_use.is_none() && record.is_none() {
        return Proof::StillLive;
    }
    let Some(cut) = cut_us else {
        let manual = facts.iter().any(|o| matches!(o.fact, Fact::Manual { .. }));
        return match (new_use, record, manual) {
            // Never cut by us, yet looked at and dead: the provider's word, no more.
            (Some((true, _)), _, _) | (_, Some((true, _)), _) => Proof::Confirmed,
            (_, _, true) => Proof::Unprovable,
            _ => Proof::Failed,
        };
    };
    let after = |look: Option<(bool, u64)>| look.is_some_and(|(_, at)| at >= cut);
    let settled = new_use.is_some_and(|(_, at)| at >= cut.saturating_add(window_us));
    let no_sessions = facts.iter().any(|o| matches!(o.fact, Fact::NoSessions));
    // A session that was listed later is another than the one that was tried.
    let others = facts
        .iter()
        .rposition(|o| matches!(o.fact, Fact::Listed { live: 1.. }))
        > facts
            .iter()
            .rposition(|o| matches!(o.fact, Fact::TriedOpen { .. }));
    if settled && ((after(old_use) && !others) || no_sessions) {
        return Proof::Refused;
    }
    if settled {
        return Proof::RefusedNewUse;
    }
    if after(record) {
        return Proof::Confirmed;
    }
    Proof::Accepted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(facts: &[(u64, Fact)]) -> Vec<Observed> {
        facts
            .iter()
            .map(|(at_us, fact)| Observed {
                at_us: *at_us,
                fact: fact.clone(),
            })
            .collect()
    }

    #[test]
    fn nothing_seen_proves_nothing() {
        for kind in [TargetKind::Grant, TargetKind::Tree, TargetKind::Trigger] {
            assert_eq!(proof(kind, &[], Duration::ZERO), Proof::Failed);
        }
    }

    #[test]
    fn a_two_hundred_is_only_accepted() {
        let facts = at(&[(1, Fact::Accepted { status: 200 })]);
        assert_eq!(proof(TargetKind::Grant, &facts, Duration::ZERO), Proof::Accepted);
    }

    #[test]
    fn a_refusal_before_the_window_has_passed_is_not_the_last_word() {
        let mut facts = at(&[
            (10, Fact::Accepted { status: 204 }),
            (20, Fact::TriedNew { refused: true }),
            (21, Fact::TriedOpen { refused: true }),
        ]);
        let window = Duration::from_micros(100);
        assert_eq!(proof(TargetKind::Grant, &facts, window), Proof::Accepted);
        facts.extend(at(&[(110, Fact::TriedNew { refused: true })]));
        assert_eq!(proof(TargetKind::Grant, &facts, window), Proof::Refused);
    }

    #[test]
    fn without_an_old_session_the_word_says_so() {
        let facts = at(&[
            (10, Fact::Accepted { status: 204 }),
            (20, Fact::TriedNew { refused: true }),
        ]);
        assert_eq!(
            proof(TargetKind::Grant, &facts, Duration::ZERO),
            Proof::RefusedNewUse
        );
    }

    #[test]
    fn any_later_sign_of_life_wins() {
        let facts = at(&[
            (10, Fact::Accepted { status: 204 }),
            (20, Fact::TriedNew { refused: true }),
            (21, Fact::ReadBack { dead: true }),
            (22, Fact::TriedOpen { refused: false }),
        ]);
        assert_eq!(proof(TargetKind::Grant, &facts, Duration::ZERO), Proof::StillLive);
    }

    #[test]
    fn a_second_cut_of_what_is_dead_takes_no_word_away_and_of_what_lived_again_it_does() {
        let window = Duration::from_micros(100);
        let first = [
            (10, Fact::Accepted { status: 204 }),
            (15, Fact::Listed { live: 2 }),
            (16, Fact::Listed { live: 0 }),
            (120, Fact::TriedNew { refused: true }),
            (121, Fact::TriedOpen { refused: true }),
        ];
        let word = |more: &[(u64, Fact)]| {
            let facts = at(&[&first, more].concat());
            proof(TargetKind::Grant, &facts, window)
        };
        let again = (500, Fact::Accepted { status: 204 });
        assert_eq!(word(&[]), Proof::Refused);
        assert_eq!(word(std::slice::from_ref(&again)), Proof::Refused);
        let tried = (510, Fact::TriedNew { refused: true });
        assert_eq!(word(&[again.clone(), tried.clone()]), Proof::Refused);
        let listed = [(505, Fact::Listed { live: 1 }), (506, Fact::Listed { live: 0 })];
        assert_eq!(
            word(&[again.clone(), listed[0].clone(), listed[1].clone(), tried.clone()]),
            Proof::RefusedNewUse,
            "a session that nobody tried was there"
        );
        for life in [
            Fact::ReadBack { dead: false },
            Fact::GivenBack { act: 7 },
            Fact::Noted {
                label: BEFORE.into(),
                text: "use: alive".into(),
            },
        ] {
            let dead = (620, Fact::ReadBack { dead: true });
            let late = (620, Fact::TriedNew { refused: true });
            let lived = [(400, life.clone()), again.clone(), tried.clone()];
            assert_ne!(word(&lived), Proof::Refused, "{life:?}");
            let lived = [&lived[..], &[dead, late]].concat();
            assert_eq!(word(&lived), Proof::RefusedNewUse, "{life:?}");
        }
    }

    #[test]
    fn a_record_read_while_the_cut_spread_is_outlived_by_a_refusal_after_it_and_by_nothing_else() {
        let window = Duration::from_micros(100);
        let word = |more: &[(u64, Fact)]| {
            let mut facts = at(&[
                (10, Fact::Accepted { status: 204 }),
                (20, Fact::ReadBack { dead: false }),
            ]);
            facts.extend(at(more));
            proof(TargetKind::Grant, &facts, window)
        };
        let refused = Fact::TriedNew { refused: true };
        assert_eq!(word(&[(120, refused.clone())]), Proof::RefusedNewUse);
        assert_eq!(word(&[(50, refused.clone())]), Proof::StillLive);
        assert_eq!(
            word(&[(120, refused.clone()), (121, Fact::ReadBack { dead: false })]),
            Proof::StillLive
        );
        assert_eq!(
            word(&[(115, Fact::ReadBack { dead: false }), (120, refused)]),
            Proof::StillLive
        );
    }

    #[test]
    fn life_seen_before_the_cut_is_buried_by_the_record_read_after_it_and_by_nothing_less() {
        let word = |more: &[(u64, Fact)]| {
            let facts = [&[(10, Fact::TriedNew { refused: false })], more].concat();
            proof(TargetKind::Grant, &at(&facts), Duration::ZERO)
        };
        let cut = (20, Fact::Accepted { status: 204 });
        let (dead, alive) = (Fact::ReadBack { dead: true }, Fact::TriedNew { refused: false });
        assert_eq!(word(&[cut.clone(), (30, dead.clone())]), Proof::Confirmed);
        assert_eq!(word(std::slice::from_ref(&cut)), Proof::StillLive);
        assert_eq!(word(&[(15, dead.clone()), cut.clone()]), Proof::StillLive);
        assert_eq!(word(&[(30, dead.clone())]), Proof::StillLive, "nothing was cut");
        let open = (12, Fact::TriedOpen { refused: false });
        assert_eq!(word(&[open, cut.clone(), (30, dead.clone())]), Proof::StillLive);
        assert_eq!(
            word(&[cut.clone(), (25, alive.clone()), (30, dead.clone())]),
            Proof::StillLive
        );
        let again = (40, Fact::Accepted { status: 204 });
        assert_eq!(
            word(&[cut, (30, dead.clone()), (35, alive), again, (50, dead)]),
            Proof::StillLive,
            "the record said so before, and it worked"
        );
    }

    #[test]
    fn a_timeout_is_not_a_success() {
        let facts = at(&[(10, Fact::Silent { after_ms: 15_000 })]);
        assert_eq!(proof(TargetKind::Grant, &facts, Duration::ZERO), Proof::Failed);
    }

    #[test]
    fn what_is_left_for_last_lives_until_it_is_cut() {
        let mut facts = at(&[(
            1,
            Fact::Spared {
                why: "it cuts the rest".into(),
            },
        )]);
        assert_eq!(proof(TargetKind::Grant, &facts, Duration::ZERO), Proof::StillLive);
        facts.extend(at(&[(9, Fact::Accepted { status: 204 })]));
        assert_eq!(proof(TargetKind::Grant, &facts, Duration::ZERO), Proof::Accepted);
    }

    #[test]
    fn what_was_given_back_lives_whatever_was_seen_before() {
        let mut facts = at(&[
            (1, Fact::Accepted { status: 204 }),
            (2, Fact::TriedNew { refused: true }),
            (3, Fact::GivenBack { act: 7 }),
        ]);
        assert_eq!(proof(TargetKind::Grant, &facts, Duration::ZERO), Proof::StillLive);
        facts.extend(at(&[(4, Fact::Accepted { status: 204 })]));
        assert_eq!(proof(TargetKind::Grant, &facts, Duration::ZERO), Proof::Accepted);
    }

    #[test]
    fn a_narrow_look_does_not_prove_gone() {
        let narrow = Fact::LookedFor {
            found: 0,
            scope: "uid 1000".into(),
            whole: false,
        };
        let facts = at(&[(1, Fact::Killed { count: 3 }), (2, narrow)]);
        assert_eq!(
            proof(TargetKind::Tree, &facts, Duration::ZERO),
            Proof::NotSeenHere
        );
    }
}

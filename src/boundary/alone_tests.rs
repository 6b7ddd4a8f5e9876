//! When one person may act alone, one condition at a time.

use super::alone::{Alone, alone};
use super::quorum_tests::{ANA, BEN, Case};
use crate::model::effect::Zone;
use crate::model::event::{LoneAsked, NoticeBegun};
use crate::model::incident::{LoneState, NoticeState, Said};
use crate::model::runbook::{Lone, Need};
use crate::model::time::Moment;

const AFTER: u64 = 900_000;
const VALID: u64 = 1_800_000;

/// Ana asked, at the boundary, to act alone on her request, and one notice went out.
fn case() -> Case {
    let mut case = Case::new(Need::of(1));
    case.incident.opened.policy.lone = Some(Lone {
        after_ms: AFTER,
        valid_ms: VALID,
    });
    let request = case.incident.requests.get_mut(&10).unwrap();
    request.asked.zone = Zone::At;
    request.lone = Some(LoneState {
        seq: 11,
        who: ANA.into(),
        asked: LoneAsked {
            request: 10,
            why: "nobody answers".into(),
            mono_us: 0,
            utc_ms: 0,
        },
    });
    notice(&mut case, 12, 10, Some(true));
    case
}

fn notice(case: &mut Case, seq: u64, request: u64, sent: Option<bool>) {
    let begun = NoticeBegun {
        request,
        rung: 0,
        name: "everybody".into(),
        who: vec![],
        via: "./page".into(),
        within_ms: 0,
        mono_us: 0,
        utc_ms: 0,
    };
    let ended = sent.map(|sent| (sent, "x".into()));
    let ts = "t".into();
    case.incident
        .notices
        .insert(seq, NoticeState { begun, ts, ended });
}

/// How far it has come after so long by the wall clock and by the other.
fn after(case: &Case, wall_ms: u64, mono_ms: u64) -> Alone {
    let now = Moment {
        utc_ms: i64::try_from(wall_ms).unwrap(),
        mono_us: mono_ms * 1000,
    };
    alone(&case.incident, 10, &case.incident.requests[&10], now)
}

fn changed(change: impl FnOnce(&mut Case)) -> Alone {
    let mut case = case();
    change(&mut case);
    after(&case, AFTER, AFTER)
}

#[test]
fn both_clocks_must_agree_that_the_delay_is_over_and_either_ends_it() {
    let case = case();
    let end = AFTER + VALID;
    for (wall, mono, expected) in [
        (AFTER, AFTER, Alone::Ready { left_ms: VALID }),
        (AFTER - 1, AFTER, Alone::Cooling { left_ms: 1 }),
        (AFTER, AFTER - 1, Alone::Cooling { left_ms: 1 }),
        (end, AFTER, Alone::Ready { left_ms: 0 }),
        (AFTER, end, Alone::Ready { left_ms: 0 }),
        (end + 1, AFTER, Alone::Expired),
        (AFTER, end + 1, Alone::Expired),
        (0, end + 1, Alone::Cooling { left_ms: AFTER }),
    ] {
        assert_eq!(after(&case, wall, mono), expected, "{wall} {mono}");
    }
}

#[test]
fn somebody_must_have_been_told() {
    let told = |sents: &[Option<bool>]| {
        changed(|c| {
            c.incident.notices.clear();
            // Of another request: it tells nobody of this one.
            notice(c, 50, 9, Some(true));
            (60..)
                .zip(sents)
                .for_each(|(seq, sent)| notice(c, seq, 10, *sent));
        })
    };
    let ready = Alone::Ready { left_ms: VALID };
    for (sents, expected) in [
        (&[][..], &Alone::NobodyTold),
        (&[None], &Alone::NobodyTold),
        (&[Some(false)], &Alone::NobodyTold),
        (&[Some(false), Some(true), None], &ready),
    ] {
        assert_eq!(told(sents), *expected, "{sents:?}");
    }
    let nobody_there = |c: &mut Case| {
        c.incident.notices.clear();
        c.incident.requests.get_mut(&10).unwrap().unreached = Some(Said {
            seq: 13,
            ts: "t".into(),
            who: ANA.into(),
            text: "no answer".into(),
        });
    };
    assert_eq!(changed(nobody_there), ready);
}

#[test]
fn only_one_act_that_a_proven_person_asked_for_and_nobody_refused_is_run_alone() {
    fn asked(c: &mut Case) -> &mut crate::model::incident::RequestState {
        c.incident.requests.get_mut(&10).unwrap()
    }
    let ready = Alone::Ready { left_ms: VALID };
    assert_eq!(
        changed(|c| c.incident.opened.policy.lone = None),
        Alone::NotAllowed
    );
    assert_eq!(changed(|c| asked(c).asked.zone = Zone::Outside), Alone::Outside);
    assert_eq!(changed(|c| asked(c).lone = None), Alone::NotAsked);
    let list = |c: &mut Case| {
        let step = asked(c).asked.steps[0].clone();
        asked(c).asked.steps.push(step);
    };
    assert_eq!(changed(list), Alone::NotAsked);
    assert_eq!(changed(|c| asked(c).asked.proven = false), Alone::Unproven);
    // With nobody on the roster, nobody could prove it.
    let empty = |c: &mut Case| {
        asked(c).asked.proven = false;
        c.incident.opened.policy.people.clear();
    };
    assert_eq!(changed(empty), ready);
    // Any act of the same step, by whichever request.
    let no = |c: &mut Case| {
        c.ask(20, Need::of(1));
        c.signs(20, BEN, "SHA256:b", (None, None), false);
    };
    assert_eq!(changed(no), Alone::Refused { by: BEN.into() });
    let among_others = |c: &mut Case| {
        no(c);
        let other = super::zone_tests::act("other").step;
        c.incident.requests.get_mut(&20).unwrap().asked.steps.push(other);
    };
    assert_eq!(changed(among_others), Alone::Refused { by: BEN.into() });
    let another = |c: &mut Case| {
        c.act.step = super::zone_tests::act("other").step;
        no(c);
    };
    assert_eq!(changed(another), ready);
}

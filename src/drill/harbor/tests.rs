use serde_json::{Value, json};

use super::super::scenario::Scenario;
use super::*;

fn harbor() -> Harbor {
    let scenario = Scenario::shipped("nine-seconds").unwrap();
    Harbor::new(&scenario.platform, |id| format!("secret-of-{id}"))
}

fn at(seconds: u64) -> Moment {
    Moment {
        utc_ms: 1_773_457_641_000 + i64::try_from(seconds).unwrap() * 1_000,
        mono_us: seconds * 1_000_000,
    }
}

fn ask(harbor: &mut Harbor, s: u64, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
    harbor.run_due(at(s));
    harbor.handle(at(s), Some(&format!("secret-of-{token}")), method, path, &body)
}

const DELETE: &str = "/v1/volumes/vol-bookings";

#[test]
fn a_deletion_takes_its_backups_along_and_can_be_undone() {
    let mut h = harbor();
    assert_eq!(ask(&mut h, 0, "tok-dns", "DELETE", DELETE, Value::Null).0, 202);
    assert!(h.healthy("bookings-api"), "not before it ran");
    let (_, backups) = ask(&mut h, 9, "tok-ana", "GET", "/v1/backups", Value::Null);
    assert!(!h.healthy("bookings-api"));
    assert!(
        !backups
            .to_string()
            .contains("\"bookings\",\"environment\":\"production\"")
    );
    let restored = ask(
        &mut h,
        600,
        "tok-ana",
        "POST",
        "/v1/volumes/vol-bookings/restore",
        Value::Null,
    );
    assert_eq!(restored.0, 200);
    assert!(h.healthy("bookings-api"));
}

#[test]
fn a_new_volume_of_the_same_name_ends_the_undo_unless_it_is_held() {
    let new = json!({"name": "bookings", "environment": "production"});
    for held in [false, true] {
        let mut h = harbor();
        ask(&mut h, 0, "tok-dns", "DELETE", DELETE, Value::Null);
        if held {
            ask(
                &mut h,
                60,
                "tok-ana",
                "PUT",
                "/v1/volumes/vol-bookings/hold",
                Value::Null,
            );
        }
        let made = ask(&mut h, 180, "tok-dns", "POST", "/v1/volumes", new.clone());
        let back = ask(
            &mut h,
            200,
            "tok-ana",
            "POST",
            "/v1/volumes/vol-bookings/restore",
            Value::Null,
        );
        assert_eq!((made.0, back.0), if held { (423, 200) } else { (201, 410) });
    }
}

#[test]
fn a_queued_deletion_outlives_its_token_and_only_cancelling_stops_it() {
    for cancel in [false, true] {
        let mut h = harbor();
        ask(&mut h, 0, "tok-dns", "DELETE", DELETE, Value::Null);
        let (status, operation) = ask(
            &mut h,
            20,
            "tok-dns",
            "DELETE",
            "/v1/volumes/vol-photos",
            Value::Null,
        );
        assert_eq!((status, &operation["state"]), (202, &json!("pending")));
        ask(&mut h, 30, "tok-ana", "DELETE", "/v1/tokens/tok-dns", Value::Null);
        if cancel {
            let (_, n) = ask(
                &mut h,
                40,
                "tok-ana",
                "DELETE",
                "/v1/tokens/tok-dns/operations",
                Value::Null,
            );
            assert_eq!(n["cancelled"], json!(1));
        }
        h.run_due(at(3_600));
        assert_eq!(h.volumes()["vol-photos"].state == VolumeState::Live, cancel);
    }
}

#[test]
fn a_revoked_token_works_until_the_revocation_has_spread() {
    let mut h = harbor();
    let me = |h: &mut Harbor, s| ask(h, s, "tok-dns", "GET", "/v1/me", Value::Null).0;
    assert_eq!(
        ask(&mut h, 10, "tok-ana", "DELETE", "/v1/tokens/tok-dns", Value::Null).0,
        204
    );
    assert_eq!(me(&mut h, 11), 200);
    assert_eq!(me(&mut h, 14), 401);
    assert_eq!(
        ask(&mut h, 15, "tok-ana", "DELETE", "/v1/tokens/tok-dns", Value::Null).0,
        410
    );
    assert!(
        h.live_tokens(Holder::Agent, at(15))
            .iter()
            .all(|id| *id != "tok-dns")
    );
}

#[test]
fn a_narrow_token_is_kept_out_of_production_and_the_attempt_is_on_record() {
    let mut h = harbor();
    assert_eq!(
        ask(&mut h, 0, "tok-staging", "DELETE", DELETE, Value::Null).0,
        403
    );
    assert_eq!(ask(&mut h, 1, "nobody", "GET", "/v1/me", Value::Null).0, 401);
    let log: Vec<_> = h
        .audit()
        .iter()
        .map(|a| (a.by.as_str(), a.action, a.status))
        .collect();
    assert_eq!(
        log,
        [
            ("tok-staging", Action::DeleteVolume, 403),
            ("harbor", Action::Refused, 401)
        ]
    );
}

//! What a status says of an object, and when it is written.
#![expect(clippy::expect_used, clippy::panic, reason = "what fails in a helper fails the test")]

use crds::report::{Problem, Report, Verdict};
use k8s_openapi::jiff::Timestamp;
use operator::status::{self, Facts, Judged, Programmed, Reason};
use serde_json::{Map, Value, json};

fn at(second: u32) -> Timestamp {
    format!("2026-01-01T00:00:{second:02}Z").parse().expect("a time")
}

fn report(verdict: Verdict) -> Report {
    Report { generation: Some(3), verdict, serving_generation: None, warnings: Vec::new() }
}

fn missing() -> Problem {
    Problem::SecretNotFound { secret: "openai".to_owned() }
}

fn facts(judged: Judged, programmed: Programmed) -> Facts {
    Facts { generation: 3, judged, serving_generation: None, programmed, expired: None, own: Map::new() }
}

fn served() -> Facts {
    facts(Judged::Accepted(Vec::new()), Programmed::Served("7-0badcafe".to_owned()))
}

fn said(status: &Value, kind: &str) -> (String, String) {
    let condition = status::find(status, kind).unwrap_or_else(|| panic!("no {kind} in {status}"));
    let text = |field: &str| condition[field].as_str().expect("text").to_owned();
    (text("status"), text("reason"))
}

fn pair(word: &str, reason: &str) -> (String, String) {
    (word.to_owned(), reason.to_owned())
}

#[test]
fn ready_is_all_the_others_and_each_is_about_the_generation() {
    let status = status::of(&served(), &Value::Null, at(1));
    for (kind, reason) in [("Accepted", "Accepted"), ("ResolvedRefs", "Resolved"), ("Programmed", "Programmed"), ("Ready", "Ready")] {
        assert_eq!(said(&status, kind), pair("True", reason));
        assert_eq!(status::find(&status, kind).expect("told")["observedGeneration"], 3);
    }
    assert_eq!(status["observedGeneration"], 3);
    assert_eq!(status["dataPlane"]["revision"], "7-0badcafe");
}

#[test]
fn what_passes_by_itself_is_unknown_and_what_a_person_must_mend_is_false() {
    let refused = Problem::UnsupportedFeature("budgets");
    let table = [
        (Judged::of(&report(Verdict::Pending(missing())), true), "Unknown", "SecretNotFound", "Unknown", "SecretNotFound"),
        (Judged::of(&report(Verdict::Pending(missing())), false), "False", "SecretNotFound", "False", "SecretNotFound"),
        (Judged::of(&report(Verdict::Refused(refused)), true), "False", "UnsupportedFeature", "Unknown", "NotAccepted"),
    ];
    for (judged, accepted, why, resolved, because) in table {
        let status = status::of(&facts(judged, Programmed::Waiting(Reason::NotAccepted, String::new())), &Value::Null, at(1));
        assert_eq!(said(&status, "Accepted"), pair(accepted, why));
        assert_eq!(said(&status, "ResolvedRefs"), pair(resolved, because));
        assert_eq!(said(&status, "Ready"), pair(accepted, why), "the first that somebody must mend");
        assert!(status.get("dataPlane").is_none());
    }
    for (programmed, word, reason) in [
        (Programmed::Waiting(Reason::Propagating, "2 of 3".to_owned()), "Unknown", "Propagating"),
        (Programmed::Waiting(Reason::ConvergenceTimeout, "pod-b".to_owned()), "Unknown", "ConvergenceTimeout"),
        (Programmed::Failed(Reason::RejectedByDataPlane, "old".to_owned()), "False", "RejectedByDataPlane"),
    ] {
        let status = status::of(&facts(Judged::Accepted(Vec::new()), programmed), &Value::Null, at(1));
        assert_eq!((said(&status, "Programmed"), said(&status, "Ready")), (pair(word, reason), pair(word, reason)));
    }
}

#[test]
fn a_transition_keeps_its_time_until_the_next_one() {
    let first = status::of(&served(), &Value::Null, at(1));
    assert_eq!(status::of(&served(), &first, at(2)), first, "nothing changed, nothing is written");
    let waiting = facts(Judged::Accepted(Vec::new()), Programmed::Waiting(Reason::Propagating, String::new()));
    let second = status::of(&Facts { generation: 4, ..waiting }, &first, at(3));
    let since = |status: &Value, kind: &str| status::find(status, kind).expect("told")["lastTransitionTime"].clone();
    assert_eq!(since(&second, "Accepted"), "2026-01-01T00:00:01Z", "it stayed True");
    assert_eq!(since(&second, "Ready"), "2026-01-01T00:00:03Z");
    let default = json!({"conditions": [{"type": "Ready", "status": "Unknown", "reason": "Pending", "message": "", "lastTransitionTime": "1970-01-01T00:00:00Z"}]});
    let fresh = facts(Judged::of(&report(Verdict::Pending(missing())), true), Programmed::Waiting(Reason::NotAccepted, String::new()));
    assert_eq!(since(&status::of(&fresh, &default, at(5)), "Ready"), "2026-01-01T00:00:05Z", "the default is no moment");
}

#[test]
fn what_was_served_by_all_is_left_alone_for_its_generation() {
    let status = status::of(&served(), &Value::Null, at(1));
    assert_eq!(status::served(&status, 3).as_deref(), Some("7-0badcafe"));
    assert_eq!(status::served(&status, 4), None, "another generation begins anew");
    let judged = Judged::of(&report(Verdict::Pending(missing())), false);
    let lost = status::of(&facts(judged, Programmed::Waiting(Reason::NotAccepted, String::new())), &status, at(2));
    assert_eq!(status::served(&lost, 3), None);
    assert_eq!(status::turned(&lost, 3), Some(at(2)));
    assert_eq!(status::turned(&lost, 2), None);
}

#[test]
fn a_restart_does_not_forget_which_generation_serves() {
    let judged = || Judged::of(&report(Verdict::Refused(Problem::UnsupportedFeature("x"))), false);
    let refused =
        |serving| Facts { serving_generation: Some(serving), ..facts(judged(), Programmed::Waiting(Reason::NotAccepted, String::new())) };
    let before = status::of(&refused(2), &Value::Null, at(1));
    assert_eq!(before["servingGeneration"], 2);
    assert_eq!(status::of(&refused(0), &before, at(9)), before);
    let newer = Facts { generation: 4, ..refused(0) };
    assert_eq!(status::of(&newer, &before, at(9))["servingGeneration"], 0);
}

#[test]
fn a_key_whose_time_is_over_says_so_and_stays_ready() {
    for (expired, word) in [(true, "True"), (false, "False")] {
        let status = status::of(&Facts { expired: Some(expired), ..served() }, &Value::Null, at(1));
        assert_eq!(said(&status, "Expired").0, word);
        assert_eq!(said(&status, "Ready").0, "True");
    }
}

#[test]
fn a_warning_is_told_beside_the_acceptance() {
    let warning = Problem::ModelAmbiguous { model: "gpt".to_owned(), other: "team-a/two".to_owned() };
    let status = status::of(&Facts { judged: Judged::Accepted(vec![warning]), ..served() }, &Value::Null, at(1));
    assert_eq!(said(&status, "Ready").0, "True");
    let message = status::find(&status, "Accepted").expect("told")["message"].as_str().expect("text");
    assert!(message.contains("ModelAmbiguous") && message.contains("team-a/two"), "{message}");
}

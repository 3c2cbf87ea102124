//! Who may lead, and until when.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;
use operator::clock;
use operator::lease::{DURATION, Step, Term, decide};

fn held(by: &str, seconds: Option<i32>) -> LeaseSpec {
    LeaseSpec { holder_identity: Some(by.to_owned()), lease_duration_seconds: seconds, ..LeaseSpec::default() }
}

#[test]
fn a_lease_is_taken_when_it_is_free_ours_or_stood_still_for_its_whole_time() {
    let second = Duration::from_secs(1);
    assert_eq!(decide(None, "me", Duration::ZERO), Step::Create);
    for free in [LeaseSpec::default(), held("", Some(1)), held("me", Some(15))] {
        assert_eq!(decide(Some(&free), "me", Duration::ZERO), Step::Take);
    }
    let other = held("other", Some(15));
    assert_eq!(decide(Some(&other), "me", second * 14), Step::Wait);
    assert_eq!(decide(Some(&other), "me", second * 15), Step::Take);
    let longer = held("other", Some(40));
    assert_eq!(decide(Some(&longer), "me", second * 39), Step::Wait, "whoever holds it says for how long");
    assert_eq!(decide(Some(&longer), "me", second * 40), Step::Take);
    for strange in [held("other", None), held("other", Some(-4))] {
        assert_eq!(decide(Some(&strange), "me", DURATION - second), Step::Wait);
        assert_eq!(decide(Some(&strange), "me", DURATION), Step::Take);
    }
}

#[tokio::test]
async fn a_term_ends_by_itself_or_when_it_is_ended_and_whoever_waits_is_told() {
    let term = Term::begun(clock::now());
    assert!(term.check().is_ok());
    let waiting = tokio::spawn({
        let term = term.clone();
        async move { term.ended().await }
    });
    term.end();
    assert!(term.check().is_err());
    waiting.await.expect("it ends");
    let past = clock::now().checked_sub(DURATION).expect("the machine runs for longer");
    assert!(Term::begun(past).check().is_err(), "nobody renewed it: a paused leader leads no more");
}

//! The examination: every recorded chat answer, replayed by the provider behind a started gateway and read by a strict OpenAI
//! client, in three ways: whole, cut at random, and byte by byte. What must be read was found by a decoder that has nothing
//! in common with the gateway.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests: what fails here fails the test")]

mod asking;
mod cases;
mod judged;
mod manifests;
mod replay;
#[path = "../../../dataplane/providers/tests/schema/mod.rs"]
mod schema;
mod strict;

use std::collections::BTreeMap;

use e2e::client::Wire;
use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;

use asking::Rules;
use cases::Case;
use judged::judge;
use replay::{Replay, WAYS, Way};

/// How many recorded chat answers there were when this was written: fewer are not all.
const CASES_MIN: usize = 145;

/// A case that was read wrong: what, and in which way of cutting.
type Faults = BTreeMap<(String, &'static str), Vec<String>>;

#[tokio::test]
async fn every_recorded_chat_answer_is_read_as_it_is_expected() {
    let Some(fixtures) = e2e::fixtures::folder("the examination by recorded chat answers") else { return };
    let cases = cases::all(&fixtures);
    assert!(cases.len() >= CASES_MIN, "only {} chat answers were found in {}", cases.len(), fixtures.display());
    let replay = Replay::start().await;
    let key = folder::key_text(1);
    let manifests = manifests::of(&cases, replay.address()) + &folder::key("k", &key, "");
    let folder = Folder::with(&manifests);
    let gateway = Gateway::start(folder.path(), &[]).await;

    let rules = Rules::of(&fixtures, &cases);
    let mut faults = Faults::new();
    for way in WAYS {
        for case in &cases {
            let found = examine(&gateway, &replay, &rules, &key, case, way).await;
            if !found.is_empty() {
                faults.insert((case.name.clone(), way.name()), found);
            }
        }
    }
    for ((case, way), found) in &faults {
        eprintln!("FAILED {case} {way}: {}", found.join("; "));
    }
    let figure = figure(cases.len(), &faults);
    eprintln!("{figure}");
    if cases.len() == CASES_MIN {
        let told = include_str!("../../../docs/clients.md").contains(&figure);
        assert!(told, "docs/clients.md does not say: {figure}");
    }
    assert!(faults.is_empty(), "{} answers were read wrong", faults.len());
}

/// One line with the count of each way.
fn figure(all: usize, faults: &Faults) -> String {
    let right = |way: Way| all - faults.keys().filter(|(_, name)| *name == way.name()).count();
    WAYS.map(|way| format!("{} of {all} {}", right(way), way.name())).join(", ")
}

/// Asks for one recording and tells what was wrong with what came, or with what the provider was asked.
async fn examine(gateway: &Gateway, replay: &Replay, rules: &Rules, key: &str, case: &Case, way: Way) -> Vec<String> {
    replay.play(case, way);
    let body = asking::request(case);
    let mut wire = Wire::to(gateway.listen).await;
    wire.send(e2e::client::posting("/v1/chat/completions", key, &body.to_string())).await;
    let Some(answer) = wire.answer().await else { return vec!["the connection ended before an answer".to_owned()] };
    let mut found = judge(case, &answer);
    match replay.asked() {
        Some(asked) => found.extend(rules.complaints(case, &body, &asked)),
        None => found.push(format!("the provider was not asked: {} {}", answer.status, answer.text())),
    }
    found
}

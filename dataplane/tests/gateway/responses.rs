//! Answers that providers keep: told under sealed ids, gone on from, looked at and deleted by their own tenant alone.

use serde_json::{Value, json};

use crate::client::{Answer, Call};
use crate::house::House;
use crate::manifests::{key, open_gateway, provider, provider_of};
use crate::provider::Asked;

const DOOR: &str = "/v1/responses";

fn house() -> House {
    let shared = "allowedNamespaces: { from: All }";
    House::of(&[
        open_gateway(),
        provider_of("OpenAI", "house/alpha", shared),
        provider_of("OpenAI", "house/beta", shared),
        provider("house/plain", shared),
        key("one/app", ""),
        key("two/app", ""),
    ])
}

fn response(id: &str, previous: &Value) -> Value {
    let annotation = json!({ "type": "file_citation", "file_id": "file-abc", "filename": "a.pdf", "index": 0 });
    let content = json!([{ "type": "output_text", "text": "hi", "annotations": [annotation] }]);
    json!({
        "id": id, "object": "response", "status": "completed", "model": "m", "previous_response_id": previous,
        "output": [{ "id": "msg_1", "type": "message", "role": "assistant", "content": content }],
        "metadata": { "id": "mine", "file_id": "mine too" },
        "usage": { "input_tokens": 3, "output_tokens": 2, "total_tokens": 5 },
    })
}

async fn works(house: &House, call: Call, status: u16, body: &str) -> (Asked, Answer) {
    let calling = house.call(call);
    let (_line, asked) = house.providers.answers("alpha.house.example", status, body).await;
    (asked, calling.answer().await)
}

/// Asks for an answer that is kept; gives its sealed id.
async fn kept(house: &House, key: &str) -> String {
    let call = Call::post(key, DOOR, r#"{"model":"alpha/m","input":"hi"}"#);
    let (_, answer) = works(house, call, 200, &response("resp_1", &Value::Null).to_string()).await;
    answer.json()["id"].as_str().expect("an id").to_owned()
}

async fn in_vain(house: &House, call: Call) -> (u16, String) {
    let before = house.providers.dialled().len();
    let answer = house.call(call).answer().await;
    assert_eq!(house.providers.dialled().len(), before, "nobody is asked");
    (answer.status, answer.code())
}

fn after(model: &str, id: &str) -> String {
    format!(r#"{{ "model":"{model}","previous_response_id" : "{id}","input":"more","temperature":1.0 }}"#)
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_a_sealed_id_and_is_gone_on_from() {
    let house = house();
    let id = kept(&house, "one/app").await;
    assert!(id.starts_with("resp_") && id.len() > 60, "{id}");
    let call = Call::post("one/app", DOOR, &after("alpha/m", &id));
    let (asked, answer) = works(&house, call, 200, &response("resp_2", &json!("resp_1")).to_string()).await;
    assert_eq!(asked.text, after("m", "resp_1"), "no other byte is changed");
    let told = answer.json();
    let second = told["id"].as_str().expect("an id").to_owned();
    assert!(second != id && second.starts_with("resp_"));
    let file = told["output"][0]["content"][0]["annotations"][0]["file_id"].as_str().expect("an id").to_owned();
    assert!(file.starts_with("file-") && file.len() > 60, "{file}");
    let mut expected = response(&second, &json!(id));
    expected["output"][0]["content"][0]["annotations"][0]["file_id"] = json!(file);
    assert_eq!(told, expected, "all else is as it came");
    // What was answered can be sent again as it is.
    let again = json!({ "model": "alpha/m", "input": told["output"] }).to_string();
    let (asked, _) = works(&house, Call::post("one/app", DOOR, &again), 200, &response("resp_3", &Value::Null).to_string()).await;
    assert_eq!(asked.body["input"], response("", &Value::Null)["output"]);
    let receipts = house.receipts();
    assert!(receipts.iter().all(|one| one["usage"]["prompt"] == 3), "{receipts:?}");
}

#[tokio::test(start_paused = true)]
async fn events_tell_sealed_ids_however_a_stream_is_cut() {
    let house = house();
    let id = kept(&house, "one/app").await;
    let (open, done) = (response("resp_9", &json!("resp_1")), response("resp_9", &json!("resp_1")));
    let stream = [
        format!("event: response.created\ndata: {}\n\n", json!({ "type": "response.created", "sequence_number": 0, "response": open })),
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"delta\":\"hi\"}\n\n"
            .to_owned(),
        format!("data: {}\n\n", json!({ "type": "response.completed", "sequence_number": 2, "response": done })),
    ];
    let mut bodies = Vec::new();
    for cut in [usize::MAX, 7] {
        let body = after("alpha/m", &id).replace("\"input\"", "\"stream\":true,\"input\"");
        let calling = house.call(Call::post("one/app", DOOR, &body));
        let mut line = house.providers.line("alpha.house.example").await;
        assert_eq!(line.asked().await.body["previous_response_id"], "resp_1");
        line.begins().await;
        for piece in stream.concat().as_bytes().chunks(cut) {
            line.chunk(std::str::from_utf8(piece).expect("text")).await;
        }
        line.ends().await;
        bodies.push(calling.answer().await.body);
    }
    assert_eq!(bodies[0], bodies[1]);
    let events: Vec<Value> = bodies[0].lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    assert_eq!((events.len(), &events[1]["delta"]), (3, &json!("hi")));
    assert_eq!(events[0]["response"]["id"], events[2]["response"]["id"]);
    assert_eq!(events[0]["response"]["previous_response_id"], json!(id));
    assert!(!bodies[0].contains("resp_1") && !bodies[0].contains("resp_9") && !bodies[0].contains("file-abc"), "{}", bodies[0]);
    assert!(bodies[0].starts_with("event: response.created\ndata: {"), "{}", bodies[0]);
}

#[tokio::test(start_paused = true)]
async fn a_kept_answer_is_looked_at_listed_ended_and_deleted() {
    let house = house();
    let id = kept(&house, "one/app").await;
    let at = |below: &str| format!("/v1/responses/{id}{below}");
    let (asked, looked) = works(
        &house,
        Call::get("one/app", at("?include%5B%5D=file_search_call.results")),
        200,
        &response("resp_1", &Value::Null).to_string(),
    )
    .await;
    assert!(asked.head.starts_with("GET /v1/responses/resp_1?include%5B%5D=file_search_call.results HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!(looked.json()["id"], json!(id));
    let items = r#"{"object":"list","data":[{"id":"msg_0","content":[{"type":"input_file","file_id":"file-abc"}]}],"first_id":"msg_0","last_id":"msg_0","has_more":false}"#;
    let (asked, listed) = works(&house, Call::get("one/app", at("/input_items?limit=5&after=msg_9&order=asc")), 200, items).await;
    assert!(asked.head.starts_with("GET /v1/responses/resp_1/input_items?limit=5&after=msg_9&order=asc HTTP/1.1\r\n"), "{}", asked.head);
    assert!(!listed.body.contains("file-abc") && listed.json()["first_id"] == "msg_0", "{}", listed.body);
    let (asked, _) = works(&house, Call::post("one/app", at("/cancel"), ""), 200, &response("resp_1", &Value::Null).to_string()).await;
    assert!(asked.head.starts_with("POST /v1/responses/resp_1/cancel HTTP/1.1\r\n"), "{}", asked.head);
    let deleted = r#"{"id":"resp_1","object":"response","deleted":true}"#;
    let (asked, gone) = works(&house, Call::get("one/app", at("")).by("DELETE"), 200, deleted).await;
    assert!(asked.head.starts_with("DELETE /v1/responses/resp_1 HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!(gone.body, deleted.replace("resp_1", &id));
    let missing = r#"{"error":{"message":"Response with id 'resp_1' not found.","type":"invalid_request_error","param":null,"code":null}}"#;
    let (_, told) = works(&house, Call::get("one/app", at("")), 404, missing).await;
    assert!(told.status == 404 && told.body.contains(&id) && !told.body.contains("'resp_1'"), "{}", told.body);
    assert_eq!(in_vain(&house, Call::get("one/app", at("?stream=true"))).await, (400, "invalid_parameter".to_owned()));
    let receipts = house.receipts();
    assert!(receipts[1..].iter().all(|one| one["usage"].is_null() && one["model"].is_null()), "to look is no use of a model: {receipts:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_else_goes_on_from_an_answer_or_sees_it() {
    let house = house();
    let id = kept(&house, "one/app").await;
    for wrong in [&*id, "resp_1", &id.replacen("resp_", "file-", 1)] {
        assert_eq!(in_vain(&house, Call::get("two/app", format!("/v1/responses/{wrong}"))).await, (404, "object_not_found".to_owned()));
        let told = house.call(Call::post("two/app", DOOR, &after("alpha/m", wrong))).answer().await;
        assert_eq!((told.status, told.code().as_str()), (404, "object_not_found"));
        assert!(told.json()["error"]["param"] == "previous_response_id", "{}", told.body);
    }
    assert_eq!(in_vain(&house, Call::get("one/app", format!("/v1/files/{id}"))).await, (404, "object_not_found".to_owned()));
    for model in ["beta/m", "plain/m"] {
        assert_eq!(in_vain(&house, Call::post("one/app", DOOR, &after(model, &id))).await, (400, "kept_elsewhere".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_seal_answers_pass_and_none_is_gone_on_from() {
    let house = house();
    house.gateway.seal.swap(None);
    let body = response("resp_1", &Value::Null).to_string();
    let (_, answer) = works(&house, Call::post("one/app", DOOR, r#"{"model":"alpha/m","input":"hi"}"#), 200, &body).await;
    assert_eq!(answer.body, body);
    assert_eq!(in_vain(&house, Call::post("one/app", DOOR, &after("alpha/m", "resp_1"))).await, (501, "no_seal".to_owned()));
    assert_eq!(in_vain(&house, Call::get("one/app", "/v1/responses/resp_1")).await, (501, "no_seal".to_owned()));
}

//! Forms with files in them: fields in any order, other bytes untouched, kept for another target, bounded.

use serde_json::json;

use crate::client::{Call, Raw};
use crate::house::{House, elapse};
use crate::manifests::{key, policy, provider, provider_of, text_of};

const KIND: &str = "multipart/form-data; boundary=AaB03x";
const DOOR: &str = "/v1/audio/transcriptions";
const HEARD: &str = r#"{"text":"hello","usage":{"type":"duration","seconds":3}}"#;

/// A form of these fields after a file with this content.
fn form(content: &str, fields: &[(&str, &str)]) -> String {
    let file = format!(
        "--AaB03x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n{content}\r\n"
    );
    let fields =
        fields.iter().map(|(name, value)| format!("--AaB03x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    std::iter::once(file).chain(fields).chain(["--AaB03x--\r\n".to_owned()]).collect()
}

fn post(body: &str) -> Call {
    Call::post("app", DOOR, body).of_kind(KIND)
}

fn openai() -> House {
    House::of(&[provider_of("OpenAI", "back", "models: [{ name: ears, upstreamName: whisper-1 }]"), key("app", "")])
}

#[tokio::test(start_paused = true)]
async fn a_form_passes_with_another_model_and_no_other_byte_changed() {
    let house = openai();
    let sent = form("RIFF\r\n--AaB03\r\n", &[("prompt", "ears"), ("model", "ears"), ("temperature", "0")]);
    let calling = house.call(post(&sent));
    let (_line, asked) = house.providers.answers("back.example", 200, HEARD).await;
    assert_eq!((asked.head.lines().next(), asked.header("content-type")), (Some("POST /v1/audio/transcriptions HTTP/1.1"), KIND));
    assert_eq!(asked.text, sent.replace("\"model\"\r\n\r\nears", "\"model\"\r\n\r\nwhisper-1"));
    assert_eq!(calling.answer().await.body, HEARD);
    let receipt = &house.receipts()[0];
    assert_eq!((&receipt["measured"], &receipt["cost_nano_usd"]), (&json!({ "unit": "second", "count": 3 }), &json!(300_000)), "{receipt}");
    assert_eq!((&receipt["surface"], &receipt["request_bytes"]), (&json!("transcriptions"), &json!(sent.len())));
}

#[tokio::test(start_paused = true)]
async fn a_header_may_name_the_model_and_must_agree_with_the_field() {
    let house = openai();
    let sent = form("x", &[]);
    let calling = house.call(post(&sent).with("x-portolan-model", "ears"));
    let (mut line, asked) = house.providers.answers("back.example", 200, HEARD).await;
    assert_eq!(asked.text, format!("--AaB03x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n{sent}"));
    assert_eq!(calling.answer().await.status, 200);
    let both = house.call(post(&form("x", &[("model", "other")])).with("x-portolan-model", "ears")).answer().await;
    assert_eq!((both.status, both.code().as_str()), (400, "invalid_body"));
    assert!(both.body.contains("ears") && both.body.contains("other"), "{}", both.body);
    let agreed = house.call(post(&form("x", &[("model", "ears")])).with("x-portolan-model", "ears"));
    line.asked().await;
    line.answer(200, HEARD).await;
    assert_eq!(agreed.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn subtitles_come_as_text_and_a_transcript_as_events() {
    let house = openai();
    let calling = house.call(post(&form("x", &[("model", "ears"), ("response_format", "srt")])));
    let mut line = house.providers.line("back.example").await;
    line.asked().await;
    line.say("HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\n\r\n1\nhi\n").await;
    let answer = calling.answer().await;
    assert_eq!((answer.header("content-type"), answer.body.as_str(), answer.whole), ("text/plain; charset=utf-8", "1\nhi\n", true));
    let calling = house.call(post(&form("x", &[("stream", "true"), ("model", "back/gpt-4o-transcribe")])));
    line.asked().await;
    line.begins().await;
    let events = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"hi\"}\n\ndata: {\"type\":\"transcript.text.done\",\"text\":\"hi\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"output_tokens\":2}}\n\n";
    line.chunk(events).await;
    line.ends().await;
    assert_eq!(calling.answer().await.body, events);
    let receipts = house.receipts();
    assert_eq!((&receipts[1]["stream"], &receipts[1]["usage"]["prompt"]), (&json!(true), &json!(14)), "{}", receipts[1]);
}

#[tokio::test(start_paused = true)]
async fn each_bad_form_is_told_what_is_wrong_with_it() {
    let house = openai();
    let fine = form("x", &[("model", "ears")]);
    for (body, code, word) in [
        (form("x", &[]), "invalid_body", "lacks `model`"),
        (form("x", &[("model", "ears"), ("model", "ears")]), "invalid_body", "twice"),
        (form("x", &[("model", "ears"), ("Model", "other")]), "invalid_body", "case"),
        (form("x", &[("model", "ears"), ("stream", "perhaps")]), "invalid_body", "`stream`"),
        (fine.replace("AaB03x--", "AaB03x"), "invalid_form", "ends before"),
        (fine.replacen("--AaB03x", "--other", 1), "invalid_form", "does not begin"),
        (fine.replace("name=\"file\"; ", ""), "invalid_form", "no name"),
        (format!("{fine}--AaB03x"), "invalid_form", "follows its last"),
        (fine[..fine.len() / 2].to_owned(), "invalid_form", "ends before"),
        (String::new(), "invalid_form", "ends before"),
        ("{\"model\":\"ears\"}".to_owned(), "invalid_form", "does not begin"),
    ] {
        let answer = house.call(post(&body)).answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{word}: {}", answer.body);
        assert!(answer.body.contains(word), "{word}: {}", answer.body);
    }
    for kind in
        ["application/json", "multipart/form-data", "multipart/mixed; boundary=AaB03x", "multipart/form-data; boundary=a; boundary=b"]
    {
        let answer = house.call(Call::post("app", DOOR, &fine).of_kind(kind)).answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (415, "unsupported_content_type"), "{kind}");
    }
    assert!(house.providers.dialled().is_empty(), "nobody is asked");
    assert_eq!((house.gateway.process.calls(), house.gateway.process.body_bytes()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_take_forms_is_not_sent_any() {
    let house = House::of(&[provider("back", ""), key("app", "")]);
    let answer = house.call(post(&form("x", &[("model", "back/m")]))).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "unsupported_by_provider"));
    assert!(answer.body.contains(DOOR), "{}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn a_form_larger_than_the_gateway_takes_is_refused_at_its_head() {
    let gateway =
        "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMGateway\nmetadata: { name: small }\nspec: { limits: { maxFormBytes: 1024 } }\n";
    let house = House::of(&[gateway.to_owned(), provider_of("OpenAI", "back", ""), key("app", "")]);
    let answer = house.call(post(&form(&"x".repeat(1024), &[("model", "back/m")]))).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    assert!(answer.body.contains("maxFormBytes"), "{}", answer.body);
}

/// Two targets, and a spool of so many bytes.
fn spooling(bytes: u64) -> (House, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    let manifests = [
        provider_of("OpenAI", "alpha", ""),
        provider_of("OpenAI", "beta", "models: [{ name: ears, upstreamName: whisper-1 }]"),
        policy("way", &["alpha", "beta"], ""),
        key("app", "routingPolicyRef: { name: way }"),
    ];
    let house = House::with(&manifests, |settings| {
        settings.spool_dir = Some(path);
        settings.spool_bytes = bytes;
    });
    (house, folder)
}

#[tokio::test(start_paused = true)]
async fn a_large_form_is_spooled_and_sent_again_to_the_next_target() {
    let (house, folder) = spooling(8 << 20);
    let content: String = (0..90_000).map(|place| format!("{place:06} ")).collect();
    let sent = form(&content, &[("model", "ears")]);
    let calling = house.call(post(&sent));
    let mut first = house.providers.line("alpha.example").await;
    assert!(first.asked().await.text == sent, "the first target got the form as it came");
    let process = &house.gateway.process;
    assert_eq!((process.body_bytes(), process.spool_bytes()), (64 << 10, sent.len() as u64 - (64 << 10)));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "its file has no name");
    first.answer(500, "{}").await;
    let (_line, asked) = house.providers.answers("beta.example", 200, HEARD).await;
    assert!(asked.text == sent.replace("\"model\"\r\n\r\nears", "\"model\"\r\n\r\nwhisper-1"), "the second got it with its own model");
    assert_eq!(calling.answer().await.status, 200);
    house.settle().await;
    assert_eq!((process.calls(), process.body_bytes(), process.spool_bytes()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_spool_says_so_and_one_key_cannot_take_it_all() {
    let (house, _folder) = spooling(100_000);
    let answer = house.call(post(&form(&"x".repeat(120_000), &[("model", "ears")]))).answer().await;
    assert_eq!((answer.status, answer.code().as_str(), answer.header("retry-after")), (503, "overloaded", "1"));
    assert!(answer.body.contains("spool_bytes"), "{}", answer.body);
    house.settle().await;
    assert_eq!((house.gateway.process.calls(), house.gateway.process.spool_bytes()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_spool_that_cannot_be_written_is_told_and_forms_without_one_stay_in_memory() {
    let (house, folder) = spooling(8 << 20);
    drop(folder);
    let large = form(&"x".repeat(400_000), &[("model", "ears")]);
    let answer = house.call(post(&large)).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"), "{}", answer.body);
    let house = openai();
    let calling = house.call(post(&large));
    let (_line, asked) = house.providers.answers("back.example", 200, HEARD).await;
    assert!(asked.text.len() > 400_000);
    assert_eq!(calling.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_amid_its_upload_leaves_nothing_behind() {
    let (house, folder) = spooling(8 << 20);
    let mut client = Raw(house.line());
    let key = text_of("app");
    client
        .say(&format!(
            "POST {DOOR} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\ncontent-type: {KIND}\r\ncontent-length: 2000000\r\n\r\n"
        ))
        .await;
    client.say(&form(&"x".repeat(700_000), &[("model", "ears")])[..600_000]).await;
    elapse(10).await;
    assert_eq!((house.gateway.process.calls(), house.gateway.process.spool_bytes()), (1, 2_000_000 - (64 << 10)));
    drop(client);
    house.settle().await;
    assert_eq!((house.gateway.process.calls(), house.gateway.process.body_bytes(), house.gateway.process.spool_bytes()), (0, 0, 0));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    assert!(house.providers.dialled().is_empty());
    let receipts = house.receipts();
    assert_eq!(receipts.len(), 1);
    assert_ne!(receipts[0]["outcome"], "answered");
}

#[tokio::test(start_paused = true)]
async fn the_simulated_provider_answers_forms() {
    let simulated = "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: { name: back }\nspec: { type: Simulated }\n";
    let house = House::of(&[simulated.to_owned(), key("app", "")]);
    let answer = house.call(post(&form("12345", &[("model", "back/ears")]))).answer().await;
    assert!(answer.json()["text"].as_str().is_some_and(|text| text.contains("transcribed 5 bytes")), "{}", answer.body);
    let answer = house.call(post(&form("12345", &[("model", "back/ears"), ("stream", "true")]))).answer().await;
    assert!(answer.body.contains("transcript.text.done"), "{}", answer.body);
    let answer = house.call(post(&form("12345", &[("model", "back/ears"), ("response_format", "text")]))).answer().await;
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    for (path, body) in
        [("/v1/images/edits", form("p", &[("model", "back/m")])), ("/v1/images/variations", form("p", &[("model", "back/m")]))]
    {
        let answer = house.call(Call::post("app", path, &body).of_kind(KIND)).answer().await;
        assert!(answer.json()["data"][0]["b64_json"].is_string(), "{path}: {}", answer.body);
    }
}

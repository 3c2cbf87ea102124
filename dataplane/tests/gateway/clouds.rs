//! Identities of clouds: who the gateway is, got before the first call, renewed before the end, and shown to nobody else.

use std::io::Write;

use providers::sigv4::{AmzDate, Keys, Scope, Signed, authorization, sha256_of};
use snapshot::Secret;

use crate::client::Call;
use crate::house::{House, elapse};
use crate::manifests::{cloud_provider, key};
use crate::provider::Asked;

const BEDROCK: &str = r#"{"output":{"message":{"role":"assistant","content":[{"text":"hello"}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":6,"totalTokens":9}}"#;
const MODELS: &str = "bedrock-runtime.eu-west-1.amazonaws.com";
const STS: &str = "sts.eu-west-1.amazonaws.com";
const AGENT: &str = "169.254.170.23";
const ROLE: &str = "roleARN: 'arn:aws:iam::123456789012:role/models'";
const KEYS: &str = "source: Keys, accessKeyIDRef: { name: aws, key: id }, secretAccessKeyRef: { name: aws, key: secret }";

fn bedrock(auth: &str) -> String {
    let spec = format!("type: Bedrock, auth: {{ type: AWS, aws: {{ region: eu-west-1, {auth} }} }}");
    cloud_provider("aws", &spec, &[("id", "AKIDSTATIC"), ("secret", "secret-of-static"), ("token", "token-of-static")])
}

fn house(auth: &str) -> House {
    House::of(&[bedrock(auth), key("app", "")])
}

fn keys(name: &str, token: bool) -> Keys {
    Keys {
        access_key_id: format!("AKID{}", name.to_uppercase()),
        secret_access_key: Secret::new(format!("secret-of-{name}")),
        session_token: token.then(|| Secret::new(format!("token-of-{name}"))),
    }
}

/// What STS says of keys that live so many seconds.
fn lent(house: &House, name: &str, seconds: u64) -> String {
    let end = jiff_date(house.clock.unix_ms() + seconds * 1000);
    format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>AKID{}</AccessKeyId><SecretAccessKey>secret-of-{name}</SecretAccessKey><SessionToken>token-of-{name}</SessionToken><Expiration>{end}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
        name.to_uppercase()
    )
}

/// RFC 3339, from the form of AWS.
fn jiff_date(unix_ms: u64) -> String {
    let date = AmzDate::of_unix_ms(unix_ms);
    let text = date.as_str();
    format!("{}-{}-{}T{}:{}:{}Z", &text[..4], &text[4..6], &text[6..8], &text[9..11], &text[11..13], &text[13..15])
}

/// Whether a request is signed as whoever has these keys would sign it.
fn assert_signed(asked: &Asked, host: &str, service: &str, keys: &Keys) {
    let target = asked.head.split(' ').nth(1).expect("a path");
    let mut headers = vec![("host", host), ("x-amz-date", asked.header("x-amz-date")), ("content-type", asked.header("content-type"))];
    if let Some(token) = &keys.session_token {
        headers.push(("x-amz-security-token", token.expose()));
    }
    let signed =
        Signed { method: "POST", path: target, query: "", headers: &headers, body_sha256: &sha256_of(&[&asked.text]), normalize: true };
    let scope = Scope { region: "eu-west-1", service };
    // The moment that the request itself tells; it is now, give or take.
    let unix_ms: u64 = asked.header("x-amz-date").parse::<String>().map(|text| moment(&text)).expect("a date");
    assert_eq!(asked.header("authorization"), authorization(&signed, &AmzDate::of_unix_ms(unix_ms), scope, keys));
    assert_eq!(asked.header("x-amz-security-token"), keys.session_token.as_ref().map_or("", |token| token.expose()));
}

/// Milliseconds since 1970, found by halving.
fn moment(text: &str) -> u64 {
    let (mut low, mut high) = (0_u64, 8_000_000_000_u64);
    while low < high {
        let middle = low.midpoint(high);
        if AmzDate::of_unix_ms(middle * 1000).as_str() < text { low = middle + 1 } else { high = middle }
    }
    low * 1000
}

/// Answers the next call to a host on a connection of its own, which then closes.
async fn asked_of(house: &House, host: &str, status: u16, body: &str) -> Asked {
    house.providers.answers(host, status, body).await.1
}

#[tokio::test(start_paused = true)]
async fn keys_from_a_secret_sign_each_request() {
    for (token, more) in [(false, ""), (true, ", sessionTokenRef: { name: aws, key: token }")] {
        let house = house(&format!("{KEYS}{more}"));
        let calling = house.call(Call::chat("app", "aws/us.amazon.nova-micro-v1:0"));
        let asked = asked_of(&house, MODELS, 200, BEDROCK).await;
        assert!(asked.head.starts_with("POST /model/us.amazon.nova-micro-v1%3A0/converse "), "{}", asked.head);
        assert_signed(&asked, MODELS, "bedrock", &keys("static", token));
        assert_eq!(calling.answer().await.status, 200);
        assert_eq!(house.providers.dialled(), [MODELS], "nobody else is asked");
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_is_taken_on_once_for_calls_that_come_together() {
    let house = house(&format!("{KEYS}, {ROLE}, externalID: 'of:portolan', sessionName: gateway"));
    let calls = [house.call(Call::chat("app", "aws/m")), house.call(Call::chat("app", "aws/m")), house.call(Call::chat("app", "aws/m"))];
    let mut sts = house.providers.line(STS).await;
    let asked = sts.asked().await;
    house.settle().await;
    assert_eq!(house.providers.dialled(), [STS], "the others wait for the same answer");
    assert_eq!(
        asked.text,
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fmodels&RoleSessionName=gateway&DurationSeconds=3600&ExternalId=of%3Aportolan"
    );
    assert_signed(&asked, STS, "sts", &keys("static", false));
    sts.answer(200, &lent(&house, "first", 3600)).await;
    for calling in calls {
        let asked = asked_of(&house, MODELS, 200, BEDROCK).await;
        assert_signed(&asked, MODELS, "bedrock", &keys("first", true));
        drop(calling);
    }
    assert_eq!(house.providers.dialled().iter().filter(|host| *host == STS).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_good_is_shown_while_it_is_renewed() {
    let house = house(&format!("{KEYS}, {ROLE}"));
    let calling = house.call(Call::chat("app", "aws/m"));
    asked_of(&house, STS, 200, &lent(&house, "first", 3600)).await;
    asked_of(&house, MODELS, 200, BEDROCK).await;
    assert_eq!(calling.answer().await.status, 200);
    // Five minutes before the end.
    elapse(3_301_000).await;
    let calling = house.call(Call::chat("app", "aws/m"));
    let asked = asked_of(&house, MODELS, 200, BEDROCK).await;
    assert_signed(&asked, MODELS, "bedrock", &keys("first", true));
    assert_eq!(calling.answer().await.status, 200, "though nobody answered at STS");
    asked_of(&house, STS, 200, &lent(&house, "second", 3600)).await;
    house.settle().await;
    let calling = house.call(Call::chat("app", "aws/m"));
    let asked = asked_of(&house, MODELS, 200, BEDROCK).await;
    assert_signed(&asked, MODELS, "bedrock", &keys("second", true));
    assert_eq!(calling.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn what_was_shown_is_renewed_though_nobody_calls() {
    let house = house(&format!("{KEYS}, {ROLE}"));
    house.sweep();
    house.settle().await;
    assert_eq!(house.providers.dialled(), [""; 0], "what nobody asked for is not got");
    let calling = house.call(Call::chat("app", "aws/m"));
    asked_of(&house, STS, 200, &lent(&house, "first", 3600)).await;
    asked_of(&house, MODELS, 200, BEDROCK).await;
    calling.answer().await;
    elapse(3_290_000).await;
    house.sweep();
    house.settle().await;
    assert_eq!(house.providers.dialled(), [STS, MODELS], "it is not time yet");
    elapse(10_000).await;
    house.sweep();
    house.sweep();
    asked_of(&house, STS, 200, &lent(&house, "second", 3600)).await;
    house.settle().await;
    assert_eq!(house.providers.dialled(), [STS, MODELS, STS]);
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_not_shown() {
    let house = house(&format!("{KEYS}, {ROLE}"));
    let calling = house.call(Call::chat("app", "aws/m"));
    asked_of(&house, STS, 200, &lent(&house, "first", 3600)).await;
    asked_of(&house, MODELS, 200, BEDROCK).await;
    calling.answer().await;
    elapse(3_591_000).await;
    let calling = house.call(Call::chat("app", "aws/m"));
    asked_of(&house, STS, 200, &lent(&house, "second", 3600)).await;
    let asked = asked_of(&house, MODELS, 200, BEDROCK).await;
    assert_signed(&asked, MODELS, "bedrock", &keys("second", true));
    assert_eq!(calling.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_sts_is_told_without_its_words_and_not_asked_for_again_at_once() {
    let house = house(&format!("{KEYS}, {ROLE}"));
    let refused = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>secret-of-static is no good</Message></Error></ErrorResponse>";
    let calling = house.call(Call::chat("app", "aws/m"));
    asked_of(&house, STS, 403, refused).await;
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_auth_failed"));
    let answer = house.call(Call::chat("app", "aws/m")).answer().await;
    assert_eq!(answer.status, 502, "for a second nobody is asked");
    assert_eq!(house.providers.dialled(), [STS]);
    elapse(1_001).await;
    let calling = house.call(Call::chat("app", "aws/m"));
    asked_of(&house, STS, 200, &lent(&house, "first", 3600)).await;
    asked_of(&house, MODELS, 200, BEDROCK).await;
    assert_eq!(calling.answer().await.status, 200);
    let metrics = house.gateway.metrics.text();
    for (result, count) in [("auth_failed", 1), ("ok", 1)] {
        let line = format!("portolan_identity_fetches_total{{provider=\"default/aws\",result=\"{result}\"}} {count}");
        assert!(metrics.contains(&line), "{line}");
    }
    let receipts = house.receipts();
    assert_eq!(receipts[0]["detail"], "identity: STS answered 403 AccessDenied");
    assert!(!receipts.iter().any(|receipt| receipt.to_string().contains("secret-of")), "{receipts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_server_that_is_silent_costs_ten_seconds_and_one_that_raves_is_no_answer() {
    let house = house(&format!("{KEYS}, {ROLE}"));
    let calling = house.call(Call::chat("app", "aws/m"));
    let _silent = house.providers.line(STS).await;
    let answer = calling.answer().await;
    assert_eq!((answer.code().as_str(), answer.after.as_secs()), ("upstream_timeout", 10));
    let mut pause = 1_001;
    for (status, body, code) in [
        (200, "<html>hello</html>".to_owned(), "upstream_invalid_response"),
        (200, lent(&house, "first", 0), "upstream_invalid_response"),
        (503, String::new(), "upstream_error"),
        (400, "<Error><Code>Throttling</Code></Error>".to_owned(), "upstream_rate_limited"),
    ] {
        elapse(pause).await;
        pause *= 2;
        let calling = house.call(Call::chat("app", "aws/m"));
        asked_of(&house, STS, status, &body).await;
        assert_eq!(calling.answer().await.code(), code, "{status} {body}");
    }
    assert!(!house.providers.dialled().iter().any(|host| host == MODELS), "nothing goes out unsigned");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_pod_is_exchanged_and_read_anew_each_time() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "jwt-one").expect("written");
    let path = file.path().display().to_string();
    let house = house(&format!("source: WebIdentity, {ROLE}, tokenFile: '{path}'"));
    let calling = house.call(Call::chat("app", "aws/m"));
    let asked = asked_of(&house, STS, 200, &lent(&house, "first", 900)).await;
    assert!(asked.text.starts_with("Action=AssumeRoleWithWebIdentity&"), "{}", asked.text);
    assert!(asked.text.ends_with("&RoleSessionName=portolan&DurationSeconds=3600&WebIdentityToken=jwt-one"), "{}", asked.text);
    assert_eq!(asked.header("authorization"), "", "the token is the proof");
    let asked = asked_of(&house, MODELS, 200, BEDROCK).await;
    assert_signed(&asked, MODELS, "bedrock", &keys("first", true));
    calling.answer().await;
    std::fs::write(file.path(), "jwt-two").expect("written");
    elapse(900_000).await;
    let calling = house.call(Call::chat("app", "aws/m"));
    let asked = asked_of(&house, STS, 200, &lent(&house, "second", 900)).await;
    assert!(asked.text.ends_with("WebIdentityToken=jwt-two"), "{}", asked.text);
    asked_of(&house, MODELS, 200, BEDROCK).await;
    assert_eq!(calling.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_token_file_that_is_not_there_is_told_by_its_path() {
    let house = house(&format!("source: WebIdentity, {ROLE}, tokenFile: /nowhere/token"));
    let answer = house.call(Call::chat("app", "aws/m")).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_auth_failed"));
    assert_eq!(house.providers.dialled(), [""; 0]);
    let receipt = &house.receipts()[0];
    assert!(receipt["detail"].as_str().is_some_and(|detail| detail.contains("the token file /nowhere/token cannot be read")), "{receipt}");
}

#[tokio::test(start_paused = true)]
async fn the_agent_of_the_node_gives_keys_for_the_pods_token() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    write!(file, "pod-token").expect("written");
    let house = house(&format!("source: PodIdentity, tokenFile: '{}'", file.path().display()));
    let calling = house.call(Call::chat("app", "aws/m"));
    let end = jiff_date(house.clock.unix_ms() + 21_600_000);
    let body = format!(
        r#"{{"AccessKeyId":"AKIDPOD","SecretAccessKey":"secret-of-pod","Token":"token-of-pod","AccountId":"1","Expiration":"{end}"}}"#
    );
    let asked = asked_of(&house, AGENT, 200, &body).await;
    assert_eq!(asked.head.lines().next(), Some("GET /v1/credentials HTTP/1.1"));
    assert_eq!(asked.header("authorization"), "pod-token");
    let asked = asked_of(&house, MODELS, 200, BEDROCK).await;
    assert_signed(&asked, MODELS, "bedrock", &keys("pod", true));
    assert_eq!(calling.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn keys_that_the_provider_refuses_before_their_end_are_asked_for_anew_once() {
    let expired = r#"{"message":"The security token included in the request is expired"}"#;
    let house = house(&format!("{KEYS}, {ROLE}"));
    let calling = house.call(Call::chat("app", "aws/m"));
    asked_of(&house, STS, 200, &lent(&house, "first", 3600)).await;
    asked_of(&house, MODELS, 403, expired).await;
    assert_eq!(calling.answer().await.status, 502, "just got, so it is not the keys");
    elapse(60_000).await;
    let calling = house.call(Call::chat("app", "aws/m"));
    asked_of(&house, MODELS, 403, expired).await;
    asked_of(&house, STS, 200, &lent(&house, "second", 3600)).await;
    let asked = asked_of(&house, MODELS, 200, BEDROCK).await;
    assert_signed(&asked, MODELS, "bedrock", &keys("second", true));
    assert_eq!(calling.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_what_is_good_and_other_keys_begin_anew() {
    let role = format!("{KEYS}, {ROLE}");
    let mut house = house(&role);
    let calling = house.call(Call::chat("app", "aws/m"));
    asked_of(&house, STS, 200, &lent(&house, "first", 3600)).await;
    asked_of(&house, MODELS, 200, BEDROCK).await;
    calling.answer().await;
    house.configure(&[bedrock(&role), key("app", "maxInFlight: 5")]);
    let calling = house.call(Call::chat("app", "aws/m"));
    let asked = asked_of(&house, MODELS, 200, BEDROCK).await;
    assert_signed(&asked, MODELS, "bedrock", &keys("first", true));
    assert_eq!(calling.answer().await.status, 200);
    house.configure(&[bedrock(&role).replace("AKIDSTATIC", "AKIDOTHER"), key("app", "")]);
    let calling = house.call(Call::chat("app", "aws/m"));
    let asked = asked_of(&house, STS, 200, &lent(&house, "third", 3600)).await;
    assert!(asked.header("authorization").contains("Credential=AKIDOTHER/"), "{}", asked.head);
    asked_of(&house, MODELS, 200, BEDROCK).await;
    assert_eq!(calling.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_leaves_to_the_others_what_was_asked_for() {
    let house = house(&format!("{KEYS}, {ROLE}"));
    let leaver = house.call(Call::chat("app", "aws/m"));
    let mut sts = house.providers.line(STS).await;
    sts.asked().await;
    let calling = house.call(Call::chat("app", "aws/m"));
    house.settle().await;
    leaver.leaves().await;
    sts.answer(200, &lent(&house, "first", 3600)).await;
    let asked = asked_of(&house, MODELS, 200, BEDROCK).await;
    assert_signed(&asked, MODELS, "bedrock", &keys("first", true));
    assert_eq!(calling.answer().await.status, 200);
    assert_eq!(house.providers.dialled(), [STS, MODELS]);
}

#[tokio::test(start_paused = true)]
async fn embeddings_of_bedrock_are_asked_for_by_invoke_and_answered_as_openai_answers() {
    let house = house(KEYS);
    let body = r#"{"model":"aws/amazon.titan-embed-text-v2:0","input":"hi","dimensions":256}"#;
    let calling = house.call(Call::post("app", "/v1/embeddings", body));
    let asked = asked_of(&house, MODELS, 200, r#"{"embedding":[0.5,-0.25],"inputTextTokenCount":3}"#).await;
    assert!(asked.head.starts_with("POST /model/amazon.titan-embed-text-v2%3A0/invoke "), "{}", asked.head);
    assert_eq!(asked.text, r#"{"inputText":"hi","dimensions":256}"#);
    assert_signed(&asked, MODELS, "bedrock", &keys("static", false));
    let answer = calling.answer().await.json();
    assert_eq!((&answer["data"][0]["embedding"][1], &answer["usage"]["total_tokens"]), (&(-0.25).into(), &3.into()), "{answer}");

    // What the model takes not is refused by name, and what is told of a fault has its class.
    let two = r#"{"model":"aws/amazon.titan-embed-text-v2:0","input":["a","b"]}"#;
    let answer = house.call(Call::post("app", "/v1/embeddings", two)).answer().await;
    assert_eq!(
        (answer.status, answer.code().as_str(), &answer.json()["error"]["param"]),
        (400, "unsupported_by_provider", &"input".into())
    );
    let calling = house.call(Call::post("app", "/v1/embeddings", body));
    asked_of(&house, MODELS, 200, r#"{"vectors":[]}"#).await;
    assert_eq!(calling.answer().await.code(), "upstream_invalid_response");
    let chat = house.call(Call::chat("app", "aws/amazon.titan-embed-text-v2:0")).answer().await;
    assert_eq!(chat.code(), "unsupported_by_provider", "it converses with nobody");
    let receipts = house.receipts();
    assert_eq!((&receipts[0]["translated"], &receipts[0]["usage"]["prompt"]), (&true.into(), &3.into()), "{receipts:?}");
}

//! Pages of other origins: none may call unless the gateway names it.

use crate::client::{Answer, Call, Raw};
use crate::house::House;
use crate::manifests::{key, provider, text_of};

const PAGE: &str = "https://app.example";

fn house(origins: &str) -> House {
    let gateway = format!(
        "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMGateway\nmetadata: {{ name: g }}\nspec: {{ cors: {{ allowOrigins: [{origins}] }} }}\n"
    );
    House::of(&[gateway, provider("alpha", "models: [{ name: m }]"), key("app", "")])
}

async fn preflight(house: &House, origin: &str) -> String {
    let mut client = Raw(house.line());
    client
        .say(&format!(
            "OPTIONS /v1/chat/completions HTTP/1.1\r\nhost: g\r\norigin: {origin}\r\naccess-control-request-method: POST\r\naccess-control-request-headers: authorization, content-type\r\n\r\n"
        ))
        .await;
    client.hears("\r\n\r\n").await
}

async fn list(house: &House, origin: &str) -> Answer {
    house.call(Call::get("app", "/v1/models").with("origin", origin)).answer().await
}

#[tokio::test(start_paused = true)]
async fn without_a_list_no_answer_says_a_word_of_origins() {
    let house = house("");
    let told = preflight(&house, PAGE).await;
    assert!(told.starts_with("HTTP/1.1 405") && !told.contains("access-control"), "{told}");
    let answer = list(&house, PAGE).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin"), answer.header("vary")), (200, "", ""));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_named_may_ask_call_and_read_errors_too() {
    let house = house("'https://app.example', 'https://other.example'");
    let told = preflight(&house, PAGE).await;
    assert!(told.starts_with("HTTP/1.1 204"), "{told}");
    for line in [
        "access-control-allow-origin: https://app.example\r\n",
        "access-control-allow-methods: GET, POST\r\n",
        "access-control-allow-headers: authorization, content-type\r\n",
        "vary: origin\r\n",
    ] {
        assert!(told.contains(line), "{line} is not in {told}");
    }
    let answer = list(&house, PAGE).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, PAGE));
    let refused = house.call(Call::get("app", "/v1/models").showing(None).with("origin", PAGE)).answer().await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, PAGE), "or it could not tell why");
    assert!(refused.header("access-control-expose-headers").contains("x-portolan-call-id"));
    assert!(!told.contains(&text_of("app")) && !told.contains("access-control-allow-credentials"), "a key is no cookie");
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_told_nothing_and_caches_are_told_to_keep_answers_apart() {
    let house = house("'https://app.example'");
    let told = preflight(&house, "https://evil.example").await;
    assert!(told.starts_with("HTTP/1.1 405") && !told.contains("access-control"), "{told}");
    let answer = list(&house, "https://evil.example").await;
    assert_eq!((answer.header("access-control-allow-origin"), answer.header("vary")), ("", "origin"));
}

#[tokio::test(start_paused = true)]
async fn a_star_allows_every_page() {
    let house = house("'*'");
    assert_eq!(list(&house, "https://any.example").await.header("access-control-allow-origin"), "*");
}

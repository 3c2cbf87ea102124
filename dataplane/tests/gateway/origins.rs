//! Connections to providers: used again where that is safe, and each credential at its own origin alone.

use crate::client::Call;
use crate::house::{House, elapse};
use crate::manifests::{key, policy, provider, text_of, with_credential};
use crate::provider::{ANSWER, DONE, Line, event};

fn house() -> House {
    House::of(&[provider("alpha", ""), provider("beta", ""), key("app", ""), key("other", "")])
}

/// A call on a connection that is there.
async fn call_on(house: &House, line: &mut Line, key: &str) -> u16 {
    let calling = house.call(Call::chat(key, "alpha/m"));
    line.asked().await;
    line.answer(200, ANSWER).await;
    calling.answer().await.status
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_by_the_next_call_whosever_it_is() {
    let house = house();
    let calling = house.call(Call::chat("app", "alpha/m"));
    let (mut line, _) = house.providers.answers("alpha.example", 200, ANSWER).await;
    calling.answer().await;
    assert_eq!(call_on(&house, &mut line, "app").await, 200);
    assert_eq!(call_on(&house, &mut line, "other").await, 200);
    assert_eq!(house.providers.dialled(), ["alpha.example"]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_after_a_stream_that_was_read_to_its_end() {
    let house = house();
    let calling = house.call(Call::stream("app", "alpha/m"));
    let mut line = house.providers.line("alpha.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk(&(event("one") + DONE)).await;
    line.ends().await;
    calling.answer().await;
    assert_eq!(call_on(&house, &mut line, "app").await, 200);
    assert_eq!(house.providers.dialled(), ["alpha.example"]);
}

#[tokio::test(start_paused = true)]
async fn calls_at_the_same_time_have_connections_of_their_own() {
    let house = house();
    let calling = [house.call(Call::chat("app", "alpha/m")), house.call(Call::chat("app", "alpha/m"))];
    let (_one, _) = house.providers.answers("alpha.example", 200, ANSWER).await;
    let (_two, _) = house.providers.answers("alpha.example", 200, ANSWER).await;
    for calling in calling {
        assert_eq!(calling.answer().await.status, 200);
    }
    assert_eq!(house.providers.dialled().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_idle_for_fifty_seconds_is_not_used_again() {
    let house = house();
    let calling = house.call(Call::chat("app", "alpha/m"));
    let (mut line, _) = house.providers.answers("alpha.example", 200, ANSWER).await;
    calling.answer().await;
    elapse(49_990).await;
    assert_eq!(call_on(&house, &mut line, "app").await, 200, "just before");
    elapse(50_000).await;
    let calling = house.call(Call::chat("app", "alpha/m"));
    house.providers.answers("alpha.example", 200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
    line.left().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_provider_closed_costs_no_call() {
    let house = house();
    let calling = house.call(Call::chat("app", "alpha/m"));
    let (line, _) = house.providers.answers("alpha.example", 200, ANSWER).await;
    calling.answer().await;
    drop(line);
    let calling = house.call(Call::chat("app", "alpha/m"));
    let (_line, _) = house.providers.answers("alpha.example", 200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
    assert_eq!(house.providers.dialled().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_left_on_a_connection_that_then_broke_is_not_made_twice() {
    let house = house();
    let calling = house.call(Call::chat("app", "alpha/m"));
    let (mut line, _) = house.providers.answers("alpha.example", 200, ANSWER).await;
    calling.answer().await;
    let calling = house.call(Call::chat("app", "alpha/m"));
    line.asked().await;
    drop(line);
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unreachable"), "it may have been paid for");
    assert_eq!(house.providers.dialled().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_credential_goes_to_its_own_provider_and_the_clients_key_to_none() {
    let house = house();
    // Kept open, so that a connection could be used again by the wrong provider.
    let mut open = Vec::new();
    for name in ["alpha", "beta"] {
        let calling = house.call(Call::chat("app", &format!("{name}/m")));
        let (line, asked) = house.providers.answers(&format!("{name}.example"), 200, ANSWER).await;
        open.push(line);
        assert_eq!(calling.answer().await.status, 200);
        assert_eq!(asked.header("authorization"), format!("Bearer credential-of-{name}"));
        assert_eq!(asked.header("host"), format!("{name}.example"));
        assert!(!asked.head.contains(&text_of("app")), "{}", asked.head);
        assert!(asked.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", asked.head);
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_target_gets_its_own_credential_and_not_that_of_the_one_before() {
    let way = policy("way", &["alpha", "beta"], "");
    let house = House::of(&[provider("alpha", ""), provider("beta", ""), way, key("app", "routingPolicyRef: { name: way }")]);
    let calling = house.call(Call::chat("app", "m"));
    house.providers.answers("alpha.example", 500, "{}").await;
    let (_line, asked) = house.providers.answers("beta.example", 200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200);
    assert!(asked.head.contains("credential-of-beta") && !asked.head.contains("credential-of-alpha"), "{}", asked.head);
}

#[tokio::test(start_paused = true)]
async fn a_provider_without_a_credential_is_shown_none() {
    let bare = "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: { name: bare }\nspec: { type: OpenAICompatible, endpoint: { url: 'http://bare.example/v1', allowInsecure: true }, auth: { type: None } }\n";
    let house = House::of(&[bare.to_owned(), key("app", "")]);
    let calling = house.call(Call::chat("app", "bare/m"));
    let (_line, asked) = house.providers.answers("bare.example", 200, ANSWER).await;
    assert_eq!((calling.answer().await.status, asked.header("authorization"), asked.header("x-api-key")), (200, "", ""));
}

#[tokio::test(start_paused = true)]
async fn two_providers_at_one_address_share_no_connection() {
    let at = "endpoint: { url: 'http://same.example/v1', allowInsecure: true }";
    let house = House::of(&[with_credential("one", "first", at), with_credential("two", "second", at), key("app", "")]);
    let mut lines = Vec::new();
    for (model, credential) in [("one/m", "Bearer first"), ("two/m", "Bearer second")] {
        let calling = house.call(Call::chat("app", model));
        let (line, asked) = house.providers.answers("same.example", 200, ANSWER).await;
        lines.push(line);
        assert_eq!((calling.answer().await.status, asked.header("authorization")), (200, credential));
    }
    assert_eq!(house.providers.dialled().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_not_followed() {
    let house = house();
    for status in [301, 302, 307, 308] {
        let calling = house.call(Call::chat("app", "alpha/m"));
        let mut line = house.providers.line("alpha.example").await;
        line.asked().await;
        line.say(&format!(
            "HTTP/1.1 {status} Go\r\nlocation: http://beta.example/v1/chat/completions\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
        let answer = calling.answer().await;
        assert_eq!(answer.status, 502, "{status}: {}", answer.body);
        assert_eq!(answer.header("location"), "");
    }
    assert_eq!(house.providers.dialled(), ["alpha.example"; 4]);
}

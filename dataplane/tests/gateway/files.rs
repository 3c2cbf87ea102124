//! Files that providers keep: sent, listed, looked at, read, deleted and named in calls, each by its own tenant alone.

use dataplane::seal::Keys;
use serde_json::{Value, json};

use crate::client::{Answer, Call};
use crate::house::{House, SEAL};
use crate::manifests::{key, open_gateway, policy, provider, provider_of};
use crate::provider::{ANSWER, Asked};

const KIND: &str = "multipart/form-data; boundary=AaB03x";
const CHAT: &str = "/v1/chat/completions";

/// A form that sends a file of this name.
fn form(filename: &str, content: &str) -> String {
    format!(
        "--AaB03x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n--AaB03x\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"{filename}\"\r\nContent-Type: application/pdf\r\n\r\n{content}\r\n--AaB03x--\r\n"
    )
}

fn send(key: &str, filename: &str) -> Call {
    Call::post(key, "/v1/files", &form(filename, "%PDF-1.7")).of_kind(KIND)
}

fn file(id: &str, filename: &str) -> Value {
    json!({ "id": id, "object": "file", "bytes": 8, "created_at": 1, "filename": filename, "purpose": "user_data", "status": "processed" })
}

/// Two tenants that share two keepers of files, `alpha` and `beta`, in the gateway's namespace.
fn house() -> House {
    let shared = "allowedNamespaces: { from: All }";
    House::of(&[
        open_gateway(),
        provider_of("OpenAI", "house/alpha", shared),
        provider_of("OpenAI", "house/beta", shared),
        provider("house/plain", shared),
        key("one/app", ""),
        key("one/second", "allow: { operations: [Files] }"),
        key("two/app", ""),
        key("one/narrow", "allow: { providers: [{ namespace: house, name: beta }] }"),
        key("one/chat", "allow: { operations: [Chat] }"),
    ])
}

/// A provider at its work: answers one call by what it is asked.
async fn works(house: &House, host: &str, call: Call, status: u16, answer: impl FnOnce(&Asked) -> String) -> (Asked, Answer) {
    let calling = house.call(call);
    let mut line = house.providers.line(host).await;
    let asked = line.asked().await;
    let body = answer(&asked);
    line.answer(status, &body).await;
    (asked, calling.answer().await)
}

/// The file's name as the provider was told it.
fn told_name(asked: &Asked) -> String {
    let (_, rest) = asked.text.split_once("filename=\"").expect("a name");
    rest.split_once('"').expect("its end").0.to_owned()
}

/// Sends a file to a provider; gives its sealed id and the name by which the provider keeps it.
async fn kept(house: &House, key: &str, provider: &str, id: &str, filename: &str) -> (String, String) {
    let host = format!("{provider}.house.example");
    let call = send(key, filename).with("x-portolan-provider", provider);
    let (asked, answer) = works(house, &host, call, 200, |asked| file(id, &told_name(asked)).to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    (answer.json()["id"].as_str().expect("an id").to_owned(), told_name(&asked))
}

/// Makes a call that no provider hears of.
async fn in_vain(house: &House, call: Call) -> (u16, String) {
    let before = house.providers.dialled().len();
    let answer = house.call(call).answer().await;
    assert_eq!(house.providers.dialled().len(), before, "nobody is asked");
    (answer.status, answer.code())
}

fn at(key: &str, id: &str, below: &str) -> Call {
    Call::get(key, format!("/v1/files/{id}{below}"))
}

#[tokio::test(start_paused = true)]
async fn a_file_is_sent_looked_at_read_and_deleted_under_an_id_of_its_owners() {
    let house = house();
    let call = send("one/app", "re port.pdf").with("x-portkey-provider", "alpha");
    let (asked, sent) = works(&house, "alpha.house.example", call, 200, |asked| file("file-abc", &told_name(asked)).to_string()).await;
    assert!(asked.head.starts_with("POST /v1/files HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!((asked.header("authorization"), asked.header("content-type")), ("Bearer credential-of-house/alpha", KIND));
    let name = told_name(&asked);
    assert!(name.starts_with("re port.ptl-") && name.ends_with(".pdf") && name.len() == "re port.pdf".len() + 15, "{name}");
    assert_eq!(asked.text, form(&name, "%PDF-1.7"), "no other byte is changed");
    let id = sent.json()["id"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("file-") && !id.contains("abc") && !sent.body.contains("ptl-"), "{}", sent.body);
    assert_eq!(sent.json(), file(&id, "re port.pdf"));

    let (asked, looked) =
        works(&house, "alpha.house.example", at("one/second", &id, ""), 200, |_| file("file-abc", &name).to_string()).await;
    assert!(asked.head.starts_with("GET /v1/files/file-abc HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!(looked.json(), file(&id, "re port.pdf"), "every key of the team has it, under the same id");

    let calling = house.call(at("one/app", &id, "/content"));
    let mut line = house.providers.line("alpha.house.example").await;
    assert!(line.asked().await.head.starts_with("GET /v1/files/file-abc/content HTTP/1.1\r\n"));
    line.say(&format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/pdf\r\ncontent-disposition: attachment; filename=\"{name}\"\r\nset-cookie: a=b\r\ncontent-length: 8\r\n\r\n%PDF-1.7"
    ))
    .await;
    let read = calling.answer().await;
    assert_eq!((read.status, read.body.as_str(), read.whole), (200, "%PDF-1.7", true));
    assert_eq!(read.header("content-type"), "application/pdf");
    assert_eq!((read.header("content-disposition"), read.header("set-cookie")), ("attachment; filename=\"re port.pdf\"", ""));

    drop(line);
    let deleted = r#"{"id":"file-abc","object":"file","deleted":true}"#;
    let (asked, gone) = works(&house, "alpha.house.example", at("one/app", &id, "").by("DELETE"), 200, |_| deleted.to_owned()).await;
    assert!(asked.head.starts_with("DELETE /v1/files/file-abc HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!(gone.body, deleted.replace("file-abc", &id));
    let receipts = house.receipts();
    let told: Vec<_> = receipts.iter().map(|one| (&one["surface"], &one["provider"], &one["outcome"], &one["model"])).collect();
    assert_eq!(told, [(&json!("files"), &json!("house/alpha"), &json!("answered"), &Value::Null); 4]);
    assert!(house.gateway.metrics.text().contains(r#"portolan_calls_total{outcome="answered",surface="files"} 4"#));
}

#[tokio::test(start_paused = true)]
async fn to_everybody_else_an_id_is_as_unknown_as_one_that_never_was() {
    let house = house();
    let (id, _) = kept(&house, "one/app", "alpha", "file-abc", "a.pdf").await;
    let unknown = house.call(at("two/app", "file-abc", "")).answer().await;
    let chat = |file: &str| {
        json!({ "model": "alpha/m", "messages": [{ "role": "user", "content": [{ "type": "file", "file": { "file_id": file } }] }] })
            .to_string()
    };
    for id in [&*id, "file-abc", &id.replacen("file-", "batch_", 1), &id[..id.len() - 1], &id.to_ascii_lowercase()] {
        for call in [
            at("two/app", id, ""),
            at("two/app", id, "/content"),
            at("two/app", id, "").by("DELETE"),
            Call::get("two/app", format!("/v1/files?after={id}")),
        ] {
            let call = call.with("x-portolan-provider", "alpha");
            assert_eq!(in_vain(&house, call).await, (404, "object_not_found".to_owned()), "{id}");
        }
        assert_eq!(in_vain(&house, Call::post("two/app", CHAT, &chat(id))).await, (404, "object_not_found".to_owned()), "{id}");
        let told = house.call(at("two/app", id, "")).answer().await;
        assert_eq!(told.body, unknown.body, "nothing is told of what it is");
    }
    for bad in ["file-abc", &format!("{id}A"), &id.replacen("file-", "file-A", 1)] {
        assert_eq!(in_vain(&house, at("one/app", bad, "")).await, (404, "object_not_found".to_owned()), "{bad}");
    }
    assert_eq!(in_vain(&house, at("one/chat", &id, "")).await, (403, "operation_not_allowed".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_list_shows_own_files_page_by_page() {
    let house = house();
    let mut own = Vec::new();
    for number in 0..5 {
        own.push(kept(&house, "one/app", "alpha", &format!("file-{number}"), &format!("{number}.pdf")).await);
    }
    let (_, foreign) = kept(&house, "two/app", "alpha", "file-two", "x.pdf").await;
    // A name that looks like another tenant's is not that tenant's.
    let (_, forged) = kept(&house, "two/app", "alpha", "file-forged", &own[0].1).await;
    let page = |ids: &[(&str, &str)], more: bool| {
        let data: Vec<_> = ids.iter().map(|(id, name)| file(id, name)).collect();
        json!({ "object": "list", "data": data, "first_id": "file-x", "last_id": "file-x", "has_more": more }).to_string()
    };
    let list = |query: &str| Call::get("one/app", format!("/v1/files?{query}")).with("x-portolan-provider", "alpha");
    let first = page(&[("file-0", &own[0].1), ("file-two", &foreign), ("file-raw", "raw.pdf"), ("file-1", &own[1].1)], true);
    let second = page(&[("file-forged", &forged), ("file-2", &own[2].1), ("file-3", &own[3].1), ("file-4", &own[4].1)], false);

    let calling = house.call(list("purpose=user_data&order=asc"));
    let mut line = house.providers.line("alpha.house.example").await;
    assert!(line.asked().await.head.starts_with("GET /v1/files?purpose=user_data&order=asc HTTP/1.1\r\n"));
    line.answer(200, &first).await;
    assert!(line.asked().await.head.starts_with("GET /v1/files?purpose=user_data&order=asc&after=file-1 HTTP/1.1\r\n"));
    line.answer(200, &second).await;
    let all = calling.answer().await.json();
    let ids: Vec<_> = all["data"].as_array().expect("a list").iter().map(|one| (&one["id"], &one["filename"])).collect();
    let expected: Vec<_> = own.iter().enumerate().map(|(number, (id, _))| (json!(id), json!(format!("{number}.pdf")))).collect();
    assert_eq!(ids, expected.iter().map(|(id, name)| (id, name)).collect::<Vec<_>>());
    assert_eq!((&all["first_id"], &all["last_id"], &all["has_more"]), (&json!(own[0].0), &json!(own[4].0), &json!(false)));

    // One page of two, which is full with one more to come.
    let calling = house.call(list("limit=2"));
    line.asked().await;
    line.answer(200, &first).await;
    line.asked().await;
    line.answer(200, &second).await;
    let two = calling.answer().await.json();
    assert_eq!((&two["last_id"], &two["has_more"], two["data"].as_array().map(Vec::len)), (&json!(own[1].0), &json!(true), Some(2)));
    // The next begins behind it, at the provider too.
    let calling = house.call(list(&format!("limit=3&after={}", own[1].0)));
    assert!(line.asked().await.head.starts_with("GET /v1/files?after=file-1 HTTP/1.1\r\n"));
    line.answer(200, &second).await;
    let rest = calling.answer().await.json();
    assert_eq!((&rest["first_id"], &rest["last_id"], &rest["has_more"]), (&json!(own[2].0), &json!(own[4].0), &json!(false)));
    for query in ["limit=0", "before=x", "order=up"] {
        assert_eq!(in_vain(&house, list(query)).await, (400, "invalid_parameter".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_looked_through_as_far_as_a_bound() {
    let house = house();
    let calling = house.call(Call::get("one/app", "/v1/files").with("x-portolan-provider", "alpha"));
    let mut line = house.providers.line("alpha.house.example").await;
    for number in 0..10 {
        line.asked().await;
        line.answer(200, &json!({ "data": [file(&format!("file-{number}"), "raw.pdf")], "has_more": true }).to_string()).await;
    }
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "list_too_long"));
    // A server that turns in a circle is not followed.
    let calling = house.call(Call::get("one/app", "/v1/files").with("x-portolan-provider", "alpha"));
    for _ in 0..2 {
        line.asked().await;
        line.answer(200, &json!({ "data": [file("file-1", "raw.pdf")], "has_more": true }).to_string()).await;
    }
    assert_eq!(calling.answer().await.json()["data"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn who_gets_a_file_is_named_or_the_only_one() {
    let house = house();
    let several = house.call(send("one/app", "a.pdf")).answer().await;
    assert_eq!((several.status, several.code().as_str()), (400, "provider_ambiguous"));
    assert!(several.body.contains("`alpha` or `beta`") && several.body.contains("x-portolan-provider"), "{}", several.body);
    let (_, answer) = works(&house, "beta.house.example", send("one/narrow", "a.pdf"), 200, |_| file("file-b", "a.pdf").to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let to = |name: &str| send("one/app", "a.pdf").with("x-portolan-provider", name);
    assert_eq!(in_vain(&house, to("plain")).await, (400, "unsupported_by_provider".to_owned()));
    assert_eq!(in_vain(&house, to("nobody")).await, (400, "provider_not_found".to_owned()));
    let (id, _) = kept(&house, "one/app", "alpha", "file-abc", "a.pdf").await;
    assert_eq!(in_vain(&house, at("one/app", &id, "").with("x-portolan-provider", "beta")).await, (400, "kept_elsewhere".to_owned()));
    assert_eq!(in_vain(&house, at("one/narrow", &id, "")).await, (410, "provider_gone".to_owned()));
    let nobody = House::of(&[provider("plain", ""), key("app", "")]);
    assert_eq!(in_vain(&nobody, send("app", "a.pdf")).await, (400, "unsupported_by_provider".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_goes_with_its_provider_and_its_credential() {
    let manifests = |credential: &str, with_it: bool| {
        let keeper = provider_of("OpenAI", "alpha", "").replace("credential-of-alpha", credential);
        [if with_it { keeper } else { provider_of("OpenAI", "beta", "") }, key("app", "")]
    };
    let mut house = House::of(&manifests("first", true));
    let (_, sent) = works(&house, "alpha.example", send("app", "a.pdf"), 200, |_| file("file-abc", "a.pdf").to_string()).await;
    let id = sent.json()["id"].as_str().expect("an id").to_owned();
    house.configure(&manifests("second", true));
    let told = house.call(at("app", &id, "")).answer().await;
    assert_eq!((told.status, told.code().as_str()), (410, "credential_gone"));
    assert!(told.body.contains("`alpha`"), "{}", told.body);
    house.configure(&manifests("first", false));
    assert_eq!(in_vain(&house, at("app", &id, "/content")).await, (410, "provider_gone".to_owned()));
    house.configure(&manifests("first", true));
    let (_, again) = works(&house, "alpha.example", at("app", &id, ""), 200, |_| file("file-abc", "a.pdf").to_string()).await;
    assert_eq!(again.json()["id"], json!(id));
}

#[tokio::test(start_paused = true)]
async fn the_seal_can_be_rotated_and_without_one_the_doors_refuse() {
    let house = house();
    let (id, name) = kept(&house, "one/app", "alpha", "file-abc", "a.pdf").await;
    house.gateway.seal.swap(Keys::parse(&format!("{}\n{SEAL}", "02".repeat(32))).expect("keys"));
    let (_, looked) = works(&house, "alpha.house.example", at("one/app", &id, ""), 200, |_| file("file-abc", &name).to_string()).await;
    assert_eq!(looked.json()["filename"], "a.pdf");
    assert_ne!(looked.json()["id"], json!(id), "what is sealed now is sealed with the new key");
    house.gateway.seal.swap(Keys::parse(&"02".repeat(32)).expect("keys"));
    assert_eq!(in_vain(&house, at("one/app", &id, "")).await, (404, "object_not_found".to_owned()));

    let bare = House::of(&[provider_of("OpenAI", "alpha", ""), key("app", "")]);
    bare.gateway.seal.swap(None);
    for call in [send("app", "a.pdf"), Call::get("app", "/v1/files"), at("app", "file-x", "")] {
        assert_eq!(in_vain(&bare, call).await, (501, "no_seal".to_owned()));
    }
    let named = r#"{"model":"alpha/m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-x"}}]}]}"#;
    assert_eq!(in_vain(&bare, Call::post("app", CHAT, named)).await, (501, "no_seal".to_owned()));
    let calling = bare.call(Call::chat("app", "alpha/m"));
    bare.providers.answers("alpha.example", 200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200, "all else is served");
}

#[tokio::test(start_paused = true)]
async fn a_call_may_name_own_files_where_they_are_kept_and_nowhere_else() {
    let house = house();
    let (id, _) = kept(&house, "one/app", "alpha", "file-abc", "a.pdf").await;
    let (other, _) = kept(&house, "one/app", "beta", "file-b", "b.pdf").await;
    let chat = |model: &str, ids: &[&str]| {
        let parts: Vec<_> = ids.iter().map(|id| format!(r#"{{"type":"file", "file":{{"file_id" : "{id}"}}}}"#)).collect();
        format!(r#"{{ "seed":1.0,"model":"{model}","messages":[{{"role":"user","content":[{}]}}]}}"#, parts.join(","))
    };
    let call = Call::post("one/app", CHAT, &chat("alpha/m", &[&id, &id]));
    let (asked, answer) = works(&house, "alpha.house.example", call, 200, |_| ANSWER.to_owned()).await;
    assert_eq!((asked.text, answer.status), (chat("m", &["file-abc", "file-abc"]), 200));
    let input = |id: &str| {
        json!({ "model": "alpha/m", "input": [{ "role": "user", "content": [{ "type": "input_file", "file_id": id }] }] }).to_string()
    };
    let (asked, _) = works(&house, "alpha.house.example", Call::post("one/app", "/v1/responses", &input(&id)), 200, |_| {
        r#"{"id":"resp_1","object":"response","status":"completed","model":"m","output":[]}"#.to_owned()
    })
    .await;
    assert_eq!(asked.body["input"][0]["content"][0]["file_id"], "file-abc");
    for (body, code) in [
        (chat("beta/m", &[&id]), "kept_elsewhere"),
        (chat("plain/m", &[&id]), "kept_elsewhere"),
        (chat("alpha/m", &[&id, &other]), "kept_elsewhere"),
    ] {
        let call = Call::post("one/app", CHAT, &body);
        assert_eq!(in_vain(&house, call).await, (400, code.to_owned()), "{body}");
    }
    assert_eq!(in_vain(&house, Call::post("one/app", CHAT, &chat("alpha/m", &["file-abc"]))).await.0, 404, "an id of the provider's own");
}

#[tokio::test(start_paused = true)]
async fn of_the_targets_of_a_rule_those_are_left_that_keep_the_file() {
    let house = House::of(&[
        provider_of("OpenAI", "alpha", ""),
        provider_of("OpenAI", "beta", ""),
        policy("way", &["alpha", "beta"], "fallbackOn: [ServerError]"),
        key("app", "routingPolicyRef: { name: way }"),
    ]);
    let call = send("app", "a.pdf").with("x-portolan-provider", "beta");
    let (_, sent) = works(&house, "beta.example", call, 200, |_| file("file-b", "a.pdf").to_string()).await;
    let id = sent.json()["id"].as_str().expect("an id").to_owned();
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": [{ "type": "file", "file": { "file_id": id } }] }] });
    let (asked, _) = works(&house, "beta.example", Call::post("app", CHAT, &body.to_string()), 200, |_| ANSWER.to_owned()).await;
    assert_eq!(asked.body["messages"][0]["content"][0]["file"]["file_id"], "file-b");
    assert_eq!(house.providers.dialled(), ["beta.example", "beta.example"], "the first target keeps no such file");
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_answers_instead_is_told_without_its_own_ids() {
    let house = house();
    let (id, _) = kept(&house, "one/app", "alpha", "file-abc", "a.pdf").await;
    let missing = r#"{"error":{"message":"No such File object: file-abc","type":"invalid_request_error","param":"id","code":null}}"#;
    let (_, told) = works(&house, "alpha.house.example", at("one/app", &id, ""), 404, |_| missing.to_owned()).await;
    assert_eq!((told.status, told.code().as_str()), (404, "upstream_not_found"));
    assert!(told.body.contains(&id) && !told.body.contains("file-abc"), "{}", told.body);
    for (status, body, code) in [
        (200, "<html>", 502),
        (200, r#"{"object":"file"}"#, 502),
        (200, r#"{"id":"file-abc","id":"file-x"}"#, 502),
        (302, "", 502),
        (401, r#"{"error":{"message":"Incorrect API key"}}"#, 502),
        (429, r#"{"error":{"message":"slow down"}}"#, 429),
    ] {
        let (_, told) = works(&house, "alpha.house.example", at("one/app", &id, ""), status, |_| body.to_owned()).await;
        assert_eq!(told.status, code, "{status} {body}: {}", told.body);
    }
}

#[tokio::test(start_paused = true)]
async fn each_bad_upload_is_told_what_is_wrong_with_it() {
    let house = House::of(&[provider_of("OpenAI", "alpha", ""), key("app", "")]);
    let fine = form("a.pdf", "x");
    let twice =
        fine.replace("--AaB03x--", "--AaB03x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b\"\r\n\r\ny\r\n--AaB03x--");
    for (body, code, word) in [
        (fine.replace("; filename=\"a.pdf\"", ""), "invalid_form", "no filename"),
        (fine.replace("filename=\"a.pdf\"", "filename*=UTF-8''a.pdf"), "invalid_form", "encoded"),
        (fine.replace("filename=\"a.pdf\"", "filename=\"\""), "invalid_form", "empty"),
        (fine.replace("a.pdf", &"a".repeat(201)), "invalid_form", "longer than 200"),
        (fine.replace("name=\"file\"", "name=\"other\""), "invalid_form", "another file"),
        (twice, "invalid_form", "another file"),
        (
            fine[..fine.find("--AaB03x\r\nContent-Disposition: form-data; name=\"file\"").expect("a part")].to_owned() + "--AaB03x--\r\n",
            "invalid_body",
            "lacks `file`",
        ),
        (fine[..fine.len() / 2].to_owned(), "invalid_form", "ends before"),
    ] {
        let answer = house.call(Call::post("app", "/v1/files", &body).of_kind(KIND)).answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{word}: {}", answer.body);
        assert!(answer.body.contains(word), "{word}: {}", answer.body);
    }
    let json = house.call(Call::post("app", "/v1/files", "{}")).answer().await;
    assert_eq!((json.status, json.code().as_str()), (415, "unsupported_content_type"));
    assert!(house.providers.dialled().is_empty());
    for name in ["a\\\"b.pdf", "README", "a.b/c"] {
        let call = Call::post("app", "/v1/files", &form(name, "x")).of_kind(KIND);
        let calling = house.call(call);
        let mut line = house.providers.line("alpha.example").await;
        let asked = line.asked().await;
        let (_, told) = asked.text.split_once("filename=\"").expect("a name");
        let told = told.split_once("\"\r\n").expect("its end").0;
        line.answer(200, &format!(r#"{{"id":"file-1","filename":"{told}"}}"#)).await;
        assert!(told.contains(".ptl-"), "{told}");
        assert_eq!(calling.answer().await.json()["filename"], json!(name.replace('\\', "")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_file_is_spooled_and_sent_with_its_mark() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    let house = House::with(&[provider_of("OpenAI", "alpha", ""), key("app", "")], |settings| {
        settings.spool_dir = Some(path);
        settings.spool_bytes = 8 << 20;
        settings.body_memory_bytes = 512 << 10;
    });
    let content = "0123456789abcdef".repeat(3 << 16);
    let calling = house.call(Call::post("app", "/v1/files", &form("large.pdf", &content)).of_kind(KIND));
    let mut line = house.providers.line("alpha.example").await;
    let asked = line.asked().await;
    assert!(house.gateway.process.spool_bytes() > 2 << 20 && house.gateway.process.body_bytes() < 128 << 10);
    assert!(asked.text.contains(&content) && told_name(&asked).starts_with("large.ptl-"));
    line.answer(200, &file("file-1", &told_name(&asked)).to_string()).await;
    assert_eq!(calling.answer().await.json()["filename"], "large.pdf");
    assert_eq!((house.gateway.process.spool_bytes(), house.gateway.process.body_bytes()), (0, 0));
}

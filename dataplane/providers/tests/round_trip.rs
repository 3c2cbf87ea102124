//! What both dialects can say is said the same in both: any conversation, written in either, becomes just what it is in
//! the other, and so comes back unchanged.

#![expect(clippy::expect_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use providers::head::Head;
use providers::passage::Passage;
use serde_json::{Value, json};
use snapshot::Surface::{self, ChatCompletions, Messages};

/// A conversation, in neither dialect.
#[derive(Debug, Clone)]
struct Talk {
    system: Vec<String>,
    exchanges: Vec<Exchange>,
    last: Vec<Said>,
    tools: Vec<Tool>,
    choice: Option<Choice>,
    one_call_at_a_time: bool,
    tokens_max: u32,
    temperature: Option<u8>,
    top_p: Option<u8>,
    stop: Vec<String>,
    user: Option<String>,
    effort: Option<&'static str>,
    schema: Option<Value>,
    stream: bool,
}

/// The user says something, the assistant answers and calls tools, which answer.
#[derive(Debug, Clone)]
struct Exchange {
    said: Vec<Said>,
    answer: Option<String>,
    /// Which tool, its arguments, its result.
    calls: Vec<(usize, Value, String)>,
}

#[derive(Debug, Clone)]
enum Said {
    Text(String),
    Link(String),
    Image(String),
}

#[derive(Debug, Clone)]
struct Tool {
    description: Option<String>,
    schema: Value,
    strict: bool,
}

#[derive(Debug, Clone)]
enum Choice {
    Auto,
    None,
    Any,
    Named(usize),
}

fn words() -> impl Strategy<Value = String> {
    any::<String>().prop_filter("blank texts are not sent", |text| !text.trim().is_empty())
}

fn said() -> impl Strategy<Value = Vec<Said>> {
    let one = prop_oneof![
        3 => words().prop_map(Said::Text),
        1 => "https://[a-z]{1,8}/[a-z?=&%]{0,8}".prop_map(Said::Link),
        1 => "[A-Za-z0-9+/]{4,12}".prop_map(Said::Image),
    ];
    vec(one, 1..4)
}

fn object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        any::<u16>().prop_map(|number| json!(f64::from(number) / 64.0)),
    ];
    let inner = leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec((any::<String>(), inner), 0..3).prop_map(|fields| fields.into_iter().collect())
        ]
    });
    vec((any::<String>(), inner), 0..3).prop_map(|fields| fields.into_iter().collect())
}

fn exchange(tools: usize) -> impl Strategy<Value = Exchange> {
    let calls = vec((0..tools.max(1), object(), words()), 0..if tools == 0 { 1 } else { 4 });
    (said(), option::of(words()), calls, words()).prop_map(|(said, answer, calls, filler)| {
        let answer = if calls.is_empty() { answer.or(Some(filler)) } else { answer };
        Exchange { said, answer, calls }
    })
}

fn talk() -> impl Strategy<Value = Talk> {
    let tool =
        (option::of(words()), object(), any::<bool>()).prop_map(|(description, schema, strict)| Tool { description, schema, strict });
    vec(tool, 0..4).prop_flat_map(|tools| {
        let count = tools.len();
        let choice = prop_oneof![Just(Choice::Auto), Just(Choice::None), Just(Choice::Any), (0..count.max(1)).prop_map(Choice::Named)];
        let numbers = (1..100_000_u32, option::of(0..=100_u8), option::of(0..=100_u8));
        let effort = option::of(prop_oneof![Just("low"), Just("medium"), Just("high"), Just("xhigh"), Just("max")]);
        let spoken = (vec(words(), 0..2), vec(exchange(count), 0..4), said());
        let rest = (vec(words(), 0..5), option::of(words()), effort, option::of(object()), any::<bool>());
        (spoken, (option::of(choice), any::<bool>()), numbers, rest).prop_map(move |(spoken, (choice, one), numbers, rest)| {
            let (system, exchanges, last) = spoken;
            let choice = choice.filter(|_| count > 0);
            let one_call_at_a_time = one && count > 0 && !matches!(choice, Some(Choice::None));
            let (tokens_max, temperature, top_p) = numbers;
            let (stop, user, effort, schema, stream) = rest;
            Talk {
                system,
                exchanges,
                last,
                tools: tools.clone(),
                choice,
                one_call_at_a_time,
                tokens_max,
                temperature,
                top_p,
                stop,
                user,
                effort,
                schema,
                stream,
            }
        })
    })
}

fn hundredths(number: u8) -> Value {
    json!(f64::from(number) / 100.0)
}

fn name(tool: usize) -> String {
    format!("tool-{tool}_x")
}

fn openai_said(said: &[Said]) -> Value {
    if let [Said::Text(text)] = said {
        return json!(text);
    }
    let parts = said.iter().map(|said| match said {
        Said::Text(text) => json!({ "type": "text", "text": text }),
        Said::Link(url) => json!({ "type": "image_url", "image_url": { "url": url } }),
        Said::Image(data) => json!({ "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{data}") } }),
    });
    parts.collect()
}

fn anthropic_said(said: &[Said]) -> impl Iterator<Item = Value> {
    said.iter().map(|said| match said {
        Said::Text(text) => json!({ "type": "text", "text": text }),
        Said::Link(url) => json!({ "type": "image", "source": { "type": "url", "url": url } }),
        Said::Image(data) => json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": data } }),
    })
}

fn id(turn: usize, call: usize) -> String {
    format!("call_{turn}-{call}")
}

impl Talk {
    /// As OpenAI's client says it. `loose` picks other forms of the same.
    fn openai(&self, loose: bool) -> Value {
        let mut messages: Vec<Value> =
            self.system.iter().map(|text| json!({ "role": if loose { "developer" } else { "system" }, "content": text })).collect();
        for (turn, exchange) in self.exchanges.iter().enumerate() {
            messages.push(json!({ "role": "user", "content": openai_said(&exchange.said) }));
            let mut answer = json!({ "role": "assistant", "content": exchange.answer });
            let calls = exchange.calls.iter().enumerate().map(|(place, (tool, arguments, _))| {
                json!({ "id": id(turn, place), "type": "function", "function": { "name": name(*tool), "arguments": arguments.to_string() } })
            });
            if !exchange.calls.is_empty() {
                answer["tool_calls"] = calls.collect();
                if loose && exchange.answer.is_none() {
                    answer["content"] = json!("");
                }
            }
            messages.push(answer);
            for (place, (_, _, result)) in exchange.calls.iter().enumerate() {
                let content = if loose { json!([{ "type": "text", "text": result }]) } else { json!(result) };
                messages.push(json!({ "role": "tool", "tool_call_id": id(turn, place), "content": content }));
            }
        }
        messages.push(json!({ "role": "user", "content": openai_said(&self.last) }));
        let mut request = json!({ "model": "real", "messages": messages });
        request[if loose { "max_tokens" } else { "max_completion_tokens" }] = json!(self.tokens_max);
        let tools = self.tools.iter().enumerate().map(|(place, tool)| {
            let mut function = json!({ "name": name(place), "parameters": tool.schema });
            tool.description.iter().for_each(|text| function["description"] = json!(text));
            if tool.strict || loose {
                function["strict"] = json!(tool.strict);
            }
            json!({ "type": "function", "function": function })
        });
        if !self.tools.is_empty() {
            request["tools"] = tools.collect();
        }
        if let Some(choice) = &self.choice {
            request["tool_choice"] = match choice {
                Choice::Auto => json!("auto"),
                Choice::None => json!("none"),
                Choice::Any => json!("required"),
                Choice::Named(tool) => json!({ "type": "function", "function": { "name": name(*tool) } }),
            };
        } else if self.one_call_at_a_time && !loose {
            request["tool_choice"] = json!("auto");
        }
        if self.one_call_at_a_time {
            request["parallel_tool_calls"] = json!(false);
        }
        if let Some(schema) = &self.schema {
            request["response_format"] =
                json!({ "type": "json_schema", "json_schema": { "name": "answer", "strict": true, "schema": schema } });
        }
        self.effort.iter().for_each(|effort| request["reasoning_effort"] = json!(effort));
        if self.stream {
            request["stream"] = json!(true);
            request["stream_options"] = json!({ "include_usage": true });
        }
        if loose && self.stop.len() == 1 {
            request["stop"] = json!(self.stop[0]);
        } else if !self.stop.is_empty() {
            request["stop"] = json!(self.stop);
        }
        self.user.iter().for_each(|user| request["user"] = json!(user));
        self.numbers(request)
    }

    /// As Anthropic's client says it.
    fn anthropic(&self) -> Value {
        let mut messages = Vec::new();
        let mut results: Vec<Value> = Vec::new();
        for (turn, exchange) in self.exchanges.iter().enumerate() {
            let user: Vec<Value> = results.drain(..).chain(anthropic_said(&exchange.said)).collect();
            messages.push(json!({ "role": "user", "content": user }));
            let mut answer: Vec<Value> = exchange.answer.iter().map(|text| json!({ "type": "text", "text": text })).collect();
            for (place, (tool, arguments, result)) in exchange.calls.iter().enumerate() {
                answer.push(json!({ "type": "tool_use", "id": id(turn, place), "name": name(*tool), "input": arguments }));
                results.push(
                    json!({ "type": "tool_result", "tool_use_id": id(turn, place), "content": [{ "type": "text", "text": result }] }),
                );
            }
            messages.push(json!({ "role": "assistant", "content": answer }));
        }
        let user: Vec<Value> = results.into_iter().chain(anthropic_said(&self.last)).collect();
        messages.push(json!({ "role": "user", "content": user }));
        let mut request = json!({ "model": "real", "max_tokens": self.tokens_max, "messages": messages });
        if !self.system.is_empty() {
            request["system"] = self.system.iter().map(|text| json!({ "type": "text", "text": text })).collect();
        }
        let tools = self.tools.iter().enumerate().map(|(place, tool)| {
            let mut offered = json!({ "name": name(place), "input_schema": tool.schema });
            tool.description.iter().for_each(|text| offered["description"] = json!(text));
            if tool.strict {
                offered["strict"] = json!(true);
            }
            offered
        });
        if !self.tools.is_empty() {
            request["tools"] = tools.collect();
        }
        if self.choice.is_some() || self.one_call_at_a_time {
            request["tool_choice"] = match self.choice.as_ref().unwrap_or(&Choice::Auto) {
                Choice::Auto => json!({ "type": "auto" }),
                Choice::None => json!({ "type": "none" }),
                Choice::Any => json!({ "type": "any" }),
                Choice::Named(tool) => json!({ "type": "tool", "name": name(*tool) }),
            };
        }
        if self.one_call_at_a_time {
            request["tool_choice"]["disable_parallel_tool_use"] = json!(true);
        }
        if let Some(effort) = self.effort {
            request["output_config"]["effort"] = json!(effort);
            if !matches!(self.choice, Some(Choice::Any | Choice::Named(_))) {
                request["thinking"] = json!({ "type": "adaptive", "display": "summarized" });
            }
        }
        if let Some(schema) = &self.schema {
            request["output_config"]["format"] = json!({ "type": "json_schema", "schema": schema });
        }
        if self.stream {
            request["stream"] = json!(true);
        }
        if !self.stop.is_empty() {
            request["stop_sequences"] = json!(self.stop);
        }
        self.user.iter().for_each(|user| request["metadata"] = json!({ "user_id": user }));
        self.numbers(request)
    }

    fn numbers(&self, mut request: Value) -> Value {
        self.temperature.iter().for_each(|number| request["temperature"] = hundredths(*number));
        self.top_p.iter().for_each(|number| request["top_p"] = hundredths(*number));
        request
    }
}

fn translate(client: Surface, upstream: Surface, request: &Value) -> Value {
    let body = Bytes::from(request.to_string());
    let head = Head::read(client, &body).expect("a request");
    let passage = Passage::choose(client, &BTreeSet::from([upstream]), &head, &body, "real").expect("a passage");
    serde_json::from_slice(&passage.request().concat()).expect("JSON")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_openai_says_becomes_the_same_in_anthropics_words(talk in talk(), loose in any::<bool>()) {
        // OpenAI takes four stop texts, so there are never more here.
        let talk = Talk { stop: talk.stop.into_iter().take(4).collect(), ..talk };
        assert_eq!(translate(ChatCompletions, Messages, &talk.openai(loose)), talk.anthropic());
    }

    #[test]
    fn what_anthropic_says_becomes_the_same_in_openais_words(talk in talk()) {
        let talk = Talk { stop: talk.stop.into_iter().take(4).collect(), ..talk };
        assert_eq!(translate(Messages, ChatCompletions, &talk.anthropic()), talk.openai(false));
    }

    #[test]
    fn there_and_back_nothing_is_lost(talk in talk()) {
        let talk = Talk { stop: talk.stop.into_iter().take(4).collect(), ..talk };
        let there = translate(ChatCompletions, Messages, &talk.openai(true));
        assert_eq!(translate(Messages, ChatCompletions, &there), talk.openai(false));
    }
}

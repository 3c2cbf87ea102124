"""Anthropic's Python SDK in front of the simulated provider."""

import time

import anthropic

from cases import BASE_URL, KEY, case, left, mistyped, raises, run, same

CLIENT = {"base_url": BASE_URL, "api_key": KEY, "max_retries": 0, "timeout": 30}
client = anthropic.Anthropic(**CLIENT)

HI = [{"role": "user", "content": "hi"}]
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ASK_WEATHER = [{"role": "user", "content": "call get_weather, please"}]


def create(model="chat", messages=HI, **more):
    return client.messages.create(model=model, max_tokens=200, messages=messages, **more)


@case
def messages():
    answer = create(system="be short")
    same((answer.type, answer.role, answer.model, answer.stop_reason), ("message", "assistant", "chat", "end_turn"))
    assert answer.content[0].text
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0


@case
def messages_are_cut_at_the_limit_of_tokens():
    answer = client.messages.create(model="chat", max_tokens=3, messages=HI)
    same((answer.stop_reason, answer.usage.output_tokens), ("max_tokens", 3))


@case
def a_bearer_is_as_good_as_an_api_key():
    caller = anthropic.Anthropic(base_url=BASE_URL, auth_token=KEY, max_retries=0)
    assert caller.messages.create(model="chat", max_tokens=9, messages=HI).content


@case
def stream():
    with client.messages.stream(model="chat", max_tokens=200, messages=HI) as answer:
        pieces = list(answer.text_stream)
        final = answer.get_final_message()
    assert len(pieces) > 5, "a stream of one piece is no stream"
    same("".join(pieces), final.content[0].text)
    same(final.stop_reason, "end_turn")
    assert final.usage.output_tokens > 1, final.usage


@case
def stream_of_events():
    kinds = [event.type for event in create(stream=True)]
    same((kinds[0], kinds[-2:]), ("message_start", ["message_delta", "message_stop"]))
    same((kinds.count("content_block_start"), kinds.count("content_block_stop")), (1, 1))


@case
def tools_and_their_results():
    answer = create(messages=ASK_WEATHER, tools=[WEATHER])
    same(answer.stop_reason, "tool_use")
    call = next(block for block in answer.content if block.type == "tool_use")
    same((call.name, list(call.input)), ("get_weather", ["city"]))
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "nineteen degrees"}]}
    second = create(messages=[*ASK_WEATHER, {"role": "assistant", "content": answer.content}, result], tools=[WEATHER])
    same(second.stop_reason, "end_turn")
    assert "nineteen degrees" in second.content[0].text


@case
def streamed_tools():
    with client.messages.stream(model="chat", max_tokens=200, messages=ASK_WEATHER, tools=[WEATHER]) as answer:
        final = answer.get_final_message()
    same(final.stop_reason, "tool_use")
    call = next(block for block in final.content if block.type == "tool_use")
    same(list(call.input), ["city"])


@case
def models_are_listed():
    models = list(client.models.list())
    assert {"chat", "paced"} <= {model.id for model in models}, models
    same({model.type for model in models}, {"model"})


@case
def a_model_is_retrieved():
    same((client.models.retrieve("chat").id, client.models.retrieve("chat").type), ("chat", "model"))
    same(raises(anthropic.NotFoundError, lambda: client.models.retrieve("nobody")).body["error"]["type"], "not_found_error")


@case
def a_wrong_key():
    def ask(key):
        return lambda: client.with_options(api_key=key).messages.create(model="chat", max_tokens=9, messages=HI)

    error = raises(anthropic.AuthenticationError, ask("sk-somebody-elses-key-of-another-house"))
    same((error.status_code, error.body["error"]["type"]), (401, "authentication_error"))
    same(error.body["error"]["code"], "invalid_api_key")
    same(raises(anthropic.AuthenticationError, ask(mistyped(KEY))).body["error"]["code"], "mistyped_api_key")


@case
def an_unknown_model():
    error = raises(anthropic.NotFoundError, lambda: create(model="chatt"))
    same((error.status_code, error.body["error"]["type"]), (404, "not_found_error"))
    assert error.body["request_id"], error.body


@case
def a_bad_request():
    error = raises(anthropic.BadRequestError, lambda: create(messages=[]))
    same((error.status_code, error.body["error"]["type"]), (400, "invalid_request_error"))
    ours = raises(anthropic.BadRequestError, lambda: create(model=7))
    same(ours.body["error"]["code"], "invalid_body")


@case
def a_provider_that_has_enough():
    error = raises(anthropic.RateLimitError, lambda: create(model="limited"))
    same((error.status_code, error.body["error"]["type"], error.response.headers["retry-after"]), (429, "rate_limit_error", "7"))


@case
def a_provider_that_has_enough_for_a_second():
    """The SDK waits for as long as it is told, and asks again."""
    began = time.monotonic()
    assert client.with_options(max_retries=1).messages.create(model="busy", max_tokens=9, messages=HI).content
    assert time.monotonic() - began > 0.9, "it did not wait"


@case
def a_provider_that_is_late():
    error = raises(anthropic.GatewayTimeoutError, lambda: create(model="late"))
    same((error.status_code, error.body["error"]["code"]), (504, "upstream_timeout"))


@case
def a_client_that_does_not_wait():
    for model in ["patient", "endless"]:
        ask = {"model": model, "max_tokens": 9, "messages": HI}
        raises(anthropic.APITimeoutError, lambda ask=ask: client.with_options(timeout=0.4).messages.create(**ask))
    left(create)


@case
def a_stream_that_breaks_off():
    def read():
        for _ in create(model="dropping", stream=True):
            pass

    error = raises(anthropic.APIStatusError, read)
    same(error.body["error"]["code"], "upstream_stream_broken")


@case
def a_stream_that_is_left():
    with client.messages.stream(model="paced", max_tokens=4000, messages=HI) as answer:
        next(iter(answer.text_stream))
    with client.messages.stream(model="endless", max_tokens=4000, messages=HI) as answer:
        same(next(iter(answer.text_stream)), "word ")
    left(create)


@case
async def asynchronous():
    async with anthropic.AsyncAnthropic(**CLIENT) as caller:
        answer = await caller.messages.create(model="chat", max_tokens=200, messages=HI)
        assert answer.content[0].text
        async with caller.messages.stream(model="chat", max_tokens=200, messages=HI) as stream:
            pieces = [piece async for piece in stream.text_stream]
            final = await stream.get_final_message()
        same("".join(pieces), final.content[0].text)


run()

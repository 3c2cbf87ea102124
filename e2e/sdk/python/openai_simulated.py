"""OpenAI's Python SDK in front of the simulated provider."""

import asyncio
import base64
import json
import struct
import time

import openai

from cases import BASE_URL, KEY, case, left, mistyped, raises, run, same

CLIENT = {"base_url": f"{BASE_URL}/v1", "api_key": KEY, "max_retries": 0, "timeout": 30}
client = openai.OpenAI(**CLIENT)

HI = [{"role": "user", "content": "hi"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ASK_WEATHER = [{"role": "user", "content": "call get_weather, please"}]


def well(model):
    """A call of a provider that is well."""
    assert client.chat.completions.create(model=model, messages=HI).choices


def collected(chunks):
    """Text, reason to finish, usage and the calls of tools of a stream."""
    text, finish, usage, calls = "", None, None, {}
    for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
            for part in choice.delta.tool_calls or []:
                call = calls.setdefault(part.index, {"id": None, "name": None, "arguments": ""})
                call["id"] = part.id or call["id"]
                call["name"] = part.function.name or call["name"]
                call["arguments"] += part.function.arguments or ""
    return text, finish, usage, [calls[index] for index in sorted(calls)]


@case
def chat():
    answer = client.chat.completions.create(model="chat", messages=HI)
    same(answer.object, "chat.completion")
    same(answer.model, "chat")
    assert answer.choices[0].message.content
    same(answer.choices[0].message.role, "assistant")
    same(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)


@case
def chat_is_cut_at_the_limit_of_tokens():
    answer = client.chat.completions.create(model="chat", messages=HI, max_completion_tokens=3)
    same((answer.choices[0].finish_reason, answer.usage.completion_tokens), ("length", 3))


@case
def each_answer_names_its_call():
    raw = client.chat.completions.with_raw_response.create(model="chat", messages=HI, extra_headers={"x-request-id": "mine-1"})
    assert raw.headers["x-portolan-call-id"]
    same(raw.headers["x-request-id"], "mine-1")
    assert raw.parse().choices


@case
def provider_and_model():
    answer = client.chat.completions.create(model="sim/chat", messages=HI)
    assert answer.choices[0].message.content


@case
def structured_output():
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": schema}}
    answer = client.chat.completions.create(model="chat", messages=HI, response_format=form)
    same(list(json.loads(answer.choices[0].message.content)), ["city"])


@case
def legacy_completions():
    answer = client.completions.create(model="chat", prompt="hi")
    same(answer.object, "text_completion")
    assert answer.choices[0].text
    assert "".join(chunk.choices[0].text for chunk in client.completions.create(model="chat", prompt="hi", stream=True) if chunk.choices)


@case
def stream():
    whole = client.chat.completions.create(model="chat", messages=HI)
    chunks = list(client.chat.completions.create(model="chat", messages=HI, stream=True))
    text, finish, usage, _ = collected(chunks)
    assert len(chunks) > 5, "a stream of one piece is no stream"
    same((text[:20], finish), (whole.choices[0].message.content[:20], "stop"))
    same(usage, None, "usage that was not asked for")
    assert all(chunk.choices for chunk in chunks), "a chunk without choices, for a client that did not ask for usage"


@case
def stream_with_usage():
    answer = client.chat.completions.create(model="chat", messages=HI, stream=True, stream_options={"include_usage": True})
    chunks = list(answer)
    same(chunks[-1].choices, [])
    same(chunks[-1].usage.total_tokens, chunks[-1].usage.prompt_tokens + chunks[-1].usage.completion_tokens)
    same([chunk.usage for chunk in chunks[:-1]], [None] * (len(chunks) - 1))


@case
def stream_helper():
    with client.chat.completions.stream(model="chat", messages=HI) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"content.delta", "content.done"} <= kinds, kinds
    assert final.choices[0].message.content


@case
def tools_and_their_results():
    answer = client.chat.completions.create(model="chat", messages=ASK_WEATHER, tools=[WEATHER])
    same(answer.choices[0].finish_reason, "tool_calls")
    call = answer.choices[0].message.tool_calls[0]
    same(call.function.name, "get_weather")
    assert isinstance(json.loads(call.function.arguments)["city"], str)
    result = {"role": "tool", "tool_call_id": call.id, "content": "nineteen degrees"}
    messages = [*ASK_WEATHER, answer.choices[0].message, result]
    second = client.chat.completions.create(model="chat", messages=messages, tools=[WEATHER])
    same(second.choices[0].finish_reason, "stop")
    assert "nineteen degrees" in second.choices[0].message.content


@case
def streamed_tools():
    answer = client.chat.completions.create(model="chat", messages=ASK_WEATHER, tools=[WEATHER], stream=True)
    text, finish, _, calls = collected(answer)
    same((text, finish, len(calls), calls[0]["name"]), ("", "tool_calls", 1, "get_weather"))
    assert calls[0]["id"] and isinstance(json.loads(calls[0]["arguments"])["city"], str)


@case
def embeddings_of_floats():
    answer = client.embeddings.create(model="embed", input=["one", "two"], encoding_format="float", dimensions=8)
    same([(item.index, len(item.embedding)) for item in answer.data], [(0, 8), (1, 8)])
    assert all(isinstance(value, float) for item in answer.data for value in item.embedding)
    same(answer.usage.total_tokens, answer.usage.prompt_tokens)


@case
def embeddings_as_the_sdk_asks():
    """Without a format the SDK asks for base64 and decodes it."""
    default = client.embeddings.create(model="embed", input="one", dimensions=8).data[0].embedding
    floats = client.embeddings.create(model="embed", input="one", dimensions=8, encoding_format="float").data[0].embedding
    assert max(abs(a - b) for a, b in zip(default, floats, strict=True)) < 1e-6, (default, floats)
    raw = client.embeddings.create(model="embed", input="one", dimensions=8, encoding_format="base64").data[0].embedding
    same(list(struct.unpack("<8f", base64.b64decode(raw))), list(default))


@case
def models_are_listed():
    names = [model.id for model in client.models.list()]
    assert {"chat", "embed", "paced"} <= set(names), names


@case
def a_model_is_retrieved():
    same((client.models.retrieve("chat").id, client.models.retrieve("chat").object), ("chat", "model"))
    same(raises(openai.NotFoundError, lambda: client.models.retrieve("nobody")).code, "model_not_found")


@case
def responses():
    answer = client.responses.create(model="chat", input="hi", instructions="be short")
    same((answer.object, answer.status), ("response", "completed"))
    assert answer.output_text
    same(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens)


@case
def streamed_responses():
    events = list(client.responses.create(model="chat", input="hi", stream=True))
    same((events[0].type, events[-1].type), ("response.created", "response.completed"))
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    same(deltas, events[-1].response.output_text)
    same([event.sequence_number for event in events], list(range(len(events))))


@case
def tools_of_responses():
    tool = {"type": "function", "name": "get_weather", "parameters": WEATHER["function"]["parameters"], "strict": False}
    first = client.responses.create(model="chat", input="call get_weather, please", tools=[tool])
    call = next(item for item in first.output if item.type == "function_call")
    assert isinstance(json.loads(call.arguments)["city"], str)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "nineteen degrees"}
    second = client.responses.create(model="chat", input=[*ASK_WEATHER, call.model_dump(exclude_none=True), result], tools=[tool])
    assert "nineteen degrees" in second.output_text


@case
def a_wrong_key():
    def ask(key):
        return lambda: client.with_options(api_key=key).chat.completions.create(model="chat", messages=HI)

    error = raises(openai.AuthenticationError, ask("sk-somebody-elses-key-of-another-house"))
    same((error.status_code, error.code), (401, "invalid_api_key"))
    same(raises(openai.AuthenticationError, ask(mistyped(KEY))).code, "mistyped_api_key")


@case
def an_unknown_model():
    error = raises(openai.NotFoundError, lambda: client.chat.completions.create(model="chatt", messages=HI))
    same((error.status_code, error.code), (404, "model_not_found"))
    assert "`chat`" in error.message or "chat" in error.message.replace("chatt", ""), error.message


@case
def a_bad_request():
    error = raises(openai.BadRequestError, lambda: client.chat.completions.create(model="chat", messages="hi"))
    same(error.status_code, 400)
    assert error.body["message"] and error.type == "invalid_request_error", error.body
    ours = raises(openai.NotFoundError, lambda: client.responses.create(model="chat", input="hi", previous_response_id="resp_1"))
    same((ours.code, ours.param), ("object_not_found", "previous_response_id"))


@case
def an_ambiguous_model():
    error = raises(openai.BadRequestError, lambda: client.chat.completions.create(model="both", messages=HI))
    same(error.code, "model_ambiguous")


@case
def a_provider_that_has_enough():
    error = raises(openai.RateLimitError, lambda: client.chat.completions.create(model="limited", messages=HI))
    same((error.status_code, error.code, error.response.headers["retry-after"]), (429, "upstream_rate_limited", "7"))
    ask = {"model": "limited", "messages": HI, "stream": True}
    same(raises(openai.RateLimitError, lambda: client.chat.completions.create(**ask)).status_code, 429)


@case
def a_provider_that_has_enough_for_a_second():
    """The SDK waits for as long as it is told, and asks again."""
    began = time.monotonic()
    assert client.with_options(max_retries=1).chat.completions.create(model="busy", messages=HI).choices
    assert time.monotonic() - began > 0.9, "it did not wait"


@case
def a_provider_that_refuses_the_gateway():
    error = raises(openai.InternalServerError, lambda: client.chat.completions.create(model="locked", messages=HI))
    same((error.status_code, error.code), (502, "upstream_auth_failed"))


@case
def a_provider_that_is_late():
    error = raises(openai.InternalServerError, lambda: client.chat.completions.create(model="late", messages=HI))
    same((error.status_code, error.code), (504, "upstream_timeout"))


@case
def a_client_that_does_not_wait():
    for model in ["patient", "endless"]:
        ask = {"model": model, "messages": HI}
        raises(openai.APITimeoutError, lambda ask=ask: client.with_options(timeout=0.4).chat.completions.create(**ask))
    left(well)


@case
def a_stream_that_breaks_off():
    answer = client.chat.completions.create(model="dropping", messages=HI, stream=True)
    error = raises(openai.APIError, lambda: list(answer))
    same(error.code, "upstream_stream_broken")


@case
def a_stream_that_is_left():
    answer = client.chat.completions.create(model="paced", messages=HI, stream=True)
    for _ in range(3):
        next(answer)
    answer.close()
    endless = client.chat.completions.create(model="endless", messages=HI, stream=True)
    next(endless)
    endless.close()
    left(well)


@case
async def asynchronous():
    async with openai.AsyncOpenAI(**CLIENT) as caller:
        answer = await caller.chat.completions.create(model="chat", messages=HI)
        assert answer.choices[0].message.content
        chunks = [chunk async for chunk in await caller.chat.completions.create(model="chat", messages=HI, stream=True)]
        assert len(chunks) > 5
        assert (await caller.embeddings.create(model="embed", input="one")).data[0].embedding
        assert [model.id async for model in caller.models.list()]


@case
async def an_asynchronous_stream_that_is_left():
    async with openai.AsyncOpenAI(**CLIENT) as caller:
        answer = await caller.chat.completions.create(model="paced", messages=HI, stream=True)
        async for chunk in answer:
            assert chunk.choices
            break
        await answer.close()


@case
async def a_task_that_is_cancelled():
    async with openai.AsyncOpenAI(**CLIENT) as caller:
        begun = asyncio.Event()

        async def read():
            async for _ in await caller.chat.completions.create(model="endless", messages=HI, stream=True):
                begun.set()

        reading = asyncio.create_task(read())
        await begun.wait()
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
        left(well)


run()

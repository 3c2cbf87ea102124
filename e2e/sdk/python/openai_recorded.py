"""OpenAI's Python SDK reads recorded answers of real providers, of either dialect."""

import base64
import json
import struct

import openai

from cases import BASE_URL, KEY, add, blame, raises, recordings, run, same

client = openai.OpenAI(base_url=f"{BASE_URL}/v1", api_key=KEY, max_retries=0, timeout=30)

# What is asked of a provider of the other dialect, which must be told all of it.
ROUND = {
    "messages": [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": "how warm is it in Paris?"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "nineteen degrees"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            },
        }
    ],
    "max_completion_tokens": 1000,
}


def read(recording):
    """Text, calls of tools, reason to finish and usage, by the SDK's types."""
    crossed = recording["dialect"] != "openai"
    request = dict(ROUND) if crossed else dict(recording["request"])
    request["model"] = recording["model"]
    request["stream"] = recording["stream"]
    if not recording["stream"]:
        answer = client.chat.completions.create(**request)
        message = answer.choices[0].message
        calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
        return message.content or "", calls, answer.choices[0].finish_reason, answer.usage
    if crossed:
        request["stream_options"] = {"include_usage": True}
    text, finish, usage, calls = "", None, None, {}
    for chunk in client.chat.completions.create(**request):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            # The expectation is that of the first of several choices.
            if choice.index != 0:
                continue
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
            for part in choice.delta.tool_calls or []:
                call = calls.setdefault(part.index, [None, None, ""])
                call[0] = part.id or call[0]
                call[1] = part.function.name or call[1]
                call[2] += part.function.arguments or ""
    return text, [tuple(calls[index]) for index in sorted(calls)], finish, usage


def chat(recording):
    expected = recording["expect"]
    text, calls, finish, usage = read(recording)
    same(text, expected["text"], "text")
    same([(i, name, json.loads(arguments)) for i, name, arguments in calls], [(c["id"], c["name"], c["arguments"]) for c in expected["tool_calls"]])
    same(finish, expected["finish_reason"], "finish_reason")
    asked = not recording["stream"] or "stream_options" in recording["request"] or recording["dialect"] != "openai"
    same(usage is not None, asked and expected["usage"] is not None, "usage is there")
    if usage is not None:
        for field in ["prompt_tokens", "completion_tokens", "total_tokens"]:
            same(getattr(usage, field), expected["usage"][field], field)


def error(recording):
    kind = {400: openai.BadRequestError, 404: openai.NotFoundError, 429: openai.RateLimitError}
    request = dict(ROUND if recording["dialect"] != "openai" else recording["request"], model=recording["model"])
    # The provider's refusal of the gateway's credential is no fault of the client.
    if recording["status"] == 401:
        raised = raises(openai.InternalServerError, lambda: client.chat.completions.create(**request))
        same((raised.status_code, raised.code), (502, "upstream_auth_failed"))
        return
    raised = raises(kind[recording["status"]], lambda: client.chat.completions.create(**request))
    same(raised.status_code, recording["status"])
    said = recording["response"]["error"]
    same(raised.body["message"], blame(recording, "openai") + said["message"])
    if recording["dialect"] == "openai" and recording["status"] != 404:
        same((raised.code, raised.param, raised.type), (said["code"], said["param"], said["type"]))


def responses(recording):
    request = dict(recording["request"], model=recording["model"])
    if not recording["stream"]:
        answer = client.responses.create(**request)
        same([item.type for item in answer.output], [item["type"] for item in recording["response"]["output"]])
        same(answer.usage.total_tokens, recording["response"]["usage"]["total_tokens"])
        texts = [part["text"] for item in recording["response"]["output"] for part in item.get("content") or [] if part["type"] == "output_text"]
        same(answer.output_text, "".join(texts))
        return
    events = list(client.responses.create(**request))
    assert events[-1].type in ("response.completed", "response.incomplete"), events[-1].type
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    same(deltas, events[-1].response.output_text)
    same([event.sequence_number for event in events], list(range(len(events))))


def embeddings(recording):
    request = dict(recording["request"], model=recording["model"])
    # What the SDK asks by itself when nothing is said is base64; then what was recorded would be another answer.
    request.setdefault("encoding_format", "float")
    answer = client.embeddings.create(**request)
    for item, recorded in zip(answer.data, recording["response"]["data"], strict=True):
        same(item.embedding, recorded["embedding"])
    same(answer.usage.prompt_tokens, recording["response"]["usage"]["prompt_tokens"])


def default_embeddings(recording):
    """The SDK asks for base64 when nothing is said, and decodes it itself."""
    request = {key: value for key, value in recording["request"].items() if key != "encoding_format"}
    answer = client.embeddings.create(**dict(request, model=recording["model"]))
    for item, recorded in zip(answer.data, recording["response"]["data"], strict=True):
        raw = base64.b64decode(recorded["embedding"])
        same(list(item.embedding), list(struct.unpack(f"<{len(raw) // 4}f", raw)))


KINDS = {"chat": chat, "error": error, "responses": responses, "embeddings": embeddings, "default_embeddings": default_embeddings}
for one in recordings():
    add(one["name"], lambda one=one: KINDS[one["kind"]](one))
run()

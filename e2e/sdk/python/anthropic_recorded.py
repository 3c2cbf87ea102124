"""Anthropic's Python SDK reads recorded answers of real providers, of either dialect."""

import inspect

import anthropic

from cases import BASE_URL, KEY, add, blame, raises, recordings, run, same

client = anthropic.Anthropic(base_url=BASE_URL, api_key=KEY, max_retries=0, timeout=30)

# What is asked of a provider of the other dialect, which must be told all of it.
ROUND = {
    "system": "be short",
    "messages": [
        {"role": "user", "content": "how warm is it in Paris?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Paris"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "nineteen degrees"}]},
    ],
    "tools": [
        {
            "name": "get_weather",
            "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        }
    ],
    "max_tokens": 1000,
}
FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}


def request_of(recording):
    crossed = recording["dialect"] != "anthropic"
    request = dict(ROUND) if crossed else dict(recording["request"])
    request["model"] = recording["model"]
    request.setdefault("max_tokens", 1000)
    request.pop("stream", None)
    # What this version of the SDK has no name for any more is still sent.
    named = inspect.signature(client.messages.stream).parameters
    request["extra_body"] = {name: request.pop(name) for name in list(request) if name not in named}
    return request


def read(recording):
    request = request_of(recording)
    if recording["stream"]:
        with client.messages.stream(**request) as answer:
            return answer.get_final_message()
    # Without a limit of its own the SDK refuses to wait for long answers.
    return client.messages.create(**request, timeout=30)


def chat(recording):
    expected = recording["expect"]
    final = read(recording)
    same("".join(block.text for block in final.content if block.type == "text"), expected["text"], "text")
    calls = [(block.id, block.name, block.input) for block in final.content if block.type == "tool_use"]
    same(calls, [(call["id"], call["name"], call["arguments"]) for call in expected["tool_calls"]], "tool_calls")
    same(FINISH[final.stop_reason], expected["finish_reason"], "finish_reason")
    if recording["dialect"] == "anthropic":
        same("".join(block.thinking for block in final.content if block.type == "thinking"), expected["reasoning"], "reasoning")
    if expected["usage"] is not None:
        usage = final.usage
        prompt = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        same((prompt, usage.output_tokens), (expected["usage"]["prompt_tokens"], expected["usage"]["completion_tokens"]), "usage")


def error(recording):
    kind = {400: anthropic.BadRequestError, 404: anthropic.NotFoundError, 429: anthropic.RateLimitError}
    request = request_of(recording)
    # The provider's refusal of the gateway's credential is no fault of the client.
    if recording["status"] == 401:
        raised = raises(anthropic.InternalServerError, lambda: client.messages.create(**request))
        same((raised.status_code, raised.body["error"]["code"]), (502, "upstream_auth_failed"))
        return
    raised = raises(kind[recording["status"]], lambda: client.messages.create(**request, timeout=30))
    same(raised.status_code, recording["status"])
    same(raised.body["type"], "error")
    said = recording["response"]["error"]
    same(raised.body["error"]["message"], blame(recording, "anthropic") + said["message"])


KINDS = {"chat": chat, "error": error}
for one in recordings():
    add(one["name"], lambda one=one: KINDS[one["kind"]](one))
run()

"""Portkey's SDK, which changes its URL and key. The provider is named in each of the ways that it has."""

import json

from portkey_ai import Portkey
from portkey_ai._vendor import openai

from cases import BASE_URL, KEY, raises, run, same
from matrix import BY_NAME, TOOLS, matrix, schema

HI = [{"role": "user", "content": "hi"}]
FUNCTIONS = [
    {"type": "function", "function": {"name": tool.__name__, "description": tool.__doc__, "parameters": schema(tool)}} for tool in TOOLS
]


def client(**more):
    made = Portkey(base_url=f"{BASE_URL}/v1", api_key=KEY, **more)
    # It has no option for that.
    made.openai_client.max_retries = 0
    return made


def ask(model, **more):
    house = model.replace("from-", "") + "-house"
    named = {
        "from-openai": {"provider": f"@{house}"},
        "from-anthropic": {"virtual_key": house, "trace_id": "trace-1", "metadata": {"_user": "ada"}},
        "from-gemini": {"config": {"provider": house}},
        "from-bedrock": {},
    }.get(model)
    name = model if named is not None else f"@{house}/{model}" if model != "limited" else model
    return client(**(named or {})).chat.completions.create(model=name, **more)


def chat(model):
    return ask(model, messages=HI).choices[0].message.content


def stream(model):
    for chunk in ask(model, messages=HI, stream=True):
        for choice in chunk.choices:
            yield choice.delta.content or ""


def tools(model):
    messages = list(HI)
    while True:
        message = ask(model, messages=messages, tools=FUNCTIONS).choices[0].message
        if not message.tool_calls:
            return message.content
        calls = [{"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments}} for call in message.tool_calls]
        messages.append({"role": "assistant", "content": message.content, "tool_calls": calls})
        for call in message.tool_calls:
            result = BY_NAME[call.function.name](**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def error(model):
    same(raises(openai.RateLimitError, lambda: chat(model)).status_code, 429)
    elsewhere = client(custom_host="http://127.0.0.1:1/v1")
    refused = raises(openai.BadRequestError, lambda: elsewhere.chat.completions.create(model="from-openai", messages=HI))
    same(refused.body["code"], "unsupported_header")
    unknown = raises(openai.BadRequestError, lambda: client(provider="@nobody").chat.completions.create(model="m", messages=HI))
    same(unknown.body["code"], "provider_not_found")


matrix(chat, stream, tools, error)
run()

"""Anthropic's SDK in front of each recorded provider."""

import anthropic

from cases import BASE_URL, KEY, raises, run, same
from matrix import BY_NAME, TOOLS, matrix, schema

client = anthropic.Anthropic(base_url=BASE_URL, api_key=KEY, max_retries=0)
ASK = {"max_tokens": 1000, "messages": [{"role": "user", "content": "hi"}]}
FUNCTIONS = [{"name": tool.__name__, "description": tool.__doc__, "input_schema": schema(tool)} for tool in TOOLS]


def text(message):
    return "".join(block.text for block in message.content if block.type == "text")


def chat(model):
    return text(client.messages.create(model=model, **ASK))


def stream(model):
    with client.messages.stream(model=model, **ASK) as events:
        yield from events.text_stream


def tools(model):
    messages = list(ASK["messages"])
    while True:
        message = client.messages.create(model=model, max_tokens=1000, messages=messages, tools=FUNCTIONS)
        calls = [block for block in message.content if block.type == "tool_use"]
        if not calls:
            return text(message)
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": BY_NAME[call.name](**call.input)} for call in calls]
        messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]


def error(model):
    same(raises(anthropic.RateLimitError, lambda: chat(model)).status_code, 429)


matrix(chat, stream, tools, error)
run()

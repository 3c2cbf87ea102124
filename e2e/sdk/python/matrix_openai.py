"""OpenAI's SDK in front of each recorded provider."""

import json

import openai

from cases import BASE_URL, KEY, raises, run, same
from matrix import BY_NAME, TOOLS, matrix, schema

client = openai.OpenAI(base_url=f"{BASE_URL}/v1", api_key=KEY, max_retries=0)
HI = [{"role": "user", "content": "hi"}]
FUNCTIONS = [
    {"type": "function", "function": {"name": tool.__name__, "description": tool.__doc__, "parameters": schema(tool)}} for tool in TOOLS
]


def chat(model):
    return client.chat.completions.create(model=model, messages=HI).choices[0].message.content


def stream(model):
    for chunk in client.chat.completions.create(model=model, messages=HI, stream=True):
        for choice in chunk.choices:
            yield choice.delta.content or ""


def tools(model):
    messages = list(HI)
    while True:
        message = client.chat.completions.create(model=model, messages=messages, tools=FUNCTIONS).choices[0].message
        if not message.tool_calls:
            return message.content
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            result = BY_NAME[call.function.name](**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def error(model):
    same(raises(openai.RateLimitError, lambda: chat(model)).status_code, 429)


matrix(chat, stream, tools, error)
run()

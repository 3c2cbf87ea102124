"""Instructor. Its structures are calls of one tool, whose arguments are the object that is read: it has no rounds."""

import instructor
import openai
from pydantic import create_model

from cases import BASE_URL, KEY, raises, run, same
from matrix import BACKS, BY_NAME, matrix

client = instructor.from_openai(openai.OpenAI(base_url=f"{BASE_URL}/v1", api_key=KEY, max_retries=0))
HI = [{"role": "user", "content": "hi"}]


def chat(model):
    return client.chat.completions.create(model=model, messages=HI, response_model=None).choices[0].message.content


def stream(model):
    for chunk in client.chat.completions.create(model=model, messages=HI, response_model=None, stream=True):
        for choice in chunk.choices:
            yield choice.delta.content or ""


def tools(model):
    back = next(back for back in BACKS if back["model"] == model)["whole"]
    (name, arguments), *_ = back["calls"]
    shape = create_model(name, **{field: (str, ...) for field in arguments or {}})
    read = client.chat.completions.create(model=model, messages=HI, response_model=shape, max_retries=0)
    BY_NAME[name](**read.model_dump())
    # What is asked after a result is an ordinary call.
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": read.model_dump_json()}}
    round_trip = [*HI, {"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "call_1", "content": "nineteen degrees"}]
    return client.chat.completions.create(model=model, messages=round_trip, response_model=None).choices[0].message.content


def error(model):
    same(raises(openai.RateLimitError, lambda: chat(model)).status_code, 429)


matrix(chat, stream, tools, error)
run()

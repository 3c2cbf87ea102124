"""LiteLLM as a client, by OpenAI's dialect and by Anthropic's."""

import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm  # noqa: E402

litellm.suppress_debug_info = True

from cases import BASE_URL, KEY, raises, run, same  # noqa: E402
from matrix import BY_NAME, TOOLS, matrix, schema  # noqa: E402

HI = [{"role": "user", "content": "hi"}]
FUNCTIONS = [
    {"type": "function", "function": {"name": tool.__name__, "description": tool.__doc__, "parameters": schema(tool)}} for tool in TOOLS
]


def ask(model, messages, **more):
    if model in ("from-openai", "from-gemini"):
        return litellm.completion(model=f"anthropic/{model}", api_base=BASE_URL, api_key=KEY, messages=messages, num_retries=0, max_retries=0, **more)
    return litellm.completion(model=f"openai/{model}", api_base=f"{BASE_URL}/v1", api_key=KEY, messages=messages, num_retries=0, max_retries=0, **more)


def chat(model):
    return ask(model, HI).choices[0].message.content


def stream(model):
    for chunk in ask(model, HI, stream=True):
        for choice in chunk.choices:
            yield choice.delta.content or ""


def tools(model):
    messages = list(HI)
    while True:
        message = ask(model, messages, tools=FUNCTIONS).choices[0].message
        if not message.tool_calls:
            return message.content
        messages.append(message)
        for call in message.tool_calls:
            result = BY_NAME[call.function.name](**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def error(model):
    same(raises(litellm.RateLimitError, lambda: chat(model)).status_code, 429)


matrix(chat, stream, tools, error)
run()

"""Haystack."""

import os

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
import openai  # noqa: E402
from haystack.components.agents import Agent  # noqa: E402
from haystack.components.generators.chat import OpenAIChatGenerator  # noqa: E402
from haystack.dataclasses import ChatMessage  # noqa: E402
from haystack.tools import create_tool_from_function  # noqa: E402
from haystack.utils import Secret  # noqa: E402

from cases import BASE_URL, KEY, raises, run, same  # noqa: E402
from matrix import TOOLS, matrix  # noqa: E402

HI = [ChatMessage.from_user("hi")]


def generator(model, **more):
    return OpenAIChatGenerator(model=model, api_base_url=f"{BASE_URL}/v1", api_key=Secret.from_token(KEY), max_retries=0, **more)


def chat(model):
    return generator(model).run(HI)["replies"][0].text


def stream(model):
    pieces = []
    whole = generator(model, streaming_callback=lambda chunk: pieces.append(chunk.content or "")).run(HI)["replies"][0].text
    same("".join(pieces), whole)
    return pieces


def tools(model):
    agent = Agent(chat_generator=generator(model), tools=[create_tool_from_function(tool) for tool in TOOLS])
    return agent.run(messages=HI)["messages"][-1].text


def error(model):
    same(raises(openai.RateLimitError, lambda: chat(model)).status_code, 429)


matrix(chat, stream, tools, error)
run()

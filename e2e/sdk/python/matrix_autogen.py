"""AutoGen."""

import openai
from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient

from cases import BASE_URL, KEY, run, same
from matrix import TOOLS, matrix, raises_soon

HI = [UserMessage(content="hi", source="user")]


def client(model):
    return OpenAIChatCompletionClient(
        model=model,
        base_url=f"{BASE_URL}/v1",
        api_key=KEY,
        max_retries=0,
        model_info={"vision": False, "function_calling": True, "json_output": True, "structured_output": True, "family": "unknown"},
    )


async def chat(model):
    return (await client(model).create(HI)).content


async def stream(model):
    pieces = [piece async for piece in client(model).create_stream(HI) if isinstance(piece, str)]
    # What the model thinks stands before its answer, between marks of AutoGen's own.
    return "".join(pieces).partition("</think>")[2] if pieces[0].startswith("<think>") else pieces


async def tools(model):
    agent = AssistantAgent("weatherman", model_client=client(model), tools=TOOLS, reflect_on_tool_use=True)
    return (await agent.run(task="hi")).messages[-1].content


async def error(model):
    same((await raises_soon(openai.RateLimitError, chat(model))).status_code, 429)


matrix(chat, stream, tools, error)
run()

"""OpenAI's Agents SDK, by chat and by its own default, Responses."""

import os

os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
import openai  # noqa: E402
from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool  # noqa: E402

from cases import BASE_URL, KEY, run, same  # noqa: E402
from matrix import TOOLS, matrix, raises_soon  # noqa: E402


def agent(model, tools=()):
    client = openai.AsyncOpenAI(base_url=f"{BASE_URL}/v1", api_key=KEY, max_retries=0)
    kind = OpenAIChatCompletionsModel if model in ("from-openai", "from-cohere") else OpenAIResponsesModel
    return Agent(name="weatherman", model=kind(model=model, openai_client=client), tools=[function_tool(tool) for tool in tools])


async def chat(model):
    return (await Runner.run(agent(model), "hi")).final_output


async def stream(model):
    events = Runner.run_streamed(agent(model), "hi").stream_events()
    data = [event.data async for event in events if event.type == "raw_response_event"]
    return [event.delta for event in data if event.type == "response.output_text.delta"]


async def tools(model):
    return (await Runner.run(agent(model, TOOLS), "hi")).final_output


async def error(model):
    same((await raises_soon(openai.RateLimitError, chat(model))).status_code, 429)


matrix(chat, stream, tools, error)
run()

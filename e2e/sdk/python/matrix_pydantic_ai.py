"""Pydantic AI, by OpenAI's chat and Responses and by Anthropic's messages."""

import anthropic
import openai
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError, ModelRateLimitError
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from cases import BASE_URL, KEY, run, same
from matrix import TOOLS, matrix


def model_of(model):
    if model in ("from-openai", "from-gemini"):
        client = anthropic.AsyncAnthropic(base_url=BASE_URL, api_key=KEY, max_retries=0)
        return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))
    client = openai.AsyncOpenAI(base_url=f"{BASE_URL}/v1", api_key=KEY, max_retries=0)
    kind = OpenAIResponsesModel if model == "from-anthropic" else OpenAIChatModel
    return kind(model, provider=OpenAIProvider(openai_client=client))


async def chat(model):
    return (await Agent(model_of(model)).run("hi")).output


async def stream(model):
    async with Agent(model_of(model)).run_stream("hi") as answer:
        return [piece async for piece in answer.stream_text(delta=True, debounce_by=None)]


async def tools(model):
    return (await Agent(model_of(model), tools=TOOLS).run("hi")).output


async def error(model):
    try:
        await chat(model)
    except ModelRateLimitError as error:
        # Its class is made of both when it is raised.
        assert isinstance(error, ModelHTTPError)
        same(error.status_code, 429)
    else:
        raise AssertionError("did not raise ModelRateLimitError")


matrix(chat, stream, tools, error)
run()

"""LlamaIndex. Its agents stream."""

import openai
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

from cases import BASE_URL, KEY, raises, run, same
from matrix import TOOLS, matrix

HI = [ChatMessage(role="user", content="hi")]


def llm(model):
    return OpenAILike(
        model=model, api_base=f"{BASE_URL}/v1", api_key=KEY, is_chat_model=True, is_function_calling_model=True, max_retries=0
    )


def chat(model):
    return llm(model).chat(HI).message.content


def stream(model):
    for chunk in llm(model).stream_chat(HI):
        yield chunk.delta or ""


async def tools(model):
    return (await FunctionAgent(tools=TOOLS, llm=llm(model)).run("hi")).response.content


def error(model):
    same(raises(openai.RateLimitError, lambda: chat(model)).status_code, 429)


matrix(chat, stream, tools, error, streams_tools=True)
run()

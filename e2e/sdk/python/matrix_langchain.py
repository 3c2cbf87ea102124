"""LangChain, by OpenAI's dialect and by Anthropic's: a provider of the one is asked in the other."""

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_anthropic.chat_models import AnthropicRateLimitError
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import OpenAIRateLimitError

from cases import BASE_URL, KEY, raises, run, same
from matrix import TOOLS, matrix


def llm(model):
    if model in ("from-openai", "from-gemini"):
        return ChatAnthropic(model=model, base_url=BASE_URL, api_key=KEY, max_retries=0, max_tokens=1000)
    return ChatOpenAI(model=model, base_url=f"{BASE_URL}/v1", api_key=KEY, max_retries=0)


def chat(model):
    return llm(model).invoke("hi").text


def stream(model):
    for chunk in llm(model).stream("hi"):
        yield chunk.text


def tools(model):
    found = create_agent(llm(model), TOOLS).invoke({"messages": [{"role": "user", "content": "hi"}]})
    return found["messages"][-1].text


def error(model):
    same(raises(OpenAIRateLimitError, lambda: chat(model)).status_code, 429)
    claude = ChatAnthropic(model=model, base_url=BASE_URL, api_key=KEY, max_retries=0, max_tokens=1000)
    same(raises(AnthropicRateLimitError, lambda: claude.invoke("hi")).status_code, 429)


matrix(chat, stream, tools, error)
run()

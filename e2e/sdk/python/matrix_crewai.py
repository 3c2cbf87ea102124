"""CrewAI."""

import os
import sys

os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false", OTEL_SDK_DISABLED="true", CREWAI_TESTING="true")
import openai  # noqa: E402
from crewai import LLM, Agent, Crew, Task  # noqa: E402
from crewai.tools import tool as as_tool  # noqa: E402

from cases import BASE_URL, KEY, raises, run, same  # noqa: E402
from matrix import TOOLS, matrix  # noqa: E402

# What it draws for people goes where nobody reads results.
sys.stdout = sys.stderr


def llm(model, **more):
    return LLM(model=f"openai/{model}", base_url=f"{BASE_URL}/v1", api_key=KEY, max_retries=0, **more)


def chat(model):
    return llm(model).call("hi")


def stream(model):
    yield llm(model, stream=True).call("hi")


def tools(model):
    agent = Agent(role="weatherman", goal="tell", backstory="none", llm=llm(model), tools=[as_tool(tool) for tool in TOOLS])
    task = Task(description="hi", expected_output="a text", agent=agent)
    return Crew(agents=[agent], tasks=[task], verbose=False).kickoff().raw


def error(model):
    same(raises(openai.RateLimitError, lambda: chat(model)).status_code, 429)


matrix(chat, stream, tools, error)
run()

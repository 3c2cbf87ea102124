"""What every SDK and framework is tried with, in front of each recorded provider, and the tools that the recordings call."""

import asyncio
import inspect
import json
import os

from cases import add

LIMITED = "limited"
RESULT = "nineteen degrees"

with open(os.environ["PORTOLAN_BACKS"], encoding="utf-8") as file:
    BACKS = json.load(file)

called = []


def note(name, **arguments):
    called.append([name, arguments])
    return RESULT


def weather(latitude: str, longitude: str) -> str:
    """Gets current weather for a location."""
    return note("weather", latitude=latitude, longitude=longitude)


def get_weather(city: str) -> str:
    """Gets the weather in a city."""
    return note("get_weather", city=city)


def get_temperature(city: str) -> str:
    """Gets the temperature in a city."""
    return note("get_temperature", city=city)


def get_user_country() -> str:
    """Gets the country of the user."""
    return note("get_user_country")


def get_country() -> str:
    """Gets the country."""
    return note("get_country")


def get_product_name() -> str:
    """Gets the name of the product."""
    return note("get_product_name")


def best_language_to_learn() -> str:
    """Gets the best language to learn."""
    return note("best_language_to_learn")


def currentTime() -> str:
    """Gets the time."""
    return note("currentTime")


TOOLS = [weather, get_weather, get_temperature, get_user_country, get_country, get_product_name, best_language_to_learn, currentTime]
BY_NAME = {tool.__name__: tool for tool in TOOLS}


def schema(tool):
    names = list(inspect.signature(tool).parameters)
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": names}


def read(text, expected):
    """A framework may take spaces off at both ends, and nothing else."""
    assert isinstance(text, str), f"read {text!r}"
    assert text.strip() == expected.strip(), f"read {text!r} and expected {expected!r}"


# One loop for all: clients keep their connections in it.
_loop = asyncio.new_event_loop()


def _done(tried):
    return _loop.run_until_complete(tried) if inspect.isawaitable(tried) else tried


def matrix(chat, stream, tools, error, streams_tools=False):
    """A case for each provider: `chat(model)` gives a text, `stream(model)` its pieces, `tools(model)` the answer after the
    tools were called, `error(model)` looks at what is raised. Each may be asynchronous."""

    def tried_chat(back):
        read(_done(chat(back["model"])), back["whole"]["text"])

    def tried_stream(back):
        pieces = list(_done(stream(back["model"])))
        expected = back["stream"]["text"]
        read("".join(pieces), expected)

    def tried_tools(back):
        recorded = back["stream" if streams_tools else "whole"]
        called.clear()
        answer = _done(tools(back["model"]))
        expected = [[name, arguments or {}] for name, arguments in recorded["calls"]]
        assert sorted(called, key=str) == sorted(expected, key=str), f"called {called} and expected {expected}"
        read(answer, recorded["answer"])

    for back in BACKS:
        for name, tried in [("chat", tried_chat), ("stream", tried_stream), ("tools", tried_tools)]:
            add(f"{name} {back['model']}", lambda tried=tried, back=back: tried(back))
    add(f"error {LIMITED}", lambda: _done(error(LIMITED)))


async def raises_soon(kind, coroutine):
    """What an asynchronous call raises; it must be of just this class."""
    try:
        await coroutine
    except Exception as error:
        assert type(error) is kind, f"raised {type(error).__name__} and not {kind.__name__}: {error}"
        return error
    raise AssertionError(f"did not raise {kind.__name__}")

"""Cases of a test program: each prints `ok NAME` or `not ok NAME: why`, and the next one runs all the same."""

import asyncio
import inspect
import json
import os
import sys
import traceback

BASE_URL = os.environ["PORTOLAN_BASE_URL"]
KEY = os.environ["PORTOLAN_KEY"]

# Frameworks that print for people are given another.
_out = sys.stdout
_cases = []
_left = 0


def case(test):
    """Takes a function in as a case, under its own name; an asynchronous one gets a loop of its own."""
    _cases.append((test.__name__, test))
    return test


def add(name, test):
    """The same under another name."""
    _cases.append((name, test))


def run():
    for name, test in _cases:
        try:
            if inspect.iscoroutinefunction(test):
                asyncio.run(test())
            else:
                test()
            print(f"ok {name}", file=_out, flush=True)
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            mine = [f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            why = " ".join(f"{type(error).__name__}: {error} ({where.line}) at {' '.join(mine[:6])}".split())
            print(f"not ok {name}: {why}", file=_out, flush=True)


def same(read, expected, what=""):
    assert read == expected, f"{what}: read {read!r} and expected {expected!r}"


def raises(kind, call):
    """What a call raises; it must be of just this class, of which the SDKs' users make their decisions."""
    try:
        call()
    except Exception as error:
        assert type(error) is kind, f"raised {type(error).__name__} and not {kind.__name__}: {error}"
        return error
    raise AssertionError(f"did not raise {kind.__name__}")


def recordings():
    """Recorded answers: name, kind, whether a stream, and from its folder the recorded request and what is to be read."""
    with open(os.environ["PORTOLAN_RECORDINGS"], encoding="utf-8") as file:
        found = json.load(file)
    for recording in found:
        for part in ["request", "response", "expect"]:
            path = os.path.join(recording["folder"], f"{part}.json")
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    recording[part] = json.load(file)
    return found


def blame(recording, spoken):
    """Before a provider's words stands whose they are, except where its answer is passed on as it came: in the dialect that
    the client speaks, and where the request is at fault. A model that the provider lacks may be the configuration's."""
    if recording["dialect"] == spoken and recording["status"] != 404:
        return ""
    return f"provider `{recording['dialect']}` refused the request: "


def left(ask):
    """The scripted provider has seen one more of its calls end early: it answers this one not sooner."""
    global _left
    _left += 1
    ask(f"left-{_left}")


def mistyped(key):
    """A key with one character that is wrong."""
    return key[:-1] + ("a" if key[-1] != "a" else "b")

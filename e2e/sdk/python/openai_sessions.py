"""OpenAI's Python SDK in sessions of the Realtime API, in front of the simulated provider."""

import json

import openai
from websockets.exceptions import InvalidStatus

from cases import BASE_URL, KEY, case, raises, run, same

CLIENT = {"base_url": f"{BASE_URL}/v1", "api_key": KEY, "max_retries": 0}
client = openai.OpenAI(**CLIENT)

ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "where is the port?"}]}


def answered(events):
    """What was told of a response: its first event, its text in pieces, and the response when it was done."""
    kinds, pieces = [], []
    for event in events:
        kinds.append(event.type)
        if event.type == "response.output_text.delta":
            pieces.append(event.delta)
        if event.type == "response.done":
            return kinds, pieces, event.response
    raise AssertionError(f"no response was done: {kinds}")


def is_whole(kinds, pieces, response):
    assert len(pieces) > 5, "an answer of one piece is no stream"
    assert "where is the port?" in "".join(pieces), pieces
    assert "response.created" in kinds, kinds
    same(response.status, "completed")
    same(response.output[0].content[0].text, "".join(pieces))
    usage = response.usage
    assert usage.input_tokens > 0, usage
    same((usage.output_tokens, usage.total_tokens), (len(pieces), usage.input_tokens + len(pieces)))


@case
def a_session_answers_what_is_said():
    with client.realtime.connect(model="talker") as session:
        created = session.recv()
        same((created.type, created.session.model), ("session.created", "talker"))
        session.session.update(session={"type": "realtime", "instructions": "Be brief.", "output_modalities": ["text"]})
        updated = session.recv()
        same((updated.type, updated.session.instructions), ("session.updated", "Be brief."))
        session.conversation.item.create(item=ITEM)
        session.response.create()
        is_whole(*answered(session))


@case
async def an_asynchronous_session():
    async with openai.AsyncOpenAI(**CLIENT) as caller:
        async with caller.realtime.connect(model="talker") as session:
            await session.conversation.item.create(item=ITEM)
            await session.response.create()
            events = []
            async for event in session:
                events.append(event)
                if event.type == "response.done":
                    break
            same(events[0].type, "session.created")
            is_whole(*answered(events))


@case
def a_session_of_the_beta():
    # It dials TLS, and offers to compress, unless it is told otherwise.
    caller = openai.OpenAI(**CLIENT, websocket_base_url=CLIENT["base_url"].replace("http", "ws", 1))
    with caller.beta.realtime.connect(model="talker") as session:
        same(session.recv().type, "session.created")
        session.conversation.item.create(item=ITEM)
        session.response.create()
        is_whole(*answered(session))


@case
def an_event_that_is_none_is_told_and_the_session_goes_on():
    with client.realtime.connect(model="talker") as session:
        same(session.recv().type, "session.created")
        session.send({"type": "response.sing"})
        error = session.recv()
        same((error.type, error.error.type), ("error", "invalid_request_error"))
        session.conversation.item.create(item=ITEM)
        session.response.create()
        is_whole(*answered(session))


def refused(caller, model):
    """Status and error of the plain answer to a session that is not opened."""
    answer = raises(InvalidStatus, lambda: caller.realtime.connect(model=model).enter()).response
    return answer.status_code, json.loads(answer.body)["error"]


@case
def a_session_with_an_unknown_model():
    status, error = refused(client, "talkr")
    same((status, error["code"], error["type"]), (404, "model_not_found", "invalid_request_error"))
    assert "talkr" in error["message"] and "talker" in error["message"], error


@case
def a_session_with_a_wrong_key():
    status, error = refused(openai.OpenAI(**{**CLIENT, "api_key": "sk-somebody-elses-key-of-another-house"}), "talker")
    same((status, error["code"]), (401, "invalid_api_key"))


run()

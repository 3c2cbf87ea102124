"""OpenAI's Python SDK in front of a provider that keeps files."""

import os

import openai

from cases import BASE_URL, KEY, case, raises, run, same

CLIENT = {"base_url": f"{BASE_URL}/v1", "max_retries": 0, "timeout": 30}
client = openai.OpenAI(api_key=KEY, **CLIENT)
other = openai.OpenAI(api_key=os.environ["PORTOLAN_OTHER_KEY"], **CLIENT)


def send(name, content=b"hello"):
    return client.files.create(file=(name, content), purpose="user_data")


@case
def a_file_comes_and_goes():
    made = send("notes of a day.txt")
    assert made.id.startswith("file-") and len(made.id) > 60, made.id
    same((made.filename, made.bytes, made.purpose), ("notes of a day.txt", 5, "user_data"))
    same(client.files.retrieve(made.id), made)
    same([one.id for one in client.files.list()], [made.id])
    gone = client.files.delete(made.id)
    same((gone.id, gone.deleted), (made.id, True))
    missing = raises(openai.NotFoundError, lambda: client.files.retrieve(made.id))
    assert made.id in missing.message, missing.message
    same(list(client.files.list()), [])


@case
def what_is_in_a_file_streams():
    content = bytes(range(32, 127)) * 5000
    made = send("large.bin", content)
    same(client.files.content(made.id).read(), content)
    with client.files.with_streaming_response.content(made.id) as answer:
        same(b"".join(answer.iter_bytes()), content)
    client.files.delete(made.id)


@case
def a_list_has_all_pages():
    made = [send(f"{number}.txt") for number in range(7)]
    names = [f"{number}.txt" for number in range(7)]
    same([one.filename for one in client.files.list(limit=2)], names)
    first = client.files.list(limit=5, order="asc", purpose="user_data")
    same((len(first.data), first.has_more, first.data[-1].id), (5, True, made[4].id))
    same([one.filename for one in client.files.list(after=made[4].id)], ["5.txt", "6.txt"])
    for one in made:
        client.files.delete(one.id)


@case
def a_file_is_named_in_a_chat():
    made = send("chat.pdf")
    ask = lambda who: who.chat.completions.create(
        model="m", messages=[{"role": "user", "content": [{"type": "file", "file": {"file_id": made.id}}]}]
    )
    same(ask(client).choices[0].message.content, "chat")
    refused = raises(openai.NotFoundError, lambda: ask(other))
    same((refused.code, refused.param), ("object_not_found", "messages[].content[].file.file_id"))
    client.files.delete(made.id)


@case
def a_file_is_named_in_a_response():
    made = send("resp.pdf")
    ask = lambda id: client.responses.create(
        model="m", input=[{"role": "user", "content": [{"type": "input_file", "file_id": id}]}]
    )
    same(ask(made.id).output_text, "resp")
    same(raises(openai.NotFoundError, lambda: ask("file-0000")).code, "object_not_found")
    client.files.delete(made.id)


@case
def another_team_sees_none_of_it():
    made = send("own.txt")
    theirs = other.files.create(file=("theirs.txt", b"x"), purpose="user_data")
    same([one.filename for one in other.files.list()], ["theirs.txt"])
    same([one.filename for one in client.files.list()], ["own.txt"])
    for tried in [other.files.retrieve, other.files.content, other.files.delete]:
        same(raises(openai.NotFoundError, lambda: tried(made.id)).code, "object_not_found")
    same(client.files.retrieve(made.id), made)
    client.files.delete(made.id)
    other.files.delete(theirs.id)


@case
def a_response_is_gone_on_from():
    ask = lambda who, **more: who.responses.create(model="m", input="hi", **more)
    first = ask(client)
    assert first.id.startswith("resp_") and len(first.id) > 60, first.id
    second = ask(client, previous_response_id=first.id)
    same((second.previous_response_id, second.output_text), (first.id, "resp_1"))
    streamed = list(ask(client, previous_response_id=first.id, stream=True))
    same([event.response.id for event in streamed], [second.id, second.id])
    same(client.responses.retrieve(first.id).id, first.id)
    same(list(client.responses.input_items.list(first.id, limit=5, order="asc")), [])
    same(raises(openai.NotFoundError, lambda: ask(other, previous_response_id=first.id)).code, "object_not_found")
    same(raises(openai.NotFoundError, lambda: other.responses.retrieve(first.id)).code, "object_not_found")
    client.responses.delete(first.id)


run()

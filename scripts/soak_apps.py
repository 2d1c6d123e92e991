"""Load of scripts/soak.py: apps that want an answer and wait for it, with the stock client and others."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from typing import Any

from openai.types import Batch
from soak_load import FOREVER, KEY, MODEL, RELOADED_MODEL, Load, chat, expect
from websockets.asyncio.client import ClientConnection, connect

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CHAT: Any = "/v1/chat/completions"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
MODELS = ("claude-haiku-5-5", "claude-sonnet-5-5")
"""What RELOADED_MODEL means in turn."""
_STREAMS_AT_ONCE = 4


async def ask(load: Load) -> None:
    """Ask for a whole answer, one in two of them for the first time."""
    content = load.prompt() if random.random() < 0.5 else f"Say {random.randrange(10)}."
    answer = await load.openai.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
    expect(answer.choices[0].message.content and answer.choices[0].finish_reason == "stop", repr(answer))


async def stream(load: Load) -> None:
    """Ask for a stream."""
    messages: Any = [{"role": "user", "content": load.prompt()}]
    chunks = [
        chunk async for chunk in await load.openai.chat.completions.create(model=MODEL, messages=messages, stream=True)
    ]
    expect(len(chunks) > 2 and chunks[-1].choices[0].finish_reason == "stop", repr(chunks[-1]))


async def call_a_tool(load: Load) -> None:
    """Let the model call a tool, and give it the result."""
    messages: Any = [{"role": "user", "content": f"{load.prompt()} Use get_weather."}]
    first = await load.openai.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    expect(first.choices[0].finish_reason == "tool_calls", repr(first))
    messages.append(first.choices[0].message.to_dict())
    for call in first.choices[0].message.tool_calls or []:
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "21 degrees"})
    last = await load.openai.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    expect(last.choices[0].finish_reason == "stop", repr(last))


async def complete(load: Load) -> None:
    """Ask for a legacy completion, whole and streamed."""
    prompt = load.prompt()
    whole = await load.openai.completions.create(model=MODEL, prompt=prompt, max_tokens=200)
    expect(whole.choices[0].text and whole.choices[0].finish_reason == "stop", repr(whole))
    pieces = await load.openai.completions.create(model=MODEL, prompt=prompt, max_tokens=200, stream=True)
    chunks = [chunk async for chunk in pieces]
    text = "".join(chunk.choices[0].text for chunk in chunks)
    expect(text == whole.choices[0].text and chunks[-1].choices[0].finish_reason == "stop", repr(chunks[-1]))


async def list_models(load: Load) -> None:
    """Ask which models there are."""
    expect((await load.openai.models.list()).data, "no models")


async def store_responses(load: Load) -> None:
    """Make a response, go on from it, read it and delete it."""
    first = await load.openai.responses.create(model=MODEL, input=load.prompt())
    second = await load.openai.responses.create(model=MODEL, input="And?", previous_response_id=first.id)
    expect((await load.openai.responses.retrieve(second.id)).output_text == second.output_text, repr(second))
    await load.openai.responses.delete(first.id)


async def stream_a_response(load: Load) -> None:
    """Ask for the events of a response."""
    events = [
        event async for event in await load.openai.responses.create(model=MODEL, input=load.prompt(), stream=True)
    ]
    expect(events[-1].type == "response.completed", repr(events[-1]))


async def respond_in_the_background(load: Load) -> None:
    """Have a response made while nobody waits, and poll it."""
    load.tally.background += 1
    response = await load.openai.responses.create(model=MODEL, input=load.prompt(), background=True)
    while response.status in ("queued", "in_progress"):
        await asyncio.sleep(0.1)
        response = await load.openai.responses.retrieve(response.id)
    expect(response.status == "completed", repr(response))


async def cancel_in_the_background(load: Load) -> None:
    """Have a response made that never ends, and cancel it."""
    load.tally.background += 1
    prompt = load.prompt(**FOREVER)
    response = await load.openai.responses.create(model=MODEL, input=prompt, background=True)
    await load.called(prompt)
    cancelled = await load.openai.responses.cancel(response.id)
    expect(cancelled.status == "cancelled", repr(cancelled))
    await load.see_it_end(prompt)


# Files and batches.


async def use_a_file(load: Load) -> None:
    """Upload a file, read it, ask about it and delete it."""
    files = load.openai.files
    made = await files.create(file=("soak.pdf", PDF), purpose="user_data")
    expect((await files.content(made.id)).read() == PDF, "another content")
    parts: Any = [{"type": "text", "text": load.prompt()}, {"type": "file", "file": {"file_id": made.id}}]
    answer = await load.openai.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    expect(answer.choices[0].finish_reason == "stop", repr(answer))
    expect((await files.delete(made.id)).deleted, "not deleted")


async def run_a_batch(load: Load) -> None:
    """Have a batch made, of which one line fails, and read what came of it."""
    refused = load.prompt(status=400)
    batch = await _create_batch(load, [load.prompt(), load.prompt(), refused])
    batch = await _ended(load, batch)
    counts = batch.request_counts
    expect(batch.status == "completed" and counts and (counts.completed, counts.failed) == (2, 1), repr(batch))
    for file_id, lines in ((batch.output_file_id, 2), (batch.error_file_id, 1)):
        content = (await load.openai.files.content(file_id or "")).text
        expect(len(content.splitlines()) == lines, content)
        await load.openai.files.delete(file_id or "")


async def cancel_a_batch(load: Load) -> None:
    """Have a batch made that Claude does not get through with, and cancel it."""
    batch = await _create_batch(load, [load.prompt(delay=3600)])
    while batch.status == "validating":
        await asyncio.sleep(0.1)
        batch = await load.openai.batches.retrieve(batch.id)
    await load.openai.batches.cancel(batch.id)
    batch = await _ended(load, batch)
    expect(batch.status == "cancelled", repr(batch))


async def _create_batch(load: Load, prompts: list[str]) -> Batch:
    load.tally.batches += 1
    lines = [
        {"custom_id": str(number), "method": "POST", "url": CHAT, "body": chat(prompt, is_stream=False)}
        for number, prompt in enumerate(prompts)
    ]
    content = "\n".join(map(json.dumps, lines)).encode()
    file = await load.openai.files.create(file=("in.jsonl", content), purpose="batch")
    return await load.openai.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")


async def _ended(load: Load, batch: Batch) -> Batch:
    while batch.status in ("validating", "in_progress", "finalizing", "cancelling"):
        await asyncio.sleep(0.2)
        batch = await load.openai.batches.retrieve(batch.id)
    await load.openai.files.delete(batch.input_file_id)
    return batch


# Other clients.


async def use_http2(load: Load) -> None:
    """Ask for several streams at once on one HTTP/2 connection, through the proxy mode."""
    async with load.over_http2() as http:
        expect((await http.get("/v1/models")).http_version == "HTTP/2", "no HTTP/2")
        bodies = [chat(load.prompt(), is_stream=True) for _ in range(_STREAMS_AT_ONCE)]
        answers = await asyncio.gather(*(http.post(CHAT, json=body) for body in bodies))
    for answer in answers:
        expect(answer.status_code == 200 and answer.text.endswith("data: [DONE]\n\n"), answer.text[-300:])


async def speak_as_claude(load: Load) -> None:
    """Ask for a stream of Claude's own API."""
    body = {"model": "claude-sonnet-5-5", "max_tokens": 99, "stream": True}
    messages = [{"role": "user", "content": load.prompt()}]
    headers = {"anthropic-version": "2023-06-01"}
    answer = await load.http.post("/v1/messages", json={**body, "messages": messages}, headers=headers)
    expect(answer.status_code == 200 and "message_stop" in answer.text, answer.text[-300:])


async def use_a_websocket(load: Load) -> None:
    """Have two responses over a WebSocket."""
    async with socket_of(load) as socket:
        for _ in range(2):
            await create_response(load, socket, load.prompt())
            async for message in socket:
                kind = json.loads(message)["type"]
                expect(kind not in ("error", "response.failed"), str(message))
                if kind == "response.completed":
                    break


@contextlib.asynccontextmanager
async def socket_of(load: Load) -> AsyncIterator[ClientConnection]:
    """Connect a WebSocket for responses."""
    load.tally.requests += 1
    address = f"ws://127.0.0.1:{load.target.port}/v1/responses"
    headers = {"authorization": f"Bearer {KEY}"}
    async with connect(address, additional_headers=headers, proxy=None) as socket:
        expect(socket.response is not None, "no answer to the upgrade")
        if socket.response is not None:
            load.tally.request_ids.append(socket.response.headers["x-request-id"])
        yield socket


async def create_response(load: Load, socket: ClientConnection, prompt: str) -> None:
    """Ask for a response over it."""
    load.tally.requests += 1
    message = {"type": "response.create", "model": MODEL, "input": prompt, "store": False}
    await socket.send(json.dumps(message))


# The operator.


async def reload_settings(load: Load) -> None:
    """Change what a model means while the proxy runs, and ask until it means that."""
    async with load.reloading:
        wanted = MODELS[load.tally.reloads % len(MODELS)]
        load.target.reload(wanted)
        load.tally.reloads += 1
        while True:
            prompt = load.prompt()
            messages: Any = [{"role": "user", "content": prompt}]
            await load.openai.chat.completions.create(model=RELOADED_MODEL, messages=messages)
            call = load.call(prompt)
            if call is not None and call.body["model"] == wanted:
                return
            await asyncio.sleep(0.2)

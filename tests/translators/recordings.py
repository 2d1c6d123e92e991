"""What was recorded of the APIs, where it is present, and what each answer of Claude says, in the plainest way.

The recordings are not part of this repository: CLAUDE_PROXY_CORPUS names their folder, `../shared/corpus` is the
default.
"""

import json
import os
from pathlib import Path

import pytest

CORPUS = Path(os.environ.get("CLAUDE_PROXY_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))
ABSENT = pytest.param(None, marks=pytest.mark.skip(reason=f"no recordings in {CORPUS} (CLAUDE_PROXY_CORPUS)"))

SPLICED = "spliced-message-start"
"""The one recording that is no answer: two generations in one stream."""


def recorded(api="anthropic.messages"):
    for path in sorted((CORPUS / api).glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            yield json.loads(line)


RECORDS = list(recorded())


def split_streams(sse_text):
    """Some recordings hold the streams of several requests, one after the other."""
    streams = [""]
    ended = False
    for block in sse_text.replace("\r\n", "\n").split("\n\n"):
        if ended and "message_start" in block.split("\n", 1)[0]:
            streams.append("")
            ended = False
        ended = ended or block.startswith("event: message_stop") or '"type":"message_stop"' in block
        streams[-1] += block + "\n\n"
    return streams


STREAMS = [
    pytest.param(stream, id=f"{record['id']}-{number}")
    for record in RECORDS
    if "sse_text" in record["response"] and SPLICED not in record["id"]
    for number, stream in enumerate(split_streams(record["response"]["sse_text"]))
] or [ABSENT]
MESSAGES = [
    pytest.param(record["response"]["body"], id=record["id"])
    for record in RECORDS
    if record["response"]["status"] == 200 and isinstance(record["response"].get("body"), dict)
    if record["response"]["body"].get("type") == "message"
] or [ABSENT]
ERRORS = [
    pytest.param(record["response"], id=record["id"]) for record in RECORDS if record["response"]["status"] >= 400
] or [ABSENT]


def events_of(sse_text):
    return [json.loads(line[5:]) for line in sse_text.splitlines() if line.startswith("data:")]


def gather(events):
    """Gather what a recorded stream says: its whole message."""
    message = {"content": {}, "usage": {}, "stop_reason": None}
    inputs = {}
    for event in events:
        match event["type"]:
            case "message_start":
                message["usage"].update(event["message"]["usage"])
                message["content"].update(enumerate(event["message"]["content"]))
                message["stop_reason"] = event["message"]["stop_reason"]
            case "content_block_start":
                message["content"][event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] += delta["text"]
                    case "thinking_delta":
                        block["thinking"] += delta["thinking"]
                    case "signature_delta":
                        block["signature"] = delta["signature"]
                    case "citations_delta":
                        block["citations"] = [*(block.get("citations") or []), delta["citation"]]
                    case "input_json_delta":
                        inputs[event["index"]] = inputs.get(event["index"], "") + delta["partial_json"]
            case "message_delta":
                message["stop_reason"] = event["delta"]["stop_reason"]
                message["usage"].update({name: n for name, n in (event.get("usage") or {}).items() if n})
    for index, arguments in inputs.items():
        message["content"][index]["arguments"] = arguments
    message["content"] = list(message["content"].values())
    return message

"""What reaches the proxy from its clients, and what it does with that."""

import contextlib
from collections.abc import Mapping
from typing import Any

import brotli
import msgspec
import zstandard
from hypothesis import strategies as st

from addon.configuration.settings import load_settings
from addon.routing import Router
from addon.storage.pages import read_page, read_page_query
from addon.wire.client_stream import ClientGoneError
from addon.wire.content_encoding import decode_body
from addon.wire.multipart import parse_form
from addon.wire.websocket import Closed, Message, Pinged, WebSocketEnd
from tests.fuzz import frames, seeds
from tests.fuzz.hostile import STRINGS, changed, damaged, encode_bytes, json_bytes, pieces
from tests.fuzz.target import Target
from tests.fuzz.websocket import send_frames
from translators.batches.claude_requests import encode_request
from translators.batches.input_lines import InputChecker, split_lines
from translators.batches.request_body import parse_request as parse_batch
from translators.chat_completions.request import TranslationContext, called_tools
from translators.chat_completions.request import translate_request as translate_chat
from translators.chat_completions.request_body import parse_request as parse_chat
from translators.chat_completions.stored import add_kept, list_messages
from translators.completions.request import CompletionContext
from translators.completions.request import translate_request as translate_completion
from translators.completions.request_body import parse_request as parse_completion
from translators.errors import OpenAIError
from translators.json_string import InputStringDecoder, unwrap_input
from translators.model_catalog import CAPABILITIES, ModelCatalog
from translators.responses.conversation import normalise_item
from translators.responses.reasoning_envelope import open_compaction, open_envelope, seal, seal_compaction
from translators.responses.request import ResponsesContext
from translators.responses.request import translate_request as translate_response
from translators.responses.request_body import parse_item
from translators.responses.request_body import parse_request as parse_response
from translators.responses.response_events import encode_event
from translators.responses.socket_messages import CreateMessage, encode_socket_error, parse_client_message
from translators.responses.stream import ResponsesStream
from translators.tools import parse_arguments
from translators.upload_requests import parse_completion as parse_upload_completion
from translators.upload_requests import parse_upload

__all__ = ["CLIENT_TARGETS"]

HOSTS = load_settings({}).interception.hosts

# Requests.

_models = st.sampled_from(sorted(CAPABILITIES))
_showing = st.sampled_from(["asked", "always", "never"])


def _run_chat(case: tuple[bytes, str, Any]) -> int:
    body, model, showing = case
    request = parse_chat(body)
    called_tools(request)
    recall = dict.fromkeys(called_tools(request), seeds.BLOCKS[1:4]).get
    translated = translate_chat(
        request, TranslationContext(ModelCatalog(model), recall=recall, show_thinking=showing, max_tokens_limit=4000)
    )
    msgspec.json.encode(translated.without_thinking().params)
    if translated.kept is not None:
        msgspec.json.encode(add_kept(b'{"id":"x"}', translated.kept, "req_1"))
        msgspec.json.encode(list_messages("x", translated.kept))
    return len(msgspec.json.encode(translated.params))


def _run_completion(case: tuple[bytes, str]) -> int:
    body, model = case
    translated = translate_completion(parse_completion(body), CompletionContext(ModelCatalog(model)))
    return sum(len(msgspec.json.encode(prompt.params)) for prompt in translated.prompts)


def _run_response(case: tuple[bytes, str, Any]) -> int:
    body, model, showing = case
    request = parse_response(body)
    stored = {"msg_1": normalise_item(seeds.ITEMS[0], "x")}
    context = ResponsesContext(
        ModelCatalog(model), seeds.KEY, "resp_1", resolve_item=stored.get, show_thinking=showing, max_tokens_limit=4000
    )
    translated = translate_response(request, context)
    msgspec.json.encode(translated.without_thinking().params)
    stream = ResponsesStream(translated.plan, "resp_1", 1, seeds.KEY)
    echo = b"".join(map(encode_event, stream.start()))
    return len(msgspec.json.encode(translated.params)) + len(msgspec.json.encode(translated.input_items)) + len(echo)


def _run_stored_items(body: bytes) -> int:
    """What a conversation takes, and what a later request makes of it."""
    try:
        items = msgspec.json.decode(body, type=list[dict[str, Any]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    for index, item in enumerate(items):
        parse_item(item, f"items[{index}]")
    history = [normalise_item(item, str(index)) for index, item in enumerate(items)]
    # What is stored is JSON.
    history = msgspec.json.decode(msgspec.json.encode(history))
    found = {item["id"]: item for item in history}
    request = parse_response(b'{"model": "claude-opus-5-5", "input": "Go on"}')
    context = ResponsesContext(ModelCatalog("claude-opus-5-5"), seeds.KEY, "resp_1", history, found.get)
    read_page(history, {"limit": "2", "after": history[0]["id"]} if history else {})
    return len(msgspec.json.encode(translate_response(request, context).params)) + len(body)


def _run_batch(body: bytes) -> int:
    return len(msgspec.json.encode(parse_batch(body)))


def _run_upload(case: tuple[str, bytes]) -> int:
    step, body = case
    return len(msgspec.json.encode(parse_upload(body) if step == "create" else parse_upload_completion(body)))


def _run_lines(case: tuple[str, bytes]) -> int:
    endpoint, content = case
    checker = InputChecker(endpoint)
    lines = [checker.check(number, line) for number, line in split_lines(content)]
    checker.finish()
    made = len(msgspec.json.encode(checker.errors))
    catalog = ModelCatalog("claude-opus-5-5")
    for line in lines:
        if line is None:
            continue
        try:
            match endpoint:
                case "/v1/chat/completions":
                    params = translate_chat(parse_chat(line.body), TranslationContext(catalog)).params
                case "/v1/completions":
                    params = (
                        translate_completion(parse_completion(line.body), CompletionContext(catalog)).prompts[0].params
                    )
                case _:
                    params = translate_response(parse_response(line.body), ResponsesContext(catalog, seeds.KEY)).params
            made += len(encode_request("batch_0-1-0", params))
        except OpenAIError as error:
            made += len(error.encode())
    return made


# Forms, encodings, queries, paths.

_FORM = (
    b'--XX\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a\\"b\xc3\xbc.jsonl"\r\n'
    b"Content-Type: application/jsonl\r\n\r\n{}\r\n--XX\r\nContent-Disposition: form-data; "
    b"name=file; filename*=utf-8''%C3%BC%0d%0a\r\n\r\nx\r\n--XX--\r\n"
)
_form_types = st.sampled_from(
    [
        "multipart/form-data; boundary=XX",
        'multipart/form-data; boundary="XX"; charset=utf-8',
        "multipart/form-data; boundary*=utf-8''X%58",
        "multipart/form-data; boundary*0=X; boundary*1=X",
        "multipart/form-data; boundary*0*=nope''X; boundary*1*=%zz",
        "multipart/form-data; boundary=" + "X" * 5000,
        "multipart/mixed; boundary=XX",
    ]
)
_changed_form = st.builds(
    lambda at, put, cut: _FORM[:at] + put + _FORM[at + cut :],
    st.integers(0, len(_FORM)),
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from(
            [b"; filename*0*=x''%41; filename*1=b", b"; filename*=nope''%ff", b"\r\n\r\n", b"--XX", b"; name*=a'b'%80"]
        ),
    ),
    st.integers(0, 20),
)


def _run_form(case: tuple[str, bytes]) -> int:
    parts = parse_form(*case)
    return sum(len(part.text) + len(msgspec.json.encode([name, part.filename])) for name, part in parts.items())


_PACKERS = {"gzip": "gzip", "deflate": "zlib", "br": "brotli", "zstd": "zstd", "identity": ""}
_encoded = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=200).map(brotli.compress),
    st.binary(max_size=200).map(zstandard.compress),
    st.binary(max_size=200).map(lambda data: zstandard.compress(zstandard.compress(data) * 3)),
    st.integers(0, 200_000).map(lambda size: brotli.compress(bytes(size))),
    st.integers(0, 200_000).map(lambda size: zstandard.compress(bytes(size))),
)
_names = st.lists(st.sampled_from([*_PACKERS, "GZIP", "x-gzip", "snappy", "", "\0"]), max_size=6).map(", ".join)
_LIMIT = 100_000


def _run_encoding(case: tuple[bytes, str]) -> int:
    return len(decode_body(*case, limit=_LIMIT))


_queries = st.dictionaries(
    st.sampled_from(["limit", "order", "after", "before"]),
    st.sampled_from([*STRINGS, "asc", "desc", "1", "-1", "1_0", "٣", "1" * 400, "1" * 5000, "1e3", "0x1"]) | st.text(),
)


def _run_query(query: Mapping[str, str]) -> int:
    read_page_query(query)
    return len(read_page([{"id": "a"}, {"id": "b"}], query))


_path_pieces = st.lists(
    st.sampled_from(
        ["/", "//", "v1", "chat", "completions", "..", ".", "%2e%2e", "%2f", "%00", "%ff", "models", "\udc80", "?"]
    )
    | st.text(max_size=4),
    max_size=9,
).map("".join)
_ROUTER = Router(HOSTS, "pass")


def _run_route(case: tuple[bool, str, str, str, bool]) -> int:
    standalone, host, method, path, is_anthropic = case
    route = _ROUTER.route(standalone=standalone, host=host, method=method, path=path, is_anthropic=is_anthropic)
    return len(repr(route))


# Tool arguments.

_argument_texts = st.one_of(
    json_bytes([{"input": "a\\\U0001f600"}, {"a": [1, {"b": None}]}, {}]).map(
        lambda data: data.decode(errors="replace")
    ),
    st.sampled_from(['{"input":"\\ud83d\\ude00\\n\\x"}', '{ "input" : "\\u12', '{"input":"' + "\\" * 5000]),
    st.text(),
)


def _run_arguments(case: tuple[str, list[int]]) -> int:
    text, borders = case
    cuts = sorted(border % (len(text) + 1) for border in borders)
    decoder = InputStringDecoder()
    said = [decoder.feed(text[start:end]) for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    said.append(decoder.finish())
    whole = "".join(said)
    msgspec.json.encode([parse_arguments(text), parse_arguments(text, wrapped=True), unwrap_input(text)])
    return len(msgspec.json.encode(whole))


# Envelopes of reasoning, which come back from clients.

_sealed = st.one_of(
    st.just(seal(seeds.BLOCKS[1:2], "claude-opus-5-5", seeds.KEY)),
    st.just(seal_compaction("Short.", "claude-opus-5-5", seeds.KEY)),
)
_envelopes = st.one_of(
    st.builds(lambda text, at, put: text[:at] + put + text[at + 1 :], _sealed, st.integers(0, 40), st.text(max_size=3)),
    st.text(),
)


def _run_envelope(text: str) -> int:
    open_compaction(text, seeds.KEY)
    envelope = open_envelope(text, seeds.KEY)
    return len(envelope.model) if envelope else 0


# WebSockets.


def _run_frames(came: list[bytes]) -> int:
    """Read frames as our end does, and its messages; after the end nothing comes."""
    end, made, has_ended = WebSocketEnd(), 0, False
    for received in (each for piece in came for each in end.receive(piece)):
        assert not has_ended, "something after the end"
        match received:
            case Pinged():
                with contextlib.suppress(ClientGoneError):  # the end came with it
                    made += len(end.encode_pong(received))
            case Closed():
                has_ended = True
            case Message(data=data):
                made += len(data) + _run_message(data)
    return made


def _run_message(data: bytes) -> int:
    try:
        message = parse_client_message(data)
        if isinstance(message, CreateMessage):
            parse_response(message.body)
    except OpenAIError as error:
        refused = error
    else:
        return 0
    assert refused.status < 500, refused
    return len(encode_socket_error(refused))


CLIENT_TARGETS = (
    Target("chat completions request", st.tuples(json_bytes(seeds.CHATS), _models, _showing), _run_chat),
    Target("completions request", st.tuples(json_bytes(seeds.COMPLETIONS), _models), _run_completion),
    Target("responses request", st.tuples(json_bytes(seeds.RESPONSES), _models, _showing), _run_response),
    Target("stored items", json_bytes([seeds.ITEMS]), _run_stored_items),
    Target("batches request", json_bytes(seeds.BATCHES), _run_batch),
    Target("upload", st.tuples(st.sampled_from(["create", "complete"]), json_bytes(seeds.UPLOADS)), _run_upload),
    Target(
        "batch input",
        st.tuples(
            st.sampled_from(["/v1/chat/completions", "/v1/completions", "/v1/responses"]),
            damaged(st.lists(changed(seeds.LINES, 2).map(encode_bytes), max_size=3).map(b"\n".join)),
        ),
        _run_lines,
    ),
    Target("form", st.tuples(_form_types | st.text(max_size=40), _changed_form), _run_form),
    Target("content encoding", st.tuples(_encoded, _names | st.text(max_size=20)), _run_encoding, growth=0),
    Target("page query", _queries, _run_query),
    Target(
        "path",
        st.tuples(
            st.booleans(),
            st.sampled_from(["api.openai.com", "API.OPENAI.COM.", "x", ""]) | st.text(max_size=8),
            st.sampled_from(["GET", "POST", "DELETE", "get", "CONNECT", "\0"]),
            _path_pieces,
            st.booleans(),
        ),
        _run_route,
    ),
    Target("tool arguments", st.tuples(_argument_texts, st.lists(st.integers(0, 10_000), max_size=5)), _run_arguments),
    Target("envelope", _envelopes, _run_envelope, ()),
    Target("frames", pieces(frames.CASES), _run_frames, ()),
    Target(
        "websocket",
        st.tuples(frames.CASES, st.booleans()),
        lambda case: send_frames(case[0], shows_messages=case[1]),
        (),
        cost=10,
        is_here=False,
    ),
)

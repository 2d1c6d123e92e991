"""What old and eager HTTP/1 clients do: no chunks before 1.1, pipelining, a half-closed connection, an expectation."""

import asyncio
import json

import pytest

from tests.integration.running_proxy import ProxyStarter

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"


def request_bytes(text: str, *, version: str = "1.1", stream: bool = False, headers: str = "") -> bytes:
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": text}], "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/{version}\r\nhost: x\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


async def read_response(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return head, await reader.readexactly(int(length.split(b":")[1]))


async def test_an_http10_stream_is_not_chunked_and_ends_with_the_connection(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(request_bytes("hi", version="1.0", stream=True))
        async with asyncio.timeout(60):
            received = await reader.read()
        head, _, body = received.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head.lower()
        assert body.startswith(b"data: {")
        assert body.endswith(b"data: [DONE]\n\n")
        writer.close()


async def test_pipelined_requests_are_answered_in_their_order(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        answers = ["first", "second", "third"]
        writer.write(b"".join(request_bytes(f'[[simulate: {{"text": "{answer}"}}]]') for answer in answers))
        async with asyncio.timeout(60):
            for answer in answers:
                _, body = await read_response(reader)
                assert json.loads(body)["choices"][0]["message"]["content"] == answer
        writer.close()


async def test_empty_lines_before_a_request_are_passed_over(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        async with asyncio.timeout(60):
            writer.write(b"\r\n" + request_bytes("hi") + b"\r\n")  # as old clients send after a body
            head, _ = await read_response(reader)
            assert head.startswith(b"HTTP/1.1 200")
            writer.write(b"\r\n\r\n" + request_bytes("hi"))
            head, _ = await read_response(reader)
            assert head.startswith(b"HTTP/1.1 200")
        writer.close()


@pytest.mark.parametrize("line", [b"\r\n", b"\n"], ids=["crlf", "lf"])
async def test_any_number_of_empty_lines_is_passed_over(start_proxy: ProxyStarter, line: bytes) -> None:
    many = line * 1000
    async with start_proxy(REVERSE) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        # In one read, also before and behind one that is answered; and cut within a line.
        writer.write(many + request_bytes("hi") + many + request_bytes("hi") + many + line[:-1])
        async with asyncio.timeout(60):
            for _ in range(2):
                head, _ = await read_response(reader)
                assert head.startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.05)
            writer.write(line[-1:] + many + request_bytes("hi"))
            head, _ = await read_response(reader)
            assert head.startswith(b"HTTP/1.1 200")
        writer.close()


async def test_what_follows_an_empty_line_is_not_counted_as_a_head(start_proxy: ProxyStarter) -> None:
    first, second = request_bytes("hi"), request_bytes("x" * 200_000)  # the setting `limits.max_header_bytes` is 64 KiB
    async with start_proxy(REVERSE) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(first[:-1])
        await writer.drain()
        writer.write(first[-1:] + b"\r\n" + second)
        async with asyncio.timeout(60):
            for _ in range(2):
                head, _ = await read_response(reader)
                assert head.startswith(b"HTTP/1.1 200")
        writer.close()


@pytest.mark.parametrize("options", ["close", "Close", "CLOSE, TE"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_connection_that_is_to_be_closed_is_closed_after_its_answer(
    start_proxy: ProxyStarter, options: str, stream: bool
) -> None:
    async with start_proxy(REVERSE) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(request_bytes("hi", stream=stream, headers=f"connection: {options}\r\n"))
        async with asyncio.timeout(60):
            answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"0\r\n\r\n" if stream else b"}")


@pytest.mark.parametrize(
    "line",
    [
        "POST http://x/v1/chat/completions HTTP/1.1",
        "POST http://api.openai.com/v1/chat/completions HTTP/1.1",
        "post /v1/chat/completions HTTP/1.1",
        "POST /v1/chat/completions? HTTP/1.1",
    ],
    ids=["absolute", "absolute-of-openai", "lower-case", "empty-query"],
)
@pytest.mark.parametrize(
    "headers",
    ["", "Accept-Encoding: sdch, identity;q=0\r\n", "Expect: 100-Continue\r\n", "X-Empty:\r\n"],
    ids=["plain", "encodings", "expectation", "empty-header"],
)
async def test_odd_and_legal_requests_are_answered(start_proxy: ProxyStarter, line: str, headers: str) -> None:
    request = request_bytes("hi", headers=headers).replace(b"POST /v1/chat/completions HTTP/1.1", line.encode())
    async with start_proxy(REVERSE) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(request)
        async with asyncio.timeout(60):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"HTTP/1.1 100 "):
                head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-encoding" not in head.lower()


async def test_expect_100_continue_is_met(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        head, _, body = request_bytes("hi", headers="expect: 100-continue\r\n").partition(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        async with asyncio.timeout(60):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            writer.write(body)
            head, _ = await read_response(reader)
            assert head.startswith(b"HTTP/1.1 200")
        writer.close()


async def test_no_expectation_of_http10_is_met(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(request_bytes("hi", version="1.0", headers="expect: 100-continue\r\n"))
        async with asyncio.timeout(5):
            head, _ = await read_response(reader)
            assert head.split()[1] == b"200"
        writer.close()


async def test_a_body_that_cannot_be_read_after_a_100_is_refused(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        framing = b"expect: 100-continue\r\ntransfer-encoding: chunked\r\n"
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n%b\r\n" % framing)
        async with asyncio.timeout(60):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            writer.write(b"-1\r\n")
            head, refusal = await read_response(reader)
            assert head.startswith(b"HTTP/1.1 400")
            assert json.loads(refusal)["error"]["type"] == "invalid_request_error"
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("full", [True, False], ids=["in-mitmdump", "in-our-own-master"])
async def test_a_host_that_is_out_of_reach_is_told_after_a_100_too(start_proxy: ProxyStarter, full: bool) -> None:
    async with start_proxy("regular@127.0.0.1:0", full=full, keeps_bodies=full) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        head = b"host: 127.0.0.1:9\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
        writer.write(b"POST http://127.0.0.1:9/upload HTTP/1.1\r\n" + head)
        async with asyncio.timeout(60):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            writer.write(b"{}")
            head, refusal = await read_response(reader)
        writer.close()
    assert head.startswith(b"HTTP/1.1 502")
    assert json.loads(refusal)["error"]["type"] == "server_error"


async def test_extensions_of_chunks_and_trailers_are_passed_over(start_proxy: ProxyStarter) -> None:
    head, _, body = request_bytes("hi").partition(b"\r\n\r\n")
    head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith(b"content-length"))
    chunks = b"%x;name=value\r\n%b\r\n0\r\nx-checksum: 1\r\nhost: y\r\n\r\n" % (len(body), body)
    async with start_proxy(REVERSE) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        for path in (b"/v1/chat/completions", b"/no/such/path", b"/v1/chat/completions"):
            named = head.replace(b"/v1/chat/completions", path)
            writer.write(named + b"\r\ntransfer-encoding: chunked\r\ntrailer: x-checksum\r\n\r\n" + chunks)
            async with asyncio.timeout(60):
                answer, _ = await read_response(reader)
            assert answer.split()[1] == (b"404" if path == b"/no/such/path" else b"200")
        writer.close()


@pytest.mark.parametrize(
    "smuggled",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n\r\n{}   ",
        b"content-length: -1\r\n\r\n",
    ],
    ids=["both_framings", "two_lengths", "negative_length"],
)
async def test_a_request_of_two_readings_is_refused(start_proxy: ProxyStarter, smuggled: bytes) -> None:
    async with start_proxy(REVERSE) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + smuggled)
        async with asyncio.timeout(60):
            head, refusal = await read_response(reader)
            assert head.startswith(b"HTTP/1.1 400")
            assert json.loads(refusal)["error"]["type"] == "invalid_request_error"
            assert await reader.read() == b""
        writer.close()


async def test_a_refused_head_request_has_no_body_that_the_next_answer_could_be_taken_for(
    start_proxy: ProxyStarter,
) -> None:
    async with start_proxy(REVERSE) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"HEAD /v1/completions HTTP/1.1\r\nhost: x\r\n\r\nGET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(60):
            refused = await reader.readuntil(b"\r\n\r\n")
            assert refused.startswith(b"HTTP/1.1 405")
            assert b"\r\nx-request-id: req_" in refused
            head, body = await read_response(reader)
            assert head.startswith(b"HTTP/1.1 200")
            assert json.loads(body)["status"] == "ok"
        writer.close()


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
@pytest.mark.parametrize(("leaving", "ready"), [(False, b" 200 "), (True, b" 503 ")], ids=["ready", "leaving"])
async def test_head_of_health_is_answered_as_get_is_without_the_body(
    start_proxy: ProxyStarter, path: str, leaving: bool, ready: bytes
) -> None:
    async with start_proxy(REVERSE) as proxy:
        if leaving:
            proxy.addon.announce_end()
        told, head = await heads_of(proxy.port, path)
    assert (ready if path.endswith("ready") else b" 200 ") in told.partition(b"\r\n")[0]
    assert comparable(told) == comparable(head)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models", b"200"),
        ("/v1/models/gpt-4o", b"200"),
        ("/v1/files", b"200"),
        ("/v1/files/file-none", b"404"),
        ("/v1/responses", b"405"),
    ],
)
async def test_head_is_answered_as_get_is_without_the_body(start_proxy: ProxyStarter, path: str, status: bytes) -> None:
    async with start_proxy(REVERSE) as proxy:
        told, head = await heads_of(proxy.port, path)
    assert told.split()[1] == status
    assert comparable(told) == comparable(head)


async def test_head_of_metrics_has_no_body(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        told, head = await heads_of(proxy.port, "/metrics")
    assert told.split()[1] == head.split()[1] == b"200"
    assert b"content-type: text/plain; version=0.0.4" in told


async def test_head_of_a_files_content_says_its_length_and_nothing_more(start_proxy: ProxyStarter) -> None:
    form = (
        b'--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    )
    form += bytes(300_000) + b"\r\n--x--\r\n"
    upload = b"POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=x\r\n"
    async with start_proxy(REVERSE) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(upload + b"content-length: %d\r\n\r\n" % len(form) + form)
        async with asyncio.timeout(60):
            _, file = await read_response(reader)
        writer.close()
        told, head = await heads_of(proxy.port, f"/v1/files/{json.loads(file)['id']}/content")
    assert b"content-length: 300000" in told
    assert comparable(told) == comparable(head)


async def heads_of(port: int, path: str) -> tuple[bytes, bytes]:
    """Ask HEAD and GET of a path on one connection: what came of a body would be taken for the second head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"HEAD {path} HTTP/1.1\r\nhost: x\r\n\r\nGET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    async with asyncio.timeout(60):
        told = await reader.readuntil(b"\r\n\r\n")
        head, _ = await read_response(reader)
    writer.close()
    return told, head


def comparable(head: bytes) -> list[bytes]:
    """What is the same in each answer of a head."""
    own = (b"x-request-id:", b"openai-processing-ms:")
    return [line for line in head.lower().split(b"\r\n") if not line.startswith(own)]

"""The Files API of the simulated Claude, through the official SDK."""

import base64
from datetime import timedelta
from typing import Any

import anthropic
import pytest

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
GIF = base64.b64decode("R0lGODlhAQABAAAAACwAAAAAAQABAAA7")


def asked(kind: str, file_id: str) -> Any:
    block = {"type": kind, "source": {"type": "file", "file_id": file_id}}
    return {
        "model": "claude-opus-5-5",
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": [block, {"type": "text", "text": "What is this?"}]}],
    }


async def test_a_file_is_uploaded_listed_read_about_and_deleted(client: anthropic.AsyncAnthropic) -> None:
    made = await client.files.upload(file=("a/report.pdf", PDF, "application/pdf"), expires_in_seconds=3600)
    assert (made.filename, made.mime_type, made.size_bytes) == ("report.pdf", "application/pdf", len(PDF))
    assert made.expires_at is not None
    assert made.expires_at - made.created_at == timedelta(hours=1)
    assert made.downloadable is False
    assert await client.files.retrieve_metadata(made.id) == made
    assert [file async for file in client.files.list()] == [made]
    with pytest.raises(anthropic.BadRequestError, match="not downloadable"):
        await client.files.download(made.id)
    assert (await client.files.delete(made.id)).type == "file_deleted"
    with pytest.raises(anthropic.NotFoundError):
        await client.files.retrieve_metadata(made.id)


async def test_files_are_listed_in_pages_and_by_their_ids(client: anthropic.AsyncAnthropic) -> None:
    made = [await client.files.upload(file=(f"{number}.txt", b"x", "text/plain")) for number in range(5)]
    newest_first = [file.id for file in made[::-1]]
    assert [file.id async for file in client.files.list(limit=2)] == newest_first
    some = [file.id async for file in client.files.list(ids=[made[1].id, "file_none"])]
    assert some == [made[1].id]


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("document", ("a.pdf", PDF, "application/pdf")),
        ("document", ("a.txt", b"words " * 100, "text/plain")),
        ("image", ("a.gif", GIF, "image/gif")),
    ],
    ids=["pdf", "text", "image"],
)
async def test_a_message_that_names_a_file_is_answered_and_counted_as_one_that_holds_it(
    client: anthropic.AsyncAnthropic, kind: str, file: tuple[str, bytes, str]
) -> None:
    made = await client.files.upload(file=file)
    request = asked(kind, made.id)
    message = await client.messages.create(**request)
    assert message.stop_reason == "end_turn"
    counted = await client.messages.count_tokens(model=request["model"], messages=request["messages"])
    source = (
        {"type": "text", "media_type": "text/plain", "data": file[1].decode()}
        if file[2] == "text/plain"
        else {"type": "base64", "media_type": file[2], "data": base64.b64encode(file[1]).decode()}
    )
    request["messages"][0]["content"][0]["source"] = source
    held = await client.messages.count_tokens(model=request["model"], messages=request["messages"])
    assert counted.input_tokens == held.input_tokens == message.usage.input_tokens


@pytest.mark.parametrize(
    ("kind", "media_type"), [("image", "application/pdf"), ("document", "image/gif"), ("document", "text/csv")]
)
async def test_a_file_of_another_kind_than_its_block_is_refused(
    client: anthropic.AsyncAnthropic, kind: str, media_type: str
) -> None:
    made = await client.files.upload(file=("a", b"x", media_type))
    with pytest.raises(anthropic.BadRequestError, match=media_type):
        await client.messages.create(**asked(kind, made.id))


async def test_a_file_that_is_not_there_is_a_404(client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="file_none"):
        await client.messages.create(**asked("document", "file_none"))


@pytest.mark.parametrize("seconds", [3599, 7_776_001])
async def test_a_time_to_live_beyond_the_bounds_is_refused(client: anthropic.AsyncAnthropic, seconds: int) -> None:
    with pytest.raises(anthropic.BadRequestError, match="expires_in_seconds"):
        await client.files.upload(file=("a", b"x", "text/plain"), expires_in_seconds=seconds)


PART = b'--x\r\ncontent-disposition: form-data; name="%b"\r\n%b\r\n%b\r\n--x--\r\n'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"no boundary"),
        ("multipart/form-data; boundary=x", PART[:-9] % (b"file", b"", b"cut")),
        ("multipart/form-data; boundary=x", PART % (b"file", b"content-type: multipart/mixed\r\n", b"nested")),
        ("multipart/form-data; boundary=x", PART % (b"expires_in_seconds", b"", b"\xff")),
        ("multipart/form-data; boundary=x", PART % (b"expires_in_seconds", b"content-type: a/b; charset=c\r\n", b"1")),
    ],
    ids=["no boundary", "empty", "other boundary", "cut", "nested", "bytes", "charset"],
)
async def test_an_upload_that_cannot_be_read_is_refused(http, content_type, body) -> None:
    async with http.post("/v1/files", data=body, headers={"content-type": content_type}) as response:
        assert (response.status, (await response.json())["error"]["type"]) == (400, "invalid_request_error")


async def test_no_page_comes_before_the_first(http) -> None:
    async with http.get("/v1/files", params={"page": "page_-1"}) as response:
        assert response.status == 400

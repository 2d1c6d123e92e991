"""/v1/files with the stock client, and files that messages name by their ids."""

import base64
import time
from typing import Any

import openai
import pytest

from addon.simulated_claude.server import RunningSimulation
from tests.integration.responses_api import client_of, http_of
from tests.integration.running_proxy import RunningProxy

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
GIF = base64.b64decode("R0lGODlhAQABAAAAACwAAAAAAQABAAA7")


def bodies(simulation: RunningSimulation) -> list[dict[str, Any]]:
    """What reached Claude."""
    return [entry.body for entry in simulation.journal if entry.path == "/v1/messages"]


async def test_a_file_is_uploaded_read_and_deleted(proxy: RunningProxy) -> None:
    content = bytes(range(256)) * 4000 + b"\r\n--"
    async with client_of(proxy) as client:
        made = await client.files.create(file=("données.bin", content), purpose="user_data")
        assert made.id.startswith("file-")
        assert (made.object, made.bytes, made.filename) == ("file", len(content), "données.bin")
        assert (made.purpose, made.status, made.expires_at) == ("user_data", "processed", None)
        assert abs(made.created_at - time.time()) < 10
        assert await client.files.retrieve(made.id) == made
        assert (await client.files.content(made.id)).read() == content
        deleted = await client.files.delete(made.id)
        assert (deleted.id, deleted.deleted) == (made.id, True)
        for gone in (client.files.retrieve, client.files.content, client.files.delete):
            with pytest.raises(openai.NotFoundError, match=f"No such File object: {made.id}"):
                await gone(made.id)


async def test_files_are_listed_newest_first_by_purpose_and_in_pages(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = [
            await client.files.create(file=(f"{number}.txt", b"x"), purpose=purpose)
            for number, purpose in enumerate(["user_data", "batch", "user_data"])
        ]
        ids = [file.id for file in made]
        assert [file.id async for file in client.files.list()] == ids[::-1]
        assert [file.id async for file in client.files.list(order="asc", limit=1)] == ids
        assert [file.id async for file in client.files.list(purpose="user_data")] == [ids[2], ids[0]]


async def test_files_expire_when_they_are_told_to_and_those_of_batches_after_30_days(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        short = await client.files.create(
            file=("a", b"x"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
        )
        batch = await client.files.create(file=("a", b"x"), purpose="batch")
    assert short.expires_at == short.created_at + 3600
    assert batch.expires_at == batch.created_at + 30 * 24 * 3600


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"data": {"purpose": "batch"}, "files": {"other": b"x"}}, "file"),
        ({"files": {"file": b"x"}}, "purpose"),
        ({"data": {"purpose": "fine-tune"}, "files": {"file": b"x"}}, "purpose"),
        ({"data": {"purpose": "batch"}, "files": {"file": b""}}, "file"),
        (
            {"data": {"purpose": "batch", "expires_after[seconds]": "3600"}, "files": {"file": b"x"}},
            "expires_after.anchor",
        ),
        (
            {
                "data": {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "60"},
                "files": {"file": b"x"},
            },
            "expires_after.seconds",
        ),
        (
            {
                "data": {"purpose": "batch", "expires_after[anchor]": "now", "expires_after[seconds]": "3600"},
                "files": {"file": b"x"},
            },
            "expires_after.anchor",
        ),
        ({"json": {"purpose": "batch"}}, None),
    ],
    ids=["no_file", "no_purpose", "fine_tune", "empty", "no_anchor", "too_short", "other_anchor", "json"],
)
async def test_an_upload_with_a_mistake_is_a_400(proxy: RunningProxy, form: dict[str, Any], param: str | None) -> None:
    async with http_of(proxy) as client:
        answer = await client.post("/v1/files", **form)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_an_uploaded_file_reaches_claude_from_a_chat(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    async with client_of(proxy) as client:
        file = await client.files.create(file=("report.pdf", PDF), purpose="user_data")
        part: Any = {"type": "file", "file": {"file_id": file.id}}
        messages: Any = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]
        completion = await client.chat.completions.create(model="gpt-4o", messages=messages)
    assert "document" in (completion.choices[0].message.content or "")
    block = bodies(simulation)[-1]["messages"][0]["content"][1]
    assert base64.b64decode(block["source"]["data"]) == PDF
    assert block["title"] == "report.pdf"


async def test_uploaded_files_reach_claude_from_a_response_and_from_what_is_stored_of_it(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async with client_of(proxy) as client:
        pdf = await client.files.create(file=("report.pdf", PDF), purpose="user_data")
        gif = await client.files.create(file=("dot.gif", GIF), purpose="vision")
        content: Any = [
            {"type": "input_file", "file_id": pdf.id},
            {"type": "input_image", "file_id": gif.id, "detail": "auto"},
            {"type": "input_text", "text": "What are these?"},
        ]
        first = await client.responses.create(model="gpt-5.5", input=[{"role": "user", "content": content}])
        await client.responses.create(model="gpt-5.5", input="Again?", previous_response_id=first.id)
        stored = await client.responses.input_items.list(first.id)
        assert [part.type for part in stored.data[0].content][:2] == ["input_file", "input_image"]
        assert stored.data[0].content[0].file_id == pdf.id
    one, two = bodies(simulation)[-2:]
    sources = [block["source"] for block in one["messages"][0]["content"][:2]]
    assert [base64.b64decode(source["data"]) for source in sources] == [PDF, GIF]
    assert two["messages"][0]["content"][:2] == one["messages"][0]["content"][:2]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_file_that_is_not_there_is_named(
    proxy: RunningProxy, simulation: RunningSimulation, stream: bool
) -> None:
    part: Any = {"type": "file", "file": {"file_id": "file-none"}}
    async with client_of(proxy) as client:
        with pytest.raises(openai.BadRequestError, match="No such File object: file-none"):
            await client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": [part]}], stream=stream
            )
    assert len(bodies(simulation)) == 0


async def test_nothing_of_one_key_is_found_with_another(proxy: RunningProxy) -> None:
    async with client_of(proxy) as one, client_of(proxy, "sk-two") as two:
        file = await one.files.create(file=("a.txt", b"secret"), purpose="user_data")
        for attempt in (two.files.retrieve(file.id), two.files.content(file.id), two.files.delete(file.id)):
            with pytest.raises(openai.NotFoundError):
                await attempt
        assert [other async for other in two.files.list()] == []
        part: Any = {"type": "file", "file": {"file_id": file.id}}
        with pytest.raises(openai.BadRequestError, match="No such File"):
            await two.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": [part]}])
        assert (await one.files.content(file.id)).read() == b"secret"

"""/v1/files: upload, list, get, read and delete files, which batches and messages name by their ids."""

from collections.abc import Mapping
from typing import Any

import msgspec

from addon.exchange import Exchange
from addon.file_records import file_records_of
from addon.multipart import FormPart, parse_form
from addon.pages import encode_list, read_page_query
from translators.errors import OpenAIError
from translators.request_errors import check_range, invalid_value, missing_parameter

__all__ = ["answer_file", "answer_file_content", "answer_file_deletion", "answer_files", "answer_new_file"]

_PURPOSES = ("assistants", "batch", "vision", "user_data", "evals")
"""All but `fine-tune`, which is nothing that Claude does."""
_BATCH_SECONDS = 30 * 24 * 3600
"""How long files of batches are kept where nothing is said: OpenAI's own time."""
_SHORTEST_SECONDS, _LONGEST_SECONDS = 3600, 30 * 24 * 3600
_MOST_LISTED = 10_000


async def answer_new_file(exchange: Exchange) -> None:
    """Keep an uploaded file."""
    form = parse_form(exchange.flow.request.headers.get("content-type", ""), exchange.decoded_body())
    for name in ("file", "purpose"):
        if name not in form:
            raise missing_parameter(name)
    purpose = form["purpose"].text
    if purpose not in _PURPOSES:
        raise invalid_value("purpose", f"'{purpose[:64]}'", _PURPOSES)
    file = form["file"]
    if not file.data:
        raise OpenAIError(400, "File is empty.", param="file")
    seconds = _read_expiry(form) or (_BATCH_SECONDS if purpose == "batch" else None)
    made = await file_records_of(exchange).create(file.filename or "upload", purpose, file.data, seconds)
    await _respond(exchange, made)


async def answer_files(exchange: Exchange) -> None:
    """List the files, the newest first if the query does not say."""
    query = exchange.flow.request.query
    asked = read_page_query(query, "desc", _MOST_LISTED, _MOST_LISTED)
    purpose = query.get("purpose")
    records = file_records_of(exchange)
    after = None if asked.after is None else await records.load(asked.after)
    listed, has_more = await records.listed.page(
        asked.limit, asked.order, after, lambda file: purpose is None or file["purpose"] == purpose
    )
    await exchange.respond(encode_list(listed, has_more=has_more))


async def answer_file(exchange: Exchange) -> None:
    """Answer with what is known of a file."""
    await _respond(exchange, await file_records_of(exchange).load(_id(exchange)))


async def answer_file_content(exchange: Exchange) -> None:
    """Answer with the content of a file."""
    await exchange.respond(await file_records_of(exchange).content(_id(exchange)), "application/octet-stream")


async def answer_file_deletion(exchange: Exchange) -> None:
    """Delete a file, and Claude's copy of it."""
    records = file_records_of(exchange)
    await records.delete(_id(exchange))
    await exchange.gateway.copies.delete(records, _id(exchange), exchange.client.claude_key)
    await _respond(exchange, {"id": _id(exchange), "object": "file", "deleted": True})


def _read_expiry(form: Mapping[str, FormPart]) -> int | None:
    anchor, seconds = form.get("expires_after[anchor]"), form.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return None
    if anchor is None or seconds is None:
        raise missing_parameter(f"expires_after.{'anchor' if anchor is None else 'seconds'}")
    if anchor.text != "created_at":
        raise invalid_value("expires_after.anchor", f"'{anchor.text[:64]}'", ("created_at",))
    try:
        wanted = int(seconds.text)
    except ValueError as error:
        message = "Invalid type for 'expires_after.seconds': expected an integer, but got a string instead."
        raise OpenAIError(400, message, code="invalid_type", param="expires_after.seconds") from error
    check_range("expires_after.seconds", wanted, _SHORTEST_SECONDS, _LONGEST_SECONDS)
    return wanted


def _id(exchange: Exchange) -> str:
    return exchange.claim.name or ""


async def _respond(exchange: Exchange, value: Mapping[str, Any]) -> None:
    await exchange.respond(msgspec.json.encode(value))

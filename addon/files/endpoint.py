"""/v1/files: upload, list, get, read and delete files, which batches and messages name by their ids."""

import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec

from addon.exchanges.exchange import Exchange
from addon.storage.file_records import FileRecords, seconds_of
from addon.storage.pages import encode_list, read_page_query
from addon.wire.multipart import FormPart, parse_form
from translators.errors import OpenAIError
from translators.file_expiry import FileExpiry, check_expiry
from translators.request_errors import invalid_value, missing_parameter
from translators.upload_requests import PURPOSES

__all__ = ["answer_file", "answer_file_content", "answer_file_deletion", "answer_files", "answer_new_file"]

_MOST_LISTED = 10_000


async def answer_new_file(exchange: Exchange) -> None:
    """Keep an uploaded file."""
    form = parse_form(exchange.headers.get("content-type", ""), exchange.decoded_body())
    for name in ("file", "purpose"):
        if name not in form:
            raise missing_parameter(name)
    purpose = form["purpose"].text
    if purpose not in PURPOSES:
        raise invalid_value("purpose", f"'{purpose[:64]}'", PURPOSES)
    file = form["file"]
    if not file.data:
        raise OpenAIError(400, "File is empty.", param="file")
    seconds = seconds_of(purpose, _read_expiry(form))
    made = await _records(exchange).create(file.filename or "upload", purpose, file.data, seconds)
    await _respond(exchange, made)


async def answer_files(exchange: Exchange) -> None:
    """List the files, the newest first if the query does not say."""
    query = exchange.flow.request.query
    asked = read_page_query(query, "desc", _MOST_LISTED, _MOST_LISTED)
    purpose = query.get("purpose")
    records = _records(exchange)
    after = None if asked.after is None else await records.load(asked.after)
    listed, has_more = await records.listed.page(
        asked.limit, asked.order, after, lambda file: purpose is None or file["purpose"] == purpose
    )
    await exchange.respond(encode_list(listed, has_more=has_more))


async def answer_file(exchange: Exchange) -> None:
    """Answer with what is known of a file."""
    await _respond(exchange, await _records(exchange).load(exchange.named))


async def answer_file_content(exchange: Exchange) -> None:
    """Answer with the content of a file, of which no more is in memory than its client takes at once."""
    records = _records(exchange)
    file = await records.load(exchange.named)
    async with contextlib.aclosing(records.pieces(file)) as pieces:
        await exchange.respond_in_pieces(file["bytes"], pieces, "application/octet-stream")


async def answer_file_deletion(exchange: Exchange) -> None:
    """Delete a file, and Claude's copy of it."""
    records = _records(exchange)
    await records.delete(exchange.named)
    await exchange.gateway.copies.delete(records, exchange.named, exchange.client.claude_key)
    await _respond(exchange, {"id": exchange.named, "object": "file", "deleted": True})


def _read_expiry(form: Mapping[str, FormPart]) -> FileExpiry | None:
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
    check_expiry("expires_after", wanted)
    return FileExpiry("created_at", wanted)


def _records(exchange: Exchange) -> FileRecords:
    return FileRecords(exchange.gateway.store, exchange.scope)


async def _respond(exchange: Exchange, value: Mapping[str, Any]) -> None:
    await exchange.respond(msgspec.json.encode(value))

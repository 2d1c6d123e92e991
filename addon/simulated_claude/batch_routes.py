"""The routes of Message Batches: create, list, retrieve, cancel, delete, results."""

import msgspec
from aiohttp import web

from addon.simulated_claude.batches import SimulatedBatch, check_batch, messages_of
from addon.simulated_claude.bodies import lower_headers, read_body
from addon.simulated_claude.conversation import user_texts
from addon.simulated_claude.errors import ClaudeError
from addon.simulated_claude.model_listing import page_of
from addon.simulated_claude.scripts import Script
from addon.simulated_claude.settings import SimulationSettings
from addon.simulated_claude.simulation import ENTRY, REQUEST_ID, SIMULATION
from addon.simulated_claude.validation import check_headers
from addon.simulated_claude.wire import Wire, base_headers, json_response

__all__ = ["MAX_BATCH_BYTES", "add_batch_routes"]

MAX_BATCH_BYTES = 256 * 1024 * 1024


def add_batch_routes(routes: web.UrlDispatcher) -> None:
    """Add the routes to those of an application."""
    routes.add_post("/v1/messages/batches", _create_batch)
    routes.add_get("/v1/messages/batches", _list_batches)
    routes.add_get("/v1/messages/batches/{batch_id}", _retrieve_batch)
    routes.add_delete("/v1/messages/batches/{batch_id}", _delete_batch)
    routes.add_post("/v1/messages/batches/{batch_id}/cancel", _cancel_batch)
    routes.add_get("/v1/messages/batches/{batch_id}/results", _batch_results)


async def _create_batch(request: web.Request) -> web.StreamResponse:
    body = await read_body(request, MAX_BATCH_BYTES)
    headers, simulation = lower_headers(request), request.app[SIMULATION]
    asked = check_batch(headers, body)
    if isinstance(asked, ClaudeError):
        raise asked
    scripts = [simulation.scripts.find(None, user_texts(messages_of(one.params))) for one in asked.requests]
    created = simulation.batches.create(simulation.new_id("msgbatch"), headers, asked, scripts)
    return _batch_response(request, created)


async def _list_batches(request: web.Request) -> web.StreamResponse:
    if error := check_headers(lower_headers(request)):
        raise error
    page = page_of(request.query, [batch.describe(_own_url(request)) for batch in request.app[SIMULATION].batches])
    return json_response(page, 200, base_headers(request[REQUEST_ID]))


async def _retrieve_batch(request: web.Request) -> web.StreamResponse:
    return _batch_response(request, _find_batch(request))


async def _cancel_batch(request: web.Request) -> web.StreamResponse:
    batch = _find_batch(request)
    batch.cancel()
    return _batch_response(request, batch)


async def _delete_batch(request: web.Request) -> web.StreamResponse:
    batch = _find_batch(request)
    request.app[SIMULATION].batches.delete(batch)
    deleted = {"id": batch.id, "type": "message_batch_deleted"}
    return json_response(deleted, 200, base_headers(request[REQUEST_ID]))


async def _batch_results(request: web.Request) -> web.StreamResponse:
    results = _find_batch(request).results()
    wire = Wire(request, request[ENTRY], request[REQUEST_ID], Script(), SimulationSettings.instant())
    lines = (msgspec.json.encode(result) + b"\n" for result in results)
    return await wire.send(lines, base_headers(request[REQUEST_ID]), "application/x-jsonl")


def _find_batch(request: web.Request) -> SimulatedBatch:
    if error := check_headers(lower_headers(request)):
        raise error
    return request.app[SIMULATION].batches.find(request.match_info["batch_id"])


def _batch_response(request: web.Request, batch: SimulatedBatch) -> web.StreamResponse:
    return json_response(batch.describe(_own_url(request)), 200, base_headers(request[REQUEST_ID]))


def _own_url(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"

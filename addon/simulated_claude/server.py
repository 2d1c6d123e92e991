"""The HTTP shell of the simulated Claude: routes, headers, errors, and callers that go away."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from addon.simulated_claude.batch_routes import MAX_BATCH_BYTES, add_batch_routes
from addon.simulated_claude.bodies import lower_headers, read_body
from addon.simulated_claude.conversation import user_texts
from addon.simulated_claude.errors import ClaudeError, error_body, invalid_request
from addon.simulated_claude.events import encode_event, make_events, make_message
from addon.simulated_claude.fast import answer_fast
from addon.simulated_claude.file_routes import MAX_FILE_BYTES, add_file_routes
from addon.simulated_claude.journal import Journal, ReceivedRequest, visible_headers
from addon.simulated_claude.model_listing import find_model_info, page_of_models
from addon.simulated_claude.model_table import SimulatedModel
from addon.simulated_claude.scripts import Script, scripted_error
from addon.simulated_claude.settings import SimulationSettings
from addon.simulated_claude.signatures import read_issued
from addon.simulated_claude.simulation import ENTRY, REQUEST_ID, SIMULATION, Simulation
from addon.simulated_claude.tokens import count_input_tokens
from addon.simulated_claude.validation import check_headers, check_request
from addon.simulated_claude.wire import Wire, base_headers, json_response

__all__ = ["RunningSimulation", "Simulation", "SimulationSettings", "create_application", "start"]

MAX_BODY_BYTES = 32 * 1024 * 1024
BACKLOG = 1024
RATE_LIMITS = {"requests": 4000, "tokens": 2_400_000, "input-tokens": 2_000_000, "output-tokens": 400_000}
"""Made up, in the ranges of a real account; the simulation never uses them up."""


@dataclass(slots=True)
class RunningSimulation:
    """A simulated Claude that listens."""

    base_url: str
    simulation: Simulation
    runner: web.AppRunner

    @property
    def journal(self) -> Journal:
        """What it received, oldest first."""
        return self.simulation.journal

    async def close(self) -> None:
        """Stop listening and drop the connections that are open."""
        await self.runner.cleanup()


def create_application(settings: SimulationSettings | None = None) -> web.Application:
    """Make an aiohttp application that answers as Claude's API."""
    chosen = settings or SimulationSettings()
    application = web.Application(client_max_size=max(MAX_BATCH_BYTES, MAX_FILE_BYTES), middlewares=[_observe])
    simulation = application[SIMULATION] = Simulation(chosen)

    async def stop_batches(_application: web.Application) -> None:
        await simulation.batches.close()

    application.on_cleanup.append(stop_batches)
    routes = application.router
    routes.add_post("/v1/messages", answer_fast if chosen.fast else _create_message)
    routes.add_post("/v1/messages/count_tokens", _count_tokens)
    add_batch_routes(routes)
    add_file_routes(routes)
    routes.add_get("/v1/models", _list_models)
    routes.add_get("/v1/models/{model_id}", _retrieve_model)
    return application


async def start(
    host: str = "127.0.0.1", port: int = 0, settings: SimulationSettings | None = None
) -> RunningSimulation:
    """Listen on `host` and `port` (0: any free port) in the running event loop."""
    application = create_application(settings)
    # Signals belong to the program that embeds this; a caller that leaves must stop the answer at once.
    runner = web.AppRunner(
        application, handle_signals=False, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
    )
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=BACKLOG)
    await site.start()
    bound = runner.addresses[0]
    shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    return RunningSimulation(f"http://{shown}:{bound[1]}", application[SIMULATION], runner)


@web.middleware
async def _observe(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Record the request, and give every error Claude's envelope."""
    if handler is answer_fast:
        return await handler(request)
    simulation = request.app[SIMULATION]
    clock = asyncio.get_running_loop().time
    entry = ReceivedRequest(
        request.method, request.path, visible_headers(request.headers), clock(), request.query_string
    )
    simulation.journal.record(entry)
    request[ENTRY] = entry
    request_id = simulation.new_id("req")
    request[REQUEST_ID] = request_id
    try:
        response = await handler(request)
    except ClaudeError as error:
        response = _error_response(error, request_id)
    except web.HTTPRequestEntityTooLarge:
        response = _error_response(ClaudeError(413, "Request exceeds the maximum size"), request_id)
    except web.HTTPMethodNotAllowed:
        response = _error_response(ClaudeError(405, "Method Not Allowed"), request_id)
    except web.HTTPNotFound:
        response = _error_response(ClaudeError(404, "Not Found"), request_id)
    except RecursionError:  # of JSON that its parser still took
        response = _error_response(invalid_request("The request body is nested too deeply"), request_id)
    except (asyncio.CancelledError, ConnectionError):
        if not entry.finished:  # by a script that cut the connection
            entry.left_after = clock() - entry.received_at
        raise
    except Exception:
        if entry.status is not None:  # the answer has begun: nothing is left but to cut it
            raise
        request.app.logger.exception("the simulated Claude failed")
        response = _error_response(ClaudeError(500, "Internal server error"), request_id)
    entry.status = response.status
    entry.finished = True
    return response


def _rate_headers() -> dict[str, str]:
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    headers: dict[str, str] = {}
    for name, limit in RATE_LIMITS.items():
        headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        headers[f"anthropic-ratelimit-{name}-remaining"] = str(limit - 1 if name == "requests" else limit)
        headers[f"anthropic-ratelimit-{name}-reset"] = reset
    return headers


def _error_response(error: ClaudeError, request_id: str) -> web.Response:
    body = error_body(error.error_type, error.message, error.details, request_id)
    retry = "true" if error.status in {408, 409, 429} or error.status >= 500 else "false"
    headers = {**base_headers(request_id), "x-should-retry": retry, **error.headers}
    return json_response(body, error.status, headers)


async def _read(request: web.Request, *, counting: bool) -> tuple[dict[str, Any], SimulatedModel, Script | None]:
    """Read a valid body, its model and its script. Raises ClaudeError for everything that is refused."""
    headers = lower_headers(request)
    body = request.app[SIMULATION].files.put_into(await read_body(request, MAX_BODY_BYTES))
    model = check_request(headers, body, counting=counting)
    if isinstance(model, ClaudeError):
        raise model
    script = request.app[SIMULATION].scripts.find(headers.get("x-simulate"), user_texts(body["messages"]))
    return body, model, script


async def _wait(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


async def _count_tokens(request: web.Request) -> web.StreamResponse:
    body, model, script = await _read(request, counting=True)
    if script is not None:
        await _wait(script.delay or 0.0)
        if script.status is not None:
            raise scripted_error(script)
    request_id = request[REQUEST_ID]
    return json_response({"input_tokens": count_input_tokens(body, model)}, 200, base_headers(request_id))


async def _list_models(request: web.Request) -> web.StreamResponse:
    if error := check_headers(lower_headers(request)):
        raise error
    return json_response(page_of_models(request.query), 200, base_headers(request[REQUEST_ID]))


async def _retrieve_model(request: web.Request) -> web.StreamResponse:
    if error := check_headers(lower_headers(request)):
        raise error
    return json_response(find_model_info(request.match_info["model_id"]), 200, base_headers(request[REQUEST_ID]))


async def _create_message(request: web.Request) -> web.StreamResponse:
    body, model, script = await _read(request, counting=False)
    simulation = request.app[SIMULATION]
    settings = simulation.settings
    dropped = simulation.check_signatures(body, model)
    await _wait(settings.delay if script is None or script.delay is None else script.delay)
    request_id: str = request[REQUEST_ID]
    headers = {**base_headers(request_id), **_rate_headers(), **(script.headers if script else {})}
    wire = Wire(request, request[ENTRY], request_id, script or Script(), settings)
    if script is not None and script.raw is not None:
        return await wire.send([script.raw.encode()], headers, status=script.status or 200)
    if script is not None and script.status is not None and script.status != 200:
        raise scripted_error(script)
    if script is not None:
        simulation.issued |= read_issued(map(_decode_scripted, script.events or ()))
    if script is not None and script.events is not None:
        return await wire.send([_encode_scripted(event) for event in script.events], headers)
    answer, input_usage = simulation.answer(body, model, script, dropped)
    message_id = simulation.new_id("msg")
    if body.get("stream"):
        events = [encode_event(event) for event in make_events(answer, message_id, model.id, input_usage, body)]
        return await wire.send(events, headers)
    message = make_message(answer, message_id, model.id, input_usage, body)
    if script is not None and (script.cut_after_events is not None or script.chunk_bytes is not None):
        return await wire.send([msgspec.json.encode(message)], headers, "application/json")
    return json_response(message, 200, headers)


def _decode_scripted(event: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """Decode what verbatim lines say, as far as they say anything."""
    if not isinstance(event, str):
        return event
    data = "".join(line.removeprefix("data:") for line in event.splitlines() if line.startswith("data:"))
    try:
        decoded = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _encode_scripted(event: Mapping[str, Any] | str) -> bytes:
    if isinstance(event, str):
        return event.rstrip("\n").encode() + b"\n\n"
    return encode_event(event)

"""Message Batches: taken as a whole, processed one request after the other, their results in another order.

What a request is worth shows only when it is processed: a wrong one is an `errored` result, and no error at creation
(https://platform.claude.com/docs/en/build-with-claude/batch-processing).
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from addon.simulated_claude.errors import ClaudeError, error_body, invalid_request
from addon.simulated_claude.requests import BatchRequest, check_shape
from addon.simulated_claude.scripts import Script
from addon.simulated_claude.validation import read_betas

__all__ = ["Batches", "SimulatedBatch", "check_batch", "messages_of"]

type AnswerRequest = Callable[[Mapping[str, str], dict[str, Any], Script | None], dict[str, Any]]
"""Makes the message that answers parameters, by the headers of the batch; raises ClaudeError."""

_HOURS_TO_LIVE = 24
_log = logging.getLogger("aiohttp.web")
"""The log of the server that this is a part of."""


def check_batch(headers: Mapping[str, str], body: dict[str, Any]) -> BatchRequest | ClaudeError:
    """Judge the body of a new batch, as far as Claude does before it answers."""
    batch = check_shape(BatchRequest, body, headers["anthropic-version"], read_betas(headers))
    if isinstance(batch, ClaudeError):
        return batch
    seen: set[str] = set()
    for index, request in enumerate(batch.requests):
        if request.custom_id in seen:
            return invalid_request(f"requests.{index}.custom_id: '{request.custom_id}' is not unique in the batch")
        seen.add(request.custom_id)
    return batch


def messages_of(params: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Read the messages of parameters that nobody has judged so far; none where they are not well-formed."""
    messages = params.get("messages")
    return list(messages) if isinstance(messages, list) and all(map(_is_message, messages)) else []


def _is_message(message: Any) -> bool:
    if not isinstance(message, dict) or "role" not in message:
        return False
    content = message.get("content")
    return isinstance(content, str) or (isinstance(content, list) and all(map(_is_block, content)))


def _is_block(block: Any) -> bool:
    return isinstance(block, dict) and (block.get("type") != "text" or isinstance(block.get("text"), str))


def _check_batchable(params: Mapping[str, Any]) -> None:
    """Refuse what Claude does not do in batches."""
    if params.get("stream"):
        raise invalid_request("stream: streaming is not supported in batches")
    if params.get("speed") == "fast":
        raise invalid_request("speed: fast mode is not supported in batches")
    if params.get("max_tokens") == 0:
        raise invalid_request("max_tokens: must be at least 1 in batches")
    if params.get("fallbacks"):
        raise invalid_request("fallbacks: not supported in batches")


class SimulatedBatch:
    """One batch."""

    def __init__(
        self,
        batch_id: str,
        headers: Mapping[str, str],
        asked: BatchRequest,
        scripts: Sequence[Script | None],
        answer: AnswerRequest,
    ) -> None:
        self.id = batch_id
        self._headers = headers
        self._asked = asked
        self._scripts = scripts
        self._answer = answer
        self._created_at = datetime.now(UTC)
        self._cancelled_at: datetime | None = None
        self._ended_at: datetime | None = None
        self._archived_at: datetime | None = None
        self._cancelled = asyncio.Event()
        self._results: list[dict[str, Any]] = []

    async def process(self, delay: float) -> None:
        """Make the results, from `delay` seconds on, until the batch is cancelled."""
        await self._wait(delay)
        for request, script in zip(self._asked.requests, self._scripts, strict=True):
            await self._wait(0.0 if script is None or script.delay is None else script.delay)
            result = {"type": "canceled"} if self._cancelled.is_set() else self._result(request.params, script)
            self._results.append({"custom_id": request.custom_id, "result": result})
        self._ended_at = datetime.now(UTC)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._cancelled.wait()
        await asyncio.sleep(0)

    def _result(self, params: dict[str, Any], script: Script | None) -> dict[str, Any]:
        if script is not None and script.batch_result is not None:
            return {"type": script.batch_result}
        try:
            _check_batchable(params)
            return {"type": "succeeded", "message": self._answer(self._headers, params, script)}
        except ClaudeError as refused:
            error = refused
        except RecursionError:
            error = invalid_request("params: nested too deeply")
        except Exception:  # noqa: BLE001 - whatever it is, the batch goes on
            _log.exception("the simulated Claude failed")
            error = ClaudeError(500, "Internal server error")
        return {"type": "errored", "error": error_body(error.error_type, error.message, error.details, self.id)}

    def cancel(self) -> None:
        """Let the requests that are not processed be. Raises ClaudeError for a batch that has ended."""
        if self._ended_at is not None:
            raise invalid_request(f"Batch {self.id} has already ended and cannot be canceled.")
        self._cancelled_at = self._cancelled_at or datetime.now(UTC)
        self._cancelled.set()

    def archive(self) -> None:
        """Keep no results any more, as Claude does after 29 days."""
        self._archived_at = datetime.now(UTC)

    @property
    def has_ended(self) -> bool:
        """Whether every request has a result."""
        return self._ended_at is not None

    def results(self) -> list[dict[str, Any]]:
        """Give the results, the last processed first. Raises ClaudeError before the end."""
        if self._ended_at is None:
            raise invalid_request(f"Batch {self.id} is still being processed and has no results yet.")
        if self._archived_at is not None:
            raise ClaudeError(404, f"The results of batch {self.id} are not available any more.")
        return self._results[::-1]

    def describe(self, own_url: str) -> dict[str, Any]:
        """Say how the batch stands (`anthropic.types.messages.MessageBatch`)."""
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        if self._ended_at is None:
            counts["processing"] = len(self._asked.requests)
        else:
            for line in self._results:
                counts[line["result"]["type"]] += 1
        is_readable = self._ended_at is not None and self._archived_at is None
        running = "in_progress" if self._cancelled_at is None else "canceling"
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": running if self._ended_at is None else "ended",
            "request_counts": counts,
            "ended_at": _written(self._ended_at),
            "created_at": _written(self._created_at),
            "expires_at": _written(self._created_at + timedelta(hours=_HOURS_TO_LIVE)),
            "archived_at": _written(self._archived_at),
            "cancel_initiated_at": _written(self._cancelled_at),
            "results_url": f"{own_url}/v1/messages/batches/{self.id}/results" if is_readable else None,
        }


class Batches:
    """All batches of one simulated Claude.

    Args:
        delay: seconds before the first request of a batch is processed.
        answer: makes the messages.
    """

    def __init__(self, delay: float, answer: AnswerRequest) -> None:
        self._delay = delay
        self._answer = answer
        self._batches: dict[str, SimulatedBatch] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[SimulatedBatch]:
        """Iterate over them, the newest first."""
        return reversed(self._batches.values())

    def create(
        self, batch_id: str, headers: Mapping[str, str], asked: BatchRequest, scripts: Sequence[Script | None]
    ) -> SimulatedBatch:
        """Take a batch, and begin to process it."""
        batch = self._batches[batch_id] = SimulatedBatch(batch_id, headers, asked, scripts, self._answer)
        task = asyncio.get_running_loop().create_task(batch.process(self._delay))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return batch

    def find(self, batch_id: str) -> SimulatedBatch:
        """Find a batch. Raises ClaudeError 404 for one that is not there."""
        batch = self._batches.get(batch_id)
        if batch is None:
            raise ClaudeError(404, f"Batch {batch_id} not found")
        return batch

    def delete(self, batch: SimulatedBatch) -> None:
        """Delete a batch. Raises ClaudeError for one that is being processed."""
        if not batch.has_ended:
            raise invalid_request("Message Batches can only be deleted once they've finished processing.")
        del self._batches[batch.id]

    async def close(self) -> None:
        """Stop all processing."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


def _written(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat().replace("+00:00", "Z")

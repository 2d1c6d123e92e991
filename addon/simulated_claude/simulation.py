"""The state of one simulated Claude, and the answers that it makes from it."""

import asyncio
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from addon.simulated_claude.answers import Answer, make_answer
from addon.simulated_claude.batches import Batches
from addon.simulated_claude.errors import ClaudeError
from addon.simulated_claude.events import make_message
from addon.simulated_claude.files import Files
from addon.simulated_claude.journal import Journal, ReceivedRequest
from addon.simulated_claude.model_table import SimulatedModel
from addon.simulated_claude.scripts import Script, Scripts, scripted_error
from addon.simulated_claude.settings import SimulationSettings
from addon.simulated_claude.signatures import check_signatures, read_issued, sign_answer
from addon.simulated_claude.tokens import InputUsage, PromptCache
from addon.simulated_claude.validation import check_request

__all__ = ["ENTRY", "REQUEST_ID", "SIMULATION", "Simulation"]


class Simulation:
    """The state of one simulated Claude: scripts, cache, journal, batches, files, and a counter for ids."""

    def __init__(self, settings: SimulationSettings) -> None:
        self.settings = settings
        self.journal = Journal(settings.journal_size)
        self.scripts = Scripts.read(settings.script_file)
        self.cache = PromptCache()
        self.issued: dict[str, str] = {}
        """Signatures that scripts made it send, with the thinking they stand for."""
        self.batches = Batches(settings.batch_delay, self._answer_batched)
        self.files = Files()
        self._ids = itertools.count(1)

    def new_id(self, prefix: str) -> str:
        """Make an id as Claude does: unique, opaque."""
        digest = hashlib.blake2b(str(next(self._ids)).encode(), digest_size=11, person=b"simulated")
        return f"{prefix}_01{digest.hexdigest()}"

    def check_signatures(self, body: Mapping[str, Any], model: SimulatedModel) -> list[dict[str, Any]]:
        """Judge the thinking of a request; return what is said of blocks that were left out. Raises ClaudeError."""
        error, dropped = check_signatures(
            body, model, check_prefix=self.settings.check_thinking_prefix, issued=self.issued
        )
        if error:
            raise error
        return list(dropped)

    def answer(
        self,
        body: Mapping[str, Any],
        model: SimulatedModel,
        script: Script | None,
        dropped: Sequence[Mapping[str, Any]],
    ) -> tuple[Answer, InputUsage]:
        """Answer a valid request, and say what its input costs."""
        if script is not None:
            self.issued |= read_issued(script.content or ())
        answer = make_answer(body, model, script)
        answer = replace(
            answer,
            content=tuple(sign_answer(body, model, answer.content)),
            input_transformations=tuple(dropped),
        )
        return answer, self.cache.measure(body, model, asyncio.get_running_loop().time())

    def _answer_batched(
        self, headers: Mapping[str, str], params: dict[str, Any], script: Script | None
    ) -> dict[str, Any]:
        """Make the message that answers a request of a batch. Raises ClaudeError for one that is refused."""
        params = self.files.put_into(params)
        model = check_request(headers, params)
        if isinstance(model, ClaudeError):
            raise model
        dropped = self.check_signatures(params, model)
        if script is not None and script.status is not None and script.status != 200:
            raise scripted_error(script)
        answer, input_usage = self.answer(params, model, script, dropped)
        message = make_message(answer, self.new_id("msg"), model.id, input_usage, params)
        return {**message, "usage": {**message["usage"], "service_tier": "batch"}}


SIMULATION = web.AppKey("simulation", Simulation)
ENTRY = web.RequestKey("entry", ReceivedRequest)
REQUEST_ID = web.RequestKey("request_id", str)

"""One turn of Claude: what holds of its message, or of the segments of a paused one, whatever it is translated to.

The streams of the endpoints build on it. It keeps the order of the events, the blocks as they go back to Claude, the
stop reason and the usage.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from translators.claude_events import (
    Container,
    ContentBlock,
    ErrorDetail,
    Event,
    Message,
    StopDetails,
    Usage,
    parse_content_block,
)
from translators.content_blocks import ContentBlockBuilder
from translators.errors import OpenAIError, translate_error_event
from translators.phases import LEGAL_EVENTS, IllegalEventOrderError, Phase
from translators.usage import add_usage, estimate_output, override_usage

__all__ = ["ClaudeTurn"]


@dataclass
class ClaudeTurn:
    """The state of a turn."""

    phase: Phase = field(default=Phase.AWAITING_MESSAGE, init=False)
    stop_reason: str | None = field(default=None, init=False)
    """Claude's stop reason of the message that came last."""
    stop_details: StopDetails | None = field(default=None, init=False)
    """Why that message was refused, if it was."""
    claude_container_id: str | None = field(default=None, init=False)
    """Claude's id of the sandbox that its code ran in, for the requests that go on in it."""
    upstream_message_id: str = field(default="", init=False)
    upstream_model: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._builders: list[ContentBlockBuilder] = []
        self._message_usage = Usage()
        self._is_output_counted = False
        self._earlier_usage: Usage | None = None
        self._earlier_blocks = 0

    @property
    def paused(self) -> bool:
        """Whether the turn ended with `pause_turn`.

        Send `content` back, call `resume` and go on with the new stream; or call `finish`.
        """
        return self.phase is Phase.PAUSED

    @property
    def stopped_early(self) -> bool:
        """Whether a stop string that Claude does not know ended the answer: the call may be cancelled."""
        return self.phase is Phase.STOPPED_EARLY

    @property
    def content(self) -> list[dict[str, Any]]:
        """The assistant's blocks so far, of all segments, as they go back to Claude."""
        return [block for builder in self._builders if (block := builder.build()) is not None]

    @property
    def has_thinking(self) -> bool:
        """Whether `content` holds thinking, which has to go back to Claude with the tool results."""
        return any(block["type"] in ("thinking", "redacted_thinking") for block in self.content)

    @property
    def claude_usage(self) -> Usage:
        """Claude's counts so far, over all segments; its output is estimated until it has counted it."""
        usage = self._message_usage
        if not self._is_output_counted:
            usage = estimate_output(usage, sum(block.written for block in self._builders[self._earlier_blocks :]))
        return add_usage(self._earlier_usage, usage) if self._earlier_usage else usage

    def resume(self) -> None:
        """Go on after a pause with a new message, whose blocks are counted from 0 again.

        Raises:
            IllegalEventOrderError: the turn is not paused.
        """
        if self.phase is not Phase.PAUSED:
            raise IllegalEventOrderError(f"resume in phase {self.phase.name}")
        self._earlier_usage = self.claude_usage
        self._earlier_blocks = len(self._builders)
        self._message_usage = Usage()
        self._is_output_counted = False
        self.upstream_message_id = ""
        self.stop_reason = None
        self.stop_details = None
        self.phase = Phase.AWAITING_MESSAGE

    def _end_with_error(self, event: Event) -> OpenAIError:
        """Note that an `error` event ends the turn; return the error to raise."""
        self.phase = Phase.FAILED
        return translate_error_event(event.error or ErrorDetail())

    def _cut_off(self) -> OpenAIError:
        """Note that nothing follows a turn that is not complete; return the error to raise."""
        self.phase = Phase.FAILED
        message = "The stream from Claude was cut before the answer was complete."
        return OpenAIError(502, message, "server_error", "upstream_broken")

    def _refuse_illegal(self, kind: str) -> None:
        """Raise IllegalEventOrderError if an event of this type may not come in this phase."""
        if kind not in LEGAL_EVENTS[self.phase]:
            raise IllegalEventOrderError(f"{kind} in phase {self.phase.name}")

    def _begin_message(self, event: Event) -> Message | None:
        """Note a `message_start`; return its message, or None where it is repeated or brings none."""
        message = event.message
        message_id = message.id if message else ""
        if self.phase is Phase.IN_MESSAGE and message_id and self.upstream_message_id not in ("", message_id):
            raise IllegalEventOrderError("message_start of a second message")
        is_repeated = self.phase is Phase.IN_MESSAGE
        self.phase = Phase.IN_MESSAGE
        if message is None:
            return None
        self._note_container(message.container)
        self.upstream_message_id = message_id
        self.upstream_model = message.model
        self._message_usage = override_usage(self._message_usage, message.usage)
        return None if is_repeated else message

    def _begin_block(self, raw: msgspec.Raw) -> tuple[ContentBlock, ContentBlockBuilder]:
        """Read a block's start, and keep the block."""
        start = parse_content_block(raw)
        builder = ContentBlockBuilder(raw)
        self._builders.append(builder)
        return start, builder

    def _note_message_delta(self, event: Event) -> None:
        self._note_usage(event)
        if event.delta is not None:
            self._note_container(event.delta.container)
            self._note_stop_reason(event.delta.stop_reason, event.delta.stop_details)

    def _note_container(self, container: Container | None) -> None:
        if container is not None and container.id:
            self.claude_container_id = container.id

    def _note_usage(self, event: Event) -> None:
        if event.usage is not None and event.usage.output_tokens is not None:
            self._is_output_counted = True
        self._message_usage = override_usage(self._message_usage, event.usage)

    def _note_stop_reason(self, stop_reason: str | None, stop_details: StopDetails | None) -> None:
        if stop_reason is not None and self.phase in (Phase.IN_MESSAGE, Phase.ENDING):
            self.stop_reason = stop_reason
            self.stop_details = stop_details
            self.phase = Phase.ENDING

"""The input file of a batch, line by line: what OpenAI takes, and its own words for what it does not.

A wrong line makes the whole batch fail before anything is asked (https://developers.openai.com/api/docs/guides/batch).
What a body may hold beyond its model is for the endpoint to judge, line by line.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from translators.batches.batch import BatchError
from translators.batches.request_body import plain_endpoint
from translators.errors import OpenAIError

__all__ = ["MAX_INPUT_BYTES", "InputChecker", "InputLine", "split_lines"]

MAX_LINES = 50_000
MAX_INPUT_BYTES = 200 * 1024 * 1024
_MAX_ERRORS = 100
"""A file with more mistakes than that has one that is everywhere."""

_fields_decoder = msgspec.json.Decoder(dict[str, Raw])


@dataclass(frozen=True, slots=True)
class InputLine:
    """One request of a batch."""

    number: int
    """From 1 on, as in the file."""
    custom_id: str
    body: bytes
    """JSON of an object."""
    model: str
    refusal: OpenAIError | None = None
    """Why this line alone cannot be done."""


class _Body(msgspec.Struct, frozen=True):
    """What is looked at in every body."""

    model: Any = UNSET
    stream: Any = None
    background: Any = None


_body_decoder = msgspec.json.Decoder(_Body)


def split_lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Iterate over the lines that hold something, with their numbers from 1 on."""
    number, start = 0, 0
    while start < len(content):
        end = content.find(b"\n", start)
        end = len(content) if end == -1 else end
        number += 1
        line = content[start:end].strip()
        start = end + 1
        if line:
            yield number, line


class InputChecker:
    """Checks the lines of one file, in their order. A batch with `errors` fails as a whole.

    Args:
        endpoint: of the batch, as the client named it.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = plain_endpoint(endpoint)
        self._custom_ids: set[str] = set()
        self.model: str | None = None
        """The one that all lines name."""
        self.count = 0
        self.errors: list[BatchError] = []

    @property
    def is_hopeless(self) -> bool:
        """Whether no further line needs to be looked at."""
        return len(self.errors) >= _MAX_ERRORS or self.count > MAX_LINES

    def check(self, number: int, line: bytes) -> InputLine | None:
        """Check a line; None for one that is wrong."""
        self.count += 1
        if self.count > MAX_LINES:
            message = f"The batch has more requests than the {MAX_LINES} that are allowed."
            self.errors.append(BatchError("too_many_tasks", message, None, "input_file_id"))
            return None
        found = self._parse(number, line)
        if isinstance(found, BatchError):
            self.errors.append(found)
            return None
        return found

    def finish(self) -> None:
        """Note what can only be said at the end: a file without lines."""
        if self.count == 0:
            message = "The input file is empty. Please ensure that your batch contains at least one request."
            self.errors.append(BatchError("empty_file", message, None, "input_file_id"))

    def _parse(self, number: int, line: bytes) -> InputLine | BatchError:
        try:
            fields = _fields_decoder.decode(line)
        except msgspec.ValidationError:
            return BatchError("invalid_request", "Each line must be a JSON object.", number)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return BatchError("invalid_json_line", "This line is not parseable as valid JSON.", number)
        for param in ("custom_id", "method", "url", "body"):
            if param not in fields:
                message = f"Missing required parameter: '{param}'."
                return BatchError("missing_required_parameter", message, number, param)
        custom_id, method, url = (_text(fields[param]) for param in ("custom_id", "method", "url"))
        if not custom_id:
            return BatchError("invalid_request", "'custom_id' must be a string that is not empty.", number, "custom_id")
        if method != "POST":
            return BatchError("invalid_method", "The only supported method is 'POST'.", number, "method")
        if url is None or plain_endpoint(url) != self._endpoint:
            message = "The URL provided for this request does not match the batch endpoint."
            return BatchError("invalid_url", message, number, "url")
        return self._parse_body(number, custom_id, bytes(fields["body"]))

    def _parse_body(self, number: int, custom_id: str, body: bytes) -> InputLine | BatchError:
        try:
            named = _body_decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return BatchError("invalid_request", "'body' must be a JSON object.", number, "body")
        if custom_id in self._custom_ids:
            message = f"The custom_id '{custom_id[:64]}' is a duplicate of that of another request."
            return BatchError("duplicate_custom_id", message, number, "custom_id")
        self._custom_ids.add(custom_id)
        model = named.model
        if isinstance(model, UnsetType) or not isinstance(model, str) or not model:
            return BatchError("invalid_request", "Model parameter is required.", number, "body.model")
        if self.model is None:
            self.model = model
        elif model != self.model:
            message = (
                f"The model '{model[:64]}' is not that of the lines before: all requests must name the same model."
            )
            return BatchError("model_mismatch", message, number, "body.model")
        return InputLine(number, custom_id, body, model, _refuse_live(named))


def _text(raw: Raw) -> str | None:
    try:
        return msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _refuse_live(body: _Body) -> OpenAIError | None:
    """Refuse what needs somebody who waits for the answer."""
    if body.stream is True:
        message = "Streaming is not supported in the Batch API."
        return OpenAIError(400, message, code="streaming_unsupported", param="stream")
    if body.background is True:
        message = "Responses in the background are not supported in the Batch API."
        return OpenAIError(400, message, code="unsupported_parameter", param="background")
    return None

"""Forms with files, `multipart/form-data` (https://www.rfc-editor.org/rfc/rfc7578), as SDKs upload them."""

from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value

from translators.errors import OpenAIError

__all__ = ["FormPart", "parse_form"]


@dataclass(frozen=True, slots=True)
class FormPart:
    """One field of a form."""

    data: bytes
    filename: str | None = None

    @property
    def text(self) -> str:
        """The value of a plain field."""
        return self.data.decode("utf-8", "replace")


def parse_form(content_type: str, body: bytes) -> dict[str, FormPart]:
    """Parse a form to its fields by name; of several with one name the last counts.

    Raises:
        OpenAIError: 400 for what is no form, or is cut.
    """
    kind = _header(content_type)
    boundary = (_read_param(kind, "boundary") or "").rstrip()
    if kind.get_content_type() != "multipart/form-data" or not boundary:
        raise _malformed("expected 'Content-Type: multipart/form-data' with a boundary")
    # The line break before a boundary belongs to it, the body's first boundary has none.
    _, *sections = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    parts: dict[str, FormPart] = {}
    for section in sections:
        if section.startswith(b"--"):
            return parts
        head, border, data = section.partition(b"\r\n\r\n")
        disposition = next(
            (line[20:] for line in head.split(b"\r\n") if line.lower().startswith(b"content-disposition:")), b""
        )
        field = _header(disposition.decode("utf-8", "replace").strip())
        name = _read_param(field, "name")
        if not border or name is None:
            break
        parts[name] = FormPart(data, _read_param(field, "filename"))
    raise _malformed("a part has no name, or the last one has no end")


def _header(value: str) -> Message:
    message = Message()
    # Where the package looks for parameters; a disposition has the same form.
    message["content-type"] = value
    return message


def _read_param(header: Message, name: str) -> str | None:
    try:
        value = header.get_param(name)
    except TypeError as error:  # `a*=x; a*0=y`: what the package cannot put in order
        raise _malformed(f"the parameters of a header make no '{name}'") from error
    # What an extended value encodes may be no character.
    return None if value is None else collapse_rfc2231_value(value).encode("utf-8", "replace").decode()


def _malformed(reason: str) -> OpenAIError:
    return OpenAIError(400, f"Could not parse multipart form: {reason}.")

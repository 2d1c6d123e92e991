"""The routes of the Files API: upload, list, retrieve, content, delete."""

from aiohttp import web
from aiohttp.multipart import BodyPartReader

from addon.simulated_claude.bodies import lower_headers
from addon.simulated_claude.errors import ClaudeError, invalid_request
from addon.simulated_claude.files import SimulatedFile
from addon.simulated_claude.simulation import REQUEST_ID, SIMULATION
from addon.simulated_claude.validation import check_headers
from addon.simulated_claude.wire import base_headers, json_response

__all__ = ["MAX_FILE_BYTES", "add_file_routes"]

MAX_FILE_BYTES = 500 * 1024 * 1024
MOST_IDS = 100
DEFAULT_LIMIT, MAX_LIMIT = 20, 1000
PAGE_PREFIX = "page_"


def add_file_routes(routes: web.UrlDispatcher) -> None:
    """Add the routes to those of an application."""
    routes.add_post("/v1/files", _upload_file)
    routes.add_get("/v1/files", _list_files)
    routes.add_get("/v1/files/{file_id}", _retrieve_file)
    routes.add_get("/v1/files/{file_id}/content", _file_content)
    routes.add_delete("/v1/files/{file_id}", _delete_file)


async def _upload_file(request: web.Request) -> web.StreamResponse:
    _check(request)
    if request.content_type != "multipart/form-data":
        raise invalid_request("Expected a multipart/form-data body")
    filename: str | None = None
    media_type: str | None = None
    content, seconds = b"", None
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise invalid_request("file: nested multipart bodies are not read")
            if part.name == "file":
                filename, media_type = part.filename or "", part.headers.get("content-type")
                content = await _read(part)
            elif part.name == "expires_in_seconds":
                seconds = _integer(await part.text(), part.name)
    except (AssertionError, LookupError, ValueError, web.RequestPayloadError) as malformed:
        # What aiohttp raises for a body that breaks off, for boundaries that are missing and for unknown charsets.
        raise invalid_request("The multipart/form-data body cannot be read") from malformed
    if filename is None:
        raise invalid_request("file: Field required")
    simulation = request.app[SIMULATION]
    kind = media_type.partition(";")[0].strip().lower() if media_type else None
    made = simulation.files.create(simulation.new_id("file"), filename, kind, content, seconds)
    return _file_response(request, made)


async def _list_files(request: web.Request) -> web.StreamResponse:
    _check(request)
    files = list(request.app[SIMULATION].files)[::-1]
    ids = [*request.query.getall("ids", []), *request.query.getall("ids[]", [])]
    if len(ids) > MOST_IDS:
        raise invalid_request(f"ids: at most {MOST_IDS} are taken")
    next_page = None
    if ids:
        files = [file for file in files if file.id in ids]
    else:
        limit = _integer(request.query.get("limit", str(DEFAULT_LIMIT)), "limit")
        if not 1 <= limit <= MAX_LIMIT:
            raise invalid_request(f"limit: must be between 1 and {MAX_LIMIT}")
        start = _integer(request.query.get("page", f"{PAGE_PREFIX}0").removeprefix(PAGE_PREFIX), "page")
        if start < 0:
            raise invalid_request("page: Input should be a page that this list has named")
        if len(files) > start + limit:
            next_page = f"{PAGE_PREFIX}{start + limit}"
        files = files[start : start + limit]
    page = {"data": [file.describe() for file in files], "next_page": next_page}
    return json_response(page, 200, base_headers(request[REQUEST_ID]))


async def _retrieve_file(request: web.Request) -> web.StreamResponse:
    return _file_response(request, _find_file(request))


async def _file_content(request: web.Request) -> web.StreamResponse:
    file = _find_file(request)
    details = {"error_code": "file_not_downloadable"}
    raise invalid_request(f"File {file.id} is not downloadable: only files made by tools are.", details)


async def _delete_file(request: web.Request) -> web.StreamResponse:
    file = _find_file(request)
    request.app[SIMULATION].files.delete(file.id)
    return json_response({"id": file.id, "type": "file_deleted"}, 200, base_headers(request[REQUEST_ID]))


def _check(request: web.Request) -> None:
    if error := check_headers(lower_headers(request)):
        raise error


def _find_file(request: web.Request) -> SimulatedFile:
    _check(request)
    return request.app[SIMULATION].files.find(request.match_info["file_id"])


def _file_response(request: web.Request, file: SimulatedFile) -> web.StreamResponse:
    return json_response(file.describe(), 200, base_headers(request[REQUEST_ID]))


async def _read(part: BodyPartReader) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(1024 * 1024):
        content += chunk
        if len(content) > MAX_FILE_BYTES:
            raise ClaudeError(413, "File exceeds the maximum size")
    return bytes(content)


def _integer(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise invalid_request(
            f"{name}: Input should be a valid integer, unable to parse string as an integer"
        ) from None

"""The official SDK's client, with a short way for requests whose bytes are ready.

`client.post` costs 0.45 ms before a byte is sent: it copies options, merges headers and URLs, walks the body, and wraps
the response, all of which comes to the same each time. Here the SDK builds one request for each set of headers, and
every further one is made from it; authentication, signing, pool and errors stay the SDK's own.
"""

from collections.abc import Mapping
from typing import Any

import httpx2
from anthropic import AnthropicError, APIConnectionError, APITimeoutError, AsyncAnthropic
from anthropic._base_client import AsyncAPIClient
from anthropic._models import FinalRequestOptions

__all__ = ["ClaudeSdk", "SendsBytes", "headers_with_key", "key_headers"]


_FORM = "multipart/form-data"


def headers_with_key(api_key: str) -> dict[str, str]:
    """Make the headers by which one request is authenticated with another key than the SDK's own."""
    return {"Authorization": f"Bearer {api_key}"}


def key_headers(api_key: str | None) -> dict[str, str]:
    """Make these headers, if there is another key."""
    return {} if api_key is None else headers_with_key(api_key)


def _failure(request: httpx2.Request, error: Exception) -> AnthropicError:
    """Make what the SDK raises where an answer does not come, or not whole."""
    if isinstance(error, httpx2.TimeoutException):
        return APITimeoutError(request=request)
    return APIConnectionError(request=request)  # as the SDK: aiohttp raises more than its transport translates


class SendsBytes(AsyncAPIClient):
    """Signs and sends one request as the SDK does, without its retries. For every client of the SDK's.

    The methods of the SDK that are used here are those that its clients for other backends override.
    """

    async def _send_bytes(self, request: httpx2.Request, api_key: str | None = None) -> httpx2.Response:
        await self._prepare_request(request)
        if api_key is not None:
            request.headers.update(headers_with_key(api_key))
        try:
            return await self._client.send(request, stream=True, auth=self.custom_auth or httpx2.USE_CLIENT_DEFAULT)
        except AnthropicError:
            raise
        except Exception as error:
            raise _failure(request, error) from error

    async def _send_for_success(self, request: httpx2.Request, api_key: str | None = None) -> httpx2.Response:
        response = await self._send_bytes(request, api_key)
        if not response.is_success:
            try:
                await response.aread()
            except Exception as error:
                raise _failure(request, error) from error
            finally:
                await response.aclose()
            raise self._make_status_error_from_response(response)
        return response


class ClaudeSdk(SendsBytes, AsyncAnthropic):
    """`AsyncAnthropic`, which a test holds to sending the same with `post_bytes` as with `post`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._templates: dict[tuple[str, tuple[tuple[str, str], ...]], httpx2.Request] = {}

    def use_key(self, api_key: str) -> None:
        """Take another key for the next requests."""
        if api_key != self.api_key:
            self.api_key = api_key
            self._templates.clear()

    async def post_bytes(
        self, path: str, body: bytes, headers: Mapping[str, str], api_key: str | None = None
    ) -> httpx2.Response:
        """Send one request, once; return its successful response, whose body is still to be read and closed.

        An `api_key` takes the place of the client's own for this one request.

        Raises:
            anthropic.APIStatusError: Claude refused.
            anthropic.APIConnectionError: Claude is out of reach, or too slow (`APITimeoutError`).
        """
        key = path, tuple(headers.items())
        template = self._templates.get(key)
        if template is None:
            # The sets of headers are few: those of our own requests, never a client's.
            template = self._templates[key] = await self._build_template(path, headers)
        # With `content` it would look for headers that are to be added, which takes four times as long as all the rest.
        request = httpx2.Request(
            template.method,
            template.url,
            headers=template.headers,
            stream=httpx2.ByteStream(body),
            extensions=template.extensions,
        )
        request.headers.encoding = template.headers.encoding  # else it tries each header
        request.headers["Content-Length"] = str(len(body))
        request.read()
        return await self._send_for_success(request, api_key)

    async def forward(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], api_key: str | None = None
    ) -> httpx2.Response:
        """Send a client's own request, once, with our key or its own; return the response, still to be read.

        Raises:
            anthropic.APIConnectionError: Claude is out of reach, or too slow (`APITimeoutError`).
        """
        # The SDK takes a form apart from its body, to make it anew: it gets to know of the body alone.
        forms = {
            name: kind for name, kind in headers.items() if name.lower() == "content-type" and _FORM in kind.lower()
        }
        others = {name: value for name, value in headers.items() if name not in forms}
        options = FinalRequestOptions.construct(method=method, url=path, headers=others, content=body or None)
        request = self._build_request(await self._prepare_options(options))
        request.headers.update(forms)
        return await self._send_bytes(request, api_key)

    async def _build_template(self, path: str, headers: Mapping[str, str]) -> httpx2.Request:
        options = FinalRequestOptions.construct(method="post", url=path, headers=dict(headers), content=b"")
        request = self._build_request(await self._prepare_options(options))
        del request.headers["content-length"]
        return request

"""The SDK's clients of the clouds, as `addon.claude.client` wants one: they send requests whose bytes are ready."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, override

import httpx2
import msgspec
import structlog
from anthropic._models import FinalRequestOptions
from anthropic.lib.aws import AsyncAnthropicAWS
from anthropic.lib.bedrock import AsyncAnthropicBedrock, AsyncAnthropicBedrockMantle
from anthropic.lib.foundry import AsyncAnthropicFoundry
from anthropic.lib.google_cloud import AsyncAnthropicGoogleCloud
from anthropic.lib.vertex import AsyncAnthropicVertex

from addon.claude.sdk import SendsBytes
from translators.backends import parse_target
from translators.errors import OpenAIError

__all__ = ["BACKEND_SDKS", "BackendSdkClient", "VertexSdk"]

log = structlog.get_logger(__name__)


class BackendSdk(SendsBytes):
    """Takes requests whose bytes are ready.

    The SDK's clients for other backends rewrite the body, so it is decoded for them: the shortest way is Claude's own.
    """

    async def post_bytes(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        api_key: str | None = None,  # noqa: ARG002 - clients bring keys for Claude's own API, for no cloud
    ) -> httpx2.Response:
        """Send one request, once; return its successful response, whose body is still to be read and closed.

        Raises:
            OpenAIError: 401, there are no credentials to sign it with.
            anthropic.APIStatusError: Claude refused.
            anthropic.APIConnectionError: the backend is out of reach, or too slow (`APITimeoutError`).
        """
        params = msgspec.json.decode(body, type=dict[str, Any])
        params["model"] = parse_target(params["model"]).model
        options = FinalRequestOptions.construct(method="post", url=path, headers=dict(headers), json_data=params)
        try:
            request = self._build_request(await self._prepare_options(options))
        except Exception as error:
            raise _no_credentials(error) from error
        return await self._send_for_success(request)

    @override
    async def _prepare_request(self, request: httpx2.Request) -> None:
        try:
            await super()._prepare_request(request)
        except Exception as error:
            raise _no_credentials(error) from error


def _no_credentials(error: Exception) -> OpenAIError:
    """Make the error for a request that cannot be signed: boto3's, google-auth's or the SDK's reason is for the log."""
    log.error("no_credentials", error=type(error).__name__, detail=str(error)[:300])
    message = "Incorrect API key: this proxy has no valid credentials for the backend that it uses."
    return OpenAIError(401, message, code="invalid_api_key")


class BedrockSdk(BackendSdk, AsyncAnthropicBedrock):
    """Amazon Bedrock by InvokeModel, whose answers come in frames of Amazon's own."""


class BedrockMantleSdk(BackendSdk, AsyncAnthropicBedrockMantle):
    """Amazon Bedrock by Claude's own Messages API."""


class VertexSdk(BackendSdk, AsyncAnthropicVertex):
    """Google Vertex AI."""


class FoundrySdk(BackendSdk, AsyncAnthropicFoundry):
    """Microsoft Foundry."""


class AwsSdk(BackendSdk, AsyncAnthropicAWS):
    """Claude Platform on AWS."""


class GoogleCloudSdk(BackendSdk, AsyncAnthropicGoogleCloud):
    """Claude on Google Cloud, which Anthropic runs."""


type BackendSdkClient = BedrockSdk | BedrockMantleSdk | VertexSdk | FoundrySdk | AwsSdk | GoogleCloudSdk

BACKEND_SDKS: Mapping[str, Callable[..., BackendSdkClient]] = MappingProxyType(
    {
        "bedrock": BedrockSdk,
        "bedrock-mantle": BedrockMantleSdk,
        "vertex": VertexSdk,
        "foundry": FoundrySdk,
        "aws": AwsSdk,
        "google-cloud": GoogleCloudSdk,
    }
)

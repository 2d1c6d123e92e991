"""What a claimed request becomes: an exchange with the client that its headers name, or its refusal."""

from collections.abc import Mapping

from mitmproxy import http

from addon.access.access import Client, credentials_of
from addon.claude.response_cache import CACHE_HEADER, cache_use
from addon.endpoints.anthropic_api import encode_anthropic_error
from addon.exchanges.exchange import Exchange
from addon.exchanges.gateway import Gateway
from addon.exchanges.run import OPEN_ENDPOINTS, ExchangeRun
from addon.interception.answers import ANSWERS
from addon.interception.flow_routing import is_standalone
from addon.observation.masking import secret_fields
from addon.routing import Claim, Endpoint
from translators.errors import OpenAIError

__all__ = ["claim_flow"]


def claim_flow(
    flow: http.HTTPFlow, claim: Claim, gateway: Gateway, headers: Mapping[str, str], known: Client | None
) -> ExchangeRun:
    """Make an exchange of a flow whose headers have come, and what runs it.

    Args:
        flow: its headers still hold the client's secrets.
        claim: what the request is for.
        gateway: what answers.
        headers: the request's, names in lower case.
        known: the client, if it has shown its key to the proxy.
    """
    client, refusal = _client_of(flow, claim, gateway, headers, known)
    exchange = Exchange(
        flow,
        claim,
        gateway,
        authorization=credentials_of(headers, known),
        client=client,
        cache_use=cache_use(gateway.settings.cache, client.key, headers.get(CACHE_HEADER)),
        secrets=secret_fields(flow.request.headers.fields),
    )
    if claim.endpoint is Endpoint.ANTHROPIC:
        exchange.encode_error = encode_anthropic_error
    if gateway.keeps_bodies:
        exchange.kept_body = bytearray()
    return ExchangeRun(exchange, ANSWERS[claim.endpoint], refusal)


def _client_of(
    flow: http.HTTPFlow, claim: Claim, gateway: Gateway, headers: Mapping[str, str], known: Client | None
) -> tuple[Client, OpenAIError | None]:
    address = flow.client_conn.peername[0]
    nobody = Client(f"address:{address}")
    # A replayed flow is the operator's own doing, and its key is masked.
    if claim.endpoint in OPEN_ENDPOINTS or flow.is_replay == "request":
        return nobody, None
    if known:
        return known, None
    try:
        return gateway.access.client_of(headers, address, standalone=is_standalone(flow.client_conn)), None
    except OpenAIError as error:
        return nobody, error

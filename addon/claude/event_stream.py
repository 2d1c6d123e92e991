"""Amazon's event stream, in which Bedrock frames Claude's events. The SDK's own decoder takes the frames off."""

from collections.abc import AsyncIterator

from anthropic.lib.bedrock._stream_decoder import AWSEventStreamDecoder, get_response_stream_shape

__all__ = ["EVENT_STREAM", "prime_event_stream", "read_event_stream"]

EVENT_STREAM = "application/vnd.amazon.eventstream"
"""The content type."""


def prime_event_stream() -> None:
    """Load what decoding needs, which takes a second: at the start, not in a request."""
    import boto3  # noqa: F401, PLC0415 - there with the extra `bedrock` alone

    get_response_stream_shape()


async def read_event_stream(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Iterate over the payloads of the frames: Claude's events, and Bedrock's own errors in the form of Claude's.

    Raises:
        ValueError: what came is no event stream.
    """
    from botocore.eventstream import ParserError  # noqa: PLC0415 - there with the extra `bedrock` alone
    from botocore.parsers import ResponseParserError  # noqa: PLC0415 - as above

    try:
        async for event in AWSEventStreamDecoder().aiter_bytes(chunks):
            yield event.data.encode()
    except (ParserError, ResponseParserError) as error:
        raise ValueError(str(error)) from error

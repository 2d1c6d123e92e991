"""The rows of the setting `other_backends`: a pattern of paths, and the server that answers them."""

import os
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, SecretStr, model_validator

from addon.configuration.section import Section
from addon.configuration.values import PathPattern, Seconds, header_value, http_url, parse_json

__all__ = ["OtherBackendSettings", "OtherBackendTable"]


class OtherBackendSettings(Section):
    """A server that answers paths which Claude has no endpoint for."""

    base_url: Annotated[str, AfterValidator(http_url)]
    """As an OpenAI client takes it: with its `/v1`."""
    api_key: Annotated[SecretStr | None, AfterValidator(lambda v: v and header_value(v))] = None
    forwards_client_key: bool = False
    """Whether clients come with keys of that server's own."""
    timeout: Seconds = 600
    """Longest wait for the next piece of an answer, in seconds."""
    proxy: Annotated[str | None, AfterValidator(lambda v: v and http_url(v))] = None

    @model_validator(mode="before")
    @classmethod
    def _read_key(cls, table: object) -> object:
        """Take the key from the environment variable that `api_key_env` names."""
        if not isinstance(table, Mapping) or "api_key_env" not in table:
            return table
        name = str(table["api_key_env"])
        if "api_key" in table:
            raise ValueError("api_key and api_key_env are both set: one of them is enough")
        if not os.environ.get(name):
            raise ValueError(f"api_key_env names {name}, which the environment does not have")
        return {**{key: value for key, value in table.items() if key != "api_key_env"}, "api_key": os.environ[name]}

    @model_validator(mode="after")
    def _has_one_key(self) -> Self:
        if self.api_key and self.forwards_client_key:
            raise ValueError("api_key and forwards_client_key are both set: one of them is enough")
        return self


OtherBackendTable = Annotated[dict[PathPattern, OtherBackendSettings], BeforeValidator(parse_json)]

"""LangChain's standard suite for chat models, for ChatOpenAI."""

from typing import Any, override

from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests


class Suite(ChatModelIntegrationTests):
    """What the model can do, as the suite asks for it. Its tests of images fetch one from another host."""

    @property
    @override
    def chat_model_class(self) -> type[ChatOpenAI]:
        return ChatOpenAI

    @property
    @override
    def supports_json_mode(self) -> bool:
        return False


class Test_chat(Suite):  # noqa: N801 - its name is asked for
    @property
    @override
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "gpt-5", "max_retries": 0, "use_responses_api": False, "stream_usage": True}


class Test_responses(Suite):  # noqa: N801 - its name is asked for
    @property
    @override
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "gpt-5", "max_retries": 0, "use_responses_api": True, "stream_usage": True}

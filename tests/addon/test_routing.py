import pytest

from addon.configuration.client_settings import OPENAI_HOSTS
from addon.routing import Claim, Endpoint, Pass, Refuse, Router

CHAT = Endpoint.CHAT_COMPLETIONS


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("api.openai.com", True),
        ("API.OpenAI.com", True),
        ("api.openai.com.", True),
        ("eu.api.openai.com", True),
        ("mtls.api.openai.com", True),
        ("contoso.openai.azure.com", True),
        ("openai.azure.com", False),
        ("api.openai.com.evil.example", False),
        ("notapi.openai.com", False),
        ("files.openai.com", False),
        ("", False),
    ],
)
def test_only_the_configured_hosts_are_ours(host: str, ours: bool) -> None:
    assert Router(OPENAI_HOSTS, "pass").is_ours(host) is ours


@pytest.mark.parametrize(
    ("method", "path", "claim"),
    [
        ("POST", "/v1/chat/completions", Claim(CHAT)),
        ("POST", "/v1/chat/completions?beta=true", Claim(CHAT)),
        ("POST", "/openai/v1/chat/completions", Claim(CHAT)),
        ("POST", "/api/v1/chat/completions", Claim(CHAT)),
        ("POST", "/openai/deployments/my-gpt/chat/completions?api-version=2025-01-01", Claim(CHAT, "my-gpt")),
        ("GET", "/v1/chat/completions?limit=2", Claim(Endpoint.STORED_COMPLETIONS)),
        ("GET", "/v1/chat/completions/chatcmpl-1", Claim(Endpoint.STORED_COMPLETION, "chatcmpl-1")),
        ("POST", "/v1/chat/completions/chatcmpl-1", Claim(Endpoint.STORED_COMPLETION_UPDATE, "chatcmpl-1")),
        ("DELETE", "/v1/chat/completions/chatcmpl-1", Claim(Endpoint.STORED_COMPLETION_DELETION, "chatcmpl-1")),
        ("GET", "/v1/chat/completions/a/messages", Claim(Endpoint.STORED_COMPLETION_MESSAGES, "a")),
        ("POST", "/v1/files", Claim(Endpoint.NEW_FILE)),
        ("POST", "/v1/uploads", Claim(Endpoint.NEW_UPLOAD)),
        ("POST", "/v1/uploads/upload_1/parts", Claim(Endpoint.NEW_UPLOAD_PART, "upload_1")),
        ("POST", "/v1/uploads/upload_1/complete", Claim(Endpoint.UPLOAD_COMPLETION, "upload_1")),
        ("POST", "/v1/uploads/upload_1/cancel", Claim(Endpoint.UPLOAD_CANCEL, "upload_1")),
        ("GET", "/v1/files?purpose=batch", Claim(Endpoint.FILES)),
        ("GET", "/v1/files/file-1", Claim(Endpoint.FILE, "file-1")),
        ("GET", "/v1/files/file-1/content", Claim(Endpoint.FILE_CONTENT, "file-1")),
        ("DELETE", "/v1/files/file-1", Claim(Endpoint.FILE_DELETION, "file-1")),
        ("POST", "/v1/batches", Claim(Endpoint.NEW_BATCH)),
        ("GET", "/v1/batches?limit=2", Claim(Endpoint.BATCHES)),
        ("GET", "/openai/batches/batch_1?api-version=1", Claim(Endpoint.BATCH, "batch_1")),
        ("POST", "/v1/batches/batch_1/cancel", Claim(Endpoint.BATCH_CANCEL, "batch_1")),
        ("POST", "/v1/completions", Claim(Endpoint.COMPLETIONS)),
        ("POST", "/openai/deployments/my-gpt/completions?api-version=1", Claim(Endpoint.COMPLETIONS, "my-gpt")),
        ("POST", "/v1/responses", Claim(Endpoint.RESPONSES)),
        ("POST", "/v1/responses?beta=true", Claim(Endpoint.RESPONSES)),
        ("POST", "/openai/v1/responses", Claim(Endpoint.RESPONSES)),
        ("POST", "/openai/responses?api-version=2025-03-01-preview", Claim(Endpoint.RESPONSES)),
        ("GET", "/v1/responses", Claim(Endpoint.RESPONSES_WEBSOCKET)),
        ("POST", "/v1/responses/compact", Claim(Endpoint.RESPONSES_COMPACT)),
        ("POST", "/v1/responses/input_tokens", Claim(Endpoint.RESPONSES_INPUT_TOKENS)),
        ("GET", "/v1/responses/resp_1?stream=true", Claim(Endpoint.RESPONSE, "resp_1")),
        ("DELETE", "/v1/responses/resp_1", Claim(Endpoint.RESPONSE_DELETION, "resp_1")),
        ("POST", "/v1/responses/resp_1/cancel", Claim(Endpoint.RESPONSE_CANCEL, "resp_1")),
        ("GET", "/v1/responses/resp_1/input_items", Claim(Endpoint.RESPONSE_INPUT_ITEMS, "resp_1")),
        ("POST", "/v1/conversations", Claim(Endpoint.NEW_CONVERSATION)),
        ("GET", "/v1/conversations/conv_1", Claim(Endpoint.CONVERSATION, "conv_1")),
        ("POST", "/v1/conversations/conv_1", Claim(Endpoint.CONVERSATION_UPDATE, "conv_1")),
        ("DELETE", "/v1/conversations/conv_1", Claim(Endpoint.CONVERSATION_DELETION, "conv_1")),
        ("GET", "/v1/conversations/conv_1/items", Claim(Endpoint.CONVERSATION_ITEMS, "conv_1")),
        ("POST", "/v1/conversations/conv_1/items", Claim(Endpoint.NEW_CONVERSATION_ITEMS, "conv_1")),
        ("GET", "/v1/conversations/conv_1/items/msg_1", Claim(Endpoint.CONVERSATION_ITEM, "conv_1", "msg_1")),
        ("DELETE", "/v1/conversations/c/items/m", Claim(Endpoint.CONVERSATION_ITEM_DELETION, "c", "m")),
        ("GET", "/v1/models", Claim(Endpoint.MODELS)),
        ("GET", "/v1/models/gpt-4o", Claim(Endpoint.MODEL, "gpt-4o")),
        ("GET", "/api/v1/models/anthropic/claude-opus-5", Claim(Endpoint.MODEL, "anthropic/claude-opus-5")),
        ("GET", "/openai/models?api-version=2024-10-21", Claim(Endpoint.MODELS)),
        ("GET", "/openai/models/gpt-4o?api-version=2024-10-21", Claim(Endpoint.MODEL, "gpt-4o")),
        ("POST", "/v1//chat/completions", Claim(CHAT)),
        ("POST", "//v1/chat/completions/?x=//", Claim(CHAT)),
        ("GET", "/v1/models/", Claim(Endpoint.MODELS)),
        ("GET", "/v1/models/openai%2Fgpt-4o", Claim(Endpoint.MODEL, "openai/gpt-4o")),
        ("POST", "/openai/deployments/my%20gpt/chat/completions", Claim(CHAT, "my gpt")),
    ],
)
@pytest.mark.parametrize("standalone", [False, True], ids=["proxy", "standalone"])
def test_translated_paths_are_claimed_with_every_prefix(standalone: bool, method: str, path: str, claim: Claim) -> None:
    router = Router(OPENAI_HOSTS, "refuse")
    assert router.route(standalone=standalone, host="api.openai.com", method=method, path=path) == claim


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/audio/speech"),
        ("POST", "/v2/chat/completions"),
        ("POST", "/x/v1/chat/completions"),
    ],
)
def test_other_paths_of_our_hosts_go_by_the_policy_and_standalone_end_in_404(method: str, path: str) -> None:
    def route(untranslated: str, *, standalone: bool = False) -> object:
        router = Router(OPENAI_HOSTS, untranslated)
        return router.route(standalone=standalone, host="api.openai.com", method=method, path=path)

    assert route("pass") == Pass()
    for refused in (route("refuse"), route("pass", standalone=True)):
        assert isinstance(refused, Refuse)
        assert refused.error.status == 404
        assert f"Invalid URL ({method} {path})" in refused.error.message


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/chat/completions", "POST, GET, HEAD"),
        ("GET", "/v1/completions", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("HEAD", "/v1/completions", "POST"),
        ("PATCH", "/v1/chat%2Fcompletions/chatcmpl_1", "GET, POST, DELETE, HEAD"),
    ],
)
def test_a_path_that_is_served_says_405_to_another_method_and_which_there_are(
    method: str, path: str, allowed: str
) -> None:
    for standalone in (True, False):
        refused = Router(OPENAI_HOSTS, "refuse").route(
            standalone=standalone, host="api.openai.com", method=method, path=path
        )
        assert isinstance(refused, Refuse)
        assert (refused.error.status, refused.error.code) == (405, "method_not_supported")
        assert refused.error.headers == {"allow": allowed}
    assert (
        Router(OPENAI_HOSTS, "pass").route(standalone=False, host="api.openai.com", method=method, path=path) == Pass()
    )


@pytest.mark.parametrize("path", ["/v1/v1/messages", "/v1/v1/chat/completions", "//v1/v1/models"])
def test_a_base_url_that_adds_another_v1_is_named(path: str) -> None:
    refused = Router(OPENAI_HOSTS, "pass").route(standalone=True, host="x", method="POST", path=path)
    assert isinstance(refused, Refuse)
    assert refused.error.message.endswith("The path has /v1 twice: see the base URL.")


def test_an_unknown_path_is_told_what_is_served() -> None:
    standalone = Router(OPENAI_HOSTS, "pass").route(
        standalone=True, host="api.openai.com", method="POST", path="/v1/embeddings"
    )
    proxied = Router(OPENAI_HOSTS, "refuse").route(
        standalone=False, host="api.openai.com", method="POST", path="/v1/embeddings"
    )
    assert isinstance(standalone, Refuse)
    assert isinstance(proxied, Refuse)
    for refused in (standalone, proxied):
        assert "chat completions, completions, responses" in refused.error.message
    assert "`other_backends`" in standalone.error.message
    assert "`other_backends`" not in proxied.error.message


@pytest.mark.parametrize("untranslated", ["pass", "refuse"])
def test_other_hosts_are_passed_on_untouched_in_proxy_modes(untranslated: str) -> None:
    router = Router(OPENAI_HOSTS, untranslated)
    for path in ("/v1/chat/completions", "/health", "/"):
        assert router.route(standalone=False, host="example.com", method="POST", path=path) == Pass()


def test_paths_without_prefix_and_the_health_check_are_standalone_only() -> None:
    router = Router(OPENAI_HOSTS, "pass")
    for method, path, endpoint in [
        ("POST", "/chat/completions", CHAT),
        ("GET", "/health", Endpoint.HEALTH),
        ("HEAD", "/health/ready", Endpoint.READY),
    ]:
        assert router.route(standalone=True, host="x", method=method, path=path) == Claim(endpoint)
        assert router.route(standalone=False, host="api.openai.com", method=method, path=path) == Pass()


@pytest.mark.parametrize("path", ["/v1/files", "/v1/files/file_1", "/v1/files/file_1/content"])
def test_files_of_anthropic_s_clients_are_claude_s_own(path: str) -> None:
    router = Router(OPENAI_HOSTS, "pass")
    claim = router.route(standalone=True, host="x", method="GET", path=path, is_anthropic=True)
    assert claim == Claim(Endpoint.ANTHROPIC)
    assert router.route(standalone=True, host="x", method="GET", path=path) != claim


OTHERS = ("/v1/embeddings", "/v1/audio/speech", "/v1/audio/*", "/openai/deployments/*/embeddings", "/v1/chat/*")


@pytest.mark.parametrize(
    ("method", "path", "pattern"),
    [
        ("POST", "/v1/embeddings", "/v1/embeddings"),
        ("POST", "/embeddings?x=1", "/v1/embeddings"),
        ("POST", "/openai/v1//embeddings/", "/v1/embeddings"),
        ("POST", "/v1/audio/speech", "/v1/audio/speech"),
        ("DELETE", "/v1/audio/voices/v_1", "/v1/audio/*"),
        ("POST", "/openai/deployments/ada/embeddings", "/openai/deployments/*/embeddings"),
        ("POST", "/v1/chat/other", "/v1/chat/*"),
        ("POST", "/v1/embeddings2", None),
        ("OPTIONS", "/v1/embeddings", None),
        ("POST", "/v1/audio/../embeddings", None),
        ("POST", "/v1/audio/%2E%2e", None),
        ("POST", "/v1/audio/..%2fembeddings", None),
        ("POST", "/v1/audio%2F..%5C..%2fadmin", None),
        ("POST", "/v1/audio/x\\..\\..", None),
        ("POST", "/v1/audio/..;x/embeddings", None),
        ("POST", "/v1/audio/a%2F...", "/v1/audio/*"),
    ],
)
def test_other_backends_are_found_by_pattern_standalone(method: str, path: str, pattern: str | None) -> None:
    router = Router(OPENAI_HOSTS, "pass", OTHERS)
    found = router.route(standalone=True, host="x", method=method, path=path)
    if pattern is None:
        assert isinstance(found, Refuse)
    else:
        assert found == Claim(Endpoint.OTHER_BACKEND, pattern)
    assert not isinstance(router.route(standalone=False, host="api.openai.com", method=method, path=path), Claim)


def test_what_is_served_here_is_never_another_backends() -> None:
    router = Router(OPENAI_HOSTS, "pass", OTHERS)
    assert router.route(standalone=True, host="x", method="POST", path="/v1/chat/completions") == Claim(CHAT)

"""Each way in, as an app's operator sets it up, and what of an app's traffic goes where."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, AzureOpenAI, DefaultAsyncHttpx2Client, DefaultHttpx2Client, OpenAI

from addon.configuration.settings import load_settings
from tests.contract.proxy_process import APP_KEY, CLAUDE_KEY, ProxyProcess, Way, proxy_process
from tests.contract.real_host import RealHost, real_host
from tests.contract.simulated_upstream import SimulatedUpstream
from tests.integration.running_proxy import run_proxy

HELLO: Any = [{"role": "user", "content": "Hello there"}]
APP = """
import json
import openai

client = openai.OpenAI(max_retries=0)
messages = [{"role": "user", "content": "Hello there"}]
whole = client.chat.completions.create(model="gpt-4o", messages=messages)
streamed = client.chat.completions.create(model="gpt-4o", messages=messages, stream=True)
text = "".join(chunk.choices[0].delta.content or "" for chunk in streamed)
print(json.dumps({"url": str(client.base_url), "whole": whole.choices[0].message.content, "streamed": text}))
"""


def run_app(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """Run an app that knows nothing of a proxy, with nothing but these variables."""
    script = folder / "app.py"
    script.write_text(APP)
    given = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": APP_KEY, **environment}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


def test_an_unchanged_app_is_answered_by_claude_by_its_environment_alone(
    proxy: ProxyProcess, claude: SimulatedUpstream, tmp_path: Path
) -> None:
    answer = run_app(tmp_path, {"HTTPS_PROXY": proxy.proxy_url, "SSL_CERT_FILE": str(proxy.ca)})
    assert answer["url"] == "https://api.openai.com/v1/"
    assert answer["whole"] == answer["streamed"]
    assert "simulated Claude" in answer["whole"]
    assert len(claude.calls) == 2


def test_an_unchanged_app_is_answered_by_claude_by_its_base_url_alone(
    proxy: ProxyProcess, claude: SimulatedUpstream, tmp_path: Path
) -> None:
    answer = run_app(tmp_path, {"OPENAI_BASE_URL": f"{proxy.origin}/v1"})
    assert answer["whole"] == answer["streamed"]
    assert "simulated Claude" in answer["whole"]
    assert len(claude.calls) == 2


def test_an_app_behind_socks5_is_answered_by_claude(proxy: ProxyProcess, claude: SimulatedUpstream) -> None:
    with proxy.way("socks5").client(_strict_response_validation=True) as client:
        assert client.chat.completions.create(model="gpt-4o", messages=HELLO).choices[0].message.content
        chunks = list(client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
        assert chunks[-1].choices[0].finish_reason == "stop"
    assert len(claude.calls) == 2


def test_a_base_url_without_v1_is_understood(proxy: ProxyProcess, claude: SimulatedUpstream) -> None:
    http_client = DefaultHttpx2Client(trust_env=False)
    with OpenAI(base_url=proxy.origin, api_key=APP_KEY, max_retries=0, http_client=http_client) as client:
        assert client.chat.completions.create(model="gpt-4o", messages=HELLO).choices[0].message.content
        models = list(client.models.list())
        assert client.models.retrieve(models[0].id) == models[0]


def azure(way: Way, **options: Any) -> AzureOpenAI:
    endpoint = way.base_url.removesuffix("/v1") if way.name == "base_url" else "https://acme.openai.azure.com"
    http_client = DefaultHttpx2Client(**way.httpx_options())
    given: dict[str, Any] = {"azure_endpoint": endpoint, "api_version": "2024-10-21", "max_retries": 0, **options}
    return AzureOpenAI(
        api_key="azure-key-0123456789", http_client=http_client, _strict_response_validation=True, **given
    )


@pytest.mark.parametrize("options", [{}, {"azure_deployment": "acme-gpt-4o"}], ids=["by_model", "by_deployment"])
def test_the_azure_client_is_answered_by_its_deployments_path(
    way: Way, claude: SimulatedUpstream, options: dict[str, Any]
) -> None:
    with azure(way, **options) as client:
        completion = client.chat.completions.create(model="acme-gpt-4o", messages=HELLO)
        assert completion.model == "acme-gpt-4o"
        assert completion.choices[0].message.content
        with client.chat.completions.stream(model="acme-gpt-4o", messages=HELLO) as stream:
            assert stream.get_final_completion().choices[0].finish_reason == "stop"
        assert "claude-opus-5-5" in {model.id for model in client.models.list()}
    assert [entry.status for entry in claude.calls] == [200, 200]


def test_an_azure_deployment_stands_for_a_model_that_the_body_leaves_out(way: Way, claude: SimulatedUpstream) -> None:
    origin = way.base_url.removesuffix("/v1") if way.name == "base_url" else "https://acme.openai.azure.com"
    url = f"{origin}/openai/deployments/claude-opus-5-5/chat/completions?api-version=2024-10-21"
    with way.http() as http:
        response = http.post(url, json={"messages": HELLO}, headers={"api-key": "azure-key-0123456789"})
    assert response.status_code == 200, response.text
    assert response.json()["model"] == "claude-opus-5-5"
    assert claude.last["model"] == "claude-opus-5-5"


def test_the_stock_client_on_azures_v1_path_is_answered(proxy: ProxyProcess, claude: SimulatedUpstream) -> None:
    way = proxy.way("https_proxy")
    http_client = DefaultHttpx2Client(**way.httpx_options())
    url = "https://acme.openai.azure.com/openai/v1/"
    with OpenAI(base_url=url, api_key="azure-key-0123456789", max_retries=0, http_client=http_client) as client:
        assert client.chat.completions.create(model="gpt-4o", messages=HELLO).choices[0].message.content
    assert len(claude.calls) == 1


@pytest.fixture
def host() -> Iterator[RealHost]:
    """What stands in for OpenAI. The proxy is told that `localhost` is one of its hosts, and `127.0.0.1` is not."""
    with real_host() as running:
        yield running


def client_of(proxy: ProxyProcess, base_url: str, key: str = APP_KEY) -> OpenAI:
    http_client = DefaultHttpx2Client(**proxy.way("https_proxy").httpx_options())
    return OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=20, http_client=http_client)


def test_what_has_no_translation_passes_to_the_real_host_with_the_apps_own_key(
    proxy: ProxyProcess, claude: SimulatedUpstream, host: RealHost
) -> None:
    with client_of(proxy, host.base_url()) as client:
        embedding = client.embeddings.create(model="text-embedding-3-small", input="Hello", encoding_format="float")
    assert embedding.data[0].embedding == [0.5, -0.5]
    [received] = host.received
    assert received.path == "/v1/embeddings"
    assert received.headers["authorization"] == f"Bearer {APP_KEY}"
    assert json.loads(received.body)["input"] == "Hello"
    assert claude.journal == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_chat_never_reaches_the_real_host(
    proxy: ProxyProcess, claude: SimulatedUpstream, host: RealHost, stream: bool
) -> None:
    with client_of(proxy, host.base_url()) as client:
        for messages in (HELLO, [{"role": "wizard", "content": "Hi"}]):
            try:
                answer: Any = client.chat.completions.create(model="gpt-4o", messages=messages, stream=stream)
                list(answer)
            except openai.BadRequestError as error:
                assert error.param == "messages[0].role"  # noqa: PT017 - one of two ways that a chat can end
        # On a connection that has been used for the real host, too.
        client.embeddings.create(model="text-embedding-3-small", input="Hello", encoding_format="float")
        list(client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=stream))
    assert [received.path for received in host.received] == ["/v1/embeddings"]
    assert len(claude.calls) == 2


def test_mitmdump_says_that_other_machines_can_use_it(
    contract_confdir: Path, claude: SimulatedUpstream, proxy: ProxyProcess, tmp_path: Path
) -> None:
    everywhere = ("--mode", "regular@0.0.0.0:0")
    with proxy_process(contract_confdir, tmp_path / "output", claude.base_url, *everywhere) as open_proxy:
        assert '"event":"open_proxy"' in open_proxy.printed()
        assert "--listen-host 127.0.0.1" in open_proxy.printed()
    assert "open_proxy" not in proxy.printed()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("claude_simulate=1", 'Failed to parse option claude_simulate: boolean must be "true", "false"'),
        ("claude_max_retries=many", "Failed to parse option claude_max_retries: not an integer: many"),
        ("claude_untranslatd=refuse", "claude_untranslatd is no option; did you mean claude_untranslated?"),
    ],
)
def test_mitmdump_does_not_start_with_an_option_that_cannot_be_used(
    contract_confdir: Path, claude: SimulatedUpstream, tmp_path: Path, option: str, said: str
) -> None:
    with (
        pytest.raises(RuntimeError, match="does not answer") as failed,
        proxy_process(contract_confdir, tmp_path / "output", claude.base_url, "--set", option),
    ):
        pass
    assert said in str(failed.value)
    assert "Error logged during startup" in str(failed.value)


def test_other_hosts_are_left_alone(proxy: ProxyProcess, claude: SimulatedUpstream, host: RealHost) -> None:
    with client_of(proxy, host.base_url("127.0.0.1")) as client:
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    [received] = host.received
    assert received.path == "/v1/chat/completions"
    assert received.headers["authorization"] == f"Bearer {APP_KEY}"
    assert json.loads(received.body)["messages"] == HELLO
    assert raw.http_response.json()["object"] == "list"
    assert claude.journal == []


async def test_where_the_operator_says_so_nothing_of_a_host_passes(
    contract_confdir: Path, claude: SimulatedUpstream, host: RealHost
) -> None:
    interception = {"hosts": ["localhost"], "untranslated": "refuse"}
    section = {"api_key": CLAUDE_KEY, "base_url": claude.base_url}
    settings = load_settings({"claude": section, "interception": interception})
    async with run_proxy(settings, contract_confdir, "regular@127.0.0.1:0") as proxy:
        options = {"proxy": f"http://127.0.0.1:{proxy.port}", "trust_env": False}
        async with AsyncOpenAI(
            base_url=host.base_url(),
            api_key=APP_KEY,
            max_retries=0,
            http_client=DefaultAsyncHttpx2Client(**options),
        ) as client:
            with pytest.raises(openai.NotFoundError) as raised:
                await client.embeddings.create(model="text-embedding-3-small", input="Hello")
            assert "not served by Claude Proxy" in raised.value.message
            completion = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
            assert completion.choices[0].message.content
            assert host.received == []
            assert len(claude.calls) == 1
            # What is no host of OpenAI's is nobody's business.
            elsewhere = client.with_options(base_url=host.base_url("127.0.0.1"))
            await elsewhere.embeddings.create(model="text-embedding-3-small", input="Hi", encoding_format="float")
    assert [received.path for received in host.received] == ["/v1/embeddings"]

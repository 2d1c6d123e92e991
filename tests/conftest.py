"""What holds for all tests."""

import pytest
from hypothesis import HealthCheck, settings

from tests.redis_server import redis_server

# On a busy machine the first example of a strategy takes longer than hypothesis allows; that is no finding.
settings.register_profile("claude-proxy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("claude-proxy")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="session", autouse=True)
def environment_of_the_tests(tmp_path_factory):
    """No test writes to the state folder of whoever runs it, or is limited unless it asks for that.

    The hosts of the tests are on this machine.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("RATE_LIMIT_REQUESTS", "0")
        patch.setenv("CLAUDE_PROXY_EGRESS_ALLOW", "public,private")
        yield

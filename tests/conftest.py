"""What holds for all tests."""

import time

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.redis_server import redis_server

_OF_ONE_IMAGE = ("tests/deploy/test_compose.py", "tests/deploy/test_image.py", "tests/deploy/test_systemd_service.py")
"""Tests for which an image is built: it takes a minute."""
_WITH_COSTLY_FIXTURES = ("tests/contract/", "tests/deploy/")
"""Tests whose files start proxies, or clusters of them."""

# On a busy machine the first example of a strategy takes longer than hypothesis allows; that is no finding.
settings.register_profile("claude-proxy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("claude-proxy")


class ThriftyScheduling(LoadScopeScheduling):
    """Deals the tests out one by one, but together those that share what is costly. Marks of groups do not reach it."""

    def _split_scope(self, nodeid):
        if nodeid.startswith(_OF_ONE_IMAGE):
            return "image"
        return nodeid.partition("::")[0] if nodeid.startswith(_WITH_COSTLY_FIXTURES) else nodeid


def pytest_xdist_make_scheduler(config, log):
    """Deal the tests out that way where there are several processes."""
    return ThriftyScheduling(config, log)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def jump(monkeypatch):
    """Set the wall clock of this process ahead or back, by seconds: that of SQLite's values, and not of Redis's."""
    real, ahead = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real() + ahead)

    def by(seconds):
        nonlocal ahead
        ahead += seconds

    return by


@pytest.fixture
def noon(jump):
    """Set the wall clock of this process to noon, UTC: a day that is counted does not end within the test."""
    jump(43_200 - time.time() % 86_400)


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

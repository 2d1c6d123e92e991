"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# On a busy machine the first example of a strategy takes longer than hypothesis allows; that is no finding.
settings.register_profile("claude-proxy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("claude-proxy")

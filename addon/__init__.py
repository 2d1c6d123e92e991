"""The shell of Claude Proxy: mitmproxy, the Claude SDK, clocks, storage and logs. `translators` translates."""

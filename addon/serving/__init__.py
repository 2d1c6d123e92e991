"""`claude-proxy serve` as processes: mitmproxy's master, sockets, workers."""

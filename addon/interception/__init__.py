"""Between mitmproxy and the exchanges: its hooks, which requests are claimed, the connection that answers them."""

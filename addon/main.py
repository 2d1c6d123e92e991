"""The file for `mitmdump -s`. mitmproxy loads it under another name, so it only imports the installed package."""

from addon.interception.interceptor import ClaudeProxyAddon

addons = [ClaudeProxyAddon()]

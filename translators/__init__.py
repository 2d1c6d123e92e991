"""The pure core of Claude Proxy: OpenAI's wire format to Claude's and back.

Nothing here does I/O, reads a clock, draws a random number or writes a log: ids, times and stored state are arguments.
"""

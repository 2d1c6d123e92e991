"""An embedded stand-in for Claude's Messages API: as strict, in the same shapes, and honest about being simulated.

It serves the demo, the tests and work without a network. It knows Claude's API alone, so that it can judge what is
sent to it.
"""

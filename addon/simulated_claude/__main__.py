"""Run a simulated Claude alone: `python -m addon.simulated_claude --port 8100 [--fast]`."""

import argparse
import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from addon.simulated_claude.server import start
from addon.simulated_claude.settings import SimulationSettings

if sys.platform == "win32":  # there is no uvloop
    _run = asyncio.run
else:
    import uvloop

    _run = uvloop.run


def main() -> None:
    """Read the flags, listen, and stay."""
    parser = argparse.ArgumentParser(
        prog="python -m addon.simulated_claude", description="A simulated Claude Messages API."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--fast", action="store_true", help="for benches: no validation, pre-encoded events")
    parser.add_argument("--instant", action="store_true", help="no pacing")
    parser.add_argument("--script-file", type=Path, help="JSON file with scripted answers")
    flags = parser.parse_args()
    paced = (
        SimulationSettings.instant(flags.script_file)
        if flags.instant
        else SimulationSettings(script_file=flags.script_file)
    )
    settings = replace(paced, fast=flags.fast)
    try:
        _run(_serve(flags.host, flags.port, settings))
    except KeyboardInterrupt:
        return


async def _serve(host: str, port: int, settings: SimulationSettings) -> None:
    running = await start(host, port, settings)
    print(running.base_url, flush=True)  # noqa: T201 - the caller reads the address from here
    try:
        await asyncio.Event().wait()
    finally:
        await running.close()


if __name__ == "__main__":
    main()

"""llm-comply: one feature for each format, all of its tests."""

import json
import os
import subprocess
import sys

from features import feature, run_features

FORMATS = {"openai-chat": "gpt-5", "anthropic": "claude-sonnet-4-5", "open-responses": "gpt-5"}
EXPECTED = {"openai-chat": 9, "anthropic": 9, "open-responses": 13}


def comply(name: str) -> None:
    command = [sys.executable, "-m", "llm_comply.cli", "--json", "--format", name, "--model", FORMATS[name]]
    command += ["--base-url", os.environ["OPENAI_BASE_URL"], "--api-key", os.environ["OPENAI_API_KEY"]]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    outcome = json.loads(finished.stdout)
    failed = [result for result in outcome["results"] if result["status"] != "passed"]
    assert not failed, json.dumps(failed)
    assert outcome["summary"]["passed"] == EXPECTED[name], outcome["summary"]


for name in FORMATS:
    feature(f"{name}: all {EXPECTED[name]} tests")(lambda name=name: comply(name))

run_features()

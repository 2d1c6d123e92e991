"""The picture of the dashboard is drawn by the Grafana that is deployed, and knows all that the dashboard has."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "scripts/dashboard_page"
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
PACKAGE = json.loads((PAGE / "package.json").read_text())
LOCK = json.loads((PAGE / "package-lock.json").read_text())["packages"]


def test_its_components_are_of_the_grafana_that_compose_runs():
    image = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]["grafana"]["image"]
    versions = {version for name, version in PACKAGE["dependencies"].items() if name.startswith("@grafana/")}
    assert versions == {image.rpartition(":")[2]}


def test_its_lock_is_that_of_its_packages_and_names_no_registry():
    assert LOCK[""]["dependencies"] == PACKAGE["dependencies"]
    for name, version in PACKAGE["dependencies"].items():
        assert LOCK[f"node_modules/{name}"]["version"] == version
    assert all("integrity" in package for name, package in LOCK.items() if name)
    assert not any("resolved" in package for package in LOCK.values())


def test_the_page_draws_every_type_of_panel():
    [known] = re.findall(r"const PANELS = \{(.*?)\}", (PAGE / "page.jsx").read_text())
    drawn = set(re.findall(r"(\w+):", known)) | {"row"}
    assert {panel["type"] for panel in DASHBOARD["panels"]} <= drawn
    assert {
        override["matcher"]["id"]
        for panel in DASHBOARD["panels"]
        for override in panel.get("fieldConfig", {}).get("overrides", ())
    } <= {"byName"}


def test_the_picture_is_a_png_that_a_page_can_carry():
    picture = (ROOT / "docs/dashboard.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20]) == 1600
    assert len(picture) < 300_000


def test_its_maker_finds_all_that_it_imports():
    command = [sys.executable, ROOT / "scripts/dashboard_picture.py", "--help"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("usage: ")


def test_a_program_that_does_not_end_by_itself_is_ended(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import dashboard_picture

    monkeypatch.setattr(dashboard_picture, "END_SECONDS", 0.1, raising=False)
    deaf = "import os, signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint(f'pid={os.getpid()} ', flush=True)\n"
    deaf += "time.sleep(100)"
    with dashboard_picture.started([sys.executable, "-c", deaf], tmp_path) as program:
        pid = dashboard_picture.said(program, r"pid=(\d+) ")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_program_that_has_died_is_not_waited_for(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import dashboard_picture

    dying = [sys.executable, "-c", "raise SystemExit('no such flag')"]
    with dashboard_picture.started(dying, tmp_path) as program, pytest.raises(SystemExit, match="no such flag"):
        dashboard_picture.said(program, r"pid=(\d+) ")

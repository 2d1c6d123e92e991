"""Draws the Grafana dashboard of deploy/, with what a real Prometheus has read of a real `claude-proxy serve`.

    scripts/dashboard_picture                     fifteen minutes of load, then docs/dashboard.png
    scripts/dashboard_picture --minutes 5 --to /tmp/dashboard.png

No Grafana server takes part: panels, queries, units and legends are read from deploy/grafana/dashboard.json, and drawn
by Grafana's own components (npm's @grafana/ui, of the version that deploy/compose.yaml runs) in a headless Chromium.
The load is made up, and Claude is the simulated one; the metrics are the proxy's own. A query that finds nothing ends
the run with status 1.

Needs npm, and Debian's packages prometheus, chromium and pngquant.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import yaml
from bench_endpoints import START_SECONDS
from dashboard_load import FALLBACK_MODEL, KEY, MODEST_KEY, MOST_BYTES, RETRIES, Clients

ROOT = Path(__file__).resolve().parent.parent
DASHBOARD = ROOT / "deploy/grafana/dashboard.json"
PAGE = ROOT / "scripts/dashboard_page"
INSTALLED = ROOT / ".cache/dashboard_page"
WIDTH = 1600
HEADING = 48
"""Pixels of the page above the panels."""
GRID_ROW = 38
"""Pixels of a row of Grafana's grid."""
COLORS = 128
LEAST_MINUTES = 3
END_SECONDS = 60.0
SERVING = {
    "CLAUDE_PROXY_SIMULATE": "true",
    "CLAUDE_PROXY_ALIASES": "gpt-4o-mini*=claude-haiku-5-5,o3*=claude-opus-5-5,gpt-*=claude-sonnet-5-5",
    "CLAUDE_PROXY_FALLBACKS": FALLBACK_MODEL,
    "CLAUDE_PROXY_MAX_RETRIES": str(RETRIES),
    "CLAUDE_PROXY_MAX_REQUEST_BYTES": str(MOST_BYTES),
    "CLAUDE_PROXY_CACHE": "on",
    "CLAUDE_PROXY_EXPORTER_PORT": "0",
    "RATE_LIMIT_REQUESTS": "0",
    "LOG_LEVEL": "ERROR",
}
CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--virtual-time-budget=20000",
)


class Program(NamedTuple):
    """A program that runs."""

    process: subprocess.Popen[bytes]
    output: Path
    """The file that it writes to."""


@contextlib.contextmanager
def started(command: list[str], folder: Path, **environment: str) -> Iterator[Program]:
    """Run a program beside this one; end it afterwards."""
    output = folder / f"{Path(command[0]).name}.log"
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with output.open("wb") as written:
        process = subprocess.Popen(
            command, env={**inherited, **environment}, cwd=folder, stdout=written, stderr=subprocess.STDOUT
        )
        try:
            yield Program(process, output)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)
            process.kill()
            process.wait()


def said(program: Program, pattern: str) -> str:
    """Wait until a program has written something, and find a part of it."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        has_ended = program.process.poll() is not None  # asked first: what it has written by then is all
        if found := re.search(pattern, program.output.read_text()):
            return found[1]
        if has_ended:
            break
        time.sleep(0.1)
    raise SystemExit(f"dashboard_picture: {program.output.read_text()[-1000:]}")


@contextlib.contextmanager
def loaded_prometheus(folder: Path, seconds: float) -> Iterator[str]:
    """Put a proxy under load and let Prometheus read its metrics as deploy/ has it; yields Prometheus' address."""
    digests = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in (("app", KEY), ("modest", MODEST_KEY))}
    keys = [{"name": "app", "sha256": digests["app"]}]
    keys.append({"name": "modest", "sha256": digests["modest"], "requests_per_minute": 2})
    serving = {**SERVING, "CLAUDE_PROXY_CLIENT_KEYS": json.dumps(keys), "XDG_STATE_HOME": str(folder)}
    command = [str(Path(sys.executable).parent / "claude-proxy"), "serve", "--port", "0", "--workers", "2"]
    with started([*command, "--confdir", str(folder / "confdir")], folder, **serving) as proxy:
        exporter, endpoint = said(proxy, r":(\d+)/metrics"), said(proxy, r"(http://\S+:\d+)/v1")
        configuration = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())
        del configuration["rule_files"]
        configuration["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{exporter}"]}]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
        flags = ["--config.file=prometheus.yaml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"]
        with started(["prometheus", *flags, "--web.cors.origin=.*"], folder) as server:
            address = said(server, r"Listening on\W+address=(127\.0\.0\.1:\d+)")
            asyncio.run(Clients(endpoint, seconds).ask())
            yield f"http://{address}"


def install() -> None:
    """Install what the page is made of, as its lock names it, unless it is there."""
    lock = (PAGE / "package-lock.json").read_bytes()
    stamp, wanted = INSTALLED / "installed", hashlib.sha256(lock).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PAGE / name, INSTALLED)
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps")
    stamp.write_text(wanted)


def run(*command: str) -> None:
    """Run a program where the page is installed."""
    subprocess.run(command, cwd=INSTALLED, check=True)


def bundle(site: Path, prometheus: str, began: float, ended: float) -> None:
    """Make the page: the dashboard as it is provisioned, and whom to ask about which time."""
    configuration = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())
    [source] = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    [scraped] = configuration["scrape_configs"]
    given = {
        "dashboard": json.loads(DASHBOARD.read_text()),
        "prometheus": prometheus,
        "from": began // 60 * 60 + 60,
        "to": ended // 60 * 60,
        "scrapeSeconds": int(source["jsonData"]["timeInterval"].removesuffix("s")),
        "variables": {"datasource": source["name"], "job": scraped["job_name"]},
    }
    shutil.copy(PAGE / "page.jsx", INSTALLED)
    (INSTALLED / "given.json").write_text(json.dumps(given))
    run(
        "node_modules/.bin/esbuild",
        "page.jsx",
        "--bundle",
        "--jsx=automatic",
        "--minify",
        "--log-level=error",
        # Modules of the other kind lack exports in this version.
        *(f"--alias:@grafana/{name}=./node_modules/@grafana/{name}/dist/cjs/index.cjs" for name in ("data", "ui")),
        "--loader:.ttf=empty",
        '--define:process.env.NODE_ENV="production"',
        f"--outfile={site / 'page.js'}",
    )
    head = '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="page.css">'
    (site / "index.html").write_text(f'{head}<body><script src="page.js"></script>')
    shutil.copytree(INSTALLED / "node_modules/@grafana/ui/dist/public", site / "public", dirs_exist_ok=True)


class Site(SimpleHTTPRequestHandler):
    """The page, and where it says what it could not draw."""

    said: list[str] | None = None

    def do_POST(self) -> None:
        """Take what the page says when it is done."""
        Site.said = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(HTTPStatus.NO_CONTENT)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def draw(site: Path, picture: Path) -> None:
    """Draw the page, with as few colors as it takes."""
    places = [panel["gridPos"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    height = HEADING + max(place["y"] + place["h"] for place in places) * GRID_ROW
    drawn = site / "drawn.png"
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        flags = [*CHROMIUM_FLAGS, f"--user-data-dir={site / 'profile'}", f"--window-size={WIDTH},{height}"]
        run("chromium", *flags, f"--screenshot={drawn}", f"http://127.0.0.1:{server.server_port}/index.html")
        server.shutdown()
    if Site.said is None:
        raise SystemExit("dashboard_picture: the page did not end")
    run("pngquant", "--force", "--strip", "--speed=1", f"--output={picture}", str(COLORS), str(drawn))
    print(f"{picture}: {picture.stat().st_size // 1024} KiB")
    if Site.said:
        raise SystemExit("\n".join(["dashboard_picture:", *Site.said]))


def main() -> None:
    """Read the flags, load, draw."""
    parser = argparse.ArgumentParser(description="Draw the Grafana dashboard from real metrics.", allow_abbrev=False)
    parser.add_argument("--minutes", type=float, default=15, help="how long the load is (default: %(default)s)")
    parser.add_argument(
        "--to", type=Path, default=ROOT / "docs/dashboard.png", help="the picture (default: %(default)s)"
    )
    flags = parser.parse_args()
    if flags.minutes < LEAST_MINUTES:
        parser.error(f"rates need {LEAST_MINUTES} minutes at least")
    # As for Ctrl-C: what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for program in ("npm", "prometheus", "chromium", "pngquant"):
        if shutil.which(program) is None:
            raise SystemExit(f"dashboard_picture: {program} is not installed")
    install()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (site := folder / "site").mkdir()
        began = time.time()
        with loaded_prometheus(folder, flags.minutes * 60) as prometheus:
            bundle(site, prometheus, began, time.time())
            draw(site, flags.to.resolve())


if __name__ == "__main__":
    main()

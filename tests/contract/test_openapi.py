"""What docs/openapi.json describes, asked in ways that nobody asks: the long run is in scripts/fuzz."""

import importlib.util
from pathlib import Path

from tests.contract.proxy_process import ProxyProcess
from tests.fuzz.described import DESCRIPTION, ask_all

SCRIPT = Path(__file__).parents[2] / "scripts" / "openapi.py"


def test_the_description_is_that_of_the_routes_and_the_request_types() -> None:
    """If it is not: scripts/openapi writes it anew."""
    specification = importlib.util.spec_from_file_location("openapi", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    assert DESCRIPTION.read_text() == script.encode()


def test_no_request_gets_a_500_and_every_error_has_openais_shape(proxy: ProxyProcess) -> None:
    statuses = ask_all(proxy.origin, 5)
    assert statuses[200]
    assert statuses[400]
    assert statuses[404]

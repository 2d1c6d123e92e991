"""The tables of foreign clients in docs/compatibility.md: what a run of their programs reported."""

from collections.abc import Mapping

from tests.clients.catalogue import CLIENTS, KNOWN_GAPS
from tests.clients.client_program import Client
from tests.clients.matrix import FEATURES, apis_of, reason_against, ways_of
from tests.contract.proxy_process import ROOT

DOCUMENT = ROOT / "docs" / "compatibility.md"
MATRIX = "clients"
BEYOND = "what else the clients do"
WAYS = {"base_url": "base URL", "https_proxy": "proxy"}
YES, NO = "yes", "no"

type Results = Mapping[str, Mapping[str, Mapping[str, str | None]]]
"""By client, way and feature: the error, None where it works."""


def render(text: str, results: Results) -> str:
    """Return the document with both tables put between their markers."""
    matrix = [matrix_head(), *(row(client, api, results) for client in CLIENTS for api in client.apis)]
    beyond = [["client", "works", "does not, and why"], *(_row_beyond(client, results) for client in CLIENTS)]
    notes = "".join(f"{number}. {reason}\n" for reason, number in numbers_of_reasons().items())
    text = _put(text, MATRIX, f"{_table(matrix)}\n{notes}")
    return _put(text, BEYOND, _table([line for line in beyond if any(line[1:])]))


def matrix_head() -> list[str]:
    """Name the columns of the matrix."""
    return ["client", "version", "API", "way in", *FEATURES]


def row(client: Client, api: str, results: Results) -> list[str]:
    """Make the row of a client's API. Raises KeyError where a cell was not reported in each way in."""
    ways = ways_of(client, api)
    cells = []
    for feature in FEATURES:
        name = f"{api}: {feature}"
        if (reason := reason_against(client, name)) is not None:
            cells.append(f"{NO} ({numbers_of_reasons()[reason]})")
        else:
            cells.append(NO if any(results[client.folder][way][name] for way in ways) else YES)
    return [client.title, f"`{client.package}` {client.version}", api, ", ".join(WAYS[way] for way in ways), *cells]


def numbers_of_reasons() -> dict[str, int]:
    """Number the reasons below the matrix, in the order in which its cells name them."""
    named = (reason_against(client, f"{api}: {name}") for client in CLIENTS for api in client.apis for name in FEATURES)
    return {reason: number for number, reason in enumerate(dict.fromkeys(filter(None, named)), 1)}


def read_rows(text: str, name: str) -> list[list[str]]:
    """Read the cells of a table that the document has."""
    lines = text.partition(_begin(name))[2].partition(_END)[0].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


_END = "<!-- end -->\n"


def _begin(name: str) -> str:
    return f"<!-- {name}: written by scripts/clients -->\n"


def _put(text: str, name: str, table: str) -> str:
    before, begin, rest = text.partition(_begin(name))
    return f"{before}{begin}{table}{_END}{rest.partition(_END)[2]}"


def _table(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(line)} |\n" for line in rows]
    return "".join([lines[0], "|---" * len(rows[0]) + "|\n", *lines[1:]])


def _row_beyond(client: Client, results: Results) -> list[str]:
    by_way = results[client.folder]
    shown = {f"{api}: {feature}" for way in client.ways for api in apis_of(client, way) for feature in FEATURES}
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for reported in by_way.values() for name in reported if name not in shown):
        if (client.folder, name) not in KNOWN_GAPS:
            group, _, feature = name.rpartition(": ")
            groups.setdefault(group, []).append(feature)
    works = "<br>".join(": ".join(filter(None, (group, "; ".join(names)))) for group, names in groups.items())
    return [client.title, works, "<br>".join(gaps_beyond(client))]


def gaps_beyond(client: Client) -> list[str]:
    """Say what of a client does not work, of what the matrix does not show."""
    shown = {f"{api}: {feature}" for api in client.apis for feature in FEATURES}
    gaps = (name for folder, name in KNOWN_GAPS if folder == client.folder and name not in shown)
    return [f"{name}: {KNOWN_GAPS[client.folder, name]}" for name in gaps]

"""The table of foreign clients in docs/compatibility.md: what a run of their programs reported."""

from collections.abc import Mapping, Sequence

from tests.clients.catalogue import CLIENTS, KNOWN_GAPS
from tests.clients.client_program import Client
from tests.contract.proxy_process import ROOT

DOCUMENT = ROOT / "docs" / "compatibility.md"
BEGIN = "<!-- clients: written by scripts/clients -->\n"
END = "<!-- end -->\n"
HEAD = ["| client | version | way in | works | does not, and why |", "|---|---|---|---|---|"]
WAYS = {"base_url": "base URL", "https_proxy": "proxy"}

type Results = Mapping[str, Mapping[str, Mapping[str, str | None]]]
"""By client, way and feature: the error, None where it works."""


def render(text: str, results: Results) -> str:
    """Return the document with the table put between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = [f"| {' | '.join(_cells(client, results[client.folder]))} |" for client in CLIENTS]
    return f"{before}{BEGIN}{'\n'.join([*HEAD, *rows])}\n{END}{after}"


def fixed_cells(client: Client) -> tuple[str, str, str, str]:
    """Give what of a row the catalogue says alone: title, version, ways, gaps."""
    gaps = [f"{feature}: {why}" for (folder, feature), why in KNOWN_GAPS.items() if folder == client.folder]
    ways = ", ".join(WAYS[way] for way in client.ways)
    return client.title, f"`{client.package}` {client.version}", ways, "<br>".join(gaps)


def read_rows(text: str) -> list[list[str]]:
    """Read the cells of the table that the document has."""
    table = text.partition(BEGIN)[2].partition(END)[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[len(HEAD) :]]


def _cells(client: Client, by_way: Mapping[str, Mapping[str, str | None]]) -> Sequence[str]:
    title, version, ways, gaps = fixed_cells(client)
    broken = {feature for reported in by_way.values() for feature, error in reported.items() if error}
    groups: dict[str, list[str]] = {}
    for feature in dict.fromkeys(feature for reported in by_way.values() for feature in reported):
        if feature not in broken:
            group, _, name = feature.rpartition(": ")
            groups.setdefault(group, []).append(name)
    works = "<br>".join(": ".join(filter(None, (group, "; ".join(names)))) for group, names in groups.items())
    return title, version, ways, works, gaps

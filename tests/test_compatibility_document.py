"""The table of foreign clients in docs/compatibility.md is of the clients, versions and gaps of the catalogue."""

from tests.clients.catalogue import CLIENTS, KNOWN_GAPS
from tests.clients.result_table import DOCUMENT, fixed_cells, read_rows


def test_the_table_of_clients_is_that_of_the_catalogue():
    rows = read_rows(DOCUMENT.read_text(encoding="utf-8"))
    shown = [(title, version, ways, gaps) for title, version, ways, _, gaps in rows]
    assert shown == [fixed_cells(client) for client in CLIENTS], "run scripts/clients"


def test_every_client_of_the_table_has_something_that_works():
    assert all(works for _, _, _, works, _ in read_rows(DOCUMENT.read_text(encoding="utf-8")))


def test_every_gap_belongs_to_a_client():
    assert {folder for folder, _ in KNOWN_GAPS} <= {client.folder for client in CLIENTS}

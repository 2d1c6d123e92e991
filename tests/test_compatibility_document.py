"""The tables of foreign clients in docs/compatibility.md are of the catalogue's clients, versions, cells and gaps."""

from tests.clients.catalogue import CANNOT, CLIENTS, KNOWN_GAPS
from tests.clients.matrix import FEATURES, ways_of
from tests.clients.result_table import BEYOND, DOCUMENT, MATRIX, gaps_beyond, read_rows, row


def test_the_matrix_is_that_of_the_catalogue():
    works = {
        client.folder: {
            way: {f"{api}: {feature}": None for api in client.apis for feature in FEATURES} for way in client.ways
        }
        for client in CLIENTS
    }
    shown = read_rows(DOCUMENT.read_text(encoding="utf-8"), MATRIX)
    assert shown == [row(client, api, works) for client in CLIENTS for api in client.apis], "run scripts/clients"


def test_the_table_of_what_else_clients_do_names_their_gaps():
    shown = {title: gaps for title, _, gaps in read_rows(DOCUMENT.read_text(encoding="utf-8"), BEYOND)}
    expected = {client.title: "<br>".join(gaps_beyond(client)) for client in CLIENTS}
    assert shown.items() <= expected.items(), "run scripts/clients"
    assert all(title in shown for title, gaps in expected.items() if gaps), "run scripts/clients"


def test_every_client_has_a_row():
    beyond = {title for title, _, _ in read_rows(DOCUMENT.read_text(encoding="utf-8"), BEYOND)}
    assert all(client.apis or client.title in beyond for client in CLIENTS)


def test_every_gap_and_every_cell_that_is_not_filled_belongs_to_a_client():
    cells = {
        (client.folder, f"{api}: {feature}")
        for client in CLIENTS
        for api in client.apis
        if ways_of(client, api)
        for feature in FEATURES
    }
    assert CANNOT.keys() <= cells
    assert {folder for folder, _ in KNOWN_GAPS} <= {client.folder for client in CLIENTS}

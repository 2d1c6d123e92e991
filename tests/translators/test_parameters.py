"""The tables of parameters as docs/compatibility.md shows them."""

from translators.parameters import emulated, encode_summary, encode_table, ignored, mapped, refused

PARAMETERS = {
    "a": mapped("`x`"),
    "b": refused("no"),
    "c": ignored("nothing like it"),
    "d": emulated("otherwise"),
    "e": ignored("no need"),
    "b.part": refused("no"),
    "c.part": ignored("no"),
}


def test_the_summary_names_what_is_refused_and_ignored_and_no_parts():
    assert encode_summary(PARAMETERS) == "- Refused, some only with certain values: `b`\n- Ignored: `c`, `e`\n\n"


def test_the_table_has_a_row_for_each_in_their_order():
    assert encode_table(PARAMETERS).splitlines()[:4] == [
        "| parameter | class | how |",
        "|---|---|---|",
        "| `a` | mapped | `x` |",
        "| `b` | refused | no |",
    ]

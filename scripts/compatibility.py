"""Writes the tables of docs/compatibility.md from translators/*/parameters.py; --check only compares."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from translators.chat_completions import parameters as chat_completions
from translators.completions import parameters as completions
from translators.parameters import encode_summary, encode_table
from translators.responses import parameters as responses

DOCUMENT = ROOT / "docs" / "compatibility.md"
TABLES = {
    "chat completions": chat_completions.PARAMETERS,
    "responses": responses.PARAMETERS,
    "completions": completions.PARAMETERS,
}
END = "<!-- end -->\n"


def render(text: str) -> str:
    """Return the document with each table, and its summary, put between its markers."""
    for name, parameters in TABLES.items():
        begin = f"<!-- {name}: written by scripts/compatibility -->\n"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(END)
        text = f"{before}{begin}{encode_summary(parameters)}{encode_table(parameters)}{END}{after}"
    return text


def main() -> int:
    """Write the document, or with --check say whether it is up to date."""
    text = DOCUMENT.read_text(encoding="utf-8")
    new = render(text)
    if "--check" in sys.argv[1:]:
        if new != text:
            print(f"{DOCUMENT.name} is not up to date: run scripts/compatibility")
        return int(new != text)
    DOCUMENT.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

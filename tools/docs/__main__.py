"""``python -m tools.docs``: check the generated parts of all pages, or rewrite them with ``--write``."""

from __future__ import annotations

import argparse
import sys

from tools.docs.pages import ROOT, generated_pages, refreshed


def main() -> int:
    """Return 1 when a page is stale and was not to be rewritten."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--write", action="store_true", help="rewrite what is stale")
    write = parser.parse_args().write
    stale = [page for page in generated_pages() if refreshed(page) != page.read_text(encoding="utf-8")]
    for page in stale:
        if write:
            page.write_text(refreshed(page), encoding="utf-8")
        print(f"{page.relative_to(ROOT)}: {'rewritten' if write else 'stale; run: python -m tools.docs --write'}")
    return 1 if stale and not write else 0


if __name__ == "__main__":
    sys.exit(main())

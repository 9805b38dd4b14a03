"""Where the tables of the benchmarks go: between marks of a page."""

from __future__ import annotations

from pathlib import Path

from tumorkeras.files import write_whole


def put_between_marks(page: Path, mark: str, content: str) -> None:
    """Replace what stands between ``<!-- MARK -->`` and ``<!-- /MARK -->`` of a page, which must have such marks."""
    first, last = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(first)
    _, end, after = rest.partition(last)
    if not found or not end:
        raise SystemExit(f"{page} has not the marks {first} and {last}")
    write_whole(page, f"{before}{first}\n{content.strip()}\n{last}{after}")

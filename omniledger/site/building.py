"""Build the site: the report, beside dbt's docs and Great Expectations' Data Docs."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from omniledger.errors import LocalError
from omniledger.files import replacing, require_room
from omniledger.report import collect, render
from omniledger.report.rendering import placeholder
from omniledger.site import dbt_page

MODELS = Path("models", "index.html")
DATA_DOCS = Path("data_docs", "index.html")

_PLACEHOLDERS = {
    MODELS: (
        "Models",
        "Models are not described here yet",
        "A run writes this page: every model, column and source, and how they hang together.",
    ),
    DATA_DOCS: (
        "Data Docs",
        "Data Docs are not written yet",
        "The gate writes these pages: every expectation, and how the last figures met it.",
    ),
}


def build(
    connection: psycopg.Connection[Any],
    site_dir: Path,
    *,
    dbt_docs: Path | None = None,
    show_emails: bool = False,
) -> Path:
    """Build the site into `site_dir` and return its first page.

    Data Docs are expected in `site_dir/data_docs`, where the gate writes them. `dbt_docs` is dbt's
    `static_index.html`; until it is written, an earlier copy of it stays. Each page is replaced
    whole or not at all, and the report is the last.

    Raises:
        DatabaseError: the published figures can't be read.
        LocalError: the folder can't be written.
    """
    page = render(collect(connection, show_emails=show_emails))
    with _writing(site_dir):
        if dbt_docs is not None and dbt_docs.is_file():
            _write(site_dir / MODELS, dbt_page.adapt(dbt_docs.read_text(encoding="utf-8")))
        for part, (here, title, text) in _PLACEHOLDERS.items():
            if not (site_dir / part).exists():
                page_there = placeholder(title, text, home="../index.html", here=here)
                _write(site_dir / part, page_there)
        _write(site_dir / "index.html", page)
    return site_dir / "index.html"


def require_writable(site_dir: Path) -> None:
    """Ask whether pages can be written, before a run works for what it can't show.

    Raises:
        LocalError: they can't.
    """
    with _writing(site_dir):
        for folder in (site_dir, *(site_dir / part.parent for part in _PLACEHOLDERS)):
            require_room(folder)


def _write(path: Path, text: str) -> None:
    """Put a page in place in one step: a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


@contextmanager
def _writing(site_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LocalError(_sentence(error, site_dir)) from None


def _sentence(error: OSError, site_dir: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of {site_dir} is full; make room and build the site again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"The site folder {site_dir} can't be written; set OMNILEDGER_SITE_DIR to another."
    return (
        f"The site can't be written into {site_dir} ({error.strerror}); "
        "set OMNILEDGER_SITE_DIR to another folder."
    )

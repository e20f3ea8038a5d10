"""The site folder: whole pages, no dead link, and one sentence when it can't be written."""

import errno
import os
from html.parser import HTMLParser
from pathlib import Path

import pytest

from omniledger import revisions, site
from omniledger.database import connect
from omniledger.errors import LocalError
from tests.conftest import Server
from tests.pages.conftest import PUBLISHED, dbt_page


@pytest.fixture
def site_dir(tmp_path: Path) -> Path:
    return tmp_path / "site"


class Links(HTMLParser):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if tag == "a" and name == "href"]


def test_no_link_is_dead_before_the_first_run(server: Server, site_dir: Path) -> None:
    with connect(server.state("empty")) as connection:
        page = site.build(connection, site_dir)
    for file in site_dir.rglob("*.html"):
        for link in Links(file).found:
            target, _, anchor = link.partition("#")
            found = (file.parent / target) if target else file
            assert found.is_file(), link
            assert not anchor or f'id="{anchor}"' in found.read_text(encoding="utf-8"), link
    assert page == site_dir / "index.html"


def test_dbt_page_is_copied_and_stays_until_the_next(
    server: Server, site_dir: Path, tmp_path: Path
) -> None:
    with connect(server.state("empty")) as connection:
        site.build(connection, site_dir, dbt_docs=dbt_page(tmp_path))
        copied = (site_dir / "models" / "index.html").read_text(encoding="utf-8")
        site.build(connection, site_dir, dbt_docs=tmp_path / "not written yet.html")
        site.build(connection, site_dir)
    assert '"project_name": "omniledger"' in copied
    assert "cloudfront" not in copied
    assert "favicon.ico" not in copied
    assert (site_dir / "models" / "index.html").read_text(encoding="utf-8") == copied


def test_a_database_in_another_encoding_has_its_page(server: Server, site_dir: Path) -> None:
    dsn = server.new_in("LATIN1")
    revisions.upgrade(dsn)
    with connect(dsn) as connection:
        connection.execute(PUBLISHED.read_bytes().replace(rb"\u202e", b""))
        connection.execute("update analytics.dim_users set display_name = 'Jürgen'")
        connection.commit()
        page = site.build(connection, site_dir)
    assert "Jürgen" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.ENOSPC, "is full; make room"),
        (errno.EROFS, "can't be written; set OMNILEDGER_SITE_DIR"),
        (errno.EIO, "set OMNILEDGER_SITE_DIR to another folder"),
    ],
)
def test_a_page_that_cannot_be_written_leaves_the_old_one(
    server: Server,
    site_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    sentence: str,
) -> None:
    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    with connect(server.state("empty")) as connection:
        site.build(connection, site_dir)
        before = {file: file.read_bytes() for file in site_dir.rglob("*") if file.is_file()}
        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(LocalError, match=sentence):
            site.build(connection, site_dir)
    assert {f: f.read_bytes() for f in site_dir.rglob("*") if f.is_file()} == before


def test_a_file_in_the_place_of_the_folder_is_one_sentence(server: Server, site_dir: Path) -> None:
    site_dir.write_text("not a folder")
    with (
        connect(server.state("empty")) as connection,
        pytest.raises(LocalError, match="set OMNILEDGER_SITE"),
    ):
        site.build(connection, site_dir)


def test_pages_are_readable_by_whoever_may_read_the_folder(server: Server, site_dir: Path) -> None:
    with connect(server.state("empty")) as connection:
        page = site.build(connection, site_dir)
    assert page.stat().st_mode & 0o444 == 0o444

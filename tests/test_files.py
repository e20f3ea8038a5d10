"""Files that are whole whenever somebody reads them."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from omniledger.files import replacing
from tests.killing import begun

_WRITING = """
import sys
from pathlib import Path
from omniledger.files import replacing
with replacing(Path(sys.argv[1])) as draft:
    draft.write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def writer(path: Path) -> subprocess.Popen[str]:
    """A process that has begun to write a file, and goes on when its input ends."""
    return begun(_WRITING, path, says="writing")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_the_old_one_until_it_is_the_new_one(tmp_path: Path) -> None:
    page = tmp_path / "page[1].html"
    page.write_text("old")
    with replacing(page) as draft:
        draft.write_text("new")
        assert page.read_text() == "old"
    assert page.read_text() == "new"
    with pytest.raises(ZeroDivisionError), replacing(page) as draft:
        draft.write_text(str(1 / 0))
    assert page.read_text() == "new"
    assert names(tmp_path) == [page.name]


def test_what_a_killed_writer_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    page = tmp_path / "page[1].html"
    killed, at_work = writer(page), writer(page)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    with replacing(page) as draft:
        draft.write_text("new")
    assert page.read_text() == "new"
    assert names(tmp_path) == [f".{page.name}.{at_work.pid}.draft", page.name]
    at_work.communicate()
    assert (at_work.returncode, page.read_text()) == (0, "half")
    assert names(tmp_path) == [page.name]

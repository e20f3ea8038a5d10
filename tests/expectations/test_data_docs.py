"""The pages of the gate: inert, without secrets, of the newest runs, and told what only warned."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from omniledger.database import Dsn
from omniledger.errors import LocalError
from tests.conftest import Server, ask
from tests.expectations.conftest import Judge
from tests.expectations.marts import built_marts, spoil


def test_pages_need_no_network_and_no_script_and_hold_no_password(
    server: Server, judge: Judge, tmp_path: Path
) -> None:
    password = "s3cret/of:the@gate"  # noqa: S105
    spoil(
        server.dsn,
        "drop role if exists gate_reader",
        f"create role gate_reader superuser login password '{password}'",
    )
    dsn = replace(built_marts(server), user="gate_reader", password=password)

    verdict = judge(dsn)
    judge(dsn)

    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    pages = {file: file.read_text() for file in files if file.suffix == ".html"}
    suites = len({result.suite for result in verdict.results})
    assert len(pages) == 1 + suites + 2 * suites
    assert not [file for file in files if password.encode() in file.read_bytes()]
    assert password not in repr(verdict)
    assert password not in str(ask(dsn, "select to_jsonb(g)::text from ledger.gate_results g"))
    index = pages[tmp_path / "site" / "data_docs" / "index.html"]
    others = {tmp_path / "site" / part for part in ("index.html", "models/index.html")}
    for page, html in pages.items():
        assert not re.search(r"""(?:src|href)=["'](?:https?:)?//|url\(|<script|\son\w+=""", html)
        for target in re.findall(r'href="([^"#][^"]*)"', html):
            path = (page.parent / target.partition("#")[0]).resolve()
            assert target == "data:," or path.exists() or path in others
    assert index.count("daily_usage.html") >= 3
    spoil(
        server.dsn, f"reassign owned by gate_reader to {server.dsn.user}", "drop role gate_reader"
    )


def test_the_index_tells_what_only_warned_from_what_stopped(
    dsn: Dsn, judge: Judge, tmp_path: Path
) -> None:
    spoil(
        dsn,
        "insert into ledger.audit_quarantine (legacy_id, reason, row) values (1, 'odd', '{}')",
        "update analytics_build.fct_daily_usage set requests = -1",
    )
    verdict = judge(dsn)

    index = (tmp_path / "site" / "data_docs" / "index.html").read_text()
    marks = {
        suite: re.findall(r"fas (fa-[\w-]+)", row)
        for row in index.split("<tr>")
        for suite in re.findall(r'href="validations/(\w+)/', row)
    }
    severities: dict[str, set[str]] = {}
    for one in verdict.results:
        severities.setdefault(one.suite, set()).update(() if one.passed else (one.severity,))
    assert severities["audit_quarantine"] == {"warn"} and "stop" in severities["daily_usage"]
    assert marks == {
        suite: [
            "fa-times" if "stop" in failed else "fa-exclamation-triangle" if failed
            else "fa-check-circle"
        ]
        for suite, failed in severities.items()
    }  # fmt: skip


def test_pages_of_old_runs_go_and_their_verdicts_stay(
    dsn: Dsn, judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("expectations.project._KEPT_RUNS", 1)
    old, new = judge(dsn), judge(dsn)

    pages = list((tmp_path / "site" / "data_docs" / "validations").rglob("*.html"))
    assert len(pages) == len({result.suite for result in new.results})
    assert all(str(new.run_id) in str(page) for page in pages)
    kept = ask(dsn, "select distinct run_id from ledger.gate_results")
    assert set(kept) == {(old.run_id,), (new.run_id,)}


def test_pages_that_cannot_be_written_are_said(dsn: Dsn, judge: Judge, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("a file where the folder should be")

    with pytest.raises(LocalError, match="pages of the gate can't be written"):
        judge(dsn)


def test_pages_show_what_turns_text_round(dsn: Dsn, judge: Judge, tmp_path: Path) -> None:
    spoil(
        dsn,
        "update analytics_build.dim_mcp_servers set mcp_server_name = U&'files\\202Exe'",
    )
    judge(dsn)

    pages = [page.read_text() for page in (tmp_path / "site" / "data_docs").rglob("*.html")]
    assert any("files[U+202E]xe" in page for page in pages)
    assert not [page for page in pages if re.search("[\u202a-\u202e\u2066-\u2069]", page)]

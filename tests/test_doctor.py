"""What would be used and from where: nothing is started, no secret is shown."""

from __future__ import annotations

import json
from pathlib import Path

from omniledger import revisions
from omniledger.database import Dsn
from tests.conftest import Server
from tests.migrations.operator import omniledger

SECRET = "tell-nobody-4711"  # noqa: S105 (planted, to look for it)


def test_it_names_versions_settings_database_and_prefect(server: Server, tmp_path: Path) -> None:
    said = omniledger(
        server.state("investigation:upgraded"),
        "doctor",
        "--json",
        OMNILEDGER_HOME=str(tmp_path),
        OMNILEDGER_REPORTING_TIMEZONE="Europe/Berlin",
        OMNILEDGER_ALERTS=f"mailto://me:{SECRET}@example.com json://{SECRET}",
        PREFECT_API_URL="",
    )
    found = said.document()
    assert said.code == 0
    assert SECRET not in said.output
    assert found["versions"]["prefect"] == "3.8.8"
    settings = {one["variable"]: (one["value"], one["source"]) for one in found["settings"]}
    assert settings["OMNILEDGER_REPORTING_TIMEZONE"] == ("Europe/Berlin", "environment")
    assert settings["OMNILEDGER_LEGACY_SCHEMA"] == ("public", "default")
    assert settings["OMNILEDGER_ALERTS"] == ("mailto://*** json://***", "environment")
    assert settings["DATABASE_URL"][0] == found["database"]["where"]
    assert f"revision {revisions.head()} (newest" in found["database"]["state"]
    assert "no schedule is kept" in found["prefect"]["state"]
    assert found["problems"] == []


def test_what_does_not_answer_is_a_problem_and_no_secret_is_shown(tmp_path: Path) -> None:
    said = omniledger(
        Dsn("127.0.0.1", 1, "db", "me", SECRET),
        "doctor",
        OMNILEDGER_HOME=str(tmp_path),
        PREFECT_API_URL=f"http://me:{SECRET}@127.0.0.1:1/api",
    )
    assert said.code == 1
    assert "db on 127.0.0.1:1 as me: it can't be used" in said.output
    assert "nothing answers there" in said.output
    assert "No Prefect server answers at PREFECT_API_URL" in said.output
    assert SECRET not in said.output


def test_a_channel_that_is_none_is_a_problem_and_no_schedule_begins(tmp_path: Path) -> None:
    given = {
        "OMNILEDGER_HOME": str(tmp_path),
        "OMNILEDGER_ALERTS": f"json://127.0.0.1:1 nonsense://me:a {SECRET}@host",
        "PREFECT_API_URL": "",
    }
    for command, code in (("doctor", 1), ("schedule", 2)):
        said = omniledger(Dsn("127.0.0.1", 1, "db", "me"), command, **given)
        assert said.code == code
        said_so = said.output + said.refusal
        assert "its address number 2 is none that Apprise knows" in said_so
        assert SECRET not in said_so


def test_the_embedded_database_is_named_and_not_started(tmp_path: Path) -> None:
    said = omniledger(
        Dsn("", 1, "", ""), "doctor", "--json", OMNILEDGER_HOME=str(tmp_path), DATABASE_URL=""
    )
    assert said.document()["database"] == {
        "kind": "embedded",
        "where": str(tmp_path / "postgres"),
        "state": "not made yet; the first command makes it",
        "problem": "",
    }
    assert list(tmp_path.iterdir()) == []
    assert json.loads(said.output)["problems"] == []

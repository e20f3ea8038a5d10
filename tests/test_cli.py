"""What people type: help, settings, and every refusal as one sentence with its exit code."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest

from omniledger import revisions
from omniledger.cli import cli
from omniledger.database import Dsn, connect
from tests.conftest import Server, ask

SECRET = "tell-nobody-4711"  # noqa: S105 (planted, to look for it)


def run(
    *arguments: str, database: str | None = None, program: str = "omniledger", **settings: str
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, on a database."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OMNILEDGER_")}
    environment |= settings
    if database is not None:
        environment["DATABASE_URL"] = database
    return subprocess.run(
        [sys.executable, "-m", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def refusal(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence of a refusal."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stdout + done.stderr
    *_, sentence = done.stderr.strip().splitlines()
    assert sentence.startswith("omniledger: ")
    return sentence.removeprefix("omniledger: ")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", [(), *commands(cli)], ids=" ".join)
def test_every_command_explains_itself_with_an_example(path: tuple[str, ...]) -> None:
    from click.testing import CliRunner

    result = CliRunner().invoke(cli, [*path, "--help"], terminal_width=78)
    assert result.exit_code == 0
    assert "Example:" in result.output
    # What doesn't fit on the line of a group's listing is cut off there.
    assert "..." not in result.output.partition("Commands:")[2]
    example = result.output.split("Example:")[1]
    assert " ".join(("omniledger", *path)).removesuffix(" ") in example


def test_a_database_that_is_not_there_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://me:{SECRET}@127.0.0.1:{taken.getsockname()[1]}/db"
        for program, arguments in (("omniledger", "inspect"), ("alembic", "current")):
            done = run(arguments, database=url, program=program)
            assert "nothing answers there" in refusal(done, 3)


def test_a_wrong_password_is_one_sentence(server: Server) -> None:
    wrong = Dsn(server.dsn.host, server.dsn.port, server.dsn.dbname, server.dsn.user, SECRET)
    assert "refuses the user or the password" in refusal(run("inspect", database=wrong.url()), 3)


def test_a_database_that_does_not_exist_is_one_sentence(server: Server) -> None:
    url = replace(server.dsn, dbname="nowhere").url()
    assert "knows no such database" in refusal(run("inspect", database=url), 3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"DATABASE_URL": f"mysql://me:{SECRET}@host/db"}, "DATABASE_URL is no PostgreSQL address"),
        (
            {"DATABASE_URL": f"postgresql+asyncpg://me:{SECRET}@host/db?ssl=require"},
            "DATABASE_URL has the option ssl, which is a driver's own",
        ),
        ({"DATABASE_URL": f"service=prod password={SECRET}"}, "DATABASE_URL names a service"),
        ({"OMNILEDGER_REPORTING_TIMEZONE": "Mars/Base"}, "OMNILEDGER_REPORTING_TIMEZONE is wrong"),
        ({"OMNILEDGER_MATCH_WINDOW_SECONDS": "-1"}, "OMNILEDGER_MATCH_WINDOW_SECONDS is wrong"),
        ({"OMNILEDGER_HEALTH_OBJECTIVE": "much"}, "OMNILEDGER_HEALTH_OBJECTIVE is wrong"),
    ],
)
def test_a_bad_setting_is_one_sentence(settings: dict[str, str], said: str) -> None:
    assert said in refusal(run("inspect", **settings), 2)


def test_nothing_runs_on_a_database_without_a_gateway(server: Server) -> None:
    url = server.state("empty").url()
    assert run("inspect", database=url).returncode == 1
    assert "run `alembic upgrade head` first" in refusal(run("run", database=url), 4)


def test_what_can_not_be_seen_is_never_in_order(server: Server) -> None:
    dsn = server.state("investigation:upgraded")
    role = f"blind_{dsn.dbname}"
    ask(dsn, f"create role {role} login password '{SECRET}'")
    try:
        blind = Dsn(dsn.host, dsn.port, dsn.dbname, role, SECRET)
        done = run("inspect", database=blind.url())
        assert done.returncode == 2
        assert "permission denied" in done.stdout
        refusal(run("run", database=blind.url()), 4)
        refusal(run("upgrade", "head", database=blind.url(), program="alembic"), 4)
    finally:
        ask(dsn, f"drop role {role}")


def test_alembic_by_hand_upgrades_says_where_it_is_and_goes_back(server: Server) -> None:
    url = server.state("investigation").url()

    def alembic(*arguments: str) -> str:
        done = run(*arguments, database=url, program="alembic")
        assert done.returncode == 0, done.stderr
        return done.stdout

    alembic("upgrade", "head")
    head = revisions.head()
    assert f"{head} (head)" in alembic("current")
    assert "No new upgrade operations detected" in alembic("check")
    assert f"-> {head} (head)" in alembic("history")
    alembic("downgrade", "0006")
    assert "0006" in alembic("current")
    assert "create schema if not exists ledger" in alembic("upgrade", "head", "--sql").lower()


def test_a_revision_that_was_lost_is_said_again(server: Server) -> None:
    dsn = server.state("empty:upgraded")
    ask(dsn, "delete from ledger.alembic_version")
    lost = run("upgrade", "head", database=dsn.url(), program="alembic")
    assert "only the revision was lost, `alembic stamp" in refusal(lost, 4)
    assert "The revision is lost" in refusal(run("runs", database=dsn.url()), 4)
    assert run("stamp", "head", database=dsn.url(), program="alembic").returncode == 0
    assert ask(dsn, "select version_num from ledger.alembic_version") == [(revisions.head(),)]


def test_alembic_check_ends_as_our_own_commands_do(server: Server) -> None:
    def checked(dsn: Dsn, code: int) -> str:
        return refusal(run("check", database=dsn.url(), program="alembic"), code)

    dsn = server.state("empty:upgraded")
    ask(dsn, "alter table ledger.runs add column extra text")
    assert "the column extra of ledger.runs is not of the upgrade. Take it back" in checked(dsn, 1)
    ask(dsn, "update ledger.alembic_version set version_num = '0030'")
    assert "at revision 0030, not at" in checked(dsn, 4)
    assert "run `alembic upgrade head` first" in checked(server.state("empty"), 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,c\n1,2,3\n", "its first line must be TIMESTAMP,ContextTokens,GeneratedTokens"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "holds no request"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2024-01-01,1,2\nx,1,2\n", "Line 3 of"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2024-01-01,-1,2\n", "Line 2 of"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2024-01-01,1.5,2\n", "Line 2 of"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n0001-01-01T00:00+05:00,1,2\n", "Line 2 of"),
    ],
)
def test_a_broken_trace_is_named_and_nothing_is_loaded(
    server: Server, tmp_path: Path, text: str, said: str
) -> None:
    dsn = server.state("empty")
    trace = tmp_path / "trace.csv"
    trace.write_text(text)
    assert said in refusal(run("demo", "--trace", str(trace), database=dsn.url()), 7)
    assert ask(dsn, "select to_regnamespace('omni2') is null") == [(True,)]


def test_the_demo_refuses_somebodys_data(server: Server) -> None:
    dsn = server.state("investigation")
    said = refusal(run("demo", database=dsn.url()), 4)
    assert "data that is not the demo's" in said and "OMNILEDGER_HOME" in said
    assert ask(dsn, "select count(*) from public.audit_logs") == [(11,)]


def test_a_busy_port_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("a site")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("site", "serve", "--port", port, OMNILEDGER_SITE_DIR=str(tmp_path))
        assert port in refusal(done, 8)


def test_a_site_folder_that_can_not_be_written_is_one_sentence(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "site").write_text("a file, no folder")
    done = run(
        "site",
        "build",
        database=server.state("empty:upgraded").url(),
        OMNILEDGER_SITE_DIR=str(tmp_path / "site"),
    )
    assert str(tmp_path / "site") in refusal(done, 8)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_one_sentence(server: Server, how: signal.Signals) -> None:
    dsn = server.state("investigation:upgraded")
    with connect(dsn) as holder:
        holder.execute("lock table ledger.merge_runs, omni2.audit_logs in access exclusive mode")
        waiting = subprocess.Popen(
            [sys.executable, "-m", "omniledger", "inspect", "--log-format", "json"],
            env={**os.environ, "DATABASE_URL": dsn.url()},
            stderr=subprocess.PIPE,
            text=True,
        )
        while not ask(
            dsn,
            "select true from pg_stat_activity"
            " where datname = %s and application_name = 'omniledger' and wait_event_type = 'Lock'",
            dsn.dbname,
        ):
            assert waiting.poll() is None
        waiting.send_signal(how)
        _, said = waiting.communicate(timeout=20)
    assert waiting.returncode == 130
    [line] = said.splitlines()
    assert json.loads(line)["event"].endswith("it goes on where it was.")

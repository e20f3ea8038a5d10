"""How commands speak: lines or JSON, quiet, without colour; completion, exit codes, examples."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from omniledger import errors, screen
from omniledger.cli import EPILOG, cli
from omniledger.database import connect
from omniledger.settings import PROJECT_DIR
from tests.conftest import Server, ask
from tests.migrations.operator import omniledger
from tests.test_cli import SECRET, commands, run

OPERATIONS = PROJECT_DIR / "docs" / "operations.md"


@pytest.fixture
def speak(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(screen, "_settings", lambda: ("json", False))
    return monkeypatch


def test_as_json_each_line_has_time_level_event_and_run(
    speak: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = screen.run_at_work.set("run-1")
    with screen.step("figures judged") as told:
        told("112 expectations")
    screen.run_at_work.reset(said)
    screen.refuse(f"postgresql://me:{SECRET}@host/db is no good.", 3)
    judged, refused = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (judged["level"], judged["event"], judged["run"]) == ("info", "figures judged", "run-1")
    assert (judged["detail"], judged["seconds"] >= 0) == ("112 expectations", True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", judged["time"])
    assert (refused["level"], refused["run"], refused["exit_code"]) == ("error", None, 3)
    assert SECRET not in refused["event"]


def test_an_upgrade_speaks_json_or_is_quiet(server: Server) -> None:
    dsn = server.state("investigation")
    done = run(
        "upgrade", "0007", database=dsn.url(), program="alembic", OMNILEDGER_LOG_FORMAT="json"
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert "Merge: copying." in events
    done = run("upgrade", "head", database=dsn.url(), program="alembic", OMNILEDGER_QUIET="true")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_stranger_s_name_in_what_an_upgrade_says_is_text(server: Server, form: str) -> None:
    dsn = server.state("investigation")
    name = "a\x1b[2J\x9b\u202e"
    ask(dsn, f'create materialized view public."{name}" as select id from public.audit_logs')
    done = run("upgrade", "head", database=dsn.url(), program="alembic", OMNILEDGER_LOG_FORMAT=form)
    assert done.returncode == 4
    assert "a[U+001B][2J[U+009B][U+202E]" in done.stderr
    assert not {"\x1b", "\x9b", "\u202e"} & set(done.stderr)


def test_no_password_is_said_to_a_person_either(capsys: pytest.CaptureFixture[str]) -> None:
    screen.refuse(f"postgresql://me:{SECRET}@host/db is no good.", 3)
    said = capsys.readouterr().err
    assert said.startswith("omniledger: postgresql://me:")
    assert SECRET not in said


def test_a_refusal_is_json_too_and_quiet_does_not_silence_it(server: Server) -> None:
    done = run("run", "--quiet", "--log-format", "json", database=server.state("empty").url())
    [line] = done.stderr.splitlines()
    assert json.loads(line)["exit_code"] == done.returncode == 4


def test_a_wrong_option_is_json_too() -> None:
    done = run("runs", "--limit", "0", OMNILEDGER_LOG_FORMAT="json")
    [line] = done.stderr.splitlines()
    assert json.loads(line)["exit_code"] == done.returncode == 2
    assert "0 is not in the range" in json.loads(line)["event"]


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color_on_a_terminal(server: Server, no_color: str) -> None:
    terminal, screen_of_it = os.openpty()
    environment = {**os.environ, "DATABASE_URL": server.state("empty").url(), "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    if no_color:
        environment["NO_COLOR"] = no_color
    command = [sys.executable, "-m", "omniledger", "inspect"]
    with subprocess.Popen(command, env=environment, stdout=screen_of_it) as inspecting:
        os.close(screen_of_it)
        said = b""
        while True:
            try:
                said += os.read(terminal, 65536)
            except OSError:
                # The other end is closed: all is said.
                break
    os.close(terminal)
    assert inspecting.returncode == 1
    assert (b"\x1b[" in said) is not bool(no_color)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(server: Server, shell: str) -> None:
    said = omniledger(server.dsn, "completion", shell).output
    assert "_OMNILEDGER_COMPLETE" in said
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=said, text=True, check=True)


def test_completion_knows_commands_and_options() -> None:
    done = run(
        _OMNILEDGER_COMPLETE="bash_complete", COMP_WORDS="omniledger runs --l", COMP_CWORD="2"
    )
    assert done.stdout.splitlines() == ["plain,--limit", "plain,--log-format"]


def exit_codes() -> dict[int, str]:
    """The table in the docs."""
    table = OPERATIONS.read_text().partition("## Exit codes")[2].partition("\n## ")[0]
    return {int(code): what for code, what in re.findall(r"^\| (\d+) \| (.+?) \|", table, re.M)}


def test_exit_codes_are_those_of_the_table() -> None:
    kinds = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.OmniledgerError)
    }
    of_signals_and_of_alembic = {0, 130, 141, 255}
    assert set(exit_codes()) == of_signals_and_of_alembic | kinds
    told = {int(code) for code in re.findall(r"\b(\d+) [a-z]", EPILOG)}
    assert told == set(exit_codes()) - {141, 255}


def test_a_reader_who_has_gone_is_told_nothing(server: Server) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "omniledger", "prices", "list"],
        env={**os.environ, "DATABASE_URL": server.state("investigation:upgraded").url()},
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_letters_that_a_terminal_has_not_are_told_by_their_numbers(server: Server) -> None:
    dsn = server.state("investigation:upgraded")
    event = "insert into ledger.alerts (kind, subject, sentence) values ('silence', '7', %s)"
    ask(dsn, event, "nobody checks ☃")
    said = run("alerts", "list", database=dsn.url(), PYTHONIOENCODING="latin-1:strict")
    assert (said.returncode, r"checks \u2603" in said.stdout) == (0, True), said.stderr


def test_work_goes_on_where_nobody_reads_what_is_said() -> None:
    """As of a run in a pipe to `head`, or whose log is on a disk that is full."""
    reading, writing = os.pipe()
    os.close(reading)
    work = "from omniledger.screen import say; say('one'); say('two'); print('done')"
    done = subprocess.run(
        [sys.executable, "-c", work], stdout=subprocess.PIPE, stderr=writing, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stdout) == (0, b"done\n")


IN_TESTS_OF_THEIR_OWN = {
    "demo": "test_pipeline.py",
    "run": "test_pipeline.py",
    "schedule": "scheduling/test_schedule.py",
    "site serve": "test_pipeline.py",
    "bill fetch": "bill/test_fetching.py",
    "db start": "test_pipeline.py",
    "db stop": "test_pipeline.py",
    "db status": "test_embedded.py",
    "db psql": "test_embedded.py",
    "alerts test": "alerts/test_mail.py",
    "analytics attach": "analytics/test_commands.py",
}
"""Commands that serve, go to the network or move a server: run as their examples say there."""

ANSWERS = {
    "inspect": 1,
    "analytics detach": 4,
    "analytics status": 1,
    "export focus": 4,
    "gate explain": 4,
    "prune": 4,
    "publish": 4,
}
"""What an example ends with on a database that no run has filled, where it is not 0."""


BILLS = {
    "usage_report.json": "usage-1.json",
    "console_usage.csv": "usage-2.json",
    "cost_report.json": "cost.csv",
}
"""Samples, under the names that the example of `bill import` gives its files."""


def examples(path: tuple[str, ...]) -> list[str]:
    from click.testing import CliRunner

    shown = CliRunner().invoke(cli, [*path, "--help"]).output
    block = shown.split("Example:\n")[1].split("\n\n")[0]
    return [line.strip() for line in block.splitlines()]


def leaves() -> list[tuple[str, ...]]:
    found = list(commands(cli))
    groups = {path[:-1] for path in found}
    return [path for path in found if path not in groups]


def test_every_example_runs_as_it_is_printed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = server.state("investigation:upgraded")
    with connect(dsn) as connection:
        connection.execute("insert into public.users (id, email) values (17, 'x@example.com')")
    for sample, name in BILLS.items():
        shutil.copy(PROJECT_DIR / "samples" / "bill" / sample, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    places = {
        "OMNILEDGER_HOME": str(tmp_path / "home"),
        "OMNILEDGER_SITE_DIR": str(tmp_path / "site"),
    }
    ran = set()
    for path in leaves():
        name = " ".join(path)
        if name in IN_TESTS_OF_THEIR_OWN:
            continue
        for example in examples(path):
            inner = re.search(r"\$\((omniledger [^)]*)\)", example)
            words = shlex.split(inner[1] if inner else example.partition(" | ")[0])
            assert words[0] == "omniledger", example
            said = omniledger(dsn, *words[1:], **places)
            assert said.code == ANSWERS.get(name, 0), (example, said)
            assert said.output or said.refusal, example
            ran.add(name)
    assert ran | set(IN_TESTS_OF_THEIR_OWN) == {" ".join(path) for path in leaves()}

"""No password leaves the settings, and nothing that a stranger wrote does more than stand there."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jinja2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omniledger.alerts.channels import write
from omniledger.alerts.record import News
from omniledger.cells import cell
from omniledger.masking import masked
from omniledger.settings import PROJECT_DIR
from omniledger.strangers import SafeOutput, visible
from tests.conftest import Server, ask

PLANTED = {name: f"tell-nobody-{name}-4711" for name in ("database", "alerts", "prefect")}
COMMANDS = (
    ("doctor",),
    ("inspect", "--json"),
    ("alerts", "test"),
    ("alerts", "list"),
    ("schedule", "--status"),
    ("users", "list"),
    ("prune", "--keep-days", "400", "--dry-run"),
    ("site", "build"),
    ("run",),
)
NASTY = "\x1b]0;owned\x07\x1b[2J\u202eevil\x9b31m<script>alert(1)</script>"


@pytest.mark.slow
def test_no_command_tells_a_planted_secret(server: Server, tmp_path: Path) -> None:
    """Of three kinds, on the screen, in logs, and on pages; what strangers wrote is text there."""
    dsn = server.state("investigation:upgraded")
    role, secret = f"keeper_{dsn.dbname}", PLANTED["database"]
    ask(dsn, f"create role {role} superuser login password '{secret}'")
    email = "select id from public.users limit 1"
    ask(dsn, f"update public.users set email = %s where id = ({email})", NASTY)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("OMNILEDGER_", "PREFECT_"))},
        "DATABASE_URL": replace(dsn, user=role, password=secret).url(),
        "OMNILEDGER_ALERTS": f"json://me:{PLANTED['alerts']}@127.0.0.1:9/hook",
        "PREFECT_API_URL": f"http://me:{PLANTED['prefect']}@127.0.0.1:9/api",
        "OMNILEDGER_HOME": str(tmp_path / "home"),
        "OMNILEDGER_SITE_DIR": str(tmp_path / "site"),
        "OMNILEDGER_TRACEBACK": "",
    }
    del environment["OMNILEDGER_TRACEBACK"]
    said = {}
    for command in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "omniledger", *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        said[command] = done.stdout + done.stderr
        assert said[command], command
        assert "Traceback" not in said[command], said[command]
    written = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    for planted in PLANTED.values():
        assert [command for command, text in said.items() if planted in text] == []
        assert [path for path, content in written.items() if planted.encode() in content] == []
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0
    assert "[U+001B]" in said["users", "list"]
    assert all("\x1b]" not in text and "\u202e" not in text for text in said.values())
    ask(dsn, f"drop role {role}")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:{}@host/db",
        "postgresql://me:an@{}@host/db",
        "postgresql://me:a/b@{}@host/db",
        "postgresql://me@corp:{}@host/db",
        "postgresql+psycopg://me:{}@host:5432/db?sslmode=require",
        "postgresql://host/db?user=me&password={}",
        "host=h user=me password={} dbname=d",
        "host=h password = '{}' dbname=d",
        "json://me:{}@127.0.0.1/hook",
        "https://{}@host/api",
        "https://an@{}@host/api",
        "https://host/sse?api-key={}",
        '{{"error": 401, "api_key": "{}"}}',
        "{{'Authorization': 'Bearer {}', 'x': 1}}",
        '{{"Authorization":"Bearer x","password":"a {}"}}',
        r"{{\"access_token\":\"{}\"}}",
        "the header Authorization: Bearer {}",
        "X-Api-Key: {}",
        "password: {}",
        "AWS_SECRET_ACCESS_KEY={}",
        'password="a {}"',
        r'{{"password": "a\"{}"}}',
        "passphrase={}",
        "Unexpected token: {}",
        "unexpected token: 'a {}'",
        'unexpected token: "{}"',
        "unexpected token: x token: {}",
    ],
)
def test_every_spelling_of_a_password_is_masked(url: str) -> None:
    said = masked(f"Can't use {url.format('tell-nobody')}; look there.")
    assert "tell-nobody" not in said
    assert said.endswith("look there.")


@pytest.mark.parametrize("sign", ["<", "}}", "x", "EOF", "'<'", '"x"'])
def test_a_sign_that_a_parser_did_not_expect_is_no_secret(sign: str) -> None:
    for said in (f"Unexpected token: {sign}", f"SyntaxError: unexpected token: {sign} at 1:2"):
        assert masked(said) == said


PIECES = [
    *("Unexpected token: ", "token: 'x' "),
    *("password", "TOKEN=", "api_key = ", "Authorization: ", "bearer ", '"secret": ', "https://"),
    *("db://u:", "'x y'", *"aB1'@:/ =\n_.\"\\-"),
]


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), max_size=50))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_comes_into_the_marts_is_masked_as_what_commands_say(
    server: Server, texts: list[str]
) -> None:
    macro = (PROJECT_DIR / "macros" / "masked.sql").read_text()
    template = jinja2.Environment().from_string(macro + "{{ masked('said') }}")  # noqa: S701 (SQL)
    query = f"select array(select {template.render()} from unnest(%s::text []) as said)"
    assert ask(server.dsn, query, texts) == [([masked(text) for text in texts],)]


class Kept:
    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)


@given(st.text())
def test_a_terminal_gets_lines_and_colours_and_no_other_control(text: str) -> None:
    kept = Kept()
    SafeOutput(kept).write(f"\x1b[32m\x1b[1mok\x1b[0m {text}{NASTY}\tend\n")  # type: ignore[arg-type]
    assert kept.text.startswith("\x1b[32m\x1b[1mok\x1b[0m ")
    rest = kept.text.removeprefix("\x1b[32m\x1b[1mok\x1b[0m ")
    assert "\x1b]" not in rest and "\x1b[2J" not in rest and "\x9b" not in rest
    assert "\u202e" not in rest and "\x07" not in rest
    assert rest.endswith("<script>alert(1)</script>\tend\n")


def test_an_alert_is_text() -> None:
    body = write([News(1, "quota", f"user {NASTY}", False, False, [])]).body
    assert visible(NASTY).replace("<", "(").replace(">", ")") in body
    assert "\x1b" not in body


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\n"])
def test_a_cell_of_csv_is_no_formula(start: str) -> None:
    assert cell(f"{start}HYPERLINK(1)") == f"'{start}HYPERLINK(1)"


@given(st.text())
def test_a_cell_of_csv_says_nothing_to_a_terminal(text: str) -> None:
    said = cell(f"a{text}{NASTY}\r")
    assert not {"\x1b", "\x9b", "\x07", "\u202e", "\r"} & set(said)
    assert said.endswith("<script>alert(1)</script>[U+000D]")

"""The inspection as people and programs see it."""

import json
from dataclasses import asdict

import click

from omniledger.database import session, target
from omniledger.inspection.findings import Finding, State, exit_code
from omniledger.inspection.questions import ask
from omniledger.settings import get_settings

_MARKS = {State.IN_ORDER: "ok", State.DRIFT: "drift", State.CANNOT_TELL: "?"}
_COLOURS = {State.IN_ORDER: "green", State.DRIFT: "yellow", State.CANNOT_TELL: "red"}

STATEMENT_TIMEOUT_MS = 60_000
"""How long one question may take on a busy database."""


def inspect_database(as_json: bool) -> int:
    """Ask, print, and give the exit code.

    Raises:
        DatabaseError: the database can't be reached.
    """
    dsn = target()
    with session(dsn, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = on")
        connection.execute(f"set statement_timeout = {STATEMENT_TIMEOUT_MS}".encode())
        findings = ask(connection, get_settings())
    if as_json:
        click.echo(json.dumps({"database": dsn.safe(), "findings": _documents(findings)}, indent=2))
    else:
        click.echo(f"{dsn.safe()}\n")
        for finding in findings:
            _show(finding)
    return exit_code(findings)


def _documents(findings: list[Finding]) -> list[dict[str, str]]:
    return [asdict(finding) for finding in findings]


def _show(finding: Finding) -> None:
    mark = click.style(f"{_MARKS[finding.state]:>5}", fg=_COLOURS[finding.state], bold=True)
    click.echo(f"{mark}  {finding.question} {finding.evidence}")
    if finding.advice:
        click.echo(f"       {finding.advice}")

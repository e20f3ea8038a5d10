"""The inspection as people and programs see it."""

from __future__ import annotations

import shutil
import sys
import textwrap
from dataclasses import asdict
from typing import Any

import click
import psycopg

from omniledger.analytics.link import require_own
from omniledger.database import Dsn, session, target
from omniledger.documents import print_document
from omniledger.inspection.findings import Finding, State, exit_code
from omniledger.inspection.looking import Look
from omniledger.inspection.questions import ask
from omniledger.settings import get_settings

_MARKS = {State.IN_ORDER: "ok", State.DRIFT: "drift", State.CANNOT_TELL: "?"}
_COLOURS = {State.IN_ORDER: "green", State.DRIFT: "yellow", State.CANNOT_TELL: "red"}

_QUESTION_WIDTH = 38


def inspect_database(*, as_json: bool, is_exact: bool = False, watch_seconds: float = 0) -> int:
    """Ask, print, and give the exit code.

    Raises:
        DatabaseError: the database can't be reached.
    """
    dsn = target()
    with session(dsn, autocommit=True) as connection:
        require_own(connection)
        look = Look(connection, get_settings(), is_exact, watch_seconds)
        findings = ask(look)
        found = document(dsn, look, findings)
    if as_json:
        print_document(found)
    else:
        _show(dsn, look, findings)
    return exit_code(findings)


def document(dsn: Dsn, look: Look, findings: list[Finding]) -> dict[str, Any]:
    """What programs read; `schema.json` beside this module describes it."""
    return {
        "database": dsn.safe(),
        "inspected_at": look.now.isoformat(),
        "revision": _revision(look),
        "is_exact": look.is_exact,
        "exit_code": exit_code(findings),
        "lacking_rights": [f.question for f in findings if f.lacks_rights],
        "findings": [asdict(finding) for finding in findings],
    }


def _revision(look: Look) -> str | None:
    try:
        return look.revision
    except psycopg.errors.InsufficientPrivilege:
        return None


def _show(dsn: Dsn, look: Look, findings: list[Finding]) -> None:
    # Only a person's terminal has an edge to break lines at.
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100_000
    width = max(columns - _QUESTION_WIDTH - 9, 30)
    click.echo(f"{dsn.safe()}\n")
    for finding in findings:
        mark = click.style(f"{_MARKS[finding.state]:>5}", fg=_COLOURS[finding.state], bold=True)
        lines = textwrap.wrap(finding.evidence, width)
        if finding.state != State.IN_ORDER or finding.advice:
            for word, text in (("means", finding.meaning), ("do", finding.advice)):
                lines += textwrap.wrap(f"{word}: {text}", width) if text else []
        click.echo(f"{mark}  {finding.question:<{_QUESTION_WIDTH}}  {lines[0] if lines else ''}")
        for line in lines[1:]:
            click.echo(f"{'':>{_QUESTION_WIDTH + 9}}{line}")
    for note in _notes(look, findings):
        click.echo(f"\n{note}")


def _notes(look: Look, findings: list[Finding]) -> list[str]:
    notes = []
    estimates = sorted(
        {figure.name for finding in findings for figure in finding.figures if not figure.is_exact}
    )
    if estimates:
        ways_on = "`--watch` sees more writes"
        if not look.is_exact:
            ways_on = f"`--exact` counts rows; {ways_on}"
        notes.append(f"Estimates: {', '.join(estimates)}. {ways_on}.")
    unseen = [finding.question for finding in findings if finding.lacks_rights]
    if unseen:
        notes.append(f"Not answered for want of rights: {' '.join(unseen)}")
    return notes

"""What a command says on stderr while it works: lines for a person, or JSON for a log collector.

What it finds out goes to stdout and is none of this module's business.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from omniledger.errors import SettingsError
from omniledger.masking import masked
from omniledger.strangers import visible

run_at_work: ContextVar[str | None] = ContextVar("run_at_work", default=None)
"""The run of `ledger.runs` that what is said belongs to."""

_LOUD = ("warning", "error")
"""The levels that `--quiet` leaves."""


def is_json() -> bool:
    """Whether each line is a JSON object (`--log-format json`)."""
    return _settings()[0] == "json"


def is_quiet() -> bool:
    """Whether only warnings and errors are said (`--quiet`)."""
    return _settings()[1]


def is_for_a_person() -> bool:
    """Whether a bar or a spinner has somebody to look at it."""
    return sys.stderr.isatty() and not is_json() and not is_quiet()


def _settings() -> tuple[str, bool]:
    from omniledger.settings import get_settings

    try:
        settings = get_settings()
    except SettingsError:
        # That a setting is wrong has to be said too.
        return os.environ.get("OMNILEDGER_LOG_FORMAT", "text"), False
    return settings.log_format, settings.quiet


def say(event: str, *, level: str = "info", **facts: object) -> None:
    """Say one thing in a line: to a person the event alone; as JSON with time, level, run, facts.

    Without the passwords in the event, and what strangers wrote does nothing in it.
    """
    if is_quiet() and level not in _LOUD:
        return
    event = visible(masked(event))
    try:
        sys.stderr.write(f"{_as_json(event, level, facts) if is_json() else event}\n")
        sys.stderr.flush()
    except OSError:
        # Whoever read it has gone, or the disk of a log is full: no reason to leave work undone.
        _fall_silent()


def _fall_silent() -> None:
    """Say nothing from now on; what is still to be written would fail again at the exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stderr.fileno())
    os.close(nowhere)


def refuse(sentence: str, exit_code: int) -> None:
    """Say why a command ends with an exit code."""
    if is_json():
        say(sentence, level="error", exit_code=exit_code)
    else:
        say(f"omniledger: {sentence}", level="error")


def _as_json(event: str, level: str, facts: dict[str, Any]) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"time": now, "level": level, "event": event, "run": run_at_work.get(), **facts}
    return json.dumps(line, default=str, ensure_ascii=False)


@contextmanager
def step(name: str) -> Iterator[Callable[[str], None]]:
    """Show a step: a spinner while it runs on a terminal, a line when it is done."""
    said: list[str] = []
    began = time.monotonic()
    with _spinner(name):
        yield said.append
    seconds = time.monotonic() - began
    if is_json():
        say(name, seconds=round(seconds, 3), detail=", ".join(said))
    else:
        what = f": {', '.join(said)}" if said else ""
        say(f"  {name}{what} ({seconds:.1f} s)")


@contextmanager
def _spinner(name: str) -> Iterator[None]:
    if not is_for_a_person():
        yield
        return
    from rich.console import Console

    with Console(stderr=True, highlight=False).status(f"{name} …"):
        yield


class _Handler(logging.Handler):
    """Python's own log records, said as everything else is."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage(), level=record.levelname.lower(), logger=record.name)


def show_logs(*names: str) -> None:
    """Let what these loggers log be said, from their information on."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(_Handler())
    for name in names:
        logging.getLogger(name).setLevel(logging.INFO)

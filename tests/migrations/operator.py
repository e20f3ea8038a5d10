"""The command line as an operator types it, in this process, and a merge for it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from click.testing import CliRunner

from omniledger import revisions
from omniledger.cli import cli
from omniledger.database import Dsn, target
from omniledger.errors import OmniledgerError
from omniledger.settings import get_settings
from tests.conftest import Server

CERTIFICATE = "11 old rows = 7 copied + 2 matched + 2 in quarantine; proved to the last digit"
"""What is told of the merge of `put_off`, and of that of the state `investigation`."""


def put_off(server: Server) -> Dsn:
    """A database in the state `investigation` that is upgraded, but for the merge."""
    name = "investigation:later"
    if name not in server.templates:
        server.templates[name] = server.state("investigation")
        revisions.upgrade(server.templates[name], "head", "merge=later")
    return server.state(name)


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code; the sentence of its refusal, if any."""

    code: int
    output: str
    refusal: str = ""

    def document(self) -> Any:
        """The JSON that it printed."""
        return json.loads(self.output)


@contextmanager
def _settings(dsn: Dsn, **settings: str) -> Iterator[None]:
    with mock.patch.dict(os.environ, {"DATABASE_URL": dsn.url(), **settings}):
        for cached in (get_settings, target):
            cached.cache_clear()
        try:
            yield
        finally:
            for cached in (get_settings, target):
                cached.cache_clear()


def omniledger(dsn: Dsn, *arguments: str, **settings: str) -> Said:
    """Run a command on a database."""
    with _settings(dsn, **settings):
        result = CliRunner().invoke(cli, arguments)
    if isinstance(result.exception, OmniledgerError):
        return Said(result.exception.exit_code, result.stdout, str(result.exception))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Said(result.exit_code, result.stdout)

"""The options that every command takes, wherever they stand on the line."""

from __future__ import annotations

import os
from typing import Any

import click


def _set(variable: str) -> Any:
    """A callback that says an option as its variable, which child processes read too."""

    def callback(_: click.Context, __: click.Parameter, value: object) -> None:
        if value:
            os.environ[variable] = str(value).lower()

    return callback


def _options() -> list[click.Option]:
    return [
        click.Option(
            ["--quiet"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_set("OMNILEDGER_QUIET"),
            help="Say results, warnings and errors only.",
        ),
        click.Option(
            ["--log-format"],
            type=click.Choice(["text", "json"]),
            expose_value=False,
            is_eager=True,
            callback=_set("OMNILEDGER_LOG_FORMAT"),
            help="How progress and errors are written to stderr. Default: text.",
        ),
    ]


def give_common_options(command: click.Command) -> None:
    """Give a command, and all below it, `--quiet` and `--log-format`."""
    if not command.ignore_unknown_options:
        command.params.extend(_options())
    if isinstance(command, click.Group):
        for below in command.commands.values():
            give_common_options(below)

"""`omniledger completion`: what makes a shell complete the commands."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes the shell complete commands. Load it in the shell's profile.

    \b
    Example:
      eval "$(omniledger completion bash)"
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is not None:
        root = context.find_root().command
        click.echo(kind(root, {}, "omniledger", "_OMNILEDGER_COMPLETE").source())

"""What a person sees of a run: a line for each step, with what it did and how long it took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def step(name: str) -> Iterator[Callable[[str], None]]:
    """Show a step: a spinner while it runs on a terminal, a line when it is done."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    said: list[str] = []
    began = time.monotonic()
    with console.status(f"{name} …") if console.is_terminal else _nothing():
        yield said.append
    what = f": {', '.join(said)}" if said else ""
    console.print(f"  {name}{what} ({time.monotonic() - began:.1f} s)", markup=False)


@contextmanager
def _nothing() -> Iterator[None]:
    yield

"""The collector of a process that imports hundreds of modules."""

import atexit
import gc


def collect_seldom() -> None:
    """Spare the collector millions of objects that live as long as this process.

    The libraries' modules are all that there is much of; walking them again and again costs up to a
    quarter of a process's time, and at the end the interpreter would do it once more.
    """
    gc.set_threshold(100_000, 50, 100)
    atexit.register(gc.freeze)

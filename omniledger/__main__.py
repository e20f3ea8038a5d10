"""The command `omniledger`, which turns every error into one line and an exit code."""

import os
import signal
import sys
from contextlib import suppress
from io import TextIOWrapper
from types import FrameType

from omniledger.errors import OmniledgerError

INTERRUPTED = 130


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    """End as after Ctrl-C: what was started is stopped, what was begun is recorded."""
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; what a person reads of an error is one sentence."""
    signal.signal(signal.SIGTERM, _interrupt)
    import click

    from omniledger.cli import cli
    from omniledger.strangers import SafeOutput

    if isinstance(sys.stdout, TextIOWrapper):
        # Strangers write letters that a terminal of another encoding has not.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout = SafeOutput(sys.stdout)

    try:
        # Click itself does not know the convention of https://no-color.org.
        is_plain = False if os.environ.get("NO_COLOR") else None
        cli(prog_name="omniledger", standalone_mode=False, color=is_plain)
    except click.ClickException as error:
        from omniledger.screen import is_json

        if is_json():
            _stop(error.format_message(), error.exit_code)
        error.show()
        sys.exit(error.exit_code)
    except OmniledgerError as error:
        _stop(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _stop("Interrupted; run the command again, it goes on where it was.", INTERRUPTED)
    except SystemExit as ended:
        # Click makes 1 of it, which would be a finding.
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        # Whoever read our output has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if "OMNILEDGER_TRACEBACK" in os.environ:
            raise
        _stop_unforeseen(error)


def _stop_unforeseen(error: Exception) -> None:
    # psycopg is imported where there was a database to speak to, and only there.
    if "psycopg" in sys.modules:
        from omniledger.database import target
        from omniledger.explaining import explained

        # Where the address itself is wrong, no database has said anything.
        with suppress(OmniledgerError):
            known = explained(error, target())
            if known is not None:
                _stop(str(known), known.exit_code)
    said = (str(error).strip().splitlines() or [""])[0]
    _stop(
        f"Something unforeseen went wrong ({type(error).__name__}: {said}); "
        "set OMNILEDGER_TRACEBACK=1 to see where.",
        1,
    )


def _stop(sentence: str, code: int) -> None:
    from omniledger.screen import refuse

    refuse(sentence, code)
    sys.exit(code)


if __name__ == "__main__":
    main()

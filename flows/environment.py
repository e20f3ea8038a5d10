"""What Prefect has to be told before it is imported."""

import os
import warnings
from pathlib import Path

from omniledger.errors import LocalError
from omniledger.garbage import collect_seldom
from omniledger.ports import keep_from_proxy
from omniledger.scheduling.prefect_server import SILENT
from omniledger.settings import Settings


def prepare(settings: Settings) -> None:
    """Set Prefect up for this process: state of its own, no call home, no traceback on the screen.

    What the operator has set stays.

    Raises:
        LocalError: the folder of its state can't be made.
    """
    defaults = {
        "PREFECT_HOME": str(settings.home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # A busy machine takes longer than the 20 s that are given by default.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "PREFECT_SERVER_LOGGING_LEVEL": SILENT,
        # Our own sentence says what went wrong; the records of the run keep the rest.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": SILENT,
        "PREFECT_SHOW_LOGO": "false",
    }
    try:
        Path.home()
    except RuntimeError:
        # A container that is run as an id without a name; the libraries ask at their import.
        defaults["HOME"] = str(settings.home)
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    keep_from_proxy()
    collect_seldom()
    # What a library has to say of another is no use to an operator.
    warnings.filterwarnings("ignore", module=r"pydantic\.")
    state = Path(os.environ["PREFECT_HOME"])
    try:
        settings.make_home()
        # Prefect waits minutes for a server that can't make its folder.
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalError(
            f"{state} can't be made: {error.strerror}; set OMNILEDGER_HOME to another folder."
        ) from None

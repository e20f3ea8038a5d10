"""What an operator can say to an upgrade, as `alembic -x NAME=VALUE upgrade head`."""

from alembic import context

from omniledger.errors import SettingsError

_KNOWN = {"merge": ("now", "later")}


def require_known() -> None:
    """Refuse an option that no revision reads, before anything is changed.

    Raises:
        SettingsError: the sentence names the options that there are.
    """
    for given in context.get_x_argument():
        name, _, value = given.partition("=")
        if value not in _KNOWN.get(name, ()):
            known = " or ".join(f"-x {n}={v}" for n, values in _KNOWN.items() for v in values)
            raise SettingsError(f"There is no option -x {given}; use {known}, or none.")


def is_put_off() -> bool:
    """Whether the merge of the old audit table is left for later."""
    return context.get_x_argument(as_dictionary=True).get("merge") == "later"

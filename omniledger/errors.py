"""What can go wrong, each with an exit code and one sentence that says what to do."""


class OmniledgerError(Exception):
    """A failure that a person can act on; the message is one sentence with the way out."""

    exit_code = 1


class SettingsError(OmniledgerError):
    """A setting or an argument is wrong."""

    exit_code = 2


class DatabaseError(OmniledgerError):
    """The database can't be reached, refuses us, went away, or its disk is full.

    Also: others held a lock for longer than an upgrade waits.
    """

    exit_code = 3


class PassingError(DatabaseError):
    """The connection was lost, others held a lock, or a transaction has to be done again.

    It passes by itself, so that trying again helps.
    """


class NotReadyError(OmniledgerError):
    """The database is there but not in the state that the command needs."""

    exit_code = 4


class GateRefused(OmniledgerError):
    """The gate judged the built figures and refused to publish them."""

    exit_code = 5


class StepFailed(OmniledgerError):
    """A step of the flow failed; only its docs can do so after the figures were published."""

    exit_code = 6


class InputError(OmniledgerError):
    """A file that was given can't be read as what it should be."""

    exit_code = 7


class LocalError(OmniledgerError):
    """This machine refuses: a busy port, a full or read-only folder, a missing program."""

    exit_code = 8


class NotProved(OmniledgerError):
    """The merge's certificate doesn't hold, or the old name is not what the merge left."""

    exit_code = 9

"""Names as PostgreSQL takes them."""

_LONGEST = 63
"""Bytes of an identifier; the server cuts off what is beyond, and then two names may be one."""


def shortened(name: str) -> str:
    """The name as the server would cut it: to whole characters."""
    return name.encode()[:_LONGEST].decode(errors="ignore")

"""Names as PostgreSQL takes them."""

import hashlib

_LONGEST = 63
"""Bytes of an identifier; the server cuts off what is beyond, and then two names may be one."""


def shortened(name: str) -> str:
    """The name, or where it is too long its beginning and a hash of it all."""
    whole = name.encode()
    if len(whole) <= _LONGEST:
        return name
    end = f"_{hashlib.md5(whole, usedforsecurity=False).hexdigest()[:8]}"
    return whole[: _LONGEST - len(end)].decode(errors="ignore") + end

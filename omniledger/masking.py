"""No password in anything that people or logs see."""

import re

# To the last @: an earlier one is of a password that nobody encoded.
_URL = re.compile(r"(\w+://[^\s:/]*:)\S+@")
_TOKEN = re.compile(r"(https?://)[^\s:/]+@")
_KEYWORD = re.compile(
    r"((?:password|passwd|pwd|secret|token|api_?key)\s*=\s*)('[^']*'\S*|\S+)", re.IGNORECASE
)


def masked(text: str) -> str:
    """The text with the password of every URL and keyword string in it replaced.

    The macro `masked` does the same to what comes into the marts.
    """
    return _KEYWORD.sub(r"\1***", _TOKEN.sub(r"\1***@", _URL.sub(r"\1***@", text)))

"""No password in anything that people or logs see."""

import re

# To the last @: an earlier one is of a password that nobody encoded.
_URL = re.compile(r"(\w+://[^\s:/]*:)\S+@")
_TOKEN = re.compile(r"(https?://)[^\s:/]+@")
# As a setting, in an address, in JSON and within its strings, and in a header. What a parser calls
# an unexpected token, three characters at the most, is no secret.
_KEYWORD = re.compile(
    r"((?:password|passwd|passphrase|pwd|secret|authorization|(?<!unexpected )token"
    r"|token(?!: (?:[^\s'\"]{1,3}|'[^\s']'|\"[^\s\"]\")(?:\s|$))"
    r"|(?:api|access|secret|private)[_-]?key)\\?[\"']?\s*[=:]\s*)"
    r"('[^']*'\S*|\"(?:[^\"\\]|\\\"?)*\"?|(?:bearer|basic)\s+\S+|[^\s\"]\S*)",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """The text without the password of a URL, or a value that is called one, or a token or key.

    The macro `masked` does the same to what comes into the marts.
    """
    return _KEYWORD.sub(r"\1***", _TOKEN.sub(r"\1***@", _URL.sub(r"\1***@", text)))

"""What strangers wrote (names, messages, errors) is shown as text and does nothing."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, TextIO

_BIDI_CLASSES = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_MARKS = frozenset("\u200e\u200f\u061c")

# Colours, bold and their end, as our own output has them; nothing that moves, hides or asks.
_COLOURS = re.compile(r"(\x1b\[(?:[01]|3\d|9\d)m)")


def visible(text: str) -> str:
    """Text of strangers with every control and direction mark made visible, and so harmless."""
    return harmless(text).replace("\n", " ").replace("\t", " ")


def harmless(text: str) -> str:
    """Text of strangers with its lines and columns, and every other control made visible."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in "\n\t" else _shown(c) for c in text)


def _shown(character: str) -> str:
    code = ord(character)
    hides = (
        unicodedata.category(character) in ("Cc", "Cs")
        or unicodedata.bidirectional(character) in _BIDI_CLASSES
        or character in _MARKS
        or code & 0xFFFE == 0xFFFE
        or 0xFDD0 <= code <= 0xFDEF
    )
    return f"[U+{code:04X}]" if hides else character


class SafeOutput:
    """A text stream whose terminal gets lines, columns and colours, and no other control."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it, with what is no text made visible."""
        parts = _COLOURS.split(text)
        parts[::2] = map(harmless, parts[::2])
        return self._stream.write("".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

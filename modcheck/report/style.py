"""Colour, or none: the few emphases that reports use, as functions from text to text."""

from __future__ import annotations

_VERDICTS = {"loads": "32;1", "refused": "31;1", "unknown": "33;1"}


class Style:
    """ANSI emphasis when `colour`, plain text otherwise."""

    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text

    def verdict(self, verdict: str) -> str:
        return self.mark(verdict, verdict)

    def mark(self, verdict: str, mark: str) -> str:
        """`mark` in the colour of `verdict`."""
        return self._paint(_VERDICTS[verdict], mark)

    def strong(self, text: str) -> str:
        return self._paint("1", text)

    def rule(self, text: str) -> str:
        return self._paint("36", text)

    def warning(self, text: str) -> str:
        return self._paint("33", text)

    def differs(self, text: str, differs: bool) -> str:
        """`text`, marked where it differs from the other side's."""
        return self._paint("31", text) if differs else text

"""A kernel's version as numbers, and where it stands against a boundary such as "since 6.4"."""

from __future__ import annotations

import re
from typing import NamedTuple

_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
# what distributions put in place of the third number: 6.1.0-56-amd64, 5.15.0-91-generic, 4.18.0-513.el8
_ABI = re.compile(r"\d+\.\d+\.0-\d")


class Version(NamedTuple):
    """`6.1.192` is (6, 1, 192). `patch` is None where only the series is known, as from `6.1.0-56-amd64`."""

    major: int
    minor: int
    patch: int | None

    def since(self, major: int, minor: int, patch: int = 0) -> bool:
        """Whether this version is `major.minor.patch` or later.

        A boundary within a stable series (`5.10.37`) counts as passed where the patch number is not known: only
        distributions hide it, and theirs are late ones.
        """
        if (self.major, self.minor) != (major, minor):
            return (self.major, self.minor) > (major, minor)
        return self.patch is None or self.patch >= patch

    @property
    def late_5_10(self) -> bool:
        """Whether it is a 5.10.y that took over the module loader of 5.13: order, ELF checks, messages (5.10.37)."""
        return (self.major, self.minor) == (5, 10) and self.since(5, 10, 37)

    def __str__(self) -> str:
        return ".".join(str(number) for number in self if number is not None)


def parse_version(text: str) -> Version | None:
    """The version that `text` begins with (`6.1.192`, `6.13-rc4`, or a release such as `6.1.99-rockchip-rk3588`).

    A distribution's release with its own ABI number, `6.1.0-56-amd64`, tells the series alone. None: no number there.
    """
    found = _NUMBERS.match(text)
    if not found:
        return None
    major, minor, patch = found.groups()
    if _ABI.match(text):
        return Version(int(major), int(minor), None)
    return Version(int(major), int(minor), int(patch or 0))

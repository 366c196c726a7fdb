"""What modcheck raises: bad input, always with the name of the file or option that it is about."""

from __future__ import annotations

import os
from typing import Any


class ModcheckError(Exception):
    """Input that cannot be used; `str()` is one line, `subject: reason`.

    :ivar subject: the file (with `:LINE` where one line is meant) or the option
    :ivar reason: what is wrong with it
    """

    def __init__(self, subject: str | os.PathLike[str], reason: str) -> None:
        self.subject = os.fspath(subject)
        self.reason = reason
        super().__init__(f"{self.subject}: {reason}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.subject, self.reason)


class UnreadableError(ModcheckError):
    """A file that cannot be opened, read or decompressed."""


class TargetError(ModcheckError):
    """A description of a kernel that is broken, or that describes nothing."""

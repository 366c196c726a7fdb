"""How the kernel compares one symbol's CRC with the one that the module was built against: `check_version()`.

kernel/module/version.c (kernel/module.c until 5.18), 2.6.11 to 7.3, and Debian's patch to it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from ..facts import Attempt, RecordedVersions

Outcome = Literal["agrees", "differs", "missing", "no-versions", "unchecked"]


class VersionCheck(NamedTuple):
    """The outcome for one symbol, with the CRC that the module recorded."""

    outcome: Outcome
    module_crc: int | None
    extended: bool = False


def check_version(recorded: RecordedVersions, name: str, crc: int | None) -> VersionCheck:
    """Compare the CRC of `name`: `crc` is the exporter's, None when it has no table of CRCs."""
    if crc is None:
        return VersionCheck("unchecked", None)
    if recorded.extended is not None:
        ours = recorded.extended.get(name)
        if ours is None:
            return VersionCheck("missing", None, True)
        return VersionCheck("agrees" if ours == crc else "differs", ours, True)
    if recorded.basic is None:
        return VersionCheck("no-versions", None)
    ours = recorded.basic.get(name)
    if ours is None:
        return VersionCheck("missing", None)
    return VersionCheck("agrees" if ours == crc else "differs", ours)


def missing_refused(load: Attempt, check: VersionCheck) -> bool | None:
    """Whether a symbol without an entry is refused; None where the vendor would decide, and is not known.

    2.6.26 to 4.8 refuse it, earlier ones and kernel.org's since 4.9 do not, Debian's of every version do. No kernel
    refuses one that lacks only in the extended tables.
    """
    if check.extended or not load.version.since(2, 6, 26):
        return False
    if not load.version.since(4, 9):
        return True
    return {"debian": True, "upstream": False}.get(load.target.vendor or "")

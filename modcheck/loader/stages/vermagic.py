"""`vermagic`: the line that names release and main options of a build, on both sides.

`check_modinfo()` and `same_magic()` of kernel/module/main.c and version.c, 2.6.0 to 7.3. Where the kernel has
CONFIG_MODVERSIONS and the module has CRCs, the first word, the release, is not compared; otherwise every byte is.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import needs
from ..facts import Answer, Finding, Load, Unknown, line
from .force import force_load

RULE = "vermagic"


def vermagic(load: Load) -> Iterator[Answer]:
    """The module's string against the kernel's."""
    target, ours = load.target, load.module.vermagic
    if ours is None or load.force_vermagic:
        what = "the module has no vermagic" if ours is None else "vermagic is not looked at (--force-vermagic)"
        yield from force_load(load, RULE, what, "bad vermagic")
        return
    skips_release = _skips_release(load)
    if target.vermagic is None:
        yield from _without_target(load, ours, skips_release)
        return
    same, same_rest = ours == target.vermagic, _rest(ours) == _rest(target.vermagic)
    if same:
        return
    details = {
        "module": ours,
        "target": target.vermagic,
        "release_compared": not skips_release if skips_release is not None else None,
    }
    if same_rest and skips_release:
        releases = f"{ours.split(' ')[0]} and {target.vermagic.split(' ')[0]}"
        summary = f"the releases {releases} differ, but are not compared: both sides have CRCs"
        yield Finding(RULE, "note", summary, details=details)
    elif same_rest and skips_release is None:
        yield Unknown(RULE, f"whether CONFIG_MODVERSIONS is on (then the release is not compared): {needs.CONFIG}")
    else:
        text = f"{load.label}: version magic '{ours}' should be '{target.vermagic}'"
        yield Finding(RULE, "error", _summary(ours, target.vermagic, same_rest), "ENOEXEC", (line(text),), details)


def _rest(vermagic: str) -> str:
    """All but the release: from the first blank on."""
    return vermagic[vermagic.find(" ") :] if " " in vermagic else ""


def _skips_release(load: Load) -> bool | None:
    """Whether the kernel leaves out the first word; None where it depends on an option that is not known.

    Until 2.6.25 every kernel with CONFIG_MODVERSIONS did; since, only for a module with a `__versions` section (of the
    basic kind, also in 6.14 and later).
    """
    has_crcs = load.module.versions is not None and not load.force_modversion
    if load.version.since(2, 6, 26) and not has_crcs:
        return False
    return load.target.modversions


def _without_target(load: Load, ours: str, skips_release: bool | None) -> Iterator[Answer]:
    """The kernel's string is not known: its release may be, and may be enough to refuse."""
    target = load.target
    release = ours.split(" ")[0]
    if target.release is not None and release != target.release and skips_release is False:
        yield Finding(
            RULE,
            "error",
            f"built for release {release}, the kernel is {target.release}",
            "ENOEXEC",
            details={"module": ours, "target": None, "release_compared": True, "log_known": False},
        )
        return
    tokens = "modversions" in ours.split()
    if load.version.since(2, 6, 26) and target.modversions is not None and tokens != target.modversions:
        sides = ("with", "without") if tokens else ("without", "with")
        summary = f"built {sides[0]} CONFIG_MODVERSIONS, the kernel is {sides[1]}"
        details = {"module": ours, "target": None, "release_compared": skips_release is False, "log_known": False}
        yield Finding(RULE, "error", summary, "ENOEXEC", details=details)
        return
    missing = [
        text
        for fact, text in (
            (target.release, needs.RELEASE),
            (target.config, needs.CONFIG),
            (target.arch, needs.ARCH),
            (target.version, needs.VERSION),
        )
        if fact is None
    ]
    yield Unknown(RULE, "the kernel's vermagic (--vermagic STR)" + (f", or {'; '.join(missing)}" if missing else ""))


def _summary(ours: str, theirs: str, same_rest: bool) -> str:
    if same_rest:
        return f"built for release {ours.split(' ')[0]}, the kernel is {theirs.split(' ')[0]}"
    extra = [word for word in ours.split()[1:] if word not in theirs.split()[1:]]
    lacking = [word for word in theirs.split()[1:] if word not in ours.split()[1:]]
    parts = [f"the module has {' '.join(extra)}"] if extra else []
    parts += [f"the kernel has {' '.join(lacking)}"] if lacking else []
    return "built with other options: " + ("; ".join(parts) or "the same words, in another order or spacing")

"""What to fetch from a board: the shortest list of its files that decides the checks which are open."""

from __future__ import annotations

from ..loader import needs
from ..loader.causes import Fetch
from ..loader.facts import Prediction, Unknown
from ..target.facts import Target

#: the files that a board has, those that tell most last, each with its option
_FILES = (
    ("/proc/config.gz, or /boot/config-{release}", "--config"),
    ("the output of `uname -r`", "--release"),
    ("/lib/modules/{release}", "--modules-dir"),
    ("a module that the board has loaded and that uses these symbols, of /lib/modules/{release}", "--target"),
    ("/boot/vmlinuz-{release}, or the kernel image that the board boots", "--kernel"),
)
CONFIG, RELEASE, MODULES, MODULE, IMAGE = range(5)


def fetch(prediction: Prediction, target: Target) -> tuple[Fetch, ...]:
    """The fewest files of the board that decide what is open, each with the rules that it is for.

    A check may need one file or several; which, follows from the fact that it lacks.
    """
    wanted: dict[int, dict[str, None]] = {}
    for unknown in prediction.unchecked:
        if unknown.ignored:
            continue
        for place in _files(unknown, prediction, target):
            wanted.setdefault(place, {})[unknown.rule] = None
    release = target.release or "RELEASE"
    return tuple(
        Fetch(_FILES[place][0].format(release=release), _FILES[place][1], tuple(rules))
        for place, rules in sorted(wanted.items())
    )


def decided(target: Target) -> list[str]:
    """What a kernel's `.config` decides, in words: one line for each check that it settles."""
    config = target.config
    if config is None:
        return []
    on = config.on
    lines = [f"architecture: {target.arch}"] if target.arch else []
    if target.vermagic is not None:
        lines.append(f"vermagic: every word of it, {target.vermagic!r}")
    lines.append(
        "versions: CRCs are compared, and then the release is not (CONFIG_MODVERSIONS=y)"
        if on("MODVERSIONS")
        else "versions: no CRCs are compared, and vermagic counts whole (CONFIG_MODVERSIONS is off)"
    )
    if not on("MODULE_SIG"):
        lines.append("signature: none is looked at (CONFIG_MODULE_SIG is off)")
    elif on("MODULE_SIG_FORCE"):
        lines.append("signature: one is demanded (CONFIG_MODULE_SIG_FORCE=y)")
    else:
        lines.append("signature: none is demanded but by command line or lockdown (CONFIG_MODULE_SIG_FORCE is off)")
    force = (
        "taken (CONFIG_MODULE_FORCE_LOAD=y)" if on("MODULE_FORCE_LOAD") else "refused (CONFIG_MODULE_FORCE_LOAD is off)"
    )
    lines.append(f"--force: {force}")
    if on("TRIM_UNUSED_KSYMS"):
        lines.append("symbols: many are not exported (CONFIG_TRIM_UNUSED_KSYMS=y); which, only the board's image says")
    return lines


def _files(unknown: Unknown, prediction: Prediction, target: Target) -> tuple[int, ...]:
    """The files that supply the fact which a check lacks; none where the board does not have it."""
    text, module = unknown.needs, prediction.module
    assert module
    found = []
    if needs.SYMVERS in text:
        # the image tells what the kernel itself exports; modpost knew whether the module needs other modules
        found += [IMAGE] if module.depends == () and not module.exports else [IMAGE, MODULES]
    if needs.is_proof(text):
        found.append(MODULE)
    if needs.CONFIG in text or needs.FORCE_LOAD in text or needs.SIGNED in text:
        found.append(CONFIG)
    if needs.RELEASE in text:
        found.append(RELEASE)
    if needs.STRUCT_SIZE in text:  # the image's type information tells it as well, if it has any
        found.append(IMAGE if target.option("DEBUG_INFO_BTF") == "y" else MODULES)
    if needs.ARCH in text:
        found.append(MODULES)
    if any(
        fact in text for fact in (needs.EXPORTS, needs.CRCS, needs.BTF, needs.VERSION, needs.VENDOR, needs.CERTIFICATES)
    ):
        found.append(IMAGE)
    return tuple(found)

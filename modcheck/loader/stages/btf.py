"""`btf`: type information that is damaged, or was made against another kernel's.

`btf_module_notify()` of kernel/bpf/btf.c, since 5.11; CONFIG_MODULE_ALLOW_BTF_MISMATCH since 5.18. What is wrong with
it, `btf_verifier` says, and of out-of-tree modules since 6.11 `btf_relocation`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...btf import Btf
from .. import needs
from ..concerns import concerns
from ..facts import Answer, Finding, Load, LogLine, Unknown, line

if TYPE_CHECKING:
    from ..btf_verifier import Refusal

RULE = "btf"
_ERRNO = {"ENOENT": 2, "EINVAL": 22, "E2BIG": 7, "ELOOP": 40, "ENOTSUPP": 524}
_MISMATCH = "Kernel module BTF mismatch detected, BTF debug info may be unavailable for some modules"


@concerns(
    (5, 11),
    targets=lambda target: target.option("DEBUG_INFO_BTF_MODULES") != "n",
    modules=lambda module: module.btf is not None,
)
def btf(load: Load) -> Iterator[Answer]:
    """A module with .BTF on a kernel that looks at it."""
    module, target = load.module, load.target
    checked = target.option("DEBUG_INFO_BTF_MODULES")
    allowed = target.option("MODULE_ALLOW_BTF_MISMATCH") == "y"
    if target.known_btf is None or checked is None:
        if load.own_build:
            return
        if checked is None:
            yield Unknown(RULE, needs.CONFIG)
        elif allowed:
            yield Finding(RULE, "note", "its BTF may be rejected by this kernel, which loads the module all the same")
        else:
            yield Unknown(RULE, needs.BTF)
        return
    assert module.btf is not None
    from ..btf_relocation import verify_distilled  # most modules have no BTF that could be compared
    from ..btf_verifier import verify

    found = Btf(module.btf, target.endianness or "little")
    if module.btf_base is not None and load.version.since(6, 11):
        distilled = Btf(module.btf_base, target.endianness or "little")
        refusal = verify_distilled(found, distilled, target.known_btf, load.version)
    else:
        refusal = verify(found, target.known_btf, load.version)
    if refusal:
        lines = tuple(_lines(load, refusal, allowed))
        summary = "its BTF is damaged, or was made against another kernel's"
        yield Finding(RULE, "warning" if allowed else "error", summary, None if allowed else refusal.errno, lines)


def _lines(load: Load, refusal: Refusal, allowed: bool) -> Iterator[LogLine]:
    tolerant = allowed and load.version.since(6, 4)
    said = () if tolerant and refusal.about_type else refusal.lines
    prefix = "" if refusal.bare else "BPF: "
    for order, text in enumerate(said):
        yield line(prefix + text.decode("utf-8", "surrogateescape"), order)
    if tolerant:
        yield line(_MISMATCH, len(said), once="btf-mismatch")
    else:
        number = _ERRNO[refusal.errno]
        yield line(f"failed to validate module [{load.module.name}] BTF: -{number}", len(said))

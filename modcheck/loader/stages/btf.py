"""`btf`: type information that was made against another kernel's.

`btf_parse_module()` of kernel/bpf/btf.c through the module notifier, since 5.11; CONFIG_MODULE_ALLOW_BTF_MISMATCH since
5.18.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import needs
from ..facts import Answer, Finding, Load, Unknown

RULE = "btf"


def btf(load: Load) -> Iterator[Answer]:
    """A module with .BTF on a kernel that refuses a mismatch."""
    if not load.module.has_btf or load.own_build or not load.version.since(5, 11):
        return
    checked = load.target.option("DEBUG_INFO_BTF_MODULES")
    if checked is None:
        yield Unknown(RULE, needs.CONFIG)
    elif checked == "y" and load.target.option("MODULE_ALLOW_BTF_MISMATCH") != "y":
        yield Unknown(RULE, needs.BTF)
    elif checked == "y":
        yield Finding(RULE, "note", "its BTF may be rejected by this kernel, which loads the module all the same")

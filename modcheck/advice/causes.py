"""The diagnoses, in the order in which they are told: each looks at one case and names a cause, or does not.

What explains the refusal goes first, whatever the order here. Nothing that hides a fault is a remedy: no rewritten
vermagic, no --force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..loader.causes import Cause
from .builds import architecture, compiler, dkms, options, releases, struct_module
from .case import Case
from .crcs import differing_crcs, no_crcs_in_module, stale_table
from .files import btf, compression, no_table, not_a_module, other_build, retpoline, signature
from .symbols import gpl_only, made_by_option, namespace, unknown_symbols

Diagnosis = Callable[[Case], Iterator[Cause]]

CAUSES: tuple[Diagnosis, ...] = (
    not_a_module, architecture, signature, dkms, releases, options, stale_table, no_crcs_in_module, differing_crcs,
    struct_module, btf, made_by_option, unknown_symbols, gpl_only, namespace, compression, other_build, no_table,
    retpoline, compiler,
)  # fmt: skip

"""Lines that a kernel prints only once in a boot, and what of /proc/sys/kernel/tainted tells that it has.

`LogLine.once` holds one of these names; `predict(already=…)` takes those that are spent. kernel/module/main.c and
kernel/panic.c, 2.6.18 to 7.3.
"""

from __future__ import annotations

_P, _F, _D, _O, _E, _K, _N = 1, 2, 128, 4096, 8192, 32768, 262144

#: name: the taint bits of which any one means that the line was printed, or will not be
_BITS = {
    "taint-P": _P,
    "taint-P-late": _P,
    "taint-F": _F,
    "taint-O": _O,
    "taint-K": _K,
    "taint-N": _N,
    "unsigned": _E,
    "lock-debugging": _P | _F | _D,
}


def already(tainted: int) -> frozenset[str]:
    """What a kernel whose /proc/sys/kernel/tainted reads `tainted` does not print again.

    `no-symbol-version`, printed once in a boot by kernels of kernel.org, and `btf-mismatch` leave no trace there.
    """
    return frozenset(name for name, bits in _BITS.items() if tainted & bits)

"""`compression`: a compressed file whose stream has what the kernel's own decoder does not know.

kernel/module/decompress.c, 5.17 to 7.3: it takes xz with CRC32 or no check, gzip with no header field but the file's
name. kmod hands it a file in the kernel's own compression since version 31, and decompresses all others itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import needs
from ..concerns import concerns
from ..facts import Answer, Load, Unknown

RULE = "compression"
_OPTIONS = {"gz": "MODULE_COMPRESS_GZIP", "xz": "MODULE_COMPRESS_XZ"}


@concerns((5, 17), modules=lambda module: module.compression_feature is not None)
def compression(load: Load) -> Iterator[Answer]:
    """Whether the stream is one that only user space can undo, on a kernel that might be handed it."""
    feature = load.module.compression_feature
    if load.loader == "busybox":
        return
    states = [load.target.option(name) for name in ("MODULE_DECOMPRESS", _OPTIONS[load.module.compression or "xz"])]
    if None in states:
        yield Unknown(
            RULE, f"whether the kernel decompresses modules itself, which cannot do {feature}: {needs.CONFIG}"
        )
    elif states == ["y", "y"]:
        yield Unknown(
            RULE,
            f"which kmod the board has: since 31 it leaves this file to the kernel, which cannot do {feature} "
            "(xz --check=crc32 and gzip -n make files that both can)",
        )

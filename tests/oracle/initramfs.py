"""Modules as the machine gets them: uncompressed, in a cpio archive of the kernel's initramfs format.

The format is "newc", as described in the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import gzip
import lzma
import stat
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import BinaryIO

EXECUTABLE = stat.S_IFREG | 0o755
DATA = stat.S_IFREG | 0o644
FOLDER = stat.S_IFDIR | 0o755


def write_cpio(out: BinaryIO, entries: Iterable[tuple[str, int, bytes]]) -> None:
    """Writes an archive of `entries`: path without a leading slash, st_mode, content."""
    for inode, (path, mode, content) in enumerate(chain(entries, [("TRAILER!!!", 0, b"")]), start=1):
        name = path.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device and its node (four numbers), length of the name, checksum
        fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        out.write(header + bytes(-len(header) % 4))
        out.write(content)
        out.write(bytes(-len(content) % 4))


def uncompressed(path: Path) -> bytes:
    """The content of `path`, without the compression that its suffix names. Raises OSError or the codec's error."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(content)
    if path.suffix == ".xz":
        return lzma.decompress(content)
    if path.suffix == ".zst":
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        return zstd.decompress(content)
    return content

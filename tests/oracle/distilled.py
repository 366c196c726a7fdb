"""Variants of a module with .BTF.base, and what a kernel made of them, kept for the tests.

    python -m tests.oracle.distilled WORK

writes tests/data/btf_base/seen.json.xz from what `make oracle CASES=distilled:newest` left in WORK: the byte that is
changed, errno and lines of each load, and those of the kernel's types that have a name of .BTF.base.
"""

from __future__ import annotations

import base64
import json
import lzma
import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from modcheck.btf import EXTRA, MAGIC, VERSION, Btf
from modcheck.module.elf import Image

from .initramfs import uncompressed
from .loads import read_json

FOLDER = Path(__file__).parent.parent / "data/btf_base"
MODULE = FOLDER / "distilled.ko.xz"
SEEN = FOLDER / "seen.json.xz"
COUNT = 500


def variants() -> Iterator[tuple[int, bytes]]:
    """Where in the module a byte is changed, and the bytes of that variant; the first is the module as it is."""
    data = uncompressed(MODULE)
    rng = random.Random(1)
    image = Image(data)
    sections = [section for name in (".BTF.base", ".BTF") if (section := image.find(name))]
    for number in range(COUNT):
        section = sections[number % 5 == 4]
        place = section.sh_offset + rng.randrange(section.sh_size)
        changed = bytes((data[place] ^ (rng.choice((1, 2, 4, 8, 16, 64, 128, 255)) if number else 0),))
        yield place, data[:place] + changed + data[place + 1 :]


def some_types(btf: Btf, names: set[bytes]) -> bytes:
    """BTF with those of the types of `btf` that have one of `names`: without members, and under other numbers."""
    strings, section = b"\0", b""
    offsets: dict[bytes, int] = {}
    for one in btf.types:
        name = btf.strings[one.name_off : btf.strings.find(b"\0", one.name_off)]
        if (
            not name
            or name not in names
            or one.kind not in ("INT", "FLOAT", "ENUM", "ENUM64", "STRUCT", "UNION", "FWD")
        ):
            continue
        if name not in offsets:
            offsets[name] = len(strings)
            strings += name + b"\0"
        fixed = EXTRA.get(one.kind, (0, 0))[0] // 4
        words = (offsets[name], one.info & 0xFF000000, one.size, *btf.words(one.at, fixed))
        section += struct.pack(f"<{len(words)}I", *words)
    header = struct.pack("<HBBIIIII", MAGIC, VERSION, 0, 24, 0, len(section), len(section), len(strings))
    return header + section + strings


def main(work: Path) -> None:
    """Write SEEN."""
    from .cases import target_of
    from .kernels import fetch

    target = target_of(fetch(work, "newest"))
    assert target.btf
    image = Image(uncompressed(MODULE))
    base = image.find(".BTF.base")
    assert base
    distilled = Btf(image.bytes_of(base), "little")
    names = set(distilled.strings.split(b"\0"))
    results = read_json(work / "results/distilled_newest.json")
    rows = [
        (place, data[place], result.errno, [line.text for line in result.log])
        for (place, data), result in zip(variants(), results, strict=True)
        if not result.crashed
    ]
    document = {
        "version": str(target.version),
        "kernel": base64.b64encode(some_types(target.btf, names)).decode(),
        "loads": rows,
    }
    SEEN.write_bytes(lzma.compress(json.dumps(document).encode(), preset=9))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Kernel images in every container and codec, cut, foreign and hostile ones; export tables in every layout."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import cramjam
import pytest
from made_kernel import BANNER, RELEASE, table
from test_ksymtab import INDEX
from test_ksymtab import table as real_table

from modcheck.errors import TargetError, UnreadableError
from modcheck.module import Export
from modcheck.target import read_target, streams, unpack
from modcheck.target.image import Image
from modcheck.target.ksymtab import kernel_exports
from modcheck.target.ksymtab_flat import search as search_flat

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

try:
    from lzallright import LZOCompressor
except ImportError:
    LZOCompressor = None

EXPORTS = kernel_exports(real_table("arm64-6.1")) or ()
#: as much of arm64 6.1 as makes an image: its banner, its table, and enough behind it not to be passed over
KERNEL = (BANNER.ljust(4096, b"\0") + real_table("arm64-6.1")).ljust(3 << 20, b"\xa5")


def search(data: bytes) -> tuple[Export, ...] | None:
    """By structure alone."""
    found = search_flat(data)
    return None if found is None else found.exports()


def lz4_legacy(data: bytes) -> bytes:
    """As `lz4 -l` writes it, with the size behind it that the kernel's build appends."""
    made = b"\x02\x21\x4c\x18"
    for start in range(0, len(data), 8 << 20):
        block = bytes(cramjam.lz4.compress_block(data[start : start + (8 << 20)], store_size=False))
        made += struct.pack("<I", len(block)) + block
    return made + struct.pack("<I", len(data))


def lzop(data: bytes) -> bytes:
    """As lzop 1.04 writes it: an Adler-32 of each block of 256 KiB."""
    if LZOCompressor is None:
        pytest.skip("lzallright has no wheel here")
    made = b"\x89LZO\0\r\n\x1a\n" + struct.pack(">HHHBBIIIIB", 0x1040, 0x20A0, 0x940, 3, 9, 1, 0o100644, 0, 0, 0)
    made += struct.pack(">I", zlib.adler32(made[9:]))
    for start in range(0, len(data), 256 << 10):
        block = data[start : start + (256 << 10)]
        packed = LZOCompressor().compress(block)
        packed = packed if len(packed) < len(block) else block
        made += struct.pack(">III", len(block), len(packed), zlib.adler32(block)) + packed
    return made + bytes(4)


CODECS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, preset=1),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE, preset=1),
    "bzip2": bz2.compress,
    "zstd": zstd.compress,
    "lz4": lz4_legacy,
    "lzop": lzop,
}


def bzimage(payload: bytes) -> bytes:
    head = bytearray(0x400)
    head[0x1F1] = 1
    head[0x202:0x208] = b"HdrS" + struct.pack("<H", 0x20F)
    struct.pack_into("<II", head, 0x248, 0x100, len(payload))
    return bytes(head) + bytes(0x100) + payload + b"behind it"


def zimage(payload: bytes) -> bytes:
    return (
        bytes(0x24) + struct.pack("<III", 0x016F2818, 0, len(payload)) + bytes(5000) + payload + b"\xd0\x0d\xfe\xed DTB"
    )


def zboot(payload: bytes, codec: str) -> bytes:
    name = {"xz": "xzkern", "zstd": "zstd22", "lzop": "lzo"}.get(codec, codec)
    return struct.pack("<4s4sII8x32s", b"MZ\0\0", b"zimg", 0x1000, len(payload), name.encode()).ljust(0x1000) + payload


def uimage(payload: bytes, codec: str) -> bytes:
    number = (None, "gzip", "bzip2", "lzma", "lzop", "lz4", "zstd").index(codec) if codec != "xz" else 0
    return struct.pack(">IIIIIII4B32s", 0x27051956, 0, 0, len(payload), 0, 0, 0, 5, 22, 2, number, b"Linux") + payload


def multi(payload: bytes) -> bytes:
    head = struct.pack(">IIIIIII4B32s", 0x27051956, 0, 0, len(payload) + 20, 0, 0, 0, 5, 2, 4, 0, b"Linux")
    return head + struct.pack(">III", len(payload), 4, 0) + payload + b"init"


def fit(payload: bytes, codec: str, inline: bool) -> bytes:
    """A device tree with the image in it, or behind it."""
    strings = bytearray()

    def name(text: bytes) -> int:
        strings.extend(text + b"\0")
        return len(strings) - len(text) - 1

    def prop(text: bytes, value: bytes) -> bytes:
        return struct.pack(">III", 3, len(value), name(text)) + value.ljust(len(value) + 3 & -4, b"\0")

    def node(text: bytes, *inside: bytes) -> bytes:
        label = (text + b"\0").ljust(len(text) + 4 & -4, b"\0")
        return struct.pack(">I", 1) + label + b"".join(inside) + struct.pack(">I", 2)

    where = (
        prop(b"data", payload)
        if inline
        else (prop(b"data-size", struct.pack(">I", len(payload))) + prop(b"data-offset", bytes(4)))
    )
    known = {"lzop": b"lzo\0", "xz": b"none\0"}.get(codec, codec.encode() + b"\0")
    kernel = node(b"kernel-1", prop(b"type", b"kernel\0"), prop(b"compression", known), where)
    ramdisk = node(b"ramdisk-1", prop(b"type", b"ramdisk\0"), prop(b"data", b"x" * 7))
    tree = node(b"", prop(b"description", b"made\0"), node(b"images", ramdisk, kernel)) + struct.pack(">I", 9)
    at = 40 + 16 + len(tree)
    head = struct.pack(">10I", 0xD00DFEED, at + len(strings), 56, at, 40, 17, 16, 0, len(strings), len(tree))
    whole = head + bytes(16) + tree + bytes(strings)
    return whole if inline else whole.ljust(len(whole) + 3 & -4, b"\0") + payload


def android(payload: bytes, version: int) -> bytes:
    page = 2048 if version < 3 else 4096
    return struct.pack("<8sI24xII", b"ANDROID!", len(payload), page, version).ljust(page, b"\0") + payload + b"ramdisk"


def uki(payload: bytes) -> bytes:
    head = bytearray(b"MZ".ljust(0x40, b"\0"))
    struct.pack_into("<I", head, 0x3C, 0x40)
    head += b"PE\0\0" + struct.pack("<HH12xHH", 0x8664, 2, 240, 0) + bytes(240)
    for section, size, start in ((b".osrel", 16, 0x300), (b".linux", len(payload), 0x400)):
        head += struct.pack("<8sIIII16x", section, size, 0, size, start)
    return bytes(head).ljust(0x400, b"\0") + payload


def wrappers(codec: str) -> dict[str, Callable[[bytes], bytes]]:
    return {
        "": lambda payload: payload,
        "bzImage": bzimage,
        "zImage": zimage,
        "EFI zboot": lambda payload: zboot(payload, codec),
        "uImage": lambda payload: uimage(payload, codec),
        "FIT": lambda payload: fit(payload, codec, inline=True),
        "Android boot.img": lambda payload: android(payload, 2),
        "UKI": lambda payload: uki(bzimage(payload)),
    }


@pytest.mark.parametrize("codec", CODECS)
def test_every_container_with_every_codec(tmp_path: Path, codec: str) -> None:
    payload = CODECS[codec](KERNEL)
    for name, wrap in wrappers(codec).items():
        path = tmp_path / "image"
        path.write_bytes(wrap(payload))
        image = Image(str(path))
        assert image.data == KERNEL, name
        assert image.layers == tuple(one for one in (name, "bzImage" if name == "UKI" else "", codec) if one)
        assert image.release == RELEASE


@pytest.mark.parametrize(
    ("wrap", "layers"),
    [
        (lambda plain: plain, ()),
        (lambda plain: android(plain, 4), ("Android boot.img",)),
        (lambda plain: uimage(plain, "xz"), ("uImage",)),
        (lambda plain: multi(zimage(CODECS["xz"](plain))), ("uImage", "zImage", "xz")),
        (lambda plain: fit(CODECS["zstd"](plain), "zstd", inline=False), ("FIT", "zstd")),
        (lambda plain: android(gzip.compress(plain) + b"a device tree", 0), ("Android boot.img", "gzip")),
        (lambda plain: random.Random(1).randbytes(70_000) + CODECS["zstd"](plain) + b"\xff" * 9999, ("zstd",)),
        (lambda plain: gzip.compress(b"no kernel" * 300_000) + CODECS["xz"](plain), ("xz",)),
    ],
)
def test_what_else_holds_a_kernel(tmp_path: Path, wrap: Callable[[bytes], bytes], layers: tuple[str, ...]) -> None:
    (tmp_path / "image").write_bytes(wrap(KERNEL))
    image = Image(str(tmp_path / "image"))
    assert (image.data, image.layers) == (KERNEL, layers)


def test_a_dump_begins_anywhere(tmp_path: Path) -> None:
    """A plain image for a device behind something else: its own header tells where it begins."""
    plain = bytearray(KERNEL)
    plain[56:60] = b"ARMd"
    (tmp_path / "dump").write_bytes(b"\x11" * 1024 + plain)
    assert Image(str(tmp_path / "dump")).data == plain


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no Linux kernel in it (it is empty)"),
        (b"CONFIG_SMP=y\n" * 99, "a .config goes to --config"),
        (bzimage(CODECS["xz"](KERNEL))[:100_000], "opened: bzImage, xz); xz: it ends too early"),
        (bzimage(CODECS["lz4"](KERNEL))[:100_000], "opened: bzImage, lz4); lz4: it ends too early"),
        (bzimage(b"\x89LZO\0\r\n\x1a\n" + b"\xff" * 99), "lzop: damaged"),
        (bzimage(CODECS["zstd"](KERNEL)[:5000] + b"\0" * 5000), "zstd: "),
        (gzip.compress(KERNEL)[:-2000], "gzip at 0: it ends too early"),
        (gzip.compress(bytes(2 << 20)), "gzip at 0: 2097152 bytes, no kernel"),
        (fit(b"nothing", "xz", inline=True), "opened: FIT)"),
        (b"\xd0\x0d\xfe\xed" + b"\xff" * 99, "it begins with d0 0d fe ed"),
        (b"ANDROID!", "it begins with 41 4e 44 52"),
        (b"MZ".ljust(64, b"\xff"), "it begins with 4d 5a"),
    ],
)
def test_what_is_no_kernel_is_told(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "image").write_bytes(data)
    with pytest.raises(TargetError) as error:
        Image(str(tmp_path / "image"))
    assert words in str(error.value)


def test_a_codec_whose_library_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image").write_bytes(bzimage(CODECS["lz4"](KERNEL)))
    monkeypatch.setitem(sys.modules, "cramjam", None)
    with pytest.raises(TargetError, match="the Python package cramjam is needed to read it"):
        Image(str(tmp_path / "image"))


@pytest.mark.parametrize("codec", ["gzip", "xz", "lzma", "bzip2", "zstd", "lz4"])
def test_a_bomb_costs_no_more_than_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str) -> None:
    monkeypatch.setattr(unpack, "LIMIT", 4 << 20)
    monkeypatch.setattr(streams, "LIMIT", 64 << 20)
    (tmp_path / "image").write_bytes(CODECS[codec](bytes(96 << 20)) * 3)
    tracemalloc.start()
    with pytest.raises(TargetError, match=f"{codec} at 0: .*4 MiB"):
        Image(str(tmp_path / "image"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 << 20


def test_an_image_without_a_table(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(BANNER.ljust(2 << 20, b"\xa5"))
    target = read_target(path)
    assert target.release == RELEASE
    assert target.symbols is None
    assert f"no table of exports that is understood in {path}" in target.notes
    with pytest.raises(UnreadableError, match="no such file"):
        read_target(kernel=tmp_path / "nothing")


def chosen(count: int) -> list[Export]:
    """So many exports, and those that every kernel has."""
    always = [row for row in EXPORTS if row.name in ("kfree", "strlen", "jiffies", "module_layout", "_printk")]
    others = [row for row in EXPORTS if row not in always]
    return always + random.Random(count).sample(others, count - len(always))


LAYOUTS = [
    (order, relative, word, fields, crc, flags)
    for order, (relative, word), fields, (crc, flags) in product(
        "<>",
        ((True, 4), (False, 8), (False, 4)),
        (3, 2),
        ((4, False), (0, False), (8, False), (-4, False), (4, True), (0, True)),
    )
    if not (flags and fields == 2)  # 7.1 and later
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_every_layout(layout: tuple[str, bool, int, int, int, bool]) -> None:
    order, relative, word, fields, crc, flags = layout
    base = 0 if relative else {8: 0xFFFFFFFF80100000, 4: 0xC0208000}[word]
    for count in (2000, 300, 60):
        rows = [row if fields == 3 else row._replace(namespace="") for row in chosen(count)]
        image = table(rows, order, relative, word, fields, crc, flags, base)
        found = search(image + bytes(8192))
        assert {*(found or ())} == {row._replace(crc=row.crc if crc else None) for row in rows}
    # behind something that is no multiple of a page
    found = search(random.Random(7).randbytes(97 * 512) + table(chosen(300), order, relative, word, 3, 4, False, base))
    assert {*(found or ())} == {*chosen(300)}


@pytest.mark.parametrize(("plain", "gpl"), [(305, 1), (305, 4), (1004, 4), (65, 3), (8, 305), (305, 20), (1, 60)])
def test_a_kernel_that_exports_little_of_one_kind(plain: int, gpl: int) -> None:
    """As CONFIG_TRIM_UNUSED_KSYMS leaves it: a short part of the table is a part of it."""
    kinds = [[row for row in EXPORTS if row.gpl == kind] for kind in (False, True)]
    always = [row for row in kinds[0] if row.name in ("kfree", "strlen", "jiffies", "_printk")]
    rows = (always + random.Random(plain).sample(kinds[0], plain))[:plain]
    rows = [*{row.name: row for row in rows + random.Random(gpl).sample(kinds[1], gpl)}.values()]
    if plain < 4:
        rows += [row for row in EXPORTS if row.name == "kfree"]
    for relative, word, base in ((True, 4, 0), (False, 8, 0xFFFFFFFF80100000), (False, 4, 0xC0208000)):
        found = search(table(rows, "<", relative, word, 3, 4, False, base) + bytes(8192))
        assert found is None or {*found} == {*rows}
        assert found is not None or len(rows) < 100


def test_damage_is_not_taken_for_a_table() -> None:
    """A real table with one bit or one page changed: no table at all, or one wrong where only the bytes tell it."""
    data = BANNER.ljust(4096, b"\0") + real_table("arm64-6.1")
    truth = {row.name: row for row in EXPORTS}
    choice = random.Random(3)
    for _ in range(6):
        broken = bytearray(data)
        at = choice.randrange(4096, len(data) - 4096)
        kind = choice.choice(("flip", "zeros", "copy", "cut"))
        if kind == "flip":
            broken[at] ^= 1 << choice.randrange(8)
        elif kind == "zeros":
            broken[at : at + 4096] = bytes(4096)
        elif kind == "copy":
            broken[at : at + 4096] = broken[at - 4096 : at]
        else:
            del broken[at : at + 4096]
        for row in search(bytes(broken)) or ():
            known = truth.get(row.name)
            assert known is None or kind == "copy" or row[2:] == known[2:]
            assert known is None or kind in ("copy", "flip") or row == known


def elf(sections: Sequence[tuple[str, int, bytes]], order: str = "<", wide: bool = True) -> bytes:
    """An ELF file of these sections: name, address, content."""
    word = "Q" if wide else "I"
    head_size, entry = (64, 64) if wide else (52, 40)
    names = b"\0" + b"".join(name.encode() + b"\0" for name, _, _ in sections) + b".shstrtab\0"
    body, rows = bytearray(bytes(head_size)), [bytes(entry)]
    for name, address, content in (*sections, (".shstrtab", 0, names)):
        place = names.index(b"\0" + name.encode() + b"\0") + 1
        rows.append(
            struct.pack(
                f"{order}II{word * 4}II{word * 2}",
                place, 3 if name == ".shstrtab" else 1, 2, address, len(body), len(content), 0, 0, 1, 0,
            )
        )  # fmt: skip
        body += content
    head = struct.pack(
        f"{order}4sBBB9xHHI{word * 3}IHHHHHH",
        b"\x7fELF", 1 + wide, 1 if order == "<" else 2, 1, 2, 62, 1, 0, 0, len(body),
        0, head_size, 0, 0, entry, len(rows), len(rows) - 1,
    )  # fmt: skip
    body[: len(head)] = head
    return bytes(body) + b"".join(rows)


@pytest.mark.parametrize(
    ("layout", "relocated"),
    # offsets are not relocated, nor is a kernel of 32 bits
    [*((one, False) for one in LAYOUTS), *((one, True) for one in LAYOUTS if one[2] == 8)],
    ids=str,
)
def test_every_layout_by_section_headers(layout: tuple[str, bool, int, int, int, bool], relocated: bool) -> None:
    """Each table is found by its section, however few symbols it has; also where the kernel relocates itself."""
    order, relative, word, fields, crc, flags = layout
    base = 0 if relative else {8: 0xFFFFFFFF80100000, 4: 0xC0208000}[word]
    rows = [row if fields == 3 else row._replace(namespace="") for row in chosen(30)]
    image = table(rows, order, relative, word, fields, crc, flags, base)
    plain = sum(not row.gpl for row in rows)
    sections, start = [], 4096
    parts = [("", len(rows))] if flags else [("", plain), ("_gpl", len(rows) - plain)]
    for prefix, size in (("__ksymtab", word * fields), ("__kcrctab", abs(crc)), ("__kflagstab", int(flags))):
        for suffix, count in parts:
            if size:
                sections.append((prefix + suffix, start + base, image[start : start + size * count]))
            start += size * count
    # what is behind the strings lies in them as well: CRCs that are pointed to
    sections.append(("__ksymtab_strings", start + base, image[start:]))
    if relocated:
        records = b""
        for number, (name, address, content) in enumerate(sections):
            if name.startswith("__ksymtab") and name != "__ksymtab_strings":
                words = struct.unpack(f"{order}{len(content) // 8}Q", content)
                places = range(address, address + len(content), 8)
                records += b"".join(struct.pack(f"{order}QQQ", at, 22, value) for at, value in zip(places, words))
                sections[number] = (name, address, bytes(len(content)))
        sections.append((".rela.dyn", 0, records))
    made = elf(sections, order, wide=word == 8 or relative)
    found = kernel_exports(made)
    assert {*(found or ())} == {row._replace(crc=row.crc if crc else None) for row in rows}


def test_real_tables_are_not_taken_for_others() -> None:
    """A real table, its image begun at each of the next words: never another row than those of Module.symvers."""
    for role in INDEX:
        whole = {*(kernel_exports(real_table(role)) or ())}
        for cut in (1, 8):
            found = kernel_exports(real_table(role)[4096 * cut :])
            assert found is None or {*found} <= whole

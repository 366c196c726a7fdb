"""Which kernel of an image is meant, where it begins and ends, and what its wrapper tells of it."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import cramjam
import pytest
from made_kernel import table
from oracle.containers import INDEX, tables
from test_ksymtab import table as real_table
from test_unpack import CODECS, KERNEL, android, bzimage, elf, lz4_legacy, lzop, uimage, zstd

from modcheck import read_target
from modcheck.errors import TargetError
from modcheck.module import Export
from modcheck.target.image import Image
from modcheck.target.ksymtab import kernel_exports
from modcheck.target.notes import build_id

FOLDER = Path(__file__).parent / "data"
ROWS = kernel_exports(real_table("arm64-6.1")) or ()
A, B = "6.1.0-one", "6.1.0-two"
SIZE = 1_200_000


def banner(release: str, build: str = "#1 SMP") -> bytes:
    return f"Linux version {release} (a@b) (gcc) {build}\n\0{release} SMP mod_unload aarch64\0".encode()


def some(first: int) -> list[Export]:
    """Exports of both kinds, others for each `first`, and those that every kernel has."""
    always = [row for row in ROWS if row.name in ("kfree", "strlen", "jiffies", "module_layout", "_printk")]
    return [*{row.name: row for row in (*always, *ROWS[first::9])}.values()]


def flat(release: str, first: int, build: str = "#1 SMP", order: str = "<", word: int = 4, base: int = 0) -> bytes:
    """A kernel without a header; `base`: of absolute addresses."""
    made = table(some(first), order, base == 0, word, base=base, before=banner(release, build))
    return made.ljust(SIZE, b"\xa5")


def arm64(release: str, first: int, build: str = "#1 SMP") -> bytes:
    """The same behind the header of an arm64 image."""
    head = struct.pack("<QQQQ24x4sI", 0, 0, SIZE, 10, b"ARMd", 0)
    return table(some(first), before=head + banner(release, build)).ljust(SIZE, b"\xa5")


def vmlinux(release: str, first: int, build: str = "#1 SMP") -> bytes:
    """The same in an ELF file."""
    return elf([(".rodata", 0xFFFFFFFF81000000, flat(release, first, build))])


KINDS: dict[str, Callable[[str, int], bytes]] = {
    "arm64": arm64,
    "ELF": vmlinux,
    "flat": flat,
    "bzImage": lambda release, first: bzimage(lz4_legacy(vmlinux(release, first))),
    "gzip": lambda release, first: gzip.compress(flat(release, first)),
    "zstd": lambda release, first: zstd.compress(arm64(release, first)),
    "boot.img": lambda release, first: android(gzip.compress(flat(release, first)), 2),
    "uImage": lambda release, first: summed(uimage(flat(release, first), "xz")),
}


def summed(image: bytes) -> bytes:
    """A uImage with its header's checksum."""
    return image[:4] + struct.pack(">I", zlib.crc32(image[:4] + bytes(4) + image[8:64])) + image[8:]


def read(tmp_path: Path, data: bytes, release: str | None = None) -> Image:
    (tmp_path / "dump").write_bytes(data)
    return Image(str(tmp_path / "dump"), release)


def names(image: Image) -> set[str]:
    return {row.name for row in image.symvers() or ()}


@pytest.mark.parametrize("between", [b"", b"\xfe" * 70_004], ids=["nothing", "junk"])
@pytest.mark.parametrize("kind", KINDS)
def test_of_two_kernels_the_release_picks(tmp_path: Path, kind: str, between: bytes) -> None:
    """The facts of each are those of an image that holds it alone, table included."""
    one, other = KINDS[kind](A, 1), KINDS[kind](B, 2)
    alone = [read(tmp_path, data) for data in (one, other)]
    assert names(alone[0]) != names(alone[1])
    dump = (b"" if kind == "boot.img" else between) + one + between + other + between
    with pytest.raises(TargetError, match=rf"holds more than one kernel: {A}, {B}; --release picks one"):
        read(tmp_path, dump)
    with pytest.raises(TargetError, match=rf"holds {A}, {B}, and not 6\.1\.0-three"):
        read(tmp_path, dump, "6.1.0-three")
    for release, truth in zip((A, B), alone):
        found = read(tmp_path, dump, release)
        assert (found.release, found.vermagic, names(found)) == (release, truth.vermagic, names(truth))
        target = read_target(tmp_path / "dump", release=release, arch=None if truth.arch() else "arm64")
        assert target.release == release


def test_a_kernel_that_only_its_bzimage_tells(tmp_path: Path) -> None:
    """Of two on a partition one lies in pieces: neither is it passed over, nor is the other taken for it."""
    whole, head = KINDS["bzImage"](A, 1), bytearray(bzimage(lzma.compress(vmlinux(B, 2))))
    head[0x1FE:0x200] = b"\x55\xaa"
    head[0x300:0x320] = f"{B} (a@b) #1 SMP".encode().ljust(32, b"\0")
    broken = bytes(head[:20_000]) + bytes(4096) + bytes(head[20_000:])
    for blocks, words in ((b"", ""), (bytes(0x438) + b"\x53\xef", ": it is an ext2, ext3 or ext4")):
        dump = blocks.ljust(4096, b"\0") + whole + bytes(4096) + broken
        with pytest.raises(TargetError, match=f"holds more than one kernel: {A}, {B}"):
            read(tmp_path, dump)
        with pytest.raises(TargetError, match=f"holds {A}, {B}, and (not {B}|{B} not) in one piece{words}"):
            read(tmp_path, dump, B)
        assert read(tmp_path, dump, A).release == A


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_in_two_slots_is_one(tmp_path: Path, kind: str) -> None:
    one = KINDS[kind](A, 1)
    found = read(tmp_path, one + b"\xfe" * 4096 + one)
    assert names(found) == names(read(tmp_path, one))


def test_two_builds_of_one_release(tmp_path: Path) -> None:
    """No release picks one of these: what they were built as is told."""
    dump = arm64(A, 1, "#1 SMP May 1") + arm64(A, 2, "#2 SMP May 2")
    for release in (None, A):
        with pytest.raises(TargetError, match=rf"one kernel of the release {A}: #1 SMP May 1, #2 SMP May 2; cut out"):
            read(tmp_path, dump, release)
    with pytest.raises(TargetError, match=f"holds more than one kernel: {A}, {B}"):
        read(tmp_path, dump + arm64(B, 3))
    assert read(tmp_path, dump + arm64(B, 3), B).release == B


def test_builds_that_only_the_build_id_tells_apart(tmp_path: Path) -> None:
    """Reproducible builds have one line of /proc/version for all configurations."""
    note = struct.pack("<III4s", 4, 20, 3, b"GNU\0")
    one, other = (arm64(A, 1)[:-64] + note + bytes((byte,)) * 20 + bytes(28) for byte in (1, 2))
    assert read(tmp_path, one + one).build_id == "01" * 20
    with pytest.raises(TargetError, match=f"more than one kernel of the release {A}"):
        read(tmp_path, one + other)


@pytest.mark.parametrize("offset", [0, 1, 13, 512, 4096, 70_001])
@pytest.mark.parametrize("kind", ["arm64", "ELF"])
def test_a_plain_kernel_begins_at_its_header(tmp_path: Path, kind: str, offset: int) -> None:
    kernel = KINDS[kind](A, 1)
    assert read(tmp_path, b"\x11" * offset + kernel + b"behind it").data == kernel
    assert read(tmp_path, gzip.compress(b"\x11" * offset + kernel)).data == kernel


def test_since_6_1_a_kernel_has_two_lines_of_its_version(tmp_path: Path) -> None:
    """init/version.c has one without a number: both are of one kernel."""
    whole = banner(A, "# SMP").ljust(4096, b"\0") + flat(A, 1)
    for data in (whole, gzip.compress(whole), whole + whole):
        assert read(tmp_path, data).banner.endswith("#1 SMP")
    two = whole + banner(B, "# SMP").ljust(4096, b"\0") + flat(B, 2)
    with pytest.raises(TargetError, match=f"holds more than one kernel: {A}, {B}"):
        read(tmp_path, two)


class Fit:
    """A device tree as mkimage writes it, from nested dictionaries."""

    def __init__(self, root: dict[str, object]) -> None:
        self.strings = b""
        body = self._node("", root) + struct.pack(">I", 9)
        at = 56 + len(body)
        sizes = (0xD00DFEED, at + len(self.strings), 56, at, 40, 17, 16, 0, len(self.strings), len(body))
        self.data = struct.pack(">10I", *sizes) + bytes(16) + body + self.strings

    def _node(self, name: str, values: dict[str, object]) -> bytes:
        made = struct.pack(">I", 1) + (name.encode() + b"\0").ljust(len(name) + 4 & -4, b"\0")
        for key, value in values.items():
            if isinstance(value, dict):
                made += self._node(key, value)
            else:
                content = value if isinstance(value, bytes) else str(value).encode() + b"\0"
                made += struct.pack(">III", 3, len(content), len(self.strings))
                made += content.ljust(len(content) + 3 & -4, b"\0")
                self.strings += key.encode() + b"\0"
        return made + struct.pack(">I", 2)


def fit(default: str | None, arch: str = "arm64") -> bytes:
    """A boot loader, and two kernels of which a configuration picks one."""
    kernel = {"type": "kernel", "os": "linux", "arch": arch, "compression": "none"}
    images = {
        "u-boot": {**kernel, "os": "u-boot", "data": random.Random(1).randbytes(70_000)},
        "first": {**kernel, "data": flat(A, 1)},
        "second": {**kernel, "type": "kernel_noload", "compression": "lz4", "data": CODECS["lz4"](flat(B, 2))},
        "ramdisk": {"type": "ramdisk", "data": b"x" * 7},
    }
    picked = {} if default is None else {"default": default}
    configurations = {**picked, "conf-1": {"kernel": "first"}, "conf-2": {"kernel": "second", "ramdisk": "ramdisk"}}
    return Fit({"description": "made", "images": images, "configurations": configurations}).data


@pytest.mark.parametrize("offset", [0, 70_001])
def test_the_default_configuration_of_a_fit_picks_its_kernel(tmp_path: Path, offset: int) -> None:
    for default, release, layers in (("conf-1", A, ("FIT",)), ("conf-2", B, ("FIT", "lz4"))):
        found = read(tmp_path, b"\x11" * offset + fit(default))
        assert (found.release, found.layers) == (release, layers)
    assert read(tmp_path, fit("conf-1"), B).release == B
    for none in (fit(None), fit("conf-3")):
        with pytest.raises(TargetError, match=f"holds more than one kernel: {A}, {B}"):
            read(tmp_path, none)


def chromeos(body: bytes) -> bytes:
    """As `futility vbutil_kernel --pack` lays it out (0~R106): keyblock of 0x4b8 bytes, preamble to 0x10000."""
    keyblock = b"CHROMEOS" + struct.pack("<IIQ", 2, 1, 0x4B8)
    preamble = struct.pack("<Q", 0xFB48).ljust(88, b"\0") + struct.pack("<Q", len(body))
    return keyblock.ljust(0x4B8, b"\xfe") + preamble.ljust(0xFB48, b"\xfe") + body + b"\xfe" * 9999


def test_a_partition_of_chromeos(tmp_path: Path) -> None:
    found = read(tmp_path, chromeos(fit("conf-2")))
    assert (found.release, found.layers) == (B, ("ChromeOS kernel", "FIT", "lz4"))
    assert read(tmp_path, chromeos(bytes(9000) + CODECS["gzip"](flat(A, 1)) + bytes(9000))).release == A


def lz4_frame(data: bytes) -> bytes:
    return bytes(cramjam.lz4.compress(data))


@pytest.mark.parametrize("behind", [b"", b"\xd0\x0d\xfe\xed a device tree", bytes(99), b"\xff" * 99])
@pytest.mark.parametrize("codec", [*CODECS, "frame"])
def test_what_lies_behind_a_stream_does_no_harm(tmp_path: Path, codec: str, behind: bytes) -> None:
    packed = lz4_frame(KERNEL) if codec == "frame" else CODECS[codec](KERNEL)
    for before in (b"", b"\x11" * 70_001):
        assert read(tmp_path, before + packed + behind).data == KERNEL
    assert read(tmp_path, android(packed + behind, 2)).data == KERNEL


@pytest.mark.parametrize(
    ("pack", "between"),
    [
        (gzip.compress, b""), (bz2.compress, b""), (zstd.compress, b""), (lzma.compress, b""), (lzop, b""),
        (lz4_frame, b""),
        # pzstd and lz4 put frames between that are to be skipped
        (zstd.compress, struct.pack("<II", 0x184D2A50, 4) + b"size"),
        (lz4_frame, struct.pack("<II", 0x184D2A5F, 9) + b"any bytes"),
    ],
)  # fmt: skip
def test_streams_of_several_members(tmp_path: Path, pack: Callable[[bytes], bytes], between: bytes) -> None:
    third = len(KERNEL) // 3
    members = [pack(part) for part in (KERNEL[:third], KERNEL[third : 2 * third], KERNEL[2 * third :])]
    assert read(tmp_path, between.join(members)).data == KERNEL
    assert read(tmp_path, between.join(members) + b"behind it").data == KERNEL
    with pytest.raises(TargetError):
        read(tmp_path, (between.join(members))[:-9])


def test_lzma_as_openwrt_packs_it(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA1, "lc": 1, "lp": 2, "pb": 2, "dict_size": 8 << 20}]
    packed = lzma.compress(KERNEL, lzma.FORMAT_ALONE, filters=filters)
    assert packed[0] == 0x6D
    for data in (packed, b"\x11" * 70_001 + packed + b"behind", uimage(packed, "lzma")):
        found = read(tmp_path, data)
        assert (found.data, found.layers[-1]) == (KERNEL, "lzma")


@pytest.mark.parametrize(
    ("place", "magic", "name"),
    [
        (0x438, b"\x53\xef", "an ext2, ext3 or ext4"), (0, b"hsqs", "a squashfs"),
        (0x400, b"\xe2\xe1\xf5\xe0", "an erofs"),
        (0x36, b"FAT16   ", "a FAT"), (0x52, b"FAT32   ", "a FAT"), (0, b"UBI#", "an UBI"),
    ],
)  # fmt: skip
def test_a_file_system_is_named(tmp_path: Path, place: int, magic: bytes, name: str) -> None:
    """One in which the kernel lies in pieces, plain or packed; a kernel in one piece is read."""
    blocks = bytearray(4096)
    blocks[place : place + len(magic)] = magic
    whole = flat(A, 1)
    broken = [bytes(4096).join(whole[at : at + 8192] for at in range(0, len(whole), 8192))]
    packed = lzma.compress(KERNEL)
    broken.append(packed[:50_000] + bytes(4096) + packed[50_000:])
    for data in broken:
        with pytest.raises(TargetError, match=rf"in one piece in it: it is {name}.*unpack it and give the folder"):
            read(tmp_path, blocks + data)
    for data in (whole, packed):
        assert read(tmp_path, blocks + data + bytes(4096)).symvers()


def test_a_sparse_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="a sparse image of Android; make it a plain one \\(simg2img\\)"):
        read(tmp_path, b"\x3a\xff\x26\xed\1\0\0\0".ljust(4096, b"\0"))


@pytest.mark.parametrize(
    ("number", "order", "word", "arch"),
    [
        (2, "<", 4, ("arm", "little")), (2, ">", 4, ("arm", "big")), (5, ">", 4, ("mips", "big")),
        (6, "<", 8, ("mips64", "little")), (7, ">", 4, ("ppc", "big")), (7, "<", 8, ("ppc64", "little")),
        (8, ">", 8, ("s390x", "big")), (22, "<", 8, ("arm64", "little")), (26, "<", 8, ("riscv64", "little")),
        (99, "<", 8, None),
    ],
)  # fmt: skip
def test_a_uimage_tells_the_architecture_and_the_table_the_order(
    tmp_path: Path, number: int, order: str, word: int, arch: tuple[str, str] | None
) -> None:
    base = {4: 0xC0008000, 8: 0xFFFFFFFF80100000}[word]
    kernel = flat(A, 1, order=order, word=word, base=base).replace(b" aarch64\0", b" \0      \0")
    image = bytearray(uimage(gzip.compress(kernel), "gzip"))
    image[29] = number
    assert read(tmp_path, bytes(image)).arch() == arch


def test_what_else_tells_the_architecture(tmp_path: Path) -> None:
    kernel = flat(A, 1).replace(b" aarch64\0", b" \0      \0")
    assert read(tmp_path, kernel).arch() is None
    assert read(tmp_path, fit("conf-1", "arm").replace(b" aarch64\0", b" \0      \0")).arch() == ("arm", "little")
    assert read(tmp_path, bytes(0x10008) + b"S390EP" + gzip.compress(kernel)).arch() == ("s390x", "big")
    # the kernel's own word counts more
    assert read(tmp_path, uimage(gzip.compress(flat(A, 1)), "gzip")).arch() == ("arm64", "little")
    made = bytearray(arm64(A, 1))
    assert read(tmp_path, bytes(made)).arch() == ("arm64", "little")
    made[24] |= 1
    assert read(tmp_path, bytes(made)).arch() == ("arm64", "big")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("word", "base"), [(4, 0xC0008000), (8, 0xFFFFFFFF80100000)])
@pytest.mark.parametrize("with_crc", [True, False])
def test_tables_before_2_6_39_are_not_sorted(order: str, word: int, base: int, with_crc: bool) -> None:
    """Entries and names in the order of the link, GPL-only ones in a table of their own; CRCs are words."""
    rows = [row._replace(namespace="", crc=row.crc if with_crc else None) for row in ROWS]
    random.Random(word).shuffle(rows)
    linked = sorted(rows, key=lambda row: row.name != "kfree")[:3000]
    image = unsorted(linked, order, word, base, with_crc)
    found = kernel_exports(image + bytes(8192))
    assert {*(found or ())} == {*linked}


def unsorted(rows: list[Export], order: str, word: int, base: int, with_crc: bool) -> bytes:
    kind = order + ("I" if word == 4 else "Q")
    image = bytearray(banner("2.6.32").ljust(4096, b"\0"))
    parts = [row for gpl in (False, True) for row in rows if row.gpl == gpl]
    strings = len(image) + len(rows) * word * (3 if with_crc else 2)
    places, texts = {}, b""
    for row in rows:
        places[row.name] = strings + len(texts)
        texts += row.name.encode() + b"\0"
    image += b"".join(struct.pack(f"{kind}{kind[1]}", base + 4096, base + places[row.name]) for row in parts)
    image += b"".join(struct.pack(kind, row.crc) for row in parts if row.crc is not None)
    return bytes(image) + texts


NOTES = json.loads((FOLDER / "notes/index.json").read_text())


@pytest.mark.parametrize("role", NOTES)
def test_the_build_id_is_the_kernels_and_not_the_vdsos(role: str) -> None:
    """Real notes of flat kernels; the truth is what `readelf -n` says of their vmlinux."""
    data = b"the kernel's code" + lzma.decompress((FOLDER / f"notes/{role}.bin.xz").read_bytes())
    truth = NOTES[role]["build_id"]
    assert build_id(data) == truth
    note = data.index(bytes.fromhex(truth)) - 16
    assert build_id(data[:note] + bytes(36) + data[note + 36 :]) is None
    assert build_id(data + data[note : note + 16] + bytes(range(20))) is None
    assert build_id(data + data[note : note + 36]) == truth


@pytest.mark.parametrize(
    "end", [b"\x7fELF", b"\x7fELF\2\1\1", b"ARMd", b"\x1f\x8b\x08", b"\x04\x22\x4d\x18", b"\x89LZO\0\r\n\x1a\n"]
)
def test_what_only_begins_at_the_end_is_nothing(tmp_path: Path, end: bytes) -> None:
    for before in (b"", b"\x11" * 99, flat(A, 1)):
        (tmp_path / "image").write_bytes(before + end)
        if len(before) > 99:
            assert Image(str(tmp_path / "image")).release == A
        else:
            with pytest.raises(TargetError):
                Image(str(tmp_path / "image"))


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<4sBBB9xHHIQQQI6H", b"\x7fELF", 2, 1, 1, 2, 62, 1, 0, 0, 64, 0, 64, 0, 0, 64, 200, 0) * 100_000,
        struct.pack("<QQQQ24x4sI", 0, 0, 400 << 20, 10, b"ARMd", 0) * 100_000,
        (b"\xd0\x0d\xfe\xed" + struct.pack(">9I24x", 400 << 20, 56, 400, 40, 17, 16, 0, 10, 10)) * 50_000,
        (b"\x02\x21\x4c\x18" + struct.pack("<I20x", 20)) * 100_000,
        (b"\x04\x22\x4d\x18\x60\x70\x73" + struct.pack("<I16x", 0x80000010)) * 100_000,
        b"".join(banner(f"6.1.0-{number}") for number in range(10_000)),
    ],
    ids=["ELF", "arm64", "FIT", "lz4 -l", "lz4", "banners"],
)
def test_a_file_of_beginnings_alone_takes_bounded_time(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "image").write_bytes(data)
    start = time.process_time()
    with pytest.raises(TargetError):
        Image(str(tmp_path / "image"))
    assert time.process_time() - start < 20


def test_the_table_of_containers_in_the_docs() -> None:
    """What the real tools' images come to (tests/oracle/containers.py) is what the documentation says."""
    text = (FOLDER.parent.parent / "docs/targets.md").read_text()
    rows = json.loads(INDEX.read_text())
    assert tables(rows) in text
    assert not [row for row in rows if row["outcome"].startswith("WRONG")]

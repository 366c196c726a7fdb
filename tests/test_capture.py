"""The script that takes a board's description, on boards made up here: folders with what it reads, as $ROOT."""

from __future__ import annotations

import gzip
import io
import os
import pty
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

SCRIPT = ROOT / "modcheck" / "cli" / "capture.sh"
RELEASE = "6.1.99-board"
MODULES = f"lib/modules/{RELEASE}"
SHELLS = ("dash", "busybox", "bash")
#: a busybox board is the usual case; the whole board is captured by all shells
SHELL = pytest.mark.parametrize("shell", ["busybox"])

#: the one above 2^63, the other not at the begin of a page
TEXT, RODATA_END = 0xFFFFFFFF81000000, 0xFFFFFFFF81005800
TEXT_32, RODATA_END_32 = 0xC0008240, 0xC000D000

KALLSYMS = f"""\
0000000000000000 A fixed_percpu_data
{TEXT:016x} T _stext
{TEXT:016x} T _text
ffffffff81004000 r __ksymtab_zeta
ffffffff81004010 r __ksymtab_alpha
ffffffff81004020 r __kstrtab_alpha
ffffffff81004024 r __crc_alpha
{RODATA_END:016x} R __end_rodata
ffffffff81400000 B _end
ffffffffc0000000 r __ksymtab_of_a_module\t[some]
"""


class Captured:
    """What one run of the script gave."""

    def __init__(self, done: subprocess.CompletedProcess[bytes], data: bytes) -> None:
        self.status, self.stderr, self.data = done.returncode, done.stderr.decode(), data
        with tarfile.open(fileobj=io.BytesIO(data), ignore_zeros=True) as tar:
            files = [(one.name, tar.extractfile(one)) for one in tar]
        self.names = [name for name, _ in files]
        self.members = {name: file.read() for name, file in files if file}

    @property
    def missing(self) -> list[str]:
        return self.members["modcheck/missing"].decode().splitlines()


@pytest.fixture(scope="module")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with busybox's applets alone."""
    program = shutil.which("busybox")
    if program is None:
        pytest.skip("busybox is not installed")
    folder = tmp_path_factory.mktemp("busybox")
    for applet in ("cat", "tar", "dd", "od", "sed", "grep", "wc", "head", "ls", "uname", "sh"):
        (folder / applet).symlink_to(program)
    return folder


class Shell:
    """One shell, and where it finds its commands."""

    def __init__(self, name: str, path: str) -> None:
        program = shutil.which(name, path=path)
        if program is None:
            pytest.skip(f"{name} is not installed")
        self.program, self.path = program, path

    def run(self, *words: str | Path, board: Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
        environment = {"PATH": self.path, "ROOT": str(board)}
        return subprocess.run([self.program, *words], env=environment, stderr=subprocess.PIPE, check=False, **options)

    def capture(self, board: Path) -> Captured:
        """Run it as `ssh board sh < capture.sh` does."""
        with SCRIPT.open("rb") as script:
            done = self.run(board=board, stdin=script, stdout=subprocess.PIPE, cwd=board)
        return Captured(done, done.stdout)


@pytest.fixture
def sh(request: pytest.FixtureRequest, shell: str) -> Shell:
    if shell == "busybox":
        return Shell("sh", str(request.getfixturevalue("busybox")))
    return Shell(shell, os.environ["PATH"])


def write(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def small(root: Path, **more: bytes) -> Path:
    """A board that has hardly anything."""
    write(root, {"proc/sys/kernel/osrelease": f"{RELEASE}\n".encode(), **more})
    return root


#: what the whole board has and the script takes as it is
TAKEN = {
    "proc/version": b"Linux version 6.1.99-board\n",
    "proc/cmdline": b"root=/dev/mmcblk0p2\n",
    "proc/config.gz": gzip.compress(b"CONFIG_MODULES=y\n" * 99, mtime=0),
    "proc/modules": b"",
    "proc/keys": b"0a I--- 1 perm 0 0 asymmetri key: X509.rsa []\n",
    "proc/sys/kernel/osrelease": f"{RELEASE}\n".encode(),
    "proc/sys/kernel/modules_disabled": b"0\n",
    "proc/sys/kernel/tainted": b"0\n",
    "sys/kernel/notes": b"\4\0\0\0\0\n\n",
    "sys/kernel/btf/vmlinux": bytes(range(256)) * 5,
    "sys/kernel/security/lockdown": b"[none] integrity confidentiality\n",
    "sys/module/module/parameters/sig_enforce": b"N\n",
    f"boot/vmlinuz-{RELEASE}": bytes(512),
    f"boot/config-{RELEASE}": b"CONFIG_MODULES=y\n",
    f"{MODULES}/modules.dep": b"kernel/x.ko:\n",
    f"{MODULES}/kernel/x.ko": b"\x7fELF",
    f"{MODULES}/kernel/y z.ko.xz": b"xz",
    f"{MODULES}/kernel/[xy].ko": b"a pattern, of which it is no case",
    f"{MODULES}/kernel/{'long/' * 30}w.ko": b"w",
    **{f"{MODULES}/kernel/many/{number}.ko": b"" for number in range(410)},
    "etc/modprobe.d/one.conf": b"options x a=1\n",
    "lib/modprobe.d/two.conf": b"options x b=2\n",
    "usr/lib/modprobe.d/two.conf": b"options x b=2\n",
}
#: and what it does not take
LEFT = {
    "boot/vmlinuz": b"another",
    f"boot/System.map-{RELEASE}": b"",
    f"{MODULES}/vmlinuz": b"the same",
    f"{MODULES}/System.map": b"",
    f"{MODULES}/initramfs.img": b"",
    f"{MODULES}/kernel/source/tree.ko": b"",
    f"{MODULES}/kernel/readme": b"",
    "etc/shadow": b"root:x",
    "etc/modprobe.d/a name.conf": b"",
    f"etc/modprobe.d/{99 * 'n'}.conf": b"",
    "proc/kcore": b"\x7fELF",
    "proc/kallsyms": KALLSYMS.encode(),
    "sys/module/kernel/uevent": b"",
}


def tree(root: Path) -> list[tuple[str, int]]:
    return [(str(path), path.lstat().st_mtime_ns) for path in sorted(root.rglob("*"))]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("a board")
    (root / "usr/lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    write(root, {**TAKEN, **LEFT})
    (root / MODULES / "build").symlink_to("/nowhere")
    (root / MODULES / "source").symlink_to(".")
    (root / MODULES / "updates").symlink_to(root / "elsewhere")
    write(root, {"elsewhere/u.ko": b"u"})
    (root / MODULES / "kernel/linked.ko").symlink_to("x.ko")
    (root / MODULES / "kernel/dangling.ko").symlink_to("nowhere.ko")
    (root / MODULES / "kernel/loop").symlink_to(".")
    os.mkfifo(root / MODULES / "kernel/pipe.ko")
    (root / "etc/modprobe.d/masked.conf").symlink_to("/dev/null")
    return root


@pytest.mark.parametrize("shell", SHELLS)
def test_members(board: Path, sh: Shell) -> None:
    before = tree(board)
    got = sh.capture(board)
    assert got.status == 0
    assert tree(board) == before, "it has written something"
    machine = os.uname()
    missing = [
        "etc/modprobe.d/a name.conf: has such a name",
        f"etc/modprobe.d/{99 * 'n'}.conf: has a long name",
        f"{MODULES}/kernel/dangling.ko: cannot be read",
        f"{MODULES}/kernel/loop: link to a folder",
        f"{MODULES}/kernel/pipe.ko: cannot be read",
    ]
    assert got.missing == missing
    assert got.stderr.splitlines() == [f"capture: not taken: {line}" for line in missing]
    assert got.members == {
        **TAKEN,
        "modcheck/capture": b"modcheck capture 1\n",
        "modcheck/uname": f"{RELEASE}\n{machine.machine}\n{machine.version}\n".encode(),
        "modcheck/sys-module": b"kernel\nmodule\n",
        "modcheck/kallsyms": b"zeta\nalpha\n",
        "modcheck/missing": got.members["modcheck/missing"],
        f"{MODULES}/kernel/linked.ko": b"\x7fELF",
        f"{MODULES}/updates/u.ko": b"u",
        "etc/modprobe.d/masked.conf": b"",
    }
    assert len(got.names) == len(set(got.names))
    assert (got.names[0], got.names[-1]) == ("modcheck/capture", "modcheck/missing")
    assert len(got.data) % 512 == 0


@SHELL
def test_a_board_of_which_nothing_can_be_read(tmp_path: Path, sh: Shell) -> None:
    for name in ("proc/version", "proc/config.gz", f"boot/vmlinuz-{RELEASE}"):
        (small(tmp_path) / name).mkdir(parents=True)  # a folder cannot be read as a file, by root neither
    got = sh.capture(tmp_path)
    assert got.status == 0
    assert got.names == ["modcheck/capture", "modcheck/uname", "proc/sys/kernel/osrelease", "modcheck/missing"]
    assert "proc/version: cannot be read" in got.missing
    assert "proc/config.gz: cannot be read" in got.missing
    assert f"boot/vmlinuz-{RELEASE}: cannot be read" in got.missing
    assert "proc/cmdline: not there" in got.missing
    assert "sys/module: not there" in got.missing
    assert "boot: no kernel image that can be read" in got.missing
    assert [line.removeprefix("capture: not taken: ") for line in got.stderr.splitlines()] == got.missing


@SHELL
@pytest.mark.parametrize(
    ("files", "taken"),
    [
        (["boot/vmlinux-REL", "boot/Image"], ["boot/vmlinux-REL"]),
        (["lib/modules/REL/vmlinuz", "boot/Image"], ["lib/modules/REL/vmlinuz"]),
        (["boot/a.itb", "boot/firmware/kernel8.img"], ["boot/a.itb", "boot/firmware/kernel8.img"]),
        (["dev/mtd3", "dev/mtd4"], ["modcheck/image=dev/mtd3"]),
        (["dev/disk/by-partlabel/boot"], ["modcheck/image=dev/disk/by-partlabel/boot"]),
    ],
    ids=["release", "modules", "all", "mtd", "partition"],
)  # fmt: skip
def test_images(tmp_path: Path, sh: Shell, files: list[str], taken: list[str]) -> None:
    write(small(tmp_path), {name.replace("REL", RELEASE): name.encode() for name in files})
    write(tmp_path, {"proc/mtd": b'dev: size erasesize name\nmtd3: 300000 20000 "kernel"\nmtd4: 1 1 "rootfs"\n'})
    got = sh.capture(tmp_path).members
    images = {name: content for name, content in got.items() if name.startswith(("boot", "lib", "modcheck/image"))}
    expected = {}
    for name in taken:
        name, _, source = name.partition("=")
        expected[name.replace("REL", RELEASE)] = (source or name).encode()
    assert images == expected


def kcore(order: str, wide: bool, window: bytes) -> bytes:
    """/proc/kcore: `window` is what begins with the page of _text, one page into the last of the segments."""
    text = TEXT if wide else TEXT_32
    address = (text & -4096) - 4096
    # type, address, length, offset: a note at the very address, one that begins behind _text
    segments = [(4, address, 0x2000, 0x3000), (1, text + 0x40, 0x2000, 0x3000)]
    if wide:  # one that ends long before, and one that does so in the upper half of the address alone
        segments += [(1, 0xFFFF888000000000, 0x700000000000, 0x3000), (1, 0xFFFFFFFEFFFFF000, 0x2000000, 0x3000)]
    segments.append((1, address, 0x100000, 0x4000))
    ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if order == "<" else 2, 1))
    count = len(segments)
    if wide:
        head = struct.pack(f"{order}16sHHIQQQIHHHHHH", ident, 4, 62, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
        form = f"{order}I4xQQ8xQ16x"
    else:
        head = struct.pack(f"{order}16sHHIIIIIHHHHHH", ident, 4, 40, 1, 0, 52, 0, 0, 52, 32, count, 0, 0, 0)
        form = f"{order}III4xI12x"
    head += b"".join(struct.pack(form, kind, offset, address, length) for kind, address, length, offset in segments)
    return head.ljust(0x5000, b"\xee") + window


# dash has the strictest arithmetic: what is above 2^63 becomes 2^63 - 1
@pytest.mark.parametrize("shell", ["dash"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("wide", [True, False], ids=["64", "32"])
def test_kcore(tmp_path: Path, sh: Shell, order: str, wide: bool) -> None:
    size = RODATA_END - TEXT if wide else RODATA_END_32 - 0xC0008000
    window = bytes(range(251)) * 100
    kallsyms = KALLSYMS if wide else f"{TEXT_32:08x} T _text\n{RODATA_END_32:08x} R __end_rodata\n"
    write(small(tmp_path), {"proc/kallsyms": kallsyms.encode(), "proc/kcore": kcore(order, wide, window)})
    got = sh.capture(tmp_path).members["modcheck/kcore"]
    assert got == window[:size]


IOMEM = b"""\
40000000-7fffffff : System RAM
  40210000-4021ffff : Kernel code
  40220000-4022ffff : reserved
  40230000-402340ff : Kernel data
"""


@SHELL
@pytest.mark.parametrize(
    ("end", "iomem", "size"),
    [(f"{TEXT + 0x4200:016x} B _end\n", IOMEM, 0x4200), ("", IOMEM, 0x24100), ("", b"", 0x100000 - 4096)],
    ids=["end", "iomem", "segment"],
)
def test_kcore_without_end_of_rodata(tmp_path: Path, sh: Shell, end: str, iomem: bytes, size: int) -> None:
    """Without CONFIG_KALLSYMS_ALL, kallsyms has no symbols of data. Where kcore ends before, zeros follow."""
    kallsyms = f"{TEXT:016x} T _stext\n{end}".encode()
    write(small(tmp_path), {"proc/kallsyms": kallsyms, "proc/kcore": kcore("<", True, b"kernel"), "proc/iomem": iomem})
    got = sh.capture(tmp_path)
    assert got.members["modcheck/kcore"] == b"kernel".ljust(size, b"\0")
    assert got.names[-1] == "modcheck/missing"


@SHELL
@pytest.mark.parametrize(
    ("kallsyms", "data", "reason"),
    [
        (KALLSYMS.replace("ffffffff8100", "000000000000"), kcore("<", True, b"kernel"), "no address of _text"),
        (KALLSYMS.replace("ffffffff8100", "fffffffe8100"), kcore("<", True, b"kernel"), "no segment with _text"),
        (KALLSYMS, kcore("<", True, b""), "has nothing at ffffffff81000000"),
        (KALLSYMS, b"\x7fELF\2\1", "no segment with _text"),
        (KALLSYMS, b"", "cannot be read"),
    ],
    ids=["hidden", "elsewhere", "nothing", "cut", "empty"],
)
def test_kcore_of_no_use(tmp_path: Path, sh: Shell, kallsyms: str, data: bytes, reason: str) -> None:
    write(small(tmp_path), {"proc/kallsyms": kallsyms.encode(), "proc/kcore": data})
    got = sh.capture(tmp_path)
    assert "modcheck/kcore" not in got.members
    assert any(line.startswith("modcheck/kcore: ") and reason in line for line in got.missing)
    assert got.names[-1] == "modcheck/missing"


# busybox's shell may be built to take its own commands, whatever PATH says
@pytest.mark.parametrize("shell", ["dash"])
def test_what_tar_says_is_told(tmp_path: Path, sh: Shell) -> None:
    """It goes on."""
    write(small(tmp_path), {f"{MODULES}/x.ko": b"x"})
    tar = tmp_path / "tar"
    tar.write_text(f"#!/bin/sh\necho 'tar: {MODULES}/x.ko: Cannot open: No' >&2\necho 'tar: Exiting now' >&2\nexit 2\n")
    tar.chmod(0o755)
    sh.path = f"{tmp_path}:{sh.path}"
    got = sh.capture(tmp_path)
    assert got.status == 0
    assert got.missing[-1] == f"{MODULES}/x.ko: Cannot open: No"


@pytest.mark.parametrize("shell", ["dash"])
@pytest.mark.parametrize("second", [b"short", b"long" * 500], ids=["shorter", "longer"])
def test_file_that_changes_between_two_reads(tmp_path: Path, sh: Shell, second: bytes) -> None:
    content = b"c" * 600
    write(small(tmp_path), {"proc/config.gz": content, "proc/modules": content, "second": second})
    cat = tmp_path / "bin/cat"
    cat.parent.mkdir()
    cat.write_text(f"""#!/bin/sh\ncase $1 in *.gz) set -- "$ROOT/second" ;; esac\nexec {shutil.which("cat")} "$@"\n""")
    cat.chmod(0o755)
    sh.path = f"{cat.parent}:{sh.path}"
    got = sh.capture(tmp_path)
    assert got.members["proc/config.gz"] == second.ljust(600, b"\0")[:600]
    assert got.members["proc/modules"] == content
    assert got.names[-1] == "modcheck/missing"


@SHELL
def test_to_a_folder(tmp_path: Path, sh: Shell) -> None:
    board, folder = small(tmp_path / "board"), tmp_path / "out"
    folder.mkdir()
    done = sh.run(SCRIPT, folder, board=board, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (0, b"")
    assert [path.name for path in folder.iterdir()] == ["board.tar"]
    got = Captured(done, (folder / "board.tar").read_bytes())
    assert got.data == sh.capture(board).data
    assert got.members["proc/sys/kernel/osrelease"] == f"{RELEASE}\n".encode()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("arguments", "out", "says"),
    [
        ([], "terminal", "standard output is a terminal"),
        ([], "/dev/full", "capture: cannot write"),
        (["/nowhere"], "/dev/null", "/nowhere/board.tar"),
        ([""], "/dev/null", "usage"),
        (["--help"], "/dev/null", "usage"),
        (["one", "two"], "/dev/null", "usage"),
    ],
    ids=["terminal", "full", "no-folder", "empty", "option", "two"],
)
def test_refusals(tmp_path: Path, sh: Shell, arguments: list[str], out: str, says: str) -> None:
    ends = pty.openpty() if out == "terminal" else (os.open(out, os.O_WRONLY),)
    try:
        done = sh.run(SCRIPT, *arguments, board=small(tmp_path), stdout=ends[-1])
    finally:
        for end in ends:
            os.close(end)
    assert done.returncode not in (0, 126, 127)
    assert says in done.stderr.decode()


@SHELL
def test_part_of_the_script_does_nothing(tmp_path: Path, sh: Shell) -> None:
    """As when the connection breaks."""
    script = SCRIPT.read_bytes()
    for part in (script[: len(script) // 2], script.rpartition(b"\nmain")[0]):
        assert sh.run(board=tmp_path, input=part, stdout=subprocess.PIPE, cwd=tmp_path).stdout == b""

"""What README prints is run as it stands, in a fresh folder: each command with its exit status, the gate with make.

The board is a root of busybox with what a booted guest told of itself (data/builds), its export table in an image; ssh
is a stub that runs there what it is given. KDIR's Makefile hands out modules that were really built in that tree.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLES
from test_builds import OTHER, PLAIN, RELEASE, board_image

from modcheck.files import read_plain

READMES = ("README.md", "README.zh.md")
#: each command that is printed, and its exit status; those of `make` are CI's own, or are tried one by one
STATUSES = {
    "modcheck chrdevbase.ko --symvers ../linux/Module.symvers": 1,
    "modcheck capture > capture.sh": 0,
    "ssh root@board sh < capture.sh > board.tar": 0,
    "modcheck target board.tar -o board.json": 0,
    "ssh root@board uname -r > board.release": 0,
    "ssh root@board cat /proc/config.gz > board.config.gz": 0,
    "modcheck --strict --target board.json chrdevbase.ko": 1,
    "modcheck --symvers $(KDIR)/Module.symvers --release @board.release --config board.config.gz chrdevbase.ko": None,
    "modcheck --strict --target $KDIR --format text --format json:report.json out/*.ko": 0,
    "modcheck --strict --target board.json out/*.ko --format github --format sarif:modcheck.sarif --format "
    "markdown:modcheck.md": 0,
    "modcheck --strict --target board.json --format text --format junit:modcheck.xml out/*.ko": 0,
    "modcheck --strict --target board.json --format markdown:checklist.md out/*.ko": 0,
    "modcheck rootfs/lib/modules/6.1.176-rockchip-rk3588 --target board.json": 0,
    "modcheck matrix out/*.ko --target boards/opi5.json --target boards/rock5.json --format html:matrix.html": 0,
    "modcheck --strict x.ko --target board.tar": 0,
    "modcheck symvers board.tar -o Module.symvers": 0,
    "modcheck diff linux-headers-6.12.116+deb13-amd64 linux-headers-6.12.117+deb13-amd64 out/*.ko": 1,
}
#: those of other blocks: the sample's own make, and what needs no board
ELSEWHERE = ("make demo", "make test")

STUB = """\
#!/bin/sh
# ssh root@board WORD...: run in the board's root, by its busybox
shift
export ROOT={root} PATH={applets}
case $1 in
cat) exec cat "{root}$2" ;;
sh) {{ cat {uname}; cat; }} | sh ;;
*) . {uname}; "$@" ;;
esac
"""
#: busybox' shell does not look for an applet of its own in PATH
UNAME = """\
uname() {{
	case $1 in
	-r) cat {root}/proc/sys/kernel/osrelease ;;
	-m) echo aarch64 ;;
	*) echo Linux ;;
	esac
}}
"""
KDIR = """\
modules:
\tcp $(firstword $(wildcard {built}/modules/plain.ko)) $(M)/chrdevbase.ko
"""


def commands(text: str) -> list[str]:
    """The commands that a README prints in its blocks, without prompts, list marks and comments."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    found = []
    for kind, block in blocks:
        folded = re.sub(r">\n(( +).*\n(?:\2.*\n)*)", lambda match: " ".join(match[1].split()) + "\n", block)
        for line in folded.splitlines():
            words = re.sub(r"^(?:\s*- (?:run: +)?|\$ |\s+)", "", line).partition("  #")[0].strip()
            if words.startswith(("modcheck ", "ssh ", "make ")) and (line[:1] not in " \t" or kind):
                found.append(words)
    return found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the board, the stubs, the trees and the modules that README speaks of."""
    root = tmp_path / "board"
    for name in ("proc/sys/kernel", "sys/kernel", f"lib/modules/{RELEASE}/kernel", "boot", "etc"):
        (root / name).mkdir(parents=True)
    told = OTHER / "board"
    shutil.copy(told / "version", root / "proc/version")
    shutil.copy(told / "osrelease", root / "proc/sys/kernel/osrelease")
    shutil.copy(told / "config.gz", root / "proc/config.gz")
    shutil.copy(told / "notes", root / "sys/kernel/notes")
    image = board_image(OTHER, tmp_path).read_bytes().ljust(2 << 20, b"\xa5")
    for name in ("cmdline", "modules"):
        (root / "proc" / name).write_text("\n")
    (root / f"boot/vmlinuz-{RELEASE}").write_bytes(gzip.compress(image, mtime=0))
    modules = root / f"lib/modules/{RELEASE}"
    shutil.copy(OTHER / "modules/heartbeat.ko", modules / "kernel")
    (modules / "modules.order").write_text("kernel/heartbeat.ko\n")
    (modules / "modules.dep").write_text("kernel/heartbeat.ko:\n")
    bin_ = tmp_path / "bin"
    applets = tmp_path / "applets"
    for folder in (bin_, applets):
        folder.mkdir()
    busybox = shutil.which("busybox")
    for applet in ("cat", "tar", "dd", "od", "sed", "grep", "wc", "head", "ls", "sh"):
        (applets / applet).symlink_to(busybox or shutil.which(applet) or f"/bin/{applet}")
    for path, text in (
        (bin_ / "ssh", STUB.format(root=root, applets=applets, uname=tmp_path / "uname")),
        (tmp_path / "uname", UNAME.format(root=root)),
        (bin_ / "modcheck", f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m modcheck "$@"\n'),
    ):
        path.write_text(text)
        path.chmod(0o755)
    for name, built in (("own", OTHER), ("neighbour", PLAIN)):
        home = tmp_path / name / "linux"
        shutil.copytree(built / "tree", home)
        (home / "Module.symvers").write_bytes(read_plain(home / "Module.symvers.xz"))
        (home / "Makefile").write_text(KDIR.format(built=built))
    shutil.copytree(SAMPLES / "rk3588/tree", tmp_path / "linux")
    return tmp_path


def run(place: Path, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line as it is typed, in the module's folder."""
    path = f"{place / 'bin'}:{os.environ['PATH']}"
    folder = place / "driver"
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "HOME": str(place / "own"), "PATH": path, **environment}
    return subprocess.run(["sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False)


def describe(place: Path) -> None:
    """The board, as README has it described once."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    gate = text[text.index("## The gate in a Makefile") : text.index("**A board that you cannot capture**")]
    for line in commands(gate)[:3]:
        assert run(place, line).returncode == 0, line


def makefile(readme: str, second: bool = False) -> str:
    """The Makefile that README prints; with the gate of a board that cannot be captured in place of the other."""
    blocks = re.findall(r"^```make\n(.*?)^```", (ROOT / readme).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    first, other = blocks
    line = next(one for one in first.splitlines(keepends=True) if "modcheck" in one)
    return first.replace(line, other) if second else first


@pytest.mark.parametrize("readme", READMES)
def test_each_command_is_one_that_is_run(readme: str) -> None:
    found = commands((ROOT / readme).read_text(encoding="utf-8"))
    assert not {*found} - {*STATUSES, *ELSEWHERE}
    assert not {*STATUSES} - {*found}


def test_the_commands(place: Path) -> None:
    """In their order, each with its exit status."""
    folder = place / "driver"
    (folder / "out").mkdir(parents=True)
    (folder / "boards").mkdir()
    shutil.copy(SAMPLES / "rk3588/no-suffix/chrdevbase.ko", folder)
    shutil.copy(OTHER / "modules/plain.ko", folder / "x.ko")
    for name in ("heartbeat", "uses_struct"):
        shutil.copy(OTHER / f"modules/{name}.ko", folder / "out")
    shutil.copytree(place / f"board/lib/modules/{RELEASE}", folder / f"rootfs/lib/modules/{RELEASE}")
    for number, built in ((116, OTHER), (117, PLAIN)):
        shutil.copytree(built / "tree", folder / f"linux-headers-6.12.{number}+deb13-amd64")
    for line, status in STATUSES.items():
        if status is None:
            continue
        done = run(place, line, KDIR=str(place / "own/linux"))
        assert done.returncode == status, (line, done.stdout, done.stderr)
        if line.startswith("modcheck target"):
            for board in ("opi5", "rock5"):
                shutil.copy(folder / "board.json", folder / f"boards/{board}.json")


def test_what_the_first_one_prints(place: Path) -> None:
    (place / "driver").mkdir()
    shutil.copy(SAMPLES / "rk3588/no-suffix/chrdevbase.ko", place / "driver")
    shown = run(place, "modcheck chrdevbase.ko --symvers ../linux/Module.symvers").stdout
    for readme in READMES:
        text = (ROOT / readme).read_text(encoding="utf-8")
        sample = text.partition("--symvers ../linux/Module.symvers\n")[2].partition("```")[0]
        told = [line for line in sample.splitlines() if "scripts/config" not in line]
        assert [line for line in told if line not in shown.splitlines()] == [], readme


def test_the_gate_with_what_a_booted_guest_told(place: Path) -> None:
    """board.json of its capture, image and all, as README makes it (data/builds/README.md)."""
    (place / "driver").mkdir()
    shutil.copy(PLAIN / "board/board.json", place / "driver")
    (place / "driver/Makefile").write_text(makefile("README.md"))
    line = "make KDIR=$HOME/linux ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-"
    own = run(place, line, HOME=str(place / "neighbour"))
    assert own.returncode == 0, own.stdout + own.stderr
    assert f"chrdevbase.ko: loads on {RELEASE}\n" in own.stdout
    other = run(place, line)
    assert "disagrees about version of symbol cdev_init" in other.stdout
    assert "Error 1" in other.stderr


@pytest.mark.parametrize("readme", READMES)
def test_the_gate(place: Path, readme: str) -> None:
    """It passes what was built in the board's own tree, and refuses what was built in its neighbour's."""
    describe(place)
    (place / "driver/Makefile").write_text(makefile(readme))
    line = "make KDIR=$HOME/linux ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-"
    assert line in (ROOT / readme).read_text(encoding="utf-8")
    own = run(place, line)
    assert own.returncode == 0, own.stdout + own.stderr
    assert f"chrdevbase.ko: loads on {RELEASE}\n" in own.stdout
    neighbour = run(place, line, HOME=str(place / "neighbour"))
    assert neighbour.returncode == 2  # make's own
    assert "disagrees about version of symbol cdev_del" in neighbour.stdout
    assert "Error 1" in neighbour.stderr


@pytest.mark.parametrize("readme", READMES)
def test_the_gate_of_a_board_that_cannot_be_captured(place: Path, readme: str) -> None:
    """It never says more than it knows: the neighbour has the same name and options, and other symbols."""
    (place / "driver").mkdir()
    for line in ("ssh root@board uname -r > board.release", "ssh root@board cat /proc/config.gz > board.config.gz"):
        assert run(place, line).returncode == 0
    (place / "driver/Makefile").write_text(makefile(readme, second=True))
    line = "make KDIR=$HOME/linux ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-"
    for name in ("own", "neighbour"):
        done = run(place, line, HOME=str(place / name))
        assert done.returncode == 0, done.stdout + done.stderr
        assert f": loads on {RELEASE}, if {place}/{name}/linux/Module.symvers is of the kernel that runs" in done.stdout
    (place / "driver/Makefile").write_text(makefile(readme, second=True).replace("modcheck ", "modcheck --strict "))
    assert "Error 3" in run(place, line).stderr
    (place / "driver/Makefile").write_text(makefile(readme, second=True))
    header = place / "own/linux/include/generated/utsrelease.h"
    header.write_text('#define UTS_RELEASE "6.1.99-another"\n')
    done = run(place, line)
    assert "Error 3" in done.stderr
    assert f"unknown on {RELEASE}: the table is of 6.1.99-another" in done.stdout

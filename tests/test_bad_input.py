"""What is given in another's place, half copied, or not at all what an option takes: one line says what it is.

The files are samples, and a kernel image made of a real export table.
"""

from __future__ import annotations

import gzip
import lzma
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SAMPLES, Run
from hypothesis import given
from hypothesis import strategies as st
from test_ksymtab import table
from test_sources import BANNER, NOTES, VERMAGIC, tar

from modcheck import predict, read_module, read_target
from modcheck.errors import TargetError
from modcheck.module import Export
from modcheck.target import Symbols, read_symvers
from modcheck.target.kinds import kind_of
from modcheck.target.symvers import Symvers, render

Modcheck = Callable[..., Run]
MODULE = "rk3588/chrdevbase.ko"
TREE = SAMPLES / "rk3588/tree"
RELEASE = "6.1.176-rockchip-rk3588"
DEBIAN = SAMPLES / "debian-6.1-arm64"


@pytest.mark.parametrize("value", ["-rk3588", "boards/opi5.release", "board.release", "v6.1.176", "6.1.176/x", "Linux"])
def test_a_release_that_is_none(modcheck: Modcheck, value: str) -> None:
    run = modcheck(MODULE, "--target", TREE, f"--release={value}")
    assert run.status == 2
    assert run.stderr == f"modcheck: --release: {value!r} is not what `uname -r` prints\n"
    assert not run.stdout
    with pytest.raises(TargetError, match="--release"):
        read_target(TREE, release=value)


def test_an_option_without_its_value(modcheck: Modcheck) -> None:
    """`--release $EMPTY --config FILE` in a shell."""
    run = modcheck(MODULE, "--release", "--config", TREE / ".config")
    assert run.status == 2
    assert "'--config' is not what `uname -r` prints" in run.stderr


def test_a_release_from_a_file(modcheck: Modcheck, tmp_path: Path) -> None:
    path = tmp_path / "board.release"
    for text in (f"{RELEASE}\n", f"{RELEASE}\r\nand more\n", RELEASE):
        path.write_text(text)
        words = ("--target", TREE, "--release", f"@{path}", "--same-build", "--strict")
        run = modcheck("--format", "json", MODULE, *words)
        assert (run.status, run.document["target"]["release"]) == (0, RELEASE)
    assert f"; --release @{path} reads it from that file" in modcheck(MODULE, "--release", path).stderr
    path.write_text("\n")
    assert modcheck(MODULE, "--target", TREE, "--release", f"@{path}").status == 2
    assert "no such file" in modcheck(MODULE, "--target", TREE, "--release", f"@{tmp_path}/none").stderr


@pytest.mark.parametrize(
    ("cut", "dropped"),
    [(-1, 0), (-2, 1), (-12, 1), (-30, 1), (-40, 1)],
    ids=["newline", "tab", "kind", "name", "CRC"],
)
def test_a_table_that_is_cut(modcheck: Modcheck, tmp_path: Path, cut: int, dropped: int) -> None:
    """Its last row is that of xa_destroy: what it lacks may stand behind that."""
    path = tmp_path / "Module.symvers"
    text = (TREE / "Module.symvers").read_bytes()
    path.write_bytes(text[:cut])
    whole, found = read_symvers(TREE / "Module.symvers"), read_symvers(path)
    assert (whole.cut, found.cut, found.rows) == (False, True, whole.rows - dropped)
    facts = ("--symvers", path, "--release", RELEASE, "--config", TREE / ".config")
    run = modcheck("--format", "json", "rk3588/sample_import.ko", MODULE, *facts)
    absent, present = run.document["modules"]
    assert (absent["verdict"], present["verdict"], run.status) == ("unknown", "loads", 0)
    assert [one["rule"] for one in absent["unchecked"]] == ["unknown-symbol"]
    assert any(f"{path} is cut" in note for note in run.document["target"]["notes"])
    assert modcheck("rk3588/sample_import.ko", *facts, "--loader", "insmod", "--strict").status == 3
    assert "cut off" in modcheck("target", *facts).stdout
    # a profile keeps that it is
    profile = tmp_path / "board.json"
    modcheck("target", *facts, "-o", profile)
    again = read_target(profile)
    assert again.symbols is not None
    assert again.symbols.cut
    assert sum("is cut" in note for note in again.notes) == 1
    assert predict(read_module(SAMPLES / "rk3588/sample_import.ko"), again).verdict == "unknown"


def test_a_cut_table_beside_a_whole_one(modcheck: Modcheck, tmp_path: Path) -> None:
    """That of what the module depends on: its symbols may be what is missing."""
    own = tmp_path / "Module.symvers"
    own.write_bytes(b"0x00000000\tsample_scale\tsample_export\tEXPORT_SYMBOL_GPL\t\n0x0000")
    run = modcheck("rk3588/sample_import.ko", "--symvers", TREE / "Module.symvers", "--symvers", own, "--strict")
    assert run.status == 3
    assert f"{own} is cut" in run.stdout


def test_nothing_is_said_to_be_gone_from_a_table_that_is_cut(modcheck: Modcheck, tmp_path: Path) -> None:
    path = tmp_path / "Module.symvers"
    text = (TREE / "Module.symvers").read_bytes()
    path.write_bytes(text[: len(text) // 2])
    run = modcheck("diff", "--format", "json", TREE / "Module.symvers", path)
    assert run.document["symbols"]["removed"] == []
    assert "the table of the new one is cut" in str(run.document)


columns = st.integers(3, 5)
names = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=12)


@given(st.lists(names, unique=True, min_size=2, max_size=30), columns, st.data())
def test_wherever_a_table_is_cut(symbols: list[str], width: int, data: st.DataObject) -> None:
    """No row is made up, none before the last is lost, and only a cut between rows cannot be seen."""
    rows = [[f"0x{place:08x}", name, "vmlinux", "EXPORT_SYMBOL", ""][:width] for place, name in enumerate(symbols)]
    lines = ["\t".join(row) + "\n" for row in rows]
    text = "".join(lines)
    at = data.draw(st.integers(len(lines[0]) + len(lines[1]), len(text)))
    found = Symvers(text[:at].encode(), "t")
    whole = text[:at].count("\n")
    assert [row.name for row in found][:whole] == symbols[:whole]
    assert found.rows in (whole, whole + 1)
    assert found.cut == (text[at - 1] != "\n")
    for row in list(found)[whole:]:
        assert (row.name, row.crc) == (symbols[whole], whole)


def test_a_whole_table_is_not_cut() -> None:
    rows = [Export(name, 1, gpl, "", "vmlinux") for name, gpl in (("a", False), ("b", True))]
    for text in (b"", b"\n", render(rows), render(rows) + b"\n", render(rows).replace(b"\n", b"\r\n")):
        assert not Symvers(text, "t").cut
    assert Symbols([Symvers(render(rows), "t")]).complete
    assert not Symbols([Symvers(render(rows)[:-1], "t")]).complete


@pytest.fixture
def kinds(modcheck: Modcheck, tmp_path: Path) -> dict[str, Path]:
    """One of each that may come in another's place."""
    image = (BANNER.encode() + b"\0" + VERMAGIC.encode() + b"\0" + NOTES).ljust(8192, b"\0") + table("arm64-6.1")
    (tmp_path / "vmlinuz").write_bytes(gzip.compress(image.ljust(2 << 20, b"\xa5")))
    modcheck("target", TREE, "-o", tmp_path / "board.json")
    capture = tmp_path / "capture/modcheck"
    capture.mkdir(parents=True)
    (capture / "capture").write_text("modcheck capture 1\n")
    with tarfile.open(tmp_path / "board.tar", "w", format=tarfile.USTAR_FORMAT) as made:  # as the script writes it
        made.add(capture / "capture", "modcheck/capture")
    shutil.copy(TREE / ".config", tmp_path / "kernel.config")
    (tmp_path / "Module.symvers.xz").write_bytes(lzma.compress((TREE / "Module.symvers").read_bytes()))
    headers = tmp_path / "headers"
    shutil.copytree(TREE, headers)
    for module in headers.rglob("*.ko"):
        module.unlink()
    return {
        "a kernel's build or headers directory": headers,
        "a kernel image": tmp_path / "vmlinuz",
        "a Module.symvers": tmp_path / "Module.symvers.xz",
        "a .config": tmp_path / "kernel.config",
        "a saved target": tmp_path / "board.json",
        "what `modcheck capture` made on a board": tmp_path / "board.tar",
        "a tar": tar(headers, tmp_path / "headers.tar"),
    }


def test_a_target_among_the_modules(modcheck: Modcheck, kinds: dict[str, Path]) -> None:
    """The others are judged all the same, and without any --target it is said where it goes."""
    for what, path in kinds.items():
        option = {"a Module.symvers": "--symvers", "a .config": "--config"}.get(what, "--target")
        told = f"{what}: give it to {option}"
        run = modcheck("--format", "json", MODULE, path, "--target", TREE)
        assert (run.status, run.document["modules"][0]["verdict"]) == (2, "loads")
        assert told in run.document["modules"][1]["error"]
        (line,) = run.stderr.splitlines()
        assert line.endswith(told)
        run = modcheck(MODULE, path)
        assert run.status == 2
        assert run.stderr.splitlines()[1] == f"modcheck: {path}: no module, but {told}"


def test_swapped(modcheck: Modcheck, kinds: dict[str, Path]) -> None:
    table_ = kinds["a Module.symvers"]
    run = modcheck(table_, "--symvers", SAMPLES / MODULE)
    assert run.status == 2
    assert run.stderr.splitlines() == [
        f"modcheck: {SAMPLES / MODULE}: not a Module.symvers, but a kernel module: give it as MODULE",
        f"modcheck: {table_}: no module, but a Module.symvers: give it to --symvers",
    ]


@pytest.mark.parametrize("option", ["--symvers", "--config", "--modules-dir"])
def test_an_option_is_given_what_another_takes(modcheck: Modcheck, kinds: dict[str, Path], option: str) -> None:
    own = {"--symvers": "a Module.symvers", "--config": "a .config"}.get(option)
    for what, path in kinds.items():
        if what == own:
            continue
        run = modcheck(MODULE, option, path, "--release", RELEASE)
        assert run.status == 2
        archive = option == "--modules-dir" and path.suffix == ".tar"
        assert ("an archive goes to --target" if archive else f"{what}: give it to --") in run.stderr


def test_a_modules_directory_with_the_link_alone_that_headers_packages_make(modcheck: Modcheck, tmp_path: Path) -> None:
    folder = tmp_path / f"root/lib/modules/{RELEASE}"
    folder.mkdir(parents=True)
    (folder / "build").symlink_to(TREE)
    run = modcheck(MODULE, "--modules-dir", folder)
    assert run.status == 2
    assert run.stderr.endswith(f"there is but {folder}/build, in which modules are built: give that to --target\n")
    (folder / "build").unlink()
    (folder / "build").symlink_to("/usr/src/nowhere")
    assert "a link to /usr/src/nowhere, which is not there" in modcheck(MODULE, "--modules-dir", folder).stderr


def test_what_is_nothing_that_is_taken(tmp_path: Path) -> None:
    for name, content in (
        ("x", b""),
        ("x.json", b"{}"),
        ("x.txt", b"hello\n"),
        ("x.ko", b"\x7fELF"),
        ("x.gz", b"\x1f\x8b"),
    ):
        (tmp_path / name).write_bytes(content)
        assert kind_of(tmp_path / name) is None
    assert kind_of(tmp_path) is None
    assert kind_of(tmp_path / "none") is None


@given(st.binary(max_size=600))
def test_any_bytes_have_a_kind_or_none(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("kind") / "file"
    path.write_bytes(content)
    kind = kind_of(path)
    assert kind is None or str(kind)

"""Modules directories as vendors ship them: without `intree`, flat, without modules.dep, in the wrong place."""

from __future__ import annotations

import lzma
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SAMPLES, Run
from hypothesis import given, settings
from hypothesis import strategies as st
from rewrite import with_modinfo
from test_sources import cpio, deb, rpm, tar

from modcheck import Target, predict, read_module, read_target
from modcheck.target.modules_dir import ModulesDir

RELEASE = "6.1.176-rockchip-rk3588"
VERMAGIC = f"{RELEASE} SMP mod_unload aarch64"
RK3588 = SAMPLES / "rk3588"
NAMES = ("chrdevbase", "sample_export", "sample_import")


def install(folder: Path, **values: str) -> Path:
    """Samples, which have no `intree`, with other values in .modinfo."""
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / f"{name}.ko").write_bytes(with_modinfo((RK3588 / f"{name}.ko").read_bytes(), **values))
    return folder


def facts(target: Target) -> tuple[object, ...]:
    return target.release, target.vermagic, target.arch, target.endianness


def test_modules_that_agree_say_which_kernel_they_are_for(tmp_path: Path) -> None:
    folder = install(tmp_path / "modules")
    target = read_target(modules_dir=folder)
    assert facts(target) == (RELEASE, VERMAGIC, "arm64", "little")
    assert target.sources["vermagic"] == str(folder / "chrdevbase.ko")
    # how that kernel was built they do not tell: they were built elsewhere
    assert (target.this_module_size, target.entry_points, target.certificates) == (None, None, ())
    assert predict(read_module(RK3588 / "no-suffix/chrdevbase.ko"), target).verdict == "refused"


def test_what_is_known_goes_before_what_they_say(tmp_path: Path) -> None:
    folder = install(tmp_path / "modules")
    target = read_target(RK3588 / "tree", modules_dir=folder, release="6.1.177", same_build=True)
    assert (target.release, target.vermagic) == ("6.1.177", "6.1.177 SMP mod_unload aarch64")
    patched = f"{RELEASE} SMP preempt mod_unload aarch64"
    target = read_target(RK3588 / "tree", modules_dir=install(tmp_path / "more", vermagic=patched))
    assert target.vermagic == patched
    assert target.tied
    assert any(patched in text and VERMAGIC in text for text in target.tied.against)


def test_modules_that_differ_say_nothing(tmp_path: Path) -> None:
    folder = install(tmp_path / "modules")
    other = with_modinfo((RK3588 / "sample_export.ko").read_bytes(), vermagic="6.1.170 SMP mod_unload aarch64")
    (folder / "sample_export.ko").write_bytes(other)
    target = read_target(modules_dir=folder)
    assert facts(target) == (None, None, None, None)
    assert any("'6.1.170 SMP mod_unload aarch64'" in note for note in target.notes)
    assert read_target(modules_dir=folder, release="6.1.170").release == "6.1.170"


def test_before_3_2_they_are_the_kernels_own(tmp_path: Path) -> None:
    """2.6.32's have no such tag: one of its modules is what one with it is on later kernels."""
    vermagic = "2.6.32.61-cam SMP mod_unload aarch64"
    target = read_target(modules_dir=install(tmp_path / "modules", vermagic=vermagic))
    assert facts(target) == ("2.6.32.61-cam", vermagic, "arm64", "little")
    assert target.this_module_size == read_module(RK3588 / "chrdevbase.ko").this_module_size


@pytest.mark.parametrize("board", ["/vendor/lib/modules/", "/lib/modules/", "/system/lib/modules/5.10-gki/"])
@pytest.mark.parametrize("place", ["vendor/lib/modules", "flat"])
def test_androids_modules_dep(tmp_path: Path, board: str, place: str) -> None:
    """Whole paths of the board, all modules in one folder; what it has for a module is followed."""
    folder = install(tmp_path / place)
    lines = (f"{board}sample_import.ko: {board}sample_export.ko", f"{board}sample_export.ko:", f"{board}chrdevbase.ko:")
    (folder / "modules.dep").write_text("\n".join(lines) + "\n")
    target = read_target(folder, config=RK3588 / "tree/.config")
    assert target.modules is not None
    assert target.release == RELEASE
    assert [target.modules.lists(f"{name}.ko") for name in NAMES] == [True] * 3
    assert target.modules.order(str(folder / "sample_import.ko")) == ("sample_export",)
    assert predict(read_module(folder / "sample_import.ko"), target).needs == ("sample_export",)
    (folder / "sample_export.ko").unlink()
    assert target.modules.gone(str(folder / "sample_import.ko")) == ("sample_export",)


def test_a_partition_of_android_is_a_target(modcheck: Callable[..., Run], tmp_path: Path) -> None:
    folder = install(tmp_path / "vendor/lib/modules")
    line = "/vendor/lib/modules/{}.ko: /vendor/lib/modules/sample_export.ko\n"
    (folder / "modules.dep").write_text("".join(map(line.format, NAMES)))
    run = modcheck("--format", "json", folder / "sample_import.ko", "--target", tmp_path / "vendor")
    assert run.document["modules"][0]["needs"] == ["sample_export"]
    assert run.document["target"]["release"] == RELEASE


def test_modules_in_a_modules_directory_within_another(modcheck: Callable[..., Run], tmp_path: Path) -> None:
    """`make INSTALL_MOD_PATH=root/lib/modules/RELEASE modules_install`."""
    inner = f"lib/modules/{RELEASE}"
    folder = install(tmp_path / "root" / inner / inner / "kernel")
    for source in (tmp_path / "root", tmp_path / "root" / inner):
        told = modcheck("target", source).stdout
        assert f"note: 3 modules lie in {tmp_path / 'root' / inner} below lib/modules once more" in told
        assert "INSTALL_MOD_PATH" in told
    assert read_target(tmp_path / "root").release == RELEASE
    assert "once more" not in modcheck("target", folder.parent).stdout


def test_a_root_without_modules_dep(tmp_path: Path) -> None:
    """A package never has one, since depmod makes it where the package is installed."""
    root = tmp_path / "root"
    folder = root / f"lib/modules/{RELEASE}"
    install(folder / "kernel")
    packed = tar(root, tmp_path / "root.tar")
    package = deb(tmp_path / "linux.deb", lzma.compress(packed.read_bytes()), ".xz")
    for source, told in (
        (root, True), (folder, True), (packed, True), (package, False),
        (rpm(tmp_path / "kernel.rpm", lzma.compress(cpio(root))), False),
    ):  # fmt: skip
        notes = read_target(source).notes
        assert [note for note in notes if note.startswith("no modules.dep in ")] == [
            note for note in notes if told and "depmod has run" in note
        ]
        assert any("no modules.dep" in note for note in notes) == told
    flat = tmp_path / "elsewhere"
    shutil.copytree(folder / "kernel", flat)
    (folder / "modules.dep").write_text("kernel/chrdevbase.ko:\n")
    for target in (read_target(root), read_target(modules_dir=flat)):
        assert not any("no modules.dep" in note for note in target.notes)


parts = st.text("abk-", min_size=1, max_size=5)
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)


@settings(deadline=None)
@given(st.lists(paths, min_size=1, max_size=5, unique_by=lambda path: path.rpartition("/")[2].replace("-", "_")), paths)
def test_wherever_the_directory_lies_on_the_board(
    tmp_path_factory: pytest.TempPathFactory, there: list[str], board: str
) -> None:
    """An entry is the file of which it has the path at its end, and of none in another folder than the directory."""
    folder = tmp_path_factory.mktemp("any")
    first, *others = (f"{path}.ko" for path in there)
    for path in (first, *others):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    (folder / "modules.dep").write_text(" ".join((f"/{board}/{first}:", *(f"/{board}/{one}" for one in others))))
    modules = ModulesDir(str(folder), [str(folder / path) for path in (first, *others)])
    assert modules.lists(first)
    names = [path.rpartition("/")[2].removesuffix(".ko").replace("-", "_") for path in others]
    assert modules.order(str(folder / first)) == tuple(reversed(names))
    for path in others:
        (folder / path).unlink()
    assert sorted(modules.gone(str(folder / first))) == sorted(names)

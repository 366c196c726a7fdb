"""Links of an unpacked root file system: they lead where they lead on its machine, never out of it; every loop ends.

The modules are samples; weak-modules(8) makes links such as `weak-updates/x.ko -> /lib/modules/OLD/extra/x.ko`.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SAMPLES, Run
from hypothesis import given, settings
from hypothesis import strategies as st
from rewrite import with_modinfo

from modcheck import files, predict, read_module, read_target
from modcheck.archives import Archive
from modcheck.errors import UnreadableError
from modcheck.roots import on_disk

Modcheck = Callable[..., Run]
RK3588 = SAMPLES / "rk3588"
OLD, NEW = "6.1.170-rockchip-rk3588", "6.1.176-rockchip-rk3588"
TREE = ("--target", "rk3588/tree")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One module for an older kernel, taken over by a link, and one of the kernel's own."""
    made = tmp_path / "root"
    for folder in (f"{OLD}/extra", f"{NEW}/weak-updates", f"{NEW}/kernel"):
        (made / "lib/modules" / folder).mkdir(parents=True)
    shutil.copy(RK3588 / "sample_export.ko", made / f"lib/modules/{OLD}/extra")
    own = with_modinfo((RK3588 / "chrdevbase.ko").read_bytes(), intree="Y")
    (made / f"lib/modules/{NEW}/kernel/chrdevbase.ko").write_bytes(own)
    (made / f"lib/modules/{NEW}/modules.dep").write_text("kernel/chrdevbase.ko:\nweak-updates/sample_export.ko:\n")
    (made / f"lib/modules/{NEW}/weak-updates/sample_export.ko").symlink_to(f"/lib/modules/{OLD}/extra/sample_export.ko")
    return made


@pytest.mark.parametrize("form", ["folder", "tar"])
def test_a_link_of_weak_modules_leads_to_the_module(modcheck: Modcheck, root: Path, form: str) -> None:
    source = root
    if form == "tar":
        source = root.parent / "root.tar"
        with tarfile.open(source, "w") as made:
            made.add(root, ".")
    config = ("--config", "rk3588/tree/.config")
    link = f"{source}/lib/modules/{NEW}/weak-updates/sample_export.ko"
    named = modcheck("--format", "json", link, "--target", source, *config).document
    (entry,) = named["modules"]
    assert (entry["name"], entry.get("errno")) == ("sample_export", None)
    whole = modcheck("--format", "json", f"{source}/lib/modules/{NEW}", "--target", source, *config).document
    assert [one["name"] for one in whole["modules"]] == ["chrdevbase", "sample_export"]
    target = read_target(source, config=RK3588 / "tree/.config")
    needing = predict(read_module(RK3588 / "sample_import.ko"), target)
    assert needing.needs == ("sample_export",)


def test_a_folder_may_be_a_link(root: Path) -> None:
    """As where /usr is merged, with absolute links."""
    (root / "usr").mkdir()
    (root / "lib").rename(root / "usr/lib")
    (root / "lib").symlink_to("/usr/lib")
    assert read_module(root / f"lib/modules/{NEW}/weak-updates/sample_export.ko").name == "sample_export"
    target = read_target(root, config=RK3588 / "tree/.config")
    assert target.modules is not None
    assert (target.release, target.modules.release) == (NEW, NEW)


def test_no_link_leads_out_of_the_root(root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    shutil.copy(RK3588 / "chrdevbase.ko", outside)
    folder = root / f"lib/modules/{NEW}/weak-updates"
    for link in (
        f"{outside}/chrdevbase.ko",
        f"{'../' * 40}{outside}/chrdevbase.ko",
        "../../../../../outside/chrdevbase.ko",
    ):
        assert Path(os.path.normpath(folder / link)).is_file()
        (folder / "x.ko").symlink_to(link)
        with pytest.raises(UnreadableError, match=r"no such file or directory \(a link to .*, which is not there, in"):
            read_module(folder / "x.ko")
        (folder / "x.ko").unlink()
    (folder / "more").symlink_to(outside)
    assert files.find_modules(folder, follow=True) == [str(folder / "sample_export.ko")]
    with pytest.raises(UnreadableError, match="no such file"):
        read_module(folder / "more/chrdevbase.ko")


def test_a_link_by_this_machines_name_for_the_root(root: Path) -> None:
    """As somebody makes it who works in the unpacked root."""
    link = root / f"lib/modules/{NEW}/weak-updates/again.ko"
    link.symlink_to(root / f"lib/modules/{OLD}/extra/sample_export.ko")
    assert read_module(link).name == "sample_export"


def test_every_loop_ends(modcheck: Modcheck, root: Path) -> None:
    folder = root / f"lib/modules/{NEW}/weak-updates"
    for name, link in (
        ("one.ko", "two.ko"),
        ("two.ko", f"/lib/modules/{NEW}/weak-updates/one.ko"),
        ("self.ko", f"/lib/modules/{NEW}/weak-updates/self.ko"),
        ("down", "/lib/modules"),
    ):
        (folder / name).symlink_to(link)
    with pytest.raises(UnreadableError, match="too many levels of symbolic links"):
        read_module(folder / "self.ko")
    run = modcheck(folder, *TREE)
    assert (run.status, run.stderr.count("passed over")) == (0, 3)
    assert read_target(RK3588 / "tree", modules_dir=root / f"lib/modules/{NEW}").modules is not None


def test_a_link_that_leads_to_nothing_spoils_no_directory(modcheck: Modcheck, root: Path) -> None:
    folder = root / f"lib/modules/{NEW}"
    (folder / "kernel/a_first.ko").symlink_to("/lib/modules/gone/a_first.ko")
    (folder / "kernel/z_last.ko").symlink_to("gone.ko")
    run = modcheck("--format", "json", folder, *TREE, "--modules-dir", folder)
    assert run.status == 0
    assert [one["name"] for one in run.document["modules"]] == ["chrdevbase", "sample_export"]
    assert [line.split("/")[-1] for line in run.stderr.splitlines()] == ["root: passed over"] * 2
    named = modcheck(folder / "kernel/z_last.ko", *TREE)
    assert named.status == 2
    assert "a link to gone.ko, which is not there" in named.stderr
    notes = modcheck("target", *TREE, "--modules-dir", folder).stdout
    assert notes.count("passed over") == 2


def test_where_the_kernel_was_built_is_on_this_machine(root: Path) -> None:
    """`make modules_install` with INSTALL_MOD_PATH leaves such a link."""
    (root / f"lib/modules/{NEW}/build").symlink_to(RK3588 / "tree")
    assert read_target(root).tree == f"{root}/lib/modules/{NEW}/build"
    shutil.copytree(SAMPLES / "sunxi/tree", root / "usr/src/linux")
    (root / f"lib/modules/{NEW}/build").unlink()
    (root / f"lib/modules/{NEW}/build").symlink_to("/usr/src/linux")
    target = read_target(root)
    assert target.built_against
    assert target.tied
    assert target.built_against.tree == f"{root}/lib/modules/{NEW}/build"
    assert any("6.1.176-sunxi" in text for text in target.tied.against)


names = st.sampled_from(["a", "b", "c", "lib", "modules", "6.1", "x.ko"])
links = st.builds(
    lambda start, parts: start + "/".join(parts),
    st.sampled_from(["", "/", "../", "/lib/modules/6.1/"]),
    st.lists(st.one_of(names, st.just("..")), min_size=1, max_size=4),
)


@settings(deadline=None)
@given(st.dictionaries(st.lists(names, min_size=1, max_size=3).map("/".join), st.one_of(links, st.none()), max_size=8))
def test_a_root_on_disk_is_like_one_in_a_tar(tree: dict[str, str | None]) -> None:
    """Any links: both lead to the same file, or to none, and never out."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        top = root / "lib/modules/6.1"
        top.mkdir(parents=True)
        for name, link in tree.items():
            path = top / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if link is None:
                    path.write_text(name)
                else:
                    path.symlink_to(link)
            except OSError:  # one of the names before is in the way
                continue
        with tarfile.open(Path(folder) / "root.tar", "w") as made:
            made.add(root, ".")
        packed = Archive([str(Path(folder) / "root.tar")])
        for name in tree:
            path, inside = top / name, f"lib/modules/6.1/{name}"
            assert files.is_file(path) == packed.is_file(inside)
            assert files.is_folder(path) == packed.is_folder(inside)
            if files.is_file(path):
                assert files.read_bytes(path) == packed.read(inside, "x")
                assert os.path.realpath(on_disk(path)).startswith(os.path.realpath(root) + os.sep)

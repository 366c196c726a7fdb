"""Export tables of real kernels, cut out of their images, rebuilt; and images that are none, or damaged."""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SAMPLES, Run
from rewrite import with_modinfo

from modcheck import predict, read_module, read_target
from modcheck.errors import TargetError
from modcheck.target import read_symvers
from modcheck.target.ksymtab import kernel_exports
from modcheck.target.symvers import Symvers, render

FOLDER = Path(__file__).parent / "data/ksymtab"
INDEX = json.loads((FOLDER / "index.json").read_text())


def table(role: str) -> bytes:
    return lzma.decompress((FOLDER / f"{role}.bin.xz").read_bytes())


@pytest.mark.parametrize("role", INDEX)
def test_every_row_is_that_of_module_symvers(role: str) -> None:
    exports = kernel_exports(table(role))
    assert exports is not None
    assert len(exports) == INDEX[role]["rows"]
    rows = sorted(Symvers(render(exports), role))
    assert hashlib.sha256(render(rows)).hexdigest() == INDEX[role]["sha256"]


@pytest.mark.parametrize("role", INDEX)
def test_a_table_that_is_not_understood_is_no_table(role: str) -> None:
    """Bytes put between entries and strings, or a part cut out: nothing is better than a guess."""
    data = table(role)
    exports = kernel_exports(data)
    assert exports
    middle = len(data) // 2
    for broken in (data[:middle], data[:middle] + bytes(8192) + data[middle:], bytes(len(data)), data[middle:]):
        assert kernel_exports(broken) in (None, exports)


def test_a_root_file_system_with_two_kernels(tmp_path: Path) -> None:
    for release in ("6.1.176-one", "6.1.176-two"):
        folder = tmp_path / "lib/modules" / release
        folder.mkdir(parents=True)
        (folder / "modules.order").write_text("")
        (folder / "chrdevbase.ko").write_bytes((SAMPLES / "rk3588/chrdevbase.ko").read_bytes())
    with pytest.raises(TargetError, match=r"6\.1\.176-one, 6\.1\.176-two; --release picks one"):
        read_target(tmp_path)
    found = read_target(tmp_path, release="6.1.176-two")
    assert found.modules is not None
    assert found.modules.release == "6.1.176-two"
    alone = read_target(tmp_path / "lib/modules/6.1.176-one")
    assert alone.modules is not None
    (tmp_path / "driver").mkdir()
    (tmp_path / "driver/modules.order").write_text("driver.o\n")
    with pytest.raises(TargetError, match="no kernel build or headers directory"):
        read_target(tmp_path / "driver")


def image(tmp_path: Path, role: str, release: str) -> Path:
    """The table of a kernel behind a banner: as much of an image as describes a kernel."""
    path = tmp_path / f"vmlinux-{role}"
    banner = f"Linux version {release} (a@b) (gcc) #1 SMP\n\0{release} SMP mod_unload modversions \0".encode()
    path.write_bytes(banner.ljust(4096, b"\0") + table(role))
    return path


def test_the_table_as_a_module_symvers(modcheck: Callable[..., Run], tmp_path: Path) -> None:
    path = image(tmp_path, "s390x-6.1", "6.1.0-50-s390x")
    run = modcheck("symvers", path, "-o", tmp_path / "Module.symvers")
    assert (run.status, run.stdout) == (0, "")
    assert "8355 symbols; not complete: the kernel's own; those of its modules need --modules-dir" in run.stderr
    rows = sorted(read_symvers(tmp_path / "Module.symvers"))
    assert hashlib.sha256(render(rows)).hexdigest() == INDEX["s390x-6.1"]["sha256"]
    assert modcheck("symvers", SAMPLES / "README.md").status == 2


def test_what_an_image_alone_leaves_open(tmp_path: Path) -> None:
    """A symbol that it does not export may be a module's: that is not known to modprobe, and known to insmod."""
    target = read_target(image(tmp_path, "arm64-6.1", "6.1.0-56-arm64"), arch="arm64")
    assert target.vermagic == "6.1.0-56-arm64 SMP mod_unload modversions "
    module = read_module(SAMPLES / "debian-6.1-arm64/sample_import.ko")
    by_modprobe, by_insmod = (predict(module, target, loader=loader) for loader in ("modprobe", "insmod"))
    assert "unknown-symbol" in {unknown.rule for unknown in by_modprobe.unchecked}
    assert "unknown-symbol" in {one.rule for one in by_insmod.findings if one.level == "error"}


def test_modules_of_another_build_than_the_image_are_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "lib/modules/6.1.0-56-arm64"
    folder.mkdir(parents=True)
    (folder / "modules.order").write_text("")
    module = folder / "sample_export.ko"
    data = (SAMPLES / "debian-6.1-arm64/sample_export.ko").read_bytes()
    for words, alike in (("SMP", True), ("SMP preempt", False)):
        vermagic = f"6.1.0-56-arm64 {words} mod_unload modversions "
        module.write_bytes(with_modinfo(data, intree="Y", vermagic=vermagic))
        target = read_target(folder, kernel=image(tmp_path, "arm64-6.1", "6.1.0-56-arm64"))
        assert ("not of one build" not in str(target.notes)) == alike
        assert (target.modules is not None) == alike
    module.write_bytes(with_modinfo(data, intree="Y", vermagic="6.1.0-57-arm64 SMP mod_unload modversions "))
    with pytest.raises(TargetError, match=r"release is 6\.1\.0-57-arm64, but .*vmlinux.* says 6\.1\.0-56-arm64"):
        read_target(folder, kernel=image(tmp_path, "arm64-6.1", "6.1.0-56-arm64"))

"""modprobe's part: what it loads first from the target's modules directory, which file it takes, what it adds.

The modules are samples, the trees what a board would have; `make oracle CASES=modprobe:6.1` asks modprobe itself.
"""

from __future__ import annotations

import lzma
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SAMPLES, Run
from rewrite import with_modinfo

from modcheck import Prediction, Target, predict, predict_all, read_module, read_target

RELEASE = "6.1.176-rockchip-rk3588"
RK3588 = SAMPLES / "rk3588"
OTHER = "6.1.176-other"


class Board:
    """A root file system with some of the samples in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules = root / "lib/modules" / RELEASE

    def install(self, name: str, folder: str = "updates", data: bytes | None = None) -> Path:
        path = self.modules / folder / f"{name}.ko"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((RK3588 / f"{name}.ko").read_bytes() if data is None else data)
        return path

    def write(self, path: str, *lines: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")

    def depmod(self, *lines: str) -> None:
        self.write(f"lib/modules/{RELEASE}/modules.dep", *lines)

    def target(self, cmdline: str = "") -> Target:
        return read_target(RK3588 / "tree", modules_dir=self.modules, vendor="upstream", cmdline=cmdline)

    def predict(self, path: str | Path, cmdline: str = "") -> Prediction:
        return predict(read_module(path), self.target(cmdline))


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """One whose in-tree module says which kernel it is of."""
    made = Board(tmp_path)
    made.install("chrdevbase", "kernel/drivers", with_modinfo((RK3588 / "chrdevbase.ko").read_bytes(), intree="Y"))
    return made


IMPORT = RK3588 / "sample_import.ko"


def damaged(name: str) -> bytes:
    return with_modinfo((RK3588 / f"{name}.ko").read_bytes(), vermagic="6.1.176 SMP mod_unload aarch64")


def summaries(prediction: Prediction, rule: str) -> list[str]:
    return [finding.summary for finding in prediction.findings if finding.rule == rule]


def test_what_it_needs_is_loaded_from_the_tree(board: Board) -> None:
    board.install("sample_export")
    prediction = board.predict(IMPORT)
    assert (prediction.verdict, prediction.needs) == ("loads", ("sample_export",))
    assert prediction.insmod_refuses
    # the line about modules from elsewhere is the dependency's
    assert prediction.log == ()


def test_what_is_not_in_the_tree_is_not_loaded(board: Board) -> None:
    prediction = board.predict(IMPORT)
    assert (prediction.verdict, prediction.errno, prediction.needs) == ("refused", "ENOENT", ())
    assert "sample_import: Unknown symbol sample_sum (err -2)" in prediction.log


def test_a_module_given_beside_it_counts_more_than_the_tree_s(board: Board) -> None:
    board.install("sample_export", data=damaged("sample_export"))
    given = read_module(RK3588 / "sample_export.ko")
    assert predict(read_module(IMPORT), board.target(), modules=[given]).verdict == "loads"


def test_one_in_the_tree_is_refused(board: Board) -> None:
    board.install("sample_export", data=damaged("sample_export"))
    prediction = board.predict(IMPORT)
    assert (prediction.errno, prediction.failed_in) == ("ENOEXEC", "sample_export")
    assert prediction.log[0].startswith("sample_export: version magic")
    listed = board.predict(IMPORT, "module_blacklist=sample_export")
    assert (listed.errno, listed.failed_in) == ("EPERM", "sample_export")


def test_a_line_of_modules_dep_with_a_file_that_is_gone_loads_nothing(board: Board) -> None:
    path = board.install("sample_import")
    board.install("sample_export")
    line = "updates/sample_import.ko: updates/sample_export.ko"
    board.depmod(line, "updates/sample_export.ko:")
    assert board.predict(path).verdict == "loads"
    board.depmod(line + " updates/gone.ko", "updates/sample_export.ko:")
    prediction = board.predict(path)
    assert (prediction.verdict, prediction.needs) == ("refused", ())
    assert "gone, which is not there" in str(summaries(prediction, "dependency"))


def test_the_order_of_modules_dep_decides_which_refusal_comes(board: Board) -> None:
    """Two are refused, each in its way: modprobe loads what stands last in a line first."""
    board.install("sample_export", data=damaged("sample_export"))
    path = board.install("sample_import")
    board.install("sample_proprietary")
    names = ("updates/sample_export.ko", "updates/sample_proprietary.ko")
    for first, second, errno, failed in (
        (*names, "ENOENT", "sample_proprietary"),
        (*reversed(names), "ENOEXEC", "sample_export"),
    ):
        board.depmod(f"updates/sample_import.ko: {first} {second}", f"{first}:", f"{second}:")
        prediction = board.predict(path)
        assert (prediction.errno, prediction.failed_in) == (errno, failed)


@pytest.mark.parametrize(
    ("folders", "configuration", "picked"),
    [
        (("kernel/net", "updates"), None, "updates"),
        (("kernel/net", "extra"), None, None),
        (("kernel/net", "extra"), "search updates extra weak-updates built-in", "extra"),
        (("extra", "updates"), "search extra built-in updates", "extra"),
        (("kernel/net", "updates"), "search built-in updates", "kernel/net"),
        (("kernel/net", "extra"), "override sample_export 6.1.176-rockchip-rk3588 extra", "extra"),
        (("kernel/net", "extra"), "override sample_export ^7 extra", None),
        (("kernel/net", "extra"), "exclude net", "extra"),
    ],
)
def test_which_file_depmod_takes(
    board: Board, folders: tuple[str, str], configuration: str | None, picked: str | None
) -> None:
    paths = {folder: board.install("sample_export", folder) for folder in folders}
    if configuration:
        board.write("etc/depmod.d/some.conf", "# a comment", configuration)
    for folder, path in paths.items():
        said = str(summaries(board.predict(path), "depmod"))
        if picked is None:
            assert "nothing but the order" in said
        else:
            assert ("instead" in said) == (folder != picked)


def test_an_older_modules_dep_does_not_have_the_file(board: Board) -> None:
    path = board.install("sample_export")
    board.depmod("kernel/drivers/chrdevbase.ko:")
    assert "run depmod" in str(summaries(board.predict(path), "depmod"))
    board.depmod("updates/sample_export.ko:")
    assert summaries(board.predict(path), "depmod") == []


def test_a_module_in_another_release_s_folder(tmp_path: Path) -> None:
    target = read_target(RK3588 / "tree")
    for release, warned in ((OTHER, True), (RELEASE, False)):
        path = tmp_path / "lib/modules" / release / "updates/chrdevbase.ko"
        path.parent.mkdir(parents=True)
        shutil.copy(RK3588 / "chrdevbase.ko", path)
        assert bool(summaries(predict(read_module(path), target), "depmod")) == warned


def test_softdeps_are_tried_first_and_may_fail(board: Board) -> None:
    board.install("sample_export")
    board.install("sample_proprietary")
    board.write("etc/modprobe.d/some.conf", "softdep chrdevbase pre: sample-export sample_proprietary post: x")
    prediction = board.predict(RK3588 / "chrdevbase.ko")
    assert prediction.verdict == "loads"
    first = summaries(prediction, "dependency")
    assert "sample_export first (softdep), which loads" in first[0]
    assert "sample_proprietary first (softdep), which need not load" in first[1]
    # what they printed is not printed again
    assert prediction.log == ()


def test_what_modprobe_d_and_the_command_line_add(board: Board) -> None:
    board.write("usr/lib/modprobe.d/some.conf", "options chrdevbase nope=1", "blacklist chrdevbase")
    board.write("usr/lib/modprobe.d/more", "options chrdevbase not_read=1")
    prediction = board.predict(RK3588 / "chrdevbase.ko", "quiet chrdevbase.other=2 sample.x=1")
    assert [text for text in prediction.log if "unknown parameter" in text] == [
        "chrdevbase: unknown parameter 'nope' ignored",
        "chrdevbase: unknown parameter 'other' ignored",
    ]
    assert "udev does not" in str(summaries(prediction, "blacklist"))
    by_insmod = predict(read_module(RK3588 / "chrdevbase.ko"), board.target(), loader="insmod")
    assert not [text for text in by_insmod.log if "unknown parameter" in text]


def test_a_command_in_place_of_a_module_is_not_guessed(board: Board) -> None:
    board.install("sample_export")
    board.write("etc/modprobe.d/cis.conf", "install sample_export /bin/false")
    for path in (RK3588 / "sample_export.ko", IMPORT):
        prediction = board.predict(path)
        assert prediction.verdict == "unknown"
        assert "/bin/false" in str(prediction.unchecked)


def test_a_module_that_is_loaded_has_printed_its_lines() -> None:
    """Since 6.4 the name is looked for before the taints: the one that came had none to meet."""
    target = read_target(SAMPLES / "rk3588/tree")
    loaded = [read_module(RK3588 / "sample_export.ko")]
    assert predict(read_module(IMPORT), target, loader="insmod", loaded=loaded).log == ()


def test_the_report_names_them(modcheck: Callable[..., Run], board: Board) -> None:
    board.install("sample_export")
    run = modcheck("rk3588/sample_import.ko", "--target", "rk3588/tree", "--modules-dir", board.modules)
    assert "loaded first: sample_export" in run.stdout
    assert run.status == 0


def test_a_file_renamed_since_depmod_ran_is_gone(board: Board) -> None:
    path = board.install("sample_import")
    export = board.install("sample_export")
    board.depmod("updates/sample_import.ko: updates/sample_export.ko", "updates/sample_export.ko:")
    assert board.predict(path).verdict == "loads"
    export.rename(export.with_name("sample_export.ko.xz"))
    export.with_name("sample_export.ko.xz").write_bytes(lzma.compress((RK3588 / "sample_export.ko").read_bytes()))
    assert board.predict(path).errno == "ENOENT"
    # one that is given stands for the tree's
    given = read_module(RK3588 / "sample_export.ko")
    assert predict(read_module(path), board.target(), modules=[given]).verdict == "loads"


def test_a_line_of_modules_dep_that_lacks_what_is_needed(board: Board) -> None:
    path = board.install("sample_import")
    board.install("sample_export")
    board.depmod("updates/sample_import.ko:", "updates/sample_export.ko:")
    assert board.predict(path).errno == "ENOENT"
    absolute = [str(board.modules / "updates" / f"{name}.ko") for name in ("sample_import", "sample_export")]
    board.depmod(f"{absolute[0]}: {absolute[1]} {absolute[0]}", f"{absolute[1]}:")
    prediction = board.predict(path)
    assert (prediction.verdict, prediction.needs) == ("loads", ("sample_export",))


def test_modprobe_knows_a_module_by_the_name_of_its_file(board: Board) -> None:
    data = damaged("sample_export")
    (board.modules / "updates").mkdir()
    path = board.modules / "updates/renamed.ko"
    path.write_bytes(data)
    assert board.predict(IMPORT).failed_in == "sample_export"
    assert not [text for text in summaries(board.predict(path), "depmod") if "does not find" in text]


@pytest.mark.parametrize(
    ("line", "stopped"), [("sample[_-]e* /bin/false", True), ("sample-[f-z]* x", False), ("sample_[e x", False)]
)
def test_patterns_of_install_lines(board: Board, line: str, stopped: bool) -> None:
    board.write("etc/modprobe.d/some.conf", f"install {line}")
    assert (board.predict(RK3588 / "sample_export.ko").verdict == "unknown") == stopped


def test_an_install_line_does_not_count_beside_softdeps(board: Board) -> None:
    board.write(
        "etc/modprobe.d/some.conf", "install sample_export /bin/false", "softdep sample_export post: chrdevbase"
    )
    assert board.predict(RK3588 / "sample_export.ko").verdict == "loads"


def test_a_linked_folder_is_part_of_the_tree(board: Board, tmp_path: Path) -> None:
    (tmp_path / "opt").mkdir()
    shutil.copy(RK3588 / "sample_export.ko", tmp_path / "opt")
    (board.modules / "extra").symlink_to(tmp_path / "opt")
    (board.modules / "again").symlink_to(board.modules)
    assert board.predict(IMPORT).verdict == "loads"


def test_softdeps_that_name_each_other(board: Board) -> None:
    for name in ("sample_export", "sample_proprietary"):
        board.install(name)
    board.write(
        "etc/modprobe.d/some.conf",
        "softdep sample_export pre: sample_proprietary",
        "softdep sample_proprietary pre: sample_export",
    )
    target = board.target()
    modules = [read_module(RK3588 / f"{name}.ko") for name in ("sample_export", "sample_proprietary")]
    logs = [[one.log for one in predict_all(order, target)] for order in (modules, modules[::-1])]
    assert logs[0] == logs[1][::-1]


def test_a_cycle_of_modules_dep(board: Board) -> None:
    """Each line names all others: no reason to try every order."""
    names = [f"m{number:04}" for number in range(30)]
    for name in names:
        board.install(name, data=(RK3588 / "chrdevbase.ko").read_bytes())
    lines = [f"updates/{name}.ko: " + " ".join(f"updates/{other}.ko" for other in names) for name in names]
    board.depmod(*lines)
    path = board.modules / f"updates/{names[0]}.ko"
    assert board.predict(path).verdict == "loads"


def test_a_parameter_quoted_with_its_module(board: Board) -> None:
    prediction = board.predict(RK3588 / "chrdevbase.ko", 'quiet "chrdevbase.nope=1 2"')
    assert "chrdevbase: unknown parameter 'nope' ignored" in prediction.log


def test_a_damaged_module_in_the_tree_is_named(board: Board) -> None:
    path = board.install("sample_import")
    board.install("sample_export", data=b"\x7fELF")
    board.depmod("updates/sample_import.ko: updates/sample_export.ko")
    prediction = board.predict(path)
    assert (prediction.errno, prediction.failed_in) == ("ENOEXEC", "sample_export")

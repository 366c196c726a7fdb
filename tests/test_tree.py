"""Trees of modules: the same answers as when all are kept in memory, from any number of processes."""

from __future__ import annotations

import multiprocessing
import pickle
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from conftest import SAMPLES, Run

from modcheck import read_target
from modcheck.cli import many
from modcheck.cli.adviser import Adviser
from modcheck.cli.common import expand
from modcheck.cli.many import Answers, Question
from modcheck.cli.pool import spread
from modcheck.loader.sets import groups, predictions
from modcheck.loader.walk import walks_of
from modcheck.report import Context, Result
from modcheck.target import Target

Modcheck = Callable[..., Run]
DATA = Path(__file__).parent / "data"
TARGETS = {
    "6.1-amd64": lambda: read_target(SAMPLES / "debian-6.1-amd64/tree"),
    "6.1-arm64": lambda: read_target(SAMPLES / "debian-6.1-arm64/tree"),
    "rk3588": lambda: read_target(SAMPLES / "rk3588/tree"),
    "no-table": lambda: read_target(release="6.1.0-56-amd64", arch="amd64"),
}


def question(target: Target, loader: str = "modprobe") -> Question:
    context = Context(target, loader, "0")
    return Question(target, Adviser(target, ()), {"loader": loader}, (), [("json", context), ("text", context)])


def told(answers: Answers) -> tuple[object, ...]:
    """All that reaches the user."""
    sums, totals = answers.sums, answers.sums.totals
    parts = [list(answers.parts(place)) for place in range(2)]
    counts = (totals.modules, totals.verdicts, totals.errors, totals.ignored)
    return parts, answers.fates, sums.statuses, sums.rules, counts, totals.assumed


def parts_in_memory(asked: Question, found: Sequence[str | tuple[str, str]], loader: str) -> list[list[str]]:
    """The parts of the reports where all modules are read first, and none let go."""
    modules = [asked.read(one) for one in found if isinstance(one, str)]
    judged = predictions(modules, walks_of(asked.target, loader=loader))
    advised = map(asked.adviser.advised, judged, modules)
    results: list[Result] = [next(advised) if isinstance(one, str) else one for one in found]
    return [list(parts) for parts in zip(*map(asked.parts, results))]


@pytest.mark.parametrize("loader", ["modprobe", "insmod", "busybox"])
@pytest.mark.parametrize("name", TARGETS)
def test_as_if_all_were_in_memory(name: str, loader: str) -> None:
    """120 modules of ten architectures and kernels, sets within them, damaged ones, and a file that is gone."""
    found = [*expand([str(SAMPLES), str(DATA / "modules")]), ("gone.ko", "no such file or directory")]
    asked = question(TARGETS[name](), loader)
    answers = [many.answer(asked, found, jobs) for jobs in (1, 2)]
    assert len(found) > 100
    assert told(answers[0]) == told(answers[1])
    assert told(answers[0])[0] == parts_in_memory(asked, found, loader)


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    """One driver of several modules."""
    for file in ("sample_export.ko", "sample_import.ko", "sample_namespace.ko", "chrdevbase.ko"):
        shutil.copy(SAMPLES / "debian-6.1-amd64" / file, tmp_path / file)
    return tmp_path


@pytest.mark.parametrize("broken", [False, True])
def test_a_set_that_no_table_knows(driver: Path, broken: bool) -> None:
    """What others need is not in the kernel's table."""
    if broken:
        (driver / "sample_export.ko").write_bytes((SAMPLES / "rk3588/sample_export.ko").read_bytes())
    found = [str(path) for path in sorted(driver.glob("*.ko"))]
    asked = question(TARGETS["6.1-amd64"]())
    answers = many.answer(asked, found, 2)
    assert told(answers)[0] == parts_in_memory(asked, found, "modprobe")
    verdicts = answers.sums.totals.verdicts
    assert verdicts == (
        {"loads": 1, "refused": 3, "unknown": 0} if broken else {"loads": 4, "refused": 0, "unknown": 0}
    )


def test_what_the_table_knows_differs_from_the_module(driver: Path, tmp_path: Path) -> None:
    """The table has another CRC for a symbol of the set: the module at hand counts."""
    symvers = tmp_path / "Module.symvers"
    symvers.write_text("0x00000001\tsample_scale\tsample_export\tEXPORT_SYMBOL\t\n")
    target = read_target(SAMPLES / "debian-6.1-amd64/tree", symvers=[symvers])
    found = [str(path) for path in sorted(driver.glob("*.ko"))]
    alone = many.answer(question(target), [str(driver / "sample_import.ko")], 1)
    in_set = many.answer(question(target), found, 1)
    assert alone.sums.totals.verdicts["refused"] == 1
    assert in_set.sums.totals.verdicts["refused"] == 0


def test_any_number_of_jobs_prints_the_same(modcheck: Modcheck) -> None:
    words = ("--target", "debian-6.1-amd64/tree", ".", "--format")
    for name in ("text", "json", "junit"):
        runs = [modcheck(*words, name, "-j", jobs) for jobs in ("1", "2", "5")]
        assert runs[0] == runs[1] == runs[2]
        assert runs[0].status == 1


def test_what_is_asked_goes_to_processes_that_are_not_forked() -> None:
    """As on other systems than Linux, where it is pickled."""
    found, asked = list(expand([str(SAMPLES / "debian-6.1-amd64")])), question(TARGETS["6.1-amd64"]())
    assert told(many.answer(pickle.loads(pickle.dumps(asked)), found, 1)) == told(many.answer(asked, found, 1))


def test_a_module_that_is_gone_before_it_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was judged is reported, without a cause."""
    monkeypatch.setattr(many, "CHUNK", 1)
    paths = [str(shutil.copy(SAMPLES / f"rk3588/{name}.ko", tmp_path)) for name in ("chrdevbase", "sample_export")]
    asked = question(TARGETS["6.1-amd64"]())
    monkeypatch.setattr(asked, "alone", lambda found: [_then_gone(asked, *found)])
    answers = many.answer(asked, paths, 1)
    assert answers.sums.totals.verdicts["refused"] == 2
    assert all('"causes": []' in part for part in answers.parts(0))


def _then_gone(asked: Question, path: str) -> object:
    (found,) = Question.alone(asked, [path])
    Path(path).unlink()
    return found


def test_no_process_is_left_behind() -> None:
    """It would hold a pipe open that whoever called is reading, since the command ends without waiting for any."""
    some = spread(str, range(100), 2)
    assert next(some) == "0"
    some.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()


def test_of_one_name_those_of_the_folder_go_first() -> None:
    """A driver built for two kernels: each module needs the one that lies beside it."""
    paths = ["a/x.ko", "a/y.ko", "b/x.ko", "b/y.ko", "z.ko", "a/broken.ko"]
    names = ["x", "y", "x", "y", "z", ""]
    found = {tuple(one.judged): [paths[place] for place in one.members] for one in groups(list(zip(paths, names)))}
    chosen = {judged: {names[paths.index(path)]: path for path in members} for judged, members in found.items()}
    assert chosen == {
        (0, 1, 5): {"x": "a/x.ko", "y": "a/y.ko", "z": "z.ko"},
        (2, 3): {"x": "b/x.ko", "y": "b/y.ko", "z": "z.ko"},
        (4,): {"x": "b/x.ko", "y": "b/y.ko", "z": "z.ko"},
    }
    assert groups(list(zip(paths[:2], names[:2])))[0].judged == [0, 1]


def test_drivers_for_two_kernels_in_one_call(modcheck: Modcheck) -> None:
    run = modcheck("debian-6.1-arm64", "debian-6.1-amd64", "--target", "debian-6.1-amd64/tree", "--format", "json")
    verdicts = {one["path"]: one["verdict"] for one in run.document["modules"]}
    assert verdicts["debian-6.1-amd64/sample_import.ko"] == "loads"
    assert verdicts["debian-6.1-arm64/sample_import.ko"] == "refused"

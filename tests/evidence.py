"""What may be known of a board beside a tree, and what modcheck says then: for each of the kernels of data/builds.

Each is a build that was booted, and the tree that it was built in; the modules in it were built there. The others of
its family are its neighbours: another ABI, the same release built again with an option or a line changed. The modules
of each were tried on each board; truth.json has what the kernels did (tests/oracle/builds.py).
"""

from __future__ import annotations

import json
import lzma
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from modcheck import Target, predict, read_module, read_target
from modcheck.cli.common import status_of
from modcheck.errors import TargetError
from modcheck.files import read_plain
from modcheck.module import Module

ROOT = Path(__file__).parent.parent
BUILDS = ROOT / "tests/data/builds"

#: what is given, and what of it (`{tree}` …); the words stand in docs/builds.md
FORMS = {
    "tree": "a tree, and nothing of a board",
    "table": "a loose table",
    "table, release and .config": "a loose table, `uname -r` and the board's `.config`",
    "table, module and .config": "a loose table, a module of the board and its `.config`",
    "tree, release": "a tree and `uname -r`",
    "tree, release and .config": "a tree, `uname -r` and the board's `.config`",
    "tree, module": "a tree and a module of the board",
    "tree, module and .config": "a tree, a module of the board and its `.config`",
    "tree, capture": "a tree and a capture without an image",
    "module and .config": "a module of the board and its `.config`: no table",
    "capture": "a capture without an image: no table",
    "profile": "the profile of a capture with the image",
    "tree, profile": "a tree and the profile of a capture with the image",
}
#: what each form can state besides
STATED = ("table", "table, release and .config", "tree, release", "tree, release and .config")


class Row(NamedTuple):
    """One module, built in a tree, on one board."""

    board: str
    tree: Path
    """the tree that it was built in"""
    module: Path
    accepted: bool
    errno: str | None
    log: tuple[str, ...]


class Verdict(NamedTuple):
    """What is said with one kind of evidence: the verdict and the exit status, without and with --strict."""

    verdict: str
    status: int
    strict: str
    strict_status: int


def rows() -> list[Row]:
    """What was tried, and what the kernels did."""
    told = json.loads((BUILDS / "truth.json").read_text())
    return [
        Row(one["board"], _tree(ROOT / one["module"]), ROOT / one["module"], one["accepted"], one["errno"],
            tuple(one["log"]))
        for one in told
    ]  # fmt: skip


def _tree(module: Path) -> Path:
    """The tree that a module lies beside."""
    return next(folder / "tree" for folder in module.parents if (folder / "tree").is_dir())


def described(form: str, board: str, tree: Path, work: Path, *, stated: bool = False) -> Target | TargetError:
    """The target that a form of evidence makes; the reason where it is bad usage."""
    folder = BUILDS / board / "board"
    facts: dict[str, Any] = {"same_build": stated}
    sources: list[Path] = []
    for word in form.replace(" and ", ", ").split(", "):
        if word == "tree":
            sources.append(tree)
        elif word == "table":
            facts["symvers"] = [loose(tree, work)]
        elif word == "release":
            facts["release"] = (folder / "osrelease").read_text().strip()
        elif word == ".config":
            facts["config"] = config(board, work)
        elif word == "module":
            sources.append(BUILDS / board / "modules" / "heartbeat.ko")
        elif word == "profile":
            sources.append(folder / "board.json")
        else:
            sources.append(capture(board, work))
    try:
        return read_target(*sources, **facts)
    except TargetError as error:
        return error


def loose(tree: Path, work: Path) -> Path:
    """The table of a tree, in no tree."""
    path = work / tree.parent.name / "Module.symvers"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read_plain(next(tree.glob("Module.symvers*"))))
    return path


def config(board: str, work: Path) -> Path:
    """The board's .config: of /proc, or as its capture has it, of /boot."""
    path = BUILDS / board / "board/config.gz"
    if path.exists():
        return path
    path = work / f"{board}.config"
    if not path.exists():
        with tarfile.open(capture(board, work)) as tar:
            name = next(one for one in tar.getnames() if one.startswith("boot/config-"))
            file = tar.extractfile(name)
            assert file
            path.write_bytes(file.read())
    return path


def capture(board: str, work: Path) -> Path:
    """What the board has told, but for its image and its modules."""
    path = work / f"{board}.tar"
    if not path.exists():
        path.write_bytes(lzma.decompress((BUILDS / board / "board/capture.tar.xz").read_bytes()))
    return path


def verdict(row: Row, target: Target | TargetError) -> Verdict:
    """What is said of a row's module."""
    if isinstance(target, TargetError):
        return Verdict("error", 2, "error", 2)
    lax, strict = (predict(_module(row.module), target, strict=strict) for strict in (False, True))
    return Verdict(lax.verdict, status_of(lax, False), strict.verdict, status_of(strict, True))


@cache
def _module(path: Path) -> Module:
    return read_module(path)


class Said(NamedTuple):
    """What is said of one row with one form of evidence."""

    form: str
    stated: bool
    """whether it is said to be the same build"""
    row: Row
    verdict: Verdict


def all_verdicts(work: Path) -> Iterator[Said]:
    """What is said of each row with each form."""
    targets: dict[tuple[str, str, Path, bool], Target | TargetError] = {}
    for form in FORMS:
        for stated in (False, True) if form in STATED else (False,):
            for row in rows():
                if form == "tree" and row.tree.parent.name != row.board:
                    continue  # it is judged for the kernel that the tree builds
                if "profile" in form and not (BUILDS / row.board / "board/board.json").exists():
                    continue  # of the others the image is not kept
                key = form, row.board, row.tree, stated
                if key not in targets:
                    targets[key] = described(form, row.board, row.tree, work, stated=stated)
                yield Said(form, stated, row, verdict(row, targets[key]))


def table(found: Iterable[Said]) -> str:
    """What docs/builds.md shows: which verdicts each form has, of modules that the board takes and that it refuses."""
    counts: dict[tuple[str, bool], dict[tuple[bool, bool], Counter[str]]] = {}
    for one in found:
        cells = counts.setdefault((one.form, one.stated), {})
        for strict in (False, True):
            said = one.verdict.strict if strict else one.verdict.verdict
            status = one.verdict.strict_status if strict else one.verdict.status
            text = f"{said}, exit {status}" if said in ("unknown", "error") else said
            cells.setdefault((strict, one.row.accepted), Counter())[text] += 1
    lines = [
        "| given | | taken by the board | refused by the board |",
        "|---|---|---|---|",
    ]
    for (form, stated), cells in counts.items():
        for strict in (False, True):
            words = FORMS[form] + (", `--same-build`" if stated else "")
            shown = (", ".join(f"{count} {text}" for text, count in sorted(cells[strict, taken].items()))
                     if (strict, taken) in cells else "" for taken in (True, False))  # fmt: skip
            lines.append(f"| {words if not strict else ''} | {'`--strict`' if strict else ''} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def summary(found: Iterable[Said]) -> str:
    """How much is left open under --strict of what the boards take, and which one file more decides it."""
    said: dict[tuple[str, Path], dict[str, str]] = {}
    rows: set[tuple[str, Path]] = set()
    for one in found:
        pair = one.row.board, one.row.module
        rows.add(pair)
        if one.row.accepted and not one.stated:
            said.setdefault(pair, {})[one.form] = one.verdict.strict
    open_ = [forms for forms in said.values() if forms["tree, release and .config"] == "unknown"]

    def decided(form: str) -> str:
        asked = [forms for forms in open_ if form in forms]
        return f"{sum(forms[form] == 'loads' for forms in asked)} of {len(asked)}"

    return (
        f"\n{len(rows)} modules on boards, {len(said)} of them taken. Under `--strict` a tree, `uname -r` and the "
        f"board's `.config` leave {len(open_)} of these open. One file more, in place of the last two, decides:\n\n"
        f"* a module of the board, with its `.config`: {decided('tree, module and .config')};\n"
        f"* a capture without an image: {decided('tree, capture')};\n"
        f"* the profile of a capture with the image: {decided('profile')} (kept of two boards).\n"
    )


def main() -> None:
    """Write the table into docs/builds.md."""
    page = ROOT / "docs/builds.md"
    before, _, rest = page.read_text().partition("<!-- evidence -->\n")
    after = rest.partition("<!-- /evidence -->")[2]
    with tempfile.TemporaryDirectory() as folder:
        said = list(all_verdicts(Path(folder)))
        found = table(said) + summary(said)
    page.write_text(f"{before}<!-- evidence -->\n{found}<!-- /evidence -->{after}")


if __name__ == "__main__":
    main()

"""modprobe itself, on a booted kernel: a root file system with modules in good and bad states, and what comes of it.

modcheck's verdict, errno (as modprobe words it), this module's lines, and the order in which the modules before it are
loaded are held against what was seen. The machine is amd64, modprobe and depmod are those of the one that runs this.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from modcheck import Prediction, Target, predict, read_module

from .boot import ACCEPTED
from .compare import Comparison, Printed, masked
from .errors import OracleError
from .initramfs import DATA, EXECUTABLE, FOLDER, uncompressed
from .kernels import Kernel
from .loads import Load, Result
from .signing import unsigned

#: how many bytes of modules the machine gets
MOST = 90 << 20

#: every so many modules one is: damaged, gone before depmod ran, gone since, of another licence, doubled in updates/,
#: given a softdep, given an argument
DAMAGED, MISSING, GONE, LICENCE, UPDATES, SOFTDEP, ARGUMENT = 19, 23, 29, 31, 11, 7, 13


def make_root(root: Path, kernel: Kernel, paths: Sequence[Path]) -> list[str]:
    """Fill the folder `root` with some of the modules `paths` of `kernel`, in the order in which they need each other.

    :returns: the names of those modules
    """
    shutil.rmtree(root, ignore_errors=True)
    folder = root / "lib/modules" / kernel.release
    names: list[str] = []
    gone: list[Path] = []
    configuration = []
    size = 0
    for place, path in enumerate(paths):
        size += path.stat().st_size
        if size > MOST:
            break
        name = read_module(path).name
        copy = folder / path.relative_to(kernel.modules)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
        plain = copy.with_suffix("") if copy.suffix != ".ko" else copy
        if place % DAMAGED == 5:
            copy.unlink()
            plain.write_bytes(unsigned(uncompressed(path)).replace(b" SMP ", b" SNP ", 1))
        elif place % MISSING == 7:
            copy.unlink()
        elif place % GONE == 9:
            gone.append(copy)
        elif place % LICENCE == 11:
            copy.unlink()
            plain.write_bytes(unsigned(uncompressed(path)).replace(b"license=GPL", b"license=XXX", 1))
        elif place % UPDATES == 3:
            updates = folder / "updates" / plain.name
            updates.parent.mkdir(exist_ok=True)
            updates.write_bytes(unsigned(uncompressed(path)))
        if place % SOFTDEP == 1 and len(names) > 9:
            configuration.append(f"softdep {name} pre: {names[-2]} {names[place % 9]} post: {names[3]}")
        if place % ARGUMENT == 2:
            module = read_module(path)
            configuration += [f"options {name} {one.name}=x" for one in (module.parameters or ())[:1]]
        names.append(name)
    (root / "etc/modprobe.d").mkdir(parents=True)
    (root / "etc/modprobe.d/oracle.conf").write_text("\n".join(configuration) + "\n")
    for file in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(kernel.modules / file, folder / file)
    subprocess.run(["depmod", "-b", str(root), kernel.release], check=True, capture_output=True)
    for path in gone:
        path.unlink()
    return names


def files(root: Path) -> Iterator[tuple[str, int, bytes]]:
    """What the machine gets: `root`, and modprobe with its libraries."""
    program = shutil.which("modprobe", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if program is None:
        raise OracleError("modprobe is not installed (package kmod)")
    told = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    found = [(path, Path(path).read_bytes()) for path in re.findall(r"(/\S+) \(0x", told)]
    found += [("/sbin/modprobe", Path(program).read_bytes())]
    found += [(f"/{path.relative_to(root)}", path.read_bytes()) for path in sorted(root.rglob("*")) if path.is_file()]
    folders = sorted({str(parent)[1:] for path, _ in found for parent in Path(path).parents if parent != Path("/")})
    yield from ((folder, FOLDER, b"") for folder in folders)
    for path, content in found:
        yield path[1:], DATA if path.endswith(".ko") else EXECUTABLE, content


def compare(results: Iterable[Result], target: Target) -> list[Comparison]:
    """Each run of modprobe beside the prediction for the module that its name stands for."""
    comparisons = []
    printed = Printed()
    for result in results:
        assert target.modules
        module = target.modules.module(result.load.modprobe)
        if module is None:
            continue  # depmod has not seen it, and modprobe says so
        before = printed.before(result)
        prediction = predict(module, target, already=before)
        printed.after(prediction)
        seen = tuple(masked(line.text) for line in result.log)
        accepted = [text.split(" ")[1] for text in seen if text.startswith(ACCEPTED)]
        dead_end = accepted and accepted[-1] in prediction.needs and result.errno
        if dead_end and not (prediction.log and _ends(seen, prediction.log)):
            continue  # the init function of one that it needs has failed: nobody predicts that
        answer = replace(result, accepted=module.name in accepted)
        agrees = _agrees(answer, prediction, accepted, seen)
        comparisons.append(Comparison(answer, module, before, prediction, seen, agrees))
    return comparisons


def _agrees(result: Result, prediction: Prediction, accepted: Sequence[str], seen: Sequence[str]) -> bool | None:
    """Verdict, words, lines, and, where no softdep comes between, the order."""
    if prediction.verdict == "unknown" or result.crashed:
        return None
    name = prediction.module.name
    if prediction.verdict == "loads":
        if not result.accepted:
            return False
        end = next(place for place, text in enumerate(seen) if text.startswith(f"{ACCEPTED}{name} "))
        expected = [*prediction.needs, name]
        return (accepted == expected or set(accepted) != set(expected)) and _ends(seen[:end], prediction.log)
    said = f"modprobe: ERROR: could not insert '{name}': {prediction.message}\n"
    return not result.accepted and result.said.endswith(said) and _ends(seen, prediction.log)


def _ends(texts: Sequence[str], log: Sequence[str]) -> bool:
    """Whether the lines end with `log`; those of other modules and their init functions stand before."""
    return not log or tuple(texts[-len(log) :]) == tuple(map(masked, log))


def plan(names: Iterable[str]) -> list[Load]:
    """One run of modprobe for each name."""
    return [Load(Path(name), modprobe=name) for name in names]

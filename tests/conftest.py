"""What many tests use: the samples, and modcheck's command line run in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from modcheck.cli import main

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_modules"


class Run(NamedTuple):
    """What one call of modcheck printed, and its exit status."""

    status: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        return json.loads(self.stdout)


@pytest.fixture
def modcheck(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """modcheck's command line: `modcheck("show", path)`; the working directory is sample_modules/."""

    def run(*words: str | Path) -> Run:
        monkeypatch.chdir(SAMPLES)
        monkeypatch.setattr(sys, "argv", ["modcheck", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        code = exit_.value.code
        output = capsys.readouterr()
        return Run(code if isinstance(code, int) else 0, output.out, output.err)

    return run


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden cases anew; read the diff")

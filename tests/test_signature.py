"""Signed modules of Debian against the certificates of their kernels: whole, changed, signed by another, unverified."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from oracle.signing import changed, signed, unsigned

from modcheck import Module, Prediction, Target, predict, read_target
from modcheck.files import read_plain
from modcheck.module import parse_module
from modcheck.version import Version

DATA = Path(__file__).parent / "data"
TREE = Path(__file__).parent.parent / "sample_modules/debian-6.1-amd64/tree"
FILE = DATA / "modules/amd64-6.1.0-56-amd64/matrix-keymap.ko.xz"
PLAIN = read_plain(FILE)
CERTIFICATE = DATA / "certificates/6.1.0-56-amd64.der"
REJECTED = "Loading of {} is rejected"


def module(data: bytes) -> Module:
    return parse_module(data, "matrix-keymap.ko")


def target(*, knows_all: bool = False, **facts: str) -> Target:
    """Debian's 6.1 with the certificate of its build."""
    found = read_target(TREE, trusted_cert=[CERTIFICATE], **facts)  # type: ignore[arg-type]
    return replace(found, all_certificates=knows_all)


def outcome(prediction: Prediction) -> tuple[str, str | None, tuple[str, ...]]:
    rules = tuple(unknown.rule for unknown in prediction.unchecked)
    return prediction.verdict, prediction.errno, prediction.log + rules


TAINTED = "matrix_keymap: module verification failed: signature and/or required key missing - tainting kernel"
ENFORCED = "module.sig_enforce=1"


@pytest.mark.parametrize(
    ("data", "facts", "expected"),
    [
        (PLAIN, {}, ("loads", None, ())),
        (PLAIN, {"cmdline": ENFORCED, "lockdown": "integrity"}, ("loads", None, ())),
        (changed(PLAIN), {}, ("refused", "EKEYREJECTED", ())),
        (unsigned(PLAIN), {}, ("loads", None, (TAINTED,))),
        (unsigned(PLAIN), {"cmdline": ENFORCED}, ("refused", "EKEYREJECTED", (REJECTED.format("unsigned module"),))),
        (
            unsigned(PLAIN),
            {"lockdown": "integrity"},
            (
                "refused",
                "EPERM",
                ("Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7",),
            ),
        ),
        (signed(PLAIN), {"knows_all": True}, ("loads", None, (TAINTED,))),
        (
            signed(PLAIN),
            {"knows_all": True, "cmdline": ENFORCED},
            ("refused", "EKEYREJECTED", (REJECTED.format("module with unavailable key"),)),
        ),
        (signed(PLAIN), {"cmdline": ENFORCED}, ("unknown", None, ("signature",))),
        (signed(PLAIN), {"lockdown": "integrity"}, ("unknown", None, ("signature",))),
        (PLAIN[:-60] + bytes(20) + PLAIN[-40:], {}, ("refused", "EKEYREJECTED", ())),
    ],
)
def test_what_the_kernel_says_to_a_signature(
    data: bytes, facts: dict[str, str], expected: tuple[str, str | None, tuple[str, ...]]
) -> None:
    assert outcome(predict(module(data), target(**facts))) == expected  # type: ignore[arg-type]


def test_ecdsa_of_6_12() -> None:
    """The same with the other algorithm in use: an elliptic curve."""
    folder = "amd64-6.12.117+deb13-amd64"
    data = read_plain(DATA / "modules" / folder / "libie.ko.xz")
    certificate = DATA / "certificates/6.12.117+deb13-amd64.der"
    debian = replace(target(), certificates=read_target(TREE, trusted_cert=[certificate]).certificates)
    verdicts = [predict(parse_module(one, "libie.ko"), debian).errno for one in (data, changed(data))]
    assert verdicts[1] == "EKEYREJECTED"
    assert verdicts[0] != "EKEYREJECTED"
    # a kernel that does not know the algorithm takes a trusted key's signature for none
    tainting = "libie: module verification failed: signature and/or required key missing - tainting kernel"
    for version, lines in ((Version(5, 12, 0), 1), (Version(5, 13, 0), 0)):
        found = predict(parse_module(data, "libie.ko"), replace(debian, version=version)).findings
        written = [line.text for finding in found for line in finding.log]
        assert written.count(tainting) == lines, version


def test_without_the_library_nothing_is_said_of_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    prediction = predict(module(PLAIN), target())
    assert prediction.verdict == "unknown"
    assert "modcheck[verify]" in prediction.unchecked[0].needs


def test_the_key_of_the_kernels_own_modules_is_trusted(tmp_path: Path) -> None:
    """A modules directory shows whose signatures the kernel takes, but not the key to verify them with."""
    (tmp_path / "one.ko").write_bytes(PLAIN)
    prediction = predict(module(PLAIN), read_target(TREE, modules_dir=tmp_path, cmdline=ENFORCED))
    assert outcome(prediction) == ("loads", None, ())
    assert "signed modules are unchanged since they were signed" in prediction.assumed

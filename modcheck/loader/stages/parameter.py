"""`parameter`: values that a module's parameters do not take.

`parse_args()` of kernel/params.c and `next_arg()` of lib/cmdline.c, 2.6 to 7.3: all words are tried, and the errno is
that of the last bad one. A name that no parameter has is ignored with a line since 3.11, and refused before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...module.facts import Parameter
from ..among import LoadAmong
from ..concerns import concerns
from ..facts import Answer, Finding, Unknown, line

RULE = "parameter"

#: type: bits, and whether it has a sign; the word size of the kernel for None
_NUMBERS: dict[str, tuple[int | None, bool]] = {
    "byte": (8, False), "short": (16, True), "ushort": (16, False), "int": (32, True), "uint": (32, False),
    "hexint": (32, False), "long": (None, True), "ulong": (None, False), "ullong": (64, False),
}  # fmt: skip
_BOOLEANS = ("bool", "invbool", "bint", "bool_enable_only")
#: these may stand without a value
_BARE = ("bool", "bint", "bool_enable_only")
_LONGEST = 1024


@concerns(others=True)
def parameter(load: LoadAmong) -> Iterator[Answer]:
    """Each word of the module's arguments."""
    if not load.arguments:
        return
    texts: list[str] = []
    errno = None
    name = load.links.name
    for key, value in split(load.arguments):
        if (key, value) == ("--", None):
            rest = load.arguments.partition("--")[2].strip()
            if rest and errno is None and load.version.since(3, 15):
                texts.append(f"{name}: parameters '{rest}' after `--' ignored")
            break
        found = _find(load, key)
        if found is None and load.links.parameters is None:
            yield Unknown(RULE, f"whether the module has a parameter {key}: its table is of an older kind")
        elif found is None:
            texts += _unknown_name(load, key)
            errno = errno if load.version.since(3, 11) else "ENOENT"
        elif not found.type:
            yield Unknown(RULE, f"what the module's own code makes of {key}={value or ''}")
        elif fault := _fault(found, value, load):
            what = "too large" if fault.errno == "ENOSPC" else "invalid"
            texts += [*fault.said, f"{name}: `{_shown(found, value)}' {what} for parameter `{key}'"]
            errno = fault.errno
        if errno and not load.version.since(3, 17):
            break  # the first bad one ended it
    lines = tuple(line(text, order) for order, text in enumerate(texts))
    if errno:
        yield Finding(RULE, "error", "a parameter does not take its value", errno, lines)
    elif lines:
        yield Finding(RULE, "warning", "a parameter that the module does not have", None, lines)


def split(arguments: str) -> list[tuple[str, str | None]]:
    """The words of `arguments` as the kernel parts them: pairs of name and value, None for a word without `=`."""
    words = []
    rest = arguments.lstrip()
    while rest:
        quoted = rest.startswith('"')
        rest = rest[quoted:]
        inside, end = quoted, len(rest)
        for place, letter in enumerate(rest):
            if letter.isspace() and not inside:
                end = place
                break
            inside ^= letter == '"'
        word, rest = rest[:end], rest[end:].lstrip()
        name, equals, value = word.partition("=") if "=" in word[1:] else (word, "", "")
        if equals and value.startswith('"'):
            value = value[1:].removesuffix('"')
        elif quoted:
            value, name = (value.removesuffix('"'), name) if equals else (value, name.removesuffix('"'))
        words.append((name, value if equals else None))
    return words


def _find(load: LoadAmong, name: str) -> Parameter | None:
    wanted = name.replace("-", "_")
    return next((one for one in load.links.parameters or () if one.name.replace("-", "_") == wanted), None)


def _unknown_name(load: LoadAmong, name: str) -> tuple[str, ...]:
    """What is written of a name that no parameter has."""
    own = load.links.name
    if not load.version.since(3, 11):
        return (f"{own}: Unknown parameter `{name}'",)
    if name == "async_probe" and load.version.since(4, 1):
        return ()
    if "y" in (load.target.option("DYNAMIC_DEBUG"), load.target.option("DYNAMIC_DEBUG_CORE")):
        if name.rpartition(".")[2] == "dyndbg":
            return ()
        name = name.partition(".")[0]
    elif name == "dyndbg":
        return ("dyndbg param is supported only in CONFIG_DYNAMIC_DEBUG builds",)
    return (f"{own}: unknown parameter '{name}' ignored",)


class _Fault(NamedTuple):
    """Why a value is not taken, and what is written of it before the line that names it."""

    errno: str
    said: tuple[str, ...] = ()


def _fault(one: Parameter, value: str | None, load: LoadAmong) -> _Fault | None:
    if value is None:
        return None if one.type in _BARE and not one.array else _Fault("EINVAL")
    if not one.array:
        return _fault_of_one(one, value, load)
    for number, item in enumerate(value.split(",")):
        if number == one.max:
            return _Fault("EINVAL", (f"{one.name}: can only take {one.max} arguments",))
        if fault := _fault_of_one(one, item, load):
            return fault
    return None


def _fault_of_one(one: Parameter, value: str, load: LoadAmong) -> _Fault | None:
    if one.type in _BOOLEANS:
        return None if _is_boolean(value, load) else _Fault("EINVAL")
    if one.type in _NUMBERS:
        bits, signed = _NUMBERS[one.type]
        errno = _number(value, bits or load.links.bits, signed)
        return _Fault(errno) if errno else None
    size = len(value.encode("utf-8", "surrogateescape"))
    if one.type == "charp" and size > _LONGEST:
        return _Fault("ENOSPC", (f"{one.name}: string parameter too long",))
    if one.type == "string" and one.max is not None and size >= one.max:
        return _Fault("ENOSPC", (f"{one.name}: string doesn't fit in {one.max - 1} chars.",))
    return None


def _shown(one: Parameter, value: str | None) -> str:
    """The value as it stands when the line is written: an array's has been cut at its first comma."""
    return "" if value is None else value.partition(",")[0] if one.array else value


def _is_boolean(value: str, load: LoadAmong) -> bool:
    first, second = value[:1], value[1:2]
    letters = "yY1nN0" + ("tTfF" if load.version.since(5, 17) else "")
    return first != "" and (first in letters or (first in "oO" and second != "" and second in "nNfF"))


def _number(value: str, bits: int, signed: bool) -> str | None:
    """errno of kstrto…() of lib/kstrtox.c for a number in C's notation; None when it fits."""
    digits = value.removesuffix("\n")
    negative = signed and digits.startswith("-")
    digits = digits[1:] if negative or digits.startswith("+") else digits
    base = 10
    if digits.startswith("0"):
        base = 16 if digits[1:2] in ("x", "X") and digits[2:3].isalnum() else 8
    digits = digits[2:] if base == 16 else digits
    known = "0123456789abcdef"[:base]
    if not digits or any(digit not in known for digit in digits.lower()) or not digits.isascii():
        return "EINVAL"
    number = int(digits, base)
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return None if least <= (-number if negative else number) <= most else "ERANGE"

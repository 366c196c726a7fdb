"""The parameters that a module declares: the array of `struct kernel_param` in its section `__param`.

`include/linux/moduleparam.h`, 4.2 to 7.3: name, module, ops, two small numbers, then what the ops work on; each pointer
is a relocation. Older kernels have no pointer to the module: their parameters are not read.
"""

from __future__ import annotations

from .elf import Image, text
from .facts import SHN_UNDEF, Parameter
from .tables import relocations_of

_ARRAY, _STRING = "param_array_ops", "param_ops_string"
_TYPES = "param_ops_"


class _Pointers:
    """Where the pointers of a section lead, by their offsets."""

    def __init__(self, image: Image) -> None:
        self.image, self.rows = image, image.symbols
        self.known: dict[int, dict[int, tuple[int, int]]] = {}

    def at(self, section: int, offset: int) -> tuple[int, int] | None:
        """Symbol index and addend of the pointer at `offset` of a section."""
        if section not in self.known:
            found = relocations_of(self.image, section)
            self.known[section] = {place: (symbol, addend) for place, symbol, addend in found}
        return self.known[section].get(offset)

    def name(self, section: int, offset: int) -> str:
        """The name of the symbol that the pointer is to; empty where there is none."""
        found = self.at(section, offset)
        if found is None or found[0] >= len(self.rows):
            return ""
        return self.image.strings.get(self.rows[found[0]][0])

    def place(self, section: int, offset: int) -> tuple[int, int] | None:
        """Section and offset that the pointer leads to, if that is in the file."""
        found = self.at(section, offset)
        if found is None or found[0] >= len(self.rows):
            return None
        _, _, shndx, value, _ = self.rows[found[0]]
        if shndx == SHN_UNDEF or shndx >= len(self.image.sections):
            return None
        return shndx, value + found[1]

    def string(self, section: int, offset: int) -> str:
        """The string that the pointer leads to."""
        place = self.place(section, offset)
        if place is None:
            return ""
        data = self.image.bytes_of(self.image.sections[place[0]])
        end = data.find(b"\0", place[1])
        return text(data[place[1] : end if end >= 0 else None])

    def number(self, place: tuple[int, int]) -> int:
        """The 32-bit number at a place."""
        data = self.image.bytes_of(self.image.sections[place[0]])[place[1] : place[1] + 4]
        return int.from_bytes(data, self.image.endianness)


def read_parameters(image: Image) -> tuple[Parameter, ...] | None:
    """The parameters in the order of the section; None where it is laid out in an older way."""
    index = image.place("__param")
    section = None if index is None else image.sections[index]
    if index is None or section is None or not section.sh_size:
        return ()
    word = image.bits // 8
    size = 40 if image.bits == 64 else 20
    pointers = _Pointers(image)
    entries = range(0, section.sh_size - size + 1, size)
    if section.sh_size % size or any(pointers.at(index, entry + word) is None for entry in entries):
        return None
    return tuple(_parameter(pointers, index, entry, word) for entry in entries)


def _parameter(pointers: _Pointers, section: int, entry: int, word: int) -> Parameter:
    name = pointers.string(section, entry)
    ops = pointers.name(section, entry + 2 * word)
    argument = pointers.place(section, entry + 3 * word + (8 if word == 8 else 4))
    if ops == _ARRAY and argument:
        # struct kparam_array: max, elemsize, num, ops, elem
        inner = pointers.name(argument[0], argument[1] + 8 + word)
        return Parameter(name, _type(inner), pointers.number(argument), True)
    if ops == _STRING and argument:
        return Parameter(name, "string", pointers.number(argument), False)
    return Parameter(name, _type(ops), None, False)


def _type(ops: str) -> str:
    return ops.removeprefix(_TYPES) if ops.startswith(_TYPES) else ""

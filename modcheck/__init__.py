"""modcheck: whether a given Linux kernel takes a given module, told from files alone.

    module = modcheck.read_module("chrdevbase.ko")
    target = modcheck.read_target(symvers=["Module.symvers"], release="6.1.99-rockchip-rk3588")
    prediction = modcheck.predict(module, target)

The parts are imported when they are first used: a command pays for its own imports alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import ModcheckError, TargetError, UnreadableError
    from .loader import Finding, Prediction, Unknown, predict, predict_all
    from .module import Module, read_module
    from .target import Target, read_target

__version__ = "0.1.0"

__all__ = [
    "Finding",
    "ModcheckError",
    "Module",
    "Prediction",
    "Target",
    "TargetError",
    "Unknown",
    "UnreadableError",
    "__version__",
    "predict",
    "predict_all",
    "read_module",
    "read_target",
]

_ROOMS = {
    ".errors": ("ModcheckError", "TargetError", "UnreadableError"),
    ".loader": ("Finding", "Prediction", "Unknown", "predict", "predict_all"),
    ".module": ("Module", "read_module"),
    ".target": ("Target", "read_target"),
}


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(room, __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""modcheck: whether a given Linux kernel takes a given module, told from files alone.

module = modcheck.read_module("chrdevbase.ko")
target = modcheck.read_target(symvers=["Module.symvers"], release="6.1.99-rockchip-rk3588")
prediction = modcheck.predict(module, target)
"""

from __future__ import annotations

from .errors import ModcheckError, TargetError, UnreadableError
from .loader import Finding, Prediction, Unknown, predict
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
    "read_module",
    "read_target",
]

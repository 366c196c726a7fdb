"""The judge: what a kernel does with a module, from facts alone. No files, no options, no formatting.

The same Module and Target give the same Prediction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from ..module.facts import Module
from ..target.facts import Target
from .errnos import LOADERS
from .facts import Finding, LogLine, Prediction, Unknown, Verdict
from .together import Together
from .walk import walks_of

__all__ = [
    "LOADERS",
    "Finding",
    "LogLine",
    "Prediction",
    "Unknown",
    "Verdict",
    "predict",
    "predict_all",
]


def predict(
    module: Module,
    target: Target,
    *,
    loader: str = "modprobe",
    modules: Iterable[Module] = (),
    loaded: Collection[Module | str] = (),
    force_vermagic: bool = False,
    force_modversion: bool = False,
    arguments: str = "",
    ignore: Collection[str] = (),
    already: Collection[str] | None = None,
    strict: bool = False,
) -> Prediction:
    """What the kernel `target` does with `module`.

    :param loader: `modprobe`: modules that the target's tables name as owners, or that are among `modules`, are loaded
        first; `insmod`: only the kernel's own symbols and those of `loaded` are there; `busybox`: the same in
        busybox's words, and with its second try
    :param modules: the set that `module` belongs to
    :param loaded: modules already loaded: as modules, or as names, whose symbols the target's tables then tell
    :param force_vermagic: as `modprobe --force-vermagic`
    :param force_modversion: as `modprobe --force-modversion`
    :param arguments: what is given for the module's parameters, as on insmod's command line
    :param ignore: rules whose findings do not decide
    :param already: what the kernel prints only once and has printed (`once.already`); None: only what `loaded` made it
        print
    :param strict: let a table that is only taken for the kernel's own (`Target.tied`) decide nothing that the board's
        files do not prove
    :returns: the prediction; it does not depend on anything else
    :raises ModcheckError: `loader` is none of `LOADERS`
    """
    (prediction,) = predict_all(
        [module],
        target,
        loader=loader,
        modules=modules,
        loaded=loaded,
        force_vermagic=force_vermagic,
        force_modversion=force_modversion,
        arguments=arguments,
        ignore=ignore,
        already=already,
        strict=strict,
    )
    return prediction


def predict_all(
    tried: Iterable[Module],
    target: Target,
    *,
    loader: str = "modprobe",
    modules: Iterable[Module] = (),
    loaded: Collection[Module | str] = (),
    force_vermagic: bool = False,
    force_modversion: bool = False,
    arguments: str = "",
    ignore: Collection[str] = (),
    already: Collection[str] | None = None,
    until_refused: bool = False,
    strict: bool = False,
) -> Iterator[Prediction]:
    """`predict` for each of `tried`, on one target and in one set; what they share is worked out once.

    :param until_refused: look no further than the stage that refuses: verdict, errno and log are the same, and found in
        a fraction of the time; `findings` and `unchecked` end there, and `needs` is not told
    """
    walks = walks_of(
        target,
        loader=loader,
        force_vermagic=force_vermagic,
        force_modversion=force_modversion,
        arguments=arguments,
        ignore=ignore,
        until_refused=until_refused,
        strict=strict,
    )
    together = Together(walks, modules, loaded, already)
    return (replace(together.predict(module), module=module) for module in tried)

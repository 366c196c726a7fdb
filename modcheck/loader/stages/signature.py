"""`signature`: whether the kernel takes an unsigned module, or one that another key signed.

`module_sig_check()` of kernel/module/signing.c and `mod_check_sig()` of kernel/module_signature.c, 3.7 to 7.3; the
PKCS#7 message by crypto/asymmetric_keys/.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ...target.certificates import Certificate
from ...target.facts import Target, is_true
from ...version import Version
from .. import needs
from ..concerns import concerns
from ..facts import Answer, Finding, Load, LogLine, Unknown, line, once

if TYPE_CHECKING:
    from ...module.signature import Signature, Signer

RULE = "signature"
_ID_PKCS7 = 2
_MARKER, _STRUCTURE = 28, 12


class Examined(NamedTuple):
    """What a kernel makes of a signature before it judges the module."""

    errno: str | None
    """what is wrong with the trailer's form"""
    text: str | None
    """its line"""
    known_algorithms: bool
    """whether the kernel has all algorithms that the module is signed with; where it has not, it looks no further"""
    verified: bool | None
    """whether the signature is good, and by a key that it trusts; None where that is not known"""


@once
def examined(load: Load) -> Examined | None:
    """None: there is no signature, or the kernel does not look at it: where checks are forced it counts as unsigned."""
    signature = load.module.signature
    if signature is None or load.force_vermagic or load.force_modversion:
        return None
    errno, text = _shape(load, signature)
    known_algorithms = all(_applied(one.hash, one.algorithm, load.version) for one in signature.signers)
    is_good = _is_good(load) if errno is None and known_algorithms else False
    return Examined(errno, text, known_algorithms, is_good)


def _is_good(load: Load) -> bool | None:
    """Assumed: in-tree signed modules of the target's own build are signed by its key; and where no key is at hand to
    verify with, that a module is unchanged since it was signed."""
    if trusted_key(load) is not None:
        return True
    if load.target.certificates:
        return False if load.target.all_certificates or not load.own_build else None
    return True if load.own_build else None


def signed_length(load: Load) -> int:
    """How many bytes of the file the ELF checks see: all without CONFIG_MODULE_SIG, else those before the trailer."""
    length, signature = load.module.elf.length, load.module.signature
    if signature is None or load.target.option("MODULE_SIG") == "n" or (found := examined(load)) is None:
        return length
    return length - (signature.trailer_length if found.errno is None else _MARKER)


def verified(load: Load) -> bool | None:
    """Whether the kernel finds a good signature by a key it trusts; None where that is not known."""
    found = examined(load)
    return False if found is None else found.verified


def _fatal(load: Load, errno: str | None) -> bool:
    """Whether this error refuses a module on any kernel; since 5.4 unknown algorithms only make it unsigned."""
    return errno is not None and not (errno == "ENOPKG" and load.version.since(5, 4))


def _shape(load: Load, signature: Signature) -> tuple[str | None, str | None]:
    """errno and line for a trailer that is not of the right form; (None, None) when it is."""
    remaining = load.module.elf.length - _MARKER
    if signature.fields is None or signature.sig_len >= remaining - _STRUCTURE:
        return "EBADMSG", None
    algo, hash_, id_type, signer_len, key_id_len = signature.fields
    if not load.version.since(4, 3):
        # X.509 then, with other fields, which are not looked into here
        return (None, None) if (algo, id_type) == (1, 1) else ("ENOPKG", None)
    name = "module" if load.version.since(5, 4) else load.module.name
    if id_type != _ID_PKCS7:
        if load.version.since(5, 4):
            return "ENOPKG", f"{name}: not signed with expected PKCS#7 message"
        prefix = f"{name}: " if load.version.since(4, 19) else ""
        return "ENOPKG", f"{prefix}Module is not signed with expected PKCS#7 message"
    if algo or hash_ or signer_len or key_id_len or not signature.padding_is_zero:
        return "EBADMSG", f"{name}: PKCS#7 signature info has unexpected non-zero params"
    return None, None


@once
def trusted_key(load: Load) -> Certificate | None:
    """The certificate that the kernel trusts, of the one who signed the module."""
    certificates, signature = load.target.certificates, load.module.signature
    if not certificates or signature is None:
        return None
    signers = signature.signers
    found = (one for one in certificates for signer in signers if one.signed(signer))
    return max(found, key=lambda one: one.key is not None, default=None)


@concerns((3, 7), targets=lambda target: target.option("MODULE_SIG") != "n")
def signature(load: Load) -> Iterator[Answer]:
    """The signature's form, whether it fits, and whether the kernel insists on one."""
    configured = load.target.option("MODULE_SIG")
    found = examined(load)
    errno, text = (found.errno, found.text) if found else (None, None)
    if configured is None:
        if not verified(load):
            yield Unknown(RULE, needs.CONFIG)
        return
    lines = (line(text),) if text else ()
    if _fatal(load, errno):
        yield Finding(RULE, "error", "the signature's trailer is malformed", errno, lines)
        return
    if found and not errno and load.version.since(4, 3):
        unfit = list(_unfit(load, found))
        errno = next((one.errno for one in unfit if isinstance(one, Finding)), None)
        if unfit and (errno is None or _fatal(load, errno)):
            yield from unfit
            return
    known, forced = verified(load) and not errno, _forced(load.target)
    if known:
        return
    certain = load.target.all_certificates or errno or not found
    if not certain and (forced or _locked(load.target, load.version)):
        yield Unknown(RULE, needs.CERTIFICATES)
    elif not forced:
        if known is None:
            yield Finding(RULE, "note", "signed; if the kernel does not know the key, it is tainted and says so")
        yield from _lockdown(load, lines)
    else:
        reason = _reason(found is not None, errno)
        refused = line(_rejected(load, reason), 1)
        version_errno = "EKEYREJECTED" if load.version.since(5, 4) else "ENOKEY"
        written = (*lines, refused) if load.version.since(5, 4) else ()
        yield Finding(RULE, "error", f"{reason}, and the kernel insists on a signature", version_errno, written)


def _reason(examined: bool, errno: str | None) -> str:
    """In the words of the kernel's line."""
    if not examined:
        return "unsigned module"
    return "module with unsupported crypto" if errno else "module with unavailable key"


def _unfit(load: Load, found: Examined) -> Iterator[Answer]:
    """A message that the kernel cannot parse, or takes no part of; a signature that is another module's."""
    signature = load.module.signature
    assert signature is not None
    message = signature.message
    if message is None:
        yield Finding(RULE, "error", "the signature is no PKCS#7 message", "EBADMSG")
    elif message.version not in (1, 3):
        text = "PKCS7: Unsupported SignedData version"
        yield Finding(RULE, "error", f"the message is of version {message.version}", "EINVAL", (line(text),))
    elif not message.signers:
        text = "PKCS7: Inconsistently supplied authAttrs"
        yield Finding(RULE, "error", "nobody has signed it", "EINVAL", (line(text),))
    elif not found.known_algorithms:
        yield Finding(RULE, "error", "signed in a way that the kernel does not know", "ENOPKG")
    elif message.attached:
        text = "PKCS#7 signature with non-detached data"
        yield Finding(RULE, "error", "the signature has data in it", "EBADMSG", (line(text),))
    elif not message.is_data or any(signer.attributes for signer in message.signers):
        what = "has authattrs" if message.is_data else "not pkcs7-data"
        text = f"PKCS7: Invalid module sig ({what})"
        yield Finding(RULE, "error", "signed is something else than the module", "EKEYREJECTED", (line(text),))
    elif message.certificates:
        yield Unknown(RULE, "whether the certificates that the signature brings along lead to one that is trusted")
    else:
        yield from _arithmetic(load, message.signers)


def _arithmetic(load: Load, signers: tuple[Signer, ...]) -> Iterator[Answer]:
    certificate = trusted_key(load)
    if certificate is None or certificate.key is None:
        return
    from ..signed import fits

    fitting = [fits(signer, certificate.key) for signer in signers if certificate.signed(signer)]
    if False in fitting:
        yield Finding(RULE, "error", "the module was changed after it was signed", "EKEYREJECTED")
    elif None in fitting:
        yield Unknown(RULE, needs.VERIFY)


@lru_cache(maxsize=64)
def _applied(hash_name: str, algorithm: str, version: Version) -> bool:
    """Whether the kernel's parser knows the digest and the signature's algorithm (pkcs7_parser.c)."""
    hashes = {"sha1", "sha224", "sha256", "sha384", "sha512"}
    if not version.since(6, 7):
        hashes |= {"md4", "md5"}
    elif not version.since(6, 12):
        hashes -= {"sha1"}
    curves = {"sha1_ecdsa", "sha224_ecdsa", "sha256_ecdsa", "sha384_ecdsa", "sha512_ecdsa"}
    if version.since(6, 8):
        hashes |= {"sha3_256", "sha3_384", "sha3_512"}
        curves |= {"sha3_256_ecdsa", "sha3_384_ecdsa", "sha3_512_ecdsa"}
    algorithms = {"rsassa_pkcs1v15"} | (curves if version.since(5, 13) else set())
    return hash_name in hashes and algorithm in algorithms


@lru_cache(maxsize=2)
def _forced(target: Target) -> bool:
    """Whether the kernel insists on signatures: as it says itself, by its option, or by its command line."""
    if target.sig_enforce is not None:
        return target.sig_enforce
    return target.option("MODULE_SIG_FORCE") == "y" or any(map(is_true, target.boot_options("module.sig_enforce")))


@lru_cache(maxsize=2)
def _locked(target: Target, version: Version) -> bool:
    """Whether the kernel is locked down (5.4+): as given, by its command line, or by how it was built."""
    if not version.since(5, 4):
        return False
    if target.lockdown is not None:
        return target.lockdown != "none"
    asked = target.option("SECURITY_LOCKDOWN_LSM") == "y" and target.boot_options("lockdown")
    return bool(asked and {"integrity", "confidentiality"} & set(asked)) or "y" in map(target.option, _LOCKED)


_LOCKED = ("LOCK_DOWN_KERNEL_FORCE_INTEGRITY", "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY")


def _lockdown(load: Load, lines: tuple[LogLine, ...]) -> Iterator[Answer]:
    """Unsigned, and not enforced: a kernel that is locked down refuses it all the same (5.4+)."""
    if _locked(load.target, load.version):
        text = "Lockdown: insmod: unsigned module loading is restricted; see man kernel_lockdown.7"
        if load.loader == "modprobe":
            text = text.replace("insmod", load.loader, 1)
        summary = "unsigned, and the kernel is locked down"
        yield Finding(RULE, "error", summary, "EPERM", (*lines, line(text, 1)))
    elif lines:
        yield Finding(RULE, "warning", "signed, but not with a PKCS#7 message", None, lines)


def _rejected(load: Load, reason: str) -> str:
    version, name = load.version, load.module.name
    if version.since(5, 13) or version.late_5_10:
        return f"Loading of {reason} is rejected"
    if version.since(5, 11):
        return f"{name}: loading of {reason} is rejected"
    return f"{name}: Loading of {reason} is rejected" if version.since(5, 5) else f"Loading of {reason} is rejected"


@concerns((3, 7), targets=lambda target: target.option("MODULE_SIG") == "y")
def unsigned_taint(load: Load) -> Iterator[Answer]:
    """The line for a module that is taken without a good signature."""
    if verified(load) is not False:
        return
    text = f"{load.module.name}: module verification failed: signature and/or required key missing - tainting kernel"
    yield Finding(
        RULE, "warning", "not signed by a key that the kernel knows: taints it", None, (line(text, once="unsigned"),)
    )

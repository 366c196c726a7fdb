"""Causes that lie in the file itself: no module, compressed, unsigned, with another kernel's type information; and in
the files that describe the kernel."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ..loader import needs
from ..loader.causes import Cause
from .case import Case
from .releases import headers


def not_a_module(case: Case) -> Iterator[Cause]:
    """A program, a library, an object that modpost has not seen, or one that lost its symbol table."""
    finding = case.found("elf-format")
    elf = case.module.elf
    if finding is None or elf.header is None or not elf.sections:
        return
    names = set(elf.sections.names)
    lacking = [name for name in (".modinfo", ".gnu.linkonce.this_module", ".symtab") if name not in names]
    kind = {2: "a program", 3: "a shared library"}.get(elf.header.e_type)
    if kind is None and not lacking:
        return
    evidence = [f"ELF type {elf.header.e_type} in {case.module.path}; a module has 1"] if kind else []
    evidence += [f"it has no section {', '.join(lacking)}"] if lacking else []
    if lacking == [".symtab"]:
        yield Cause(
            "not-a-module",
            "certain",
            "the module was stripped of its symbol table, which the kernel needs",
            tuple(evidence),
            case.rebuild(behind="    # and strip nothing but --strip-debug: never strip alone, nor -s"),
            ("elf-format",),
        )
        return
    yield Cause(
        "not-a-module",
        "certain",
        f"this file is {kind or 'an object'} that did not come out of modpost as a module",
        tuple(evidence),
        ("# give the .ko that modpost made of it:", *case.rebuild()),
        ("elf-format",),
    )


def compression(case: Case) -> Iterator[Cause]:
    """A stream that the kernel's own decoder does not know."""
    feature = case.module.compression_feature
    if feature is None or not (case.found("compression", "error", "warning") or case.lacks("compression")):
        return
    path = case.module.path
    plain = shlex.quote(path.removesuffix(f".{case.module.compression}"))
    again = "gzip -n" if case.module.compression == "gz" else "xz --check=crc32 --lzma2=dict=1MiB"
    undo = "gunzip" if case.module.compression == "gz" else "unxz"
    yield Cause(
        "compression",
        "certain" if case.found("compression") else "possible",
        f"compressed as {feature}: a kernel that decompresses modules itself cannot undo that",
        (f"the first bytes of {path}",),
        (f"{undo} {case.path} && {again} {plain}",),
        ("compression",),
    )


def signature(case: Case) -> Iterator[Cause]:
    """Not signed, signed with another key, or changed since."""
    finding = case.found("signature")
    unknown = case.lacks("signature")
    if finding is None and (unknown is None or case.module.signature is None):
        return
    module, target = case.module, case.target
    rules, sign = ("signature",), _sign(case)
    demands = _demands(case)
    if case.built.behind_signature:
        yield Cause(
            "broken-signature",
            "certain",
            f"{case.built.behind_signature} bytes follow the signature, which must be the last thing in the file",
            (f"the marker `Module signature appended` is not at the end of {module.path}", *demands),
            ("# sign last, after strip and whatever else changes the file:", sign),
            rules,
        )
    elif module.signature is None:
        yield Cause("unsigned", "certain", "the kernel takes signed modules alone, and this one is not", demands,
                    (f"{sign}    # after strip; the certificate must be in the kernel's keyring", *_enrol(case)),
                    rules)  # fmt: skip
    elif finding and (finding.errno in ("EBADMSG", "EINVAL") or "changed after" in finding.summary):
        yield Cause(
            "broken-signature",
            "certain",
            "the signature does not fit the file: it was changed (stripped, cut, rewritten) after signing",
            (f"{module.path}: {finding.summary}", *demands),
            ("# sign last, after strip and whatever else changes the file:", sign),
            rules,
        )
    else:
        signers = [f"signed by {one.name}, serial {one.serial:x}" for one in module.signature.signers]
        known = f"certificates of the kernel that are known: {len(target.certificates)}"
        yield Cause(
            "other-key",
            "certain" if finding and target.all_certificates else "likely" if finding else "possible",
            "signed with a key that the kernel does not have"
            if finding
            else "signed; whether the kernel has the key is not known",
            (*signers, known, *demands),
            (
                *_enrol(case),
                f"{sign}    # or sign it again with the kernel's own key",
                f"compare: modinfo -F sig_key {case.path} with openssl x509 -in CERT -noout -serial -ext "
                "subjectKeyIdentifier",
            ),
            rules,
        )


def _demands(case: Case) -> tuple[str, ...]:
    """What makes the kernel insist."""
    target = case.target
    found = []
    if target.option("MODULE_SIG_FORCE") == "y":
        found.append(f"CONFIG_MODULE_SIG_FORCE=y ({case.source('config')})")
    if any("sig_enforce" in word for word in (target.cmdline or "").split()):
        found.append(f"module.sig_enforce in the command line ({case.source('cmdline')})")
    if target.sig_enforce:
        found.append(f"sig_enforce is Y there ({case.source('sig_enforce')})")
    if target.lockdown not in (None, "none") or target.boot_options("lockdown"):
        found.append(f"locked down: {target.lockdown or target.boot_options('lockdown')[0]}")
    return tuple(found)


def _sign(case: Case) -> str:
    """scripts/sign-file with the key and digest that the kernel's .config names."""
    config = case.target.config or case.own_config
    digest = config.get("MODULE_SIG_HASH") if config else "n"
    key = config.get("MODULE_SIG_KEY") if config else "n"
    kdir = case.kdir
    if key.startswith(("/", "pkcs11:")):
        key = shlex.quote(key)
    else:
        key = f"{kdir}/{key if key not in ('', 'n') else 'certs/signing_key.pem'}"
    digest = digest if digest not in ("", "n") else "sha512"
    return f"{kdir}/scripts/sign-file {digest} {key} {kdir}/certs/signing_key.x509 {case.path}"


def _enrol(case: Case) -> tuple[str, ...]:
    if case.target.arch not in ("x86_64", "arm64", None) or case.target.vendor in ("upstream", "android"):
        return ()
    return (
        "mokutil --import MOK.der    # the certificate of the key that signed (DKMS: /var/lib/dkms/mok.pub); reboot",
    )


def btf(case: Case) -> Iterator[Cause]:
    """Type information of another build."""
    finding, unknown = case.found("btf", "error", "warning"), case.lacks("btf")
    if case.module.btf is None or (finding is None and unknown is None):
        return
    path = case.module.path
    yield Cause(
        "other-btf",
        "likely" if finding else "possible",
        "its type information (.BTF) was made against another kernel's"
        if finding
        else "whether its type information (.BTF) was made against this kernel's is not known",
        (
            f".BTF in {path}: {len(case.module.btf)} bytes",
            f"CONFIG_DEBUG_INFO_BTF_MODULES={case.target.option('DEBUG_INFO_BTF_MODULES')} ({case.source('config')})",
        ),
        (
            *case.rebuild(behind="    # in a tree with that kernel's vmlinux"),
            f"{case.prefix}objcopy -R .BTF -R .BTF.base {case.path}    # or leave it out, before signing",
        ),
        ("btf",),
    )


def retpoline(case: Case) -> Iterator[Cause]:
    """Compiled without the mitigation that the kernel has."""
    finding = next((one for one in case.prediction.findings if "retpoline" in one.summary), None)
    if finding is None:
        return
    yield Cause(
        "retpoline",
        "likely",
        "an old compiler, or its flags: no retpolines, which this kernel is built with; it loads all the same",
        (f"no retpoline= in .modinfo of {case.module.path}", f"CONFIG_*RETPOLINE=y ({case.source('config')})"),
        case.rebuild(behind="    # with gcc 7.3 or clang 5 or later"),
        (finding.rule,),
    )


def other_build(case: Case) -> Iterator[Cause]:
    """What was given beside the board is of another build."""
    tied = case.target.tied
    open_ = tuple(unknown.rule for unknown in case.prediction.unchecked if unknown.needs == needs.SYMVERS)
    if tied is None or tied.state != "other" or not open_:
        return
    known = headers(case.target.release or "")
    steps = (
        *((f"{known.install}    # its Module.symvers lies in /usr/src",) if known else ()),
        f"# {'or ' if known else ''}take the table from the board: modcheck capture makes board.tar; modcheck symvers "
        "board.tar -o Module.symvers",
    )
    why = f"{tied.table} is of another build than the kernel that runs: what it exports is not known"
    yield Cause("other-build", "certain", why, tied.against, steps, tuple(dict.fromkeys(open_)))


def no_table(case: Case) -> Iterator[Cause]:
    """What the kernel exports is not known, or not its CRCs."""
    lacking = [unknown for unknown in case.prediction.unchecked if unknown.needs in (needs.CRCS, needs.SYMVERS)]
    if not lacking:
        return
    rules = tuple(dict.fromkeys(unknown.rule for unknown in lacking))
    target = case.target
    tree = case.built.kernels
    kdir = shlex.quote(tree.path) if tree and tree.buildable else '"$KDIR"'
    known = headers(target.release or "")
    ways = (
        *((f"{known.install}    # its Module.symvers lies in /usr/src",) if known else ()),
        case.make(kdir=kdir) + "    # a whole build makes it; modules_prepare does not",
        *case.rebuild(kdir=kdir),
        "or from the board: modcheck symvers ROOTFS -o Module.symvers, or --target with its image and modules",
    )
    if any(unknown.needs == needs.CRCS for unknown in lacking):
        where = case.source("symbols")
        yield Cause(
            "no-crcs",
            "certain",
            "the table of the kernel's symbols has no CRC but zero: versions cannot be checked, only vermagic",
            (
                f"every CRC in {where} is 0x00000000",
                f"CONFIG_MODVERSIONS={target.option('MODVERSIONS') or 'not known'} ({case.source('config')})",
                "such a table is left by `make modules_prepare`, KBUILD_MODPOST_WARN or a build without genksyms",
            ),
            ways,
            rules,
        )
    elif target.tree:
        yield Cause(
            "no-symvers",
            "certain",
            f"{target.tree} has no Module.symvers: it was prepared (modules_prepare), and never built",
            (f"no Module.symvers in {target.tree}, or none with the kernel's symbols",),
            ways,
            rules,
        )

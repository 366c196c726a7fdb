"""errno in the words of the programs that load modules (kmod 34, glibc 2.41, busybox 1.37)."""

from __future__ import annotations

_TEXT = {
    "EPERM": "Operation not permitted",
    "ENOENT": "No such file or directory",
    "ENOEXEC": "Exec format error",
    "ENOMEM": "Cannot allocate memory",
    "EACCES": "Permission denied",
    "EBUSY": "Device or resource busy",
    "EEXIST": "File exists",
    "EINVAL": "Invalid argument",
    "ENOSYS": "Function not implemented",
    "ENOPKG": "Package not installed",
    "EBADMSG": "Bad message",
    "E2BIG": "Argument list too long",
    "ELOOP": "Too many levels of symbolic links",
    "ENOSPC": "No space left on device",
    "ENOTSUPP": "Unknown error 524",
    "ERANGE": "Numerical result out of range",
    "EOPNOTSUPP": "Operation not supported",
    "ENOKEY": "Required key not available",
    "EKEYREJECTED": "Key was rejected by service",
}
_WORDS = {
    "insmod": {
        "ENOEXEC": "Invalid module format",
        "ENOENT": "Unknown symbol in module",
        "ESRCH": "Module has wrong symbol version",
        "EINVAL": "Invalid parameters",
    },
    "modprobe": {"ENOENT": "Unknown symbol in module, or unknown parameter (see dmesg)"},
    "busybox": {
        "ENOEXEC": "invalid module format",
        "ENOENT": "unknown symbol in module, or unknown parameter",
        "ESRCH": "module has wrong symbol version",
        "ENOSYS": "kernel does not support requested operation",
    },
}

LOADERS = ("modprobe", "insmod", "busybox")


def message(errno: str, loader: str) -> str:
    """How `loader` (modprobe, insmod, busybox) words `errno` (its name)."""
    return _WORDS[loader].get(errno) or _TEXT[errno]

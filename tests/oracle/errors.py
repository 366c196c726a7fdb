"""What the oracle raises when it cannot ask the kernel at all; a refused or crashing module is a Result, no error."""


class OracleError(Exception):
    """No QEMU, no compiler, a kernel that does not boot here: the message says which, with the console's last lines."""

"""The test bench: real kernels under QEMU, asked what they do with a module (run by hand or by `make`, not by pytest)."""

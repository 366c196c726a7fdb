"""The test bench: real kernels under QEMU, asked what they do with a module. Run by hand or `make`, not by pytest."""

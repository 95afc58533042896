"""Instruction counts of a package's cases, taken under QEMU."""

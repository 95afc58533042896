"""Instruction counts: the instructions that a package executes, counted under QEMU."""

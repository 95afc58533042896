"""Environments: riscv64 roots and the ways to run commands in them."""

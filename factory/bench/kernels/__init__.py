"""Instruction counts of kernels, with and without our patches."""

"""Instruction counts of kernels: drivers compiled against the sources, with and without our patches."""

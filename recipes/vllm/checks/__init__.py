"""Checks of vLLM's kernels against 64-bit floats, for smoke.py and suite.py."""

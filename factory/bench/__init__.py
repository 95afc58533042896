"""Benchmarks of packages, compilers and the emulator. No stage imports them."""

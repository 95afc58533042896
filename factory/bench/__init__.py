"""Benchmarks: what is measured of packages and of the emulator, for people to read. No stage needs them."""

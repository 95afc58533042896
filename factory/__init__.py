"""Build, check and publish Python wheels for every 64-bit RISC-V board."""

"""ELF files: reader, symbols, dependencies, changes by patchelf."""

"""ELF files: read, linked and changed."""

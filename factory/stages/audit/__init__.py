"""Audit stage: instructions, ABI, symbols and run paths of a wheel."""

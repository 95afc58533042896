"""QEMU benchmark: the speed of a language model in user mode and in system mode."""

"""The `factory` command line."""

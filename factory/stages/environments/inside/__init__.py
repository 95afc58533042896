"""Programs that run inside roots, with the root's Python and standard library."""

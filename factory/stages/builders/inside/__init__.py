"""Programs that run inside roots, with the root's Python and its standard library."""

"""Programs that run inside roots, with the root's own Python and its standard library."""

"""Programs that run inside roots, with the root's own Python and nothing but its standard library."""

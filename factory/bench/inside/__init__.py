"""Programs that run inside roots, with the root's Python standard library only."""

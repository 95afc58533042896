"""Programs that run in the root of a check."""

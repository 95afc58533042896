"""The board finder: one file that runs alone on boards."""

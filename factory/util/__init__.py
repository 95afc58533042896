"""Files, locks, processes and JSON: utilities that are independent of wheels."""

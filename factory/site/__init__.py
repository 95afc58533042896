"""Static pages of the index, written from the ledger."""

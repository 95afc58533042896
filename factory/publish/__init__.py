"""Publishing: what the store holds becomes a ledger of releases and a static package index."""

"""Publishing: stored wheels become a ledger of releases and a static index."""

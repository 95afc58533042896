"""Source stage: fetch, verify, unpack, patch."""

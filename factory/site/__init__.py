"""The site: what the ledger tells, as static pages for people, beside the simple repository for installers."""

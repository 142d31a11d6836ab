"""The HTTP surface of the ledger: facts, accounts and analytics."""

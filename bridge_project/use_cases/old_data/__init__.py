"""What the systems before this one kept, brought along: the old bridge's PostgreSQL, the old strategies' SQLite file."""

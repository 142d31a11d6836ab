"""Benchmarks: ``bin/bench NAME``. No tests; nothing in the product imports this."""

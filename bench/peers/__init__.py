"""References that the product is measured beside: the design it replaces (A), plain DRF (B), the limit (C)."""

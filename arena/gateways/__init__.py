"""The outside world of the arena: language models."""

"""The control endpoint: look into the sandbox, seed it, and switch faults on."""

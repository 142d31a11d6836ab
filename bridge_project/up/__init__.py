"""Starts what Trading Bridge needs on this machine: environment, embedded servers and processes. No Django in here."""

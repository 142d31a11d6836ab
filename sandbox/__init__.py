"""A local Hummingbot API and local exchanges over real HTTP, for the demo, the tests and load. See docs/sandbox.md.

Nothing in production code may import this package: the bridge only ever sees its addresses.
"""

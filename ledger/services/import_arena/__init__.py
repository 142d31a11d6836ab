"""The old arena's state, from a file or a database, into the ledger.

Read it in this order: ``seam`` (what a source gives), ``json_stream`` and ``read_state`` (a JSON text of any size as
items), ``stage`` (items into staging tables, in chunks), ``move`` (one transaction into the ledger), ``report``.
"""

"""The old arena's state, from a file or a database, into the ledger.

Read it in this order: ``seam`` (what a source gives), ``json_stream`` and ``read_state`` (a JSON text of any size as
items), ``sources`` (which source an argument means; the old databases' readers are beside it), ``stage`` (items into
staging tables, a chunk at a time), ``heads`` and ``owners`` (whose they are), ``move`` with ``orders_sql`` and
``facts_sql`` (one transaction into the ledger), ``report``; ``import_state`` puts them in a row. The pure part, how one
item is read, is ``ledger.rules.arena_items``.
"""

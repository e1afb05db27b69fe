"""One dialect, DuckDB's, on two engines: what its expressions mean here, and how Spark must spell them to mean it.

A room a kind of value. Each holds `RULES`: for a node of the tree (or a function's name) the rule that replaces it,
called for both engines. `penstock.sql.spell` applies them all; tests/test_sql.py runs each on both engines.
"""

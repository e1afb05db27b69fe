"""The engines: what runs a table. Nothing here knows a pattern."""

"""Heavy keys: how uneven they make a shuffle, and what to do about it."""

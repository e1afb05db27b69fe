"""One file a pattern: who answers the same question, and how each would write it."""

"""The rules that find common mistakes in a plan, a file for each kind of work."""

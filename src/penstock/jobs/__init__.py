"""Jobs: steps that are functions, runs that are folders, and what makes the second start where the first one ended."""

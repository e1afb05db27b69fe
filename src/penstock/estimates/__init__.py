"""How long a job takes that does not exist yet: what it reads, regroups and writes, against what machines can do."""

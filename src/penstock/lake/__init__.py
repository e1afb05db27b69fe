"""Lakes: tables as files, written so that a reader sees the old version or the new one."""

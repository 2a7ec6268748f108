"""Azure's jobs and operations: resource IDs, parsers, durations and times."""

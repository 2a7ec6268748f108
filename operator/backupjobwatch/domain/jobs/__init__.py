"""Azure Backup jobs and operations: models, parsers and resource IDs."""

"""Pictures of terminals for the documents, each of a real run."""

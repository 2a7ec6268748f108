"""Draw pictures of terminals for the documentation, each from a real run."""

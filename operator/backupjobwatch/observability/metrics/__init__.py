"""What the operator tells Prometheus: the list of it, what is counted as it happens, what is looked up at a scrape."""

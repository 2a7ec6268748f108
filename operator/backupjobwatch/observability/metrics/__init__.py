"""Metrics for Prometheus: the catalogue, the instruments, and the collector that runs at each scrape."""

"""The Kubernetes API: client, concurrency limits, leader election."""

"""Decides what to read from Azure and when: token bucket, read planner, schedule."""

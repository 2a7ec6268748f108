"""Compute the status of a watch, its conditions, Events and notifications."""

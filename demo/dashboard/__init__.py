"""Draw the dashboard picture in the documentation from a run of the demo."""

"""The picture of the dashboard in the documents, made from a run of the demo."""

"""Commands at a terminal: input, views and exit codes. The operator never imports this package."""

"""Pure functions and values: no I/O, no clock, no kopf, no Azure SDK."""

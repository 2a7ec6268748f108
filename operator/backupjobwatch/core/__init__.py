"""The functional core: frozen values in, frozen values out; no input, no output, no clock (``now`` is an argument)."""

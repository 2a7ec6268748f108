"""The controller: kopf handlers, the state of each watch, the reconciler and the resync."""

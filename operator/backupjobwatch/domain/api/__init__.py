"""The custom resource: spec, target, snapshot and stored status."""

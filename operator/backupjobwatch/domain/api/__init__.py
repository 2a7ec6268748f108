"""Parse the custom resource: spec, target, stored status."""

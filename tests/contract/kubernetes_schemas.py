"""Validate objects with the schemas of Kubernetes."""

from __future__ import annotations

from functools import cache

from kubernetes_validate import utils
from kubernetes_validate.utils import ValidationError, latest_version, validate

__all__ = ["ValidationError", "latest_version", "validate"]

utils.schema_contents = cache(utils.schema_contents)  # otherwise it parses a megabyte of definitions for each object

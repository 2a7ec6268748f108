"""Tells others of the phases of watches: receivers of webhooks, Flux, Argo CD."""

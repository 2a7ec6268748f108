"""Notifies receivers of the phases of watches: webhooks, Flux and Argo CD."""

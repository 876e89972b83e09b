"""Concurrency limits."""

"""Policies: what happens between outline and transport, one file each."""

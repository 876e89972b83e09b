"""Versions of a service: one declaration, one pathless service for each of them.

declaring   what a blueprint says, and what is wrong with it
labels      which names mean the same version
choosing    which version a request names: path, header, media type, query, default
paths       the rules of versions that are in the path
variants    the services that carry the versions' requests
telling     what clients are told: API-Version, Deprecation, Sunset, Link, Vary
"""

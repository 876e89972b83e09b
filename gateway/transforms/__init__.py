"""Transforms: policies that change a request on its way to a backend, or the answer on its way
back.

The public names. Each is imported at first use: a service without transforms loads none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.lazy import at_first_use

if TYPE_CHECKING:
    from gateway.transforms.headers import RequestHeaders, ResponseHeaders
    from gateway.transforms.json_schema import JSONSchema
    from gateway.transforms.openapi import OpenAPI
    from gateway.transforms.query import Query
    from gateway.transforms.request_json import RequestJSON
    from gateway.transforms.response_json import ResponseJSON
    from gateway.transforms.standard_headers import StandardHeaders

_WHERE = {
    "JSONSchema": "gateway.transforms.json_schema",
    "OpenAPI": "gateway.transforms.openapi",
    "Query": "gateway.transforms.query",
    "RequestHeaders": "gateway.transforms.headers",
    "RequestJSON": "gateway.transforms.request_json",
    "ResponseHeaders": "gateway.transforms.headers",
    "ResponseJSON": "gateway.transforms.response_json",
    "StandardHeaders": "gateway.transforms.standard_headers",
}

__all__ = [
    "JSONSchema",
    "OpenAPI",
    "Query",
    "RequestHeaders",
    "RequestJSON",
    "ResponseHeaders",
    "ResponseJSON",
    "StandardHeaders",
]

__getattr__ = at_first_use(__name__, _WHERE)

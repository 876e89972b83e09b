"""The wire: the only rooms that know `requests` and sockets.

`session` makes a `requests.Session` that carries nothing from one client to the next; `adapter`
is mounted on it and speaks HTTP/1.1 over pooled connections; `handler` is the end of every
service's policy chain.
"""

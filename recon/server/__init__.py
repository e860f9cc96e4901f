"""The web viewer's server: what there is to see, over HTTP and a WebSocket; docs/viewer-protocol.md is the contract.

Everything that a request can name is an id in a table; no path, and no part of one, ever comes from a client.
"""

"""The HTTP face of a node: its routes as OpenAPI, its tokens, its gateway. It decides nothing: stories and ledger do.

app = create_app(node)              # an ASGI application; `hanse node run` serves it
"""

from node.api.app import create_app

__all__ = ["create_app"]

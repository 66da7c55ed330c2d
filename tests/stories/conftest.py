"""What the stories' tests share."""

from tests.store.conftest import serve

__all__ = ["serve"]

"""The HTTP API: requests become calls of the service, records become JSON; nothing is decided here."""

from gouache.web.app import create_app

__all__ = ["create_app"]

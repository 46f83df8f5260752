"""The page for people: server-rendered, live by server-sent events, whole without script."""

from gouache.web.page import assets, home

ROUTERS = (home.router, assets.router)

__all__ = ["ROUTERS"]

"""The page for people: server-rendered, live by server-sent events, whole without script."""

from gouache.web.page import assets, gallery, home

ROUTERS = (home.router, gallery.router, assets.router)

__all__ = ["ROUTERS"]

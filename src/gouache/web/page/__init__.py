"""The page for people: server-rendered, live by server-sent events, whole without script."""

from gouache.web.page import assets, gallery, home, live, starting, stub, tasks

ROUTERS = (
    home.router,
    stub.router,
    starting.router,
    tasks.router,
    live.router,
    gallery.router,
    assets.router,
)

__all__ = ["ROUTERS"]

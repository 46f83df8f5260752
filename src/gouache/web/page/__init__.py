"""The page for people: server-rendered, live by server-sent events, whole without script."""

from gouache.web.page import assets, gallery, home, live, login, starting, stub, tasks
from gouache.web.page.failing import InWords
from gouache.web.page.packing import Packed

ROUTERS = (
    login.router,
    home.router,
    stub.router,
    starting.router,
    tasks.router,
    live.router,
    gallery.router,
    assets.router,
)

__all__ = ["ROUTERS", "InWords", "Packed"]

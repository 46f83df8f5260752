"""What a service is made of, put together."""

import sqlalchemy as sa

from gouache import ledger
from gouache.database import SIGNING_KEY, reading
from gouache.durable import Durable
from gouache.files import FileStore
from gouache.gateways import Gateways
from gouache.glances import Glances
from gouache.intake import Intake
from gouache.links import Links
from gouache.making import Making
from gouache.preparing import Preparing
from gouache.settings import Settings
from gouache.spending import Spending
from gouache.stubs import Stubs
from gouache.views import Views
from gouache.waiting import Waiting
from gouache.webhooks import Webhooks
from gouache.work import Work


class Parts:
    """The parts of a service, each with those that it needs."""

    def __init__(self, settings: Settings, engine: sa.Engine) -> None:
        """Put the parts together; nothing runs yet."""
        self.settings = settings
        self._engine = engine
        self._files = FileStore(settings.data_dir / "files")
        self.gateways = Gateways(settings)
        self.spending = Spending(engine, self.gateways, settings.keys)
        self._durable = Durable(engine)
        self._waiting = Waiting(engine)
        self.glances = Glances(engine)
        with reading(engine) as connection:
            key = ledger.fact(connection, SIGNING_KEY).encode()
        self.links = Links(key, address=settings.address, seconds=settings.file_url_seconds)
        self._views = Views(self._durable, self.links)
        self.webhooks = Webhooks(settings, engine, durable=self._durable, views=self._views)
        preparing = Preparing(
            settings, engine, gateways=self.gateways, views=self._views, links=self.links
        )
        making = Making(
            settings,
            engine,
            gateways=self.gateways,
            files=self._files,
            links=self.links,
            spending=self.spending,
        )
        self._stubs = Stubs(
            settings,
            engine,
            durable=self._durable,
            gateways=self.gateways,
            preparing=preparing,
            making=making,
            webhooks=self.webhooks,
        )
        self._intake = Intake(
            engine,
            gateways=self.gateways,
            spending=self.spending,
            stubs=self._stubs,
            webhooks=self.webhooks,
        )
        self.work = Work(
            settings,
            engine,
            durable=self._durable,
            stubs=self._stubs,
            webhooks=self.webhooks,
            files=self._files,
        )

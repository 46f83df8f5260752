"""`gouache serve` and `gouache worker`: processes that stay until they are asked to stop.

The first SIGTERM or Ctrl-C takes no more requests, lets running tasks finish for `stop_seconds` and
hands back the rest; they run after the next start. The second does not wait.
"""

import logging.config
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from gouache.callers import missing_keys
from gouache.commands.options import DataDir
from gouache.commands.outcome import INTERRUPTED, errors_shown, say_warning
from gouache.commands.stopping import stop_asked
from gouache.errors import SettingsError
from gouache.settings import Settings, check_exposure, read_settings

BACKLOG = 128
EVERY_ADDRESS = ("0.0.0.0", "::")
REQUEST_SECONDS = 1
"""How long requests in flight have at a stop; those that only wait for a task end with it."""

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(message)s"}},
    "filters": {"paths": {"()": "gouache.commands.serving.PathsOnly"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "stream": "ext://sys.stderr",
        },
    },
    "loggers": {
        "gouache": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "uvicorn.error": {"handlers": ["stderr"], "level": "CRITICAL", "propagate": False},
        "uvicorn.access": {
            "handlers": ["stderr"],
            "level": "INFO",
            "filters": ["paths"],
            "propagate": False,
        },
    },
}


class PathsOnly(logging.Filter):
    """Takes the query out of a line of uvicorn's access log: it may hold a link's signature."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the path; keep every line."""
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, version, status = record.args
            record.args = (client, method, str(path).partition("?")[0], version, status)
        return True


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")
    ] = None,
    data_dir: DataDir = None,
    no_work: Annotated[
        bool, typer.Option("--no-work", help="Answer only; workers execute (PostgreSQL).")
    ] = False,
) -> None:
    """Serve the HTTP API and execute tasks."""
    with errors_shown(as_json=False):
        settings = read_settings(host=host, port=port, data_dir=data_dir)
        if no_work:
            _check_database(settings, "gouache serve --no-work")
        check_exposure(settings)
        with _listening(settings) as listener:
            port = listener.getsockname()[1]
            settings = settings.model_copy(update={"port": port})
            number = _serve(settings, listener, work=not no_work)
    _leave(number)


def worker(
    gateway: Annotated[
        list[str] | None,
        typer.Option(help="A gateway to execute for, may be repeated; all without it."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Execute tasks that others accept (PostgreSQL)."""
    with errors_shown(as_json=False):
        settings = read_settings(data_dir=data_dir)
        _check_database(settings, "gouache worker")
        number = _work(settings, gateway or None)
    _leave(number)


def _serve(settings: Settings, listener: socket.socket, *, work: bool) -> int:
    """Serve until a signal; return its number."""
    import uvicorn

    from gouache.service import open_service
    from gouache.web.app import create_app

    class Server(uvicorn.Server):
        """Leaves the signals to `stop_asked`."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    numbers: list[int] = []
    with open_service(settings) as service:
        config = uvicorn.Config(
            create_app(service),
            ws="none",
            log_config=LOGGING,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=REQUEST_SECONDS,
        )
        server = Server(config)

        def ask(number: int) -> None:
            numbers.append(number)
            server.should_exit = True

        with stop_asked(ask):
            if work:
                service.work.start()
            typer.echo(f"Gouache serves {settings.address}{_data(settings)}", err=True)
            for name in missing_keys(settings):
                say_warning(f"the key {name} opens nothing: set its variable")
            if settings.host in EVERY_ADDRESS and not settings.public_url:
                say_warning(f"nobody can follow links to {settings.address}; set a public_url")
            server.run([listener])
            _say_stopping(settings)
            service.work.stop()
    return numbers[0]


def _work(settings: Settings, gateways: list[str] | None) -> int:
    """Execute until a signal; return its number."""
    from gouache.service import open_service

    numbers: list[int] = []
    asked = threading.Event()

    def ask(number: int) -> None:
        numbers.append(number)
        asked.set()

    logging.config.dictConfig(LOGGING)
    with open_service(settings) as service, stop_asked(ask):
        service.work.start(gateways)
        names = ", ".join(gateways or settings.all_gateways)
        typer.echo(f"Gouache works for {names}{_data(settings)}", err=True)
        asked.wait()
        _say_stopping(settings)
        service.work.stop()
    return numbers[0]


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """Yield the socket that listens on the host and port of the settings.

    Raises:
        SettingsError: the host is unknown, or the port is in use or closed to us.
    """
    host, port = settings.host, settings.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        message = f"cannot listen on {host} port {port}: {error.strerror}; choose another --port"
        raise SettingsError(message, param="port") from error
    with listener:
        # Else answers wait 40 ms for an ACK: asyncio sees to it only where a socket names its protocol
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        yield listener


def _check_database(settings: Settings, command: str) -> None:
    if settings.database.startswith("sqlite"):
        raise SettingsError(
            f"{command} needs a database that several processes share: set GOUACHE_DATABASE_URL "
            "to a PostgreSQL database; on SQLite, gouache serve does all the work",
            param="database_url",
        )


def _data(settings: Settings) -> str:
    return f" (data in {settings.data_dir.resolve()}; Ctrl-C stops)"


def _say_stopping(settings: Settings) -> None:
    typer.echo(
        f"Stopping; running tasks have {settings.stop_seconds:g} s. Again to leave at once.",
        err=True,
    )


def _leave(number: int) -> None:
    """End with 0 where somebody asked for the stop, with 130 after Ctrl-C."""
    raise typer.Exit(INTERRUPTED if number == signal.SIGINT else 0)

"""Every setting: name, default and meaning; gateways are rows of it.

A value comes from the environment (`GOUACHE_<NAME>`), else from `gouache.toml` in the current
directory, else from `gouache.toml` in the user's configuration directory, else from its default.
Read once at the edge by `read_settings` and passed on as a frozen value. Secrets are in no error and
no `repr` (`test_secrets_are_not_shown`).
"""

import os
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pydantic_settings
from platformdirs import user_cache_path, user_config_path, user_data_path
from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from gouache import signatures
from gouache.addresses import is_written_private, web_address
from gouache.contract import BUILT_IN_GATEWAY, TASK_NAME
from gouache.errors import SettingsError
from gouache.given import problems, refused, resembling
from gouache.rows import Gateway as Gateway  # everyone else knows it as a setting
from gouache.rows import GatewayName, KeyName, NamedKey

BUILT_IN = "built-in"
FILE = "gouache.toml"
PREFIX = "GOUACHE_"

Folder = Annotated[Path, AfterValidator(Path.expanduser)]


def _as_database(url: str) -> str:
    """Refuse what is no database we can use."""
    if url and not re.match(r"(postgres|postgresql|postgresql\+psycopg|sqlite)://", url):
        raise ValueError("must begin with postgresql:// (or sqlite://)")
    return url


def _as_key(key: SecretStr | None) -> SecretStr | None:
    """Refuse what cannot be sent in a header."""
    if key and not re.fullmatch("[!-~]+", key.get_secret_value()):
        raise ValueError("must be of ASCII letters, digits and signs, without spaces")
    return key


def _as_webhook(url: str) -> str:
    """Refuse what is neither empty nor the address of a receiver."""
    return url and web_address(url)


def _as_secret(secret: SecretStr | None) -> SecretStr | None:
    """Refuse what no webhook can be signed with."""
    if secret is not None:
        signatures.key_of(secret.get_secret_value())
    return secret


def _default_cache_dir() -> Path:
    return user_cache_path("gouache")


def _default_data_dir() -> Path:
    return user_data_path("gouache")


class Settings(BaseSettings):
    """The settings, frozen."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    engine: str = Field("embedded", description="The engine that draws.")
    output_dir: Folder = Field(Path(), description="Where pictures are put.")
    cache_dir: Folder = Field(
        default_factory=_default_cache_dir,
        description="Where compiled graphs are kept between runs; may be deleted at any time.",
    )
    threads: int = Field(
        0, ge=0, le=1024, description="Processor threads to draw with; 0 means all."
    )
    data_dir: Folder = Field(
        default_factory=_default_data_dir, description="Where the database and the files are kept."
    )
    database_url: Annotated[str, AfterValidator(_as_database)] = Field(
        "",
        repr=False,
        description="A PostgreSQL database; without one, SQLite in the data folder.",
    )
    host: str = Field("127.0.0.1", description="The address the server listens on.")
    port: int = Field(8611, ge=0, le=65535, description="The port the server listens on.")
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s?#]+)?$",
        examples=["https://pictures.example"],
        description="How others reach the server; without it, from host and port.",
    )
    api_key: Annotated[SecretStr | None, AfterValidator(_as_key)] = Field(
        None,
        min_length=16,
        repr=False,
        description="The house's own key, which sees everything; this or `keys` beyond loopback.",
    )
    file_url_seconds: int = Field(
        7 * 24 * 3600, ge=1, description="How long a signed link to a file is good for."
    )
    file_days: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Days after which files are deleted; without it they are kept.",
    )
    max_body_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, description="The largest body the server takes."
    )
    response_action: str = Field(
        "_update_from_generate_image",
        pattern=TASK_NAME,
        examples=["_update_from_generate_image"],
        description="The action of the stubpost that shows a finished picture.",
    )
    org: dict[str, Any] = Field({}, description="What templates read as `org`.")
    program: dict[str, Any] = Field({}, description="What templates read as `program`.")
    template: dict[str, Any] = Field({}, description="What templates read as `template`.")
    stop_seconds: float = Field(
        10,
        ge=0,
        allow_inf_nan=False,
        description="How long a stopping server lets running tasks finish.",
    )
    rewriter_url: str = Field(
        "",
        pattern=r"^(https?://[^\s?#]+)?$",
        examples=["http://127.0.0.1:11434/v1"],
        description="A chat endpoint (OpenAI's) that rewrites prompts; without it, our own rules.",
    )
    rewriter_model: str = Field("", description="The model the rewriter is asked for.")
    rewriter_key_env: str = Field(
        "",
        pattern="^([A-Za-z_][A-Za-z0-9_]*)?$",
        examples=["REWRITER_KEY"],
        description="The variable that holds the rewriter's key, if it wants one.",
    )
    webhook_url: Annotated[str, AfterValidator(_as_webhook)] = Field(
        "",
        repr=False,
        examples=["https://example.org/pictures"],
        description="Where the end of each task is told to that names no webhook of its own.",
    )
    webhook_secret: Annotated[SecretStr | None, AfterValidator(_as_secret)] = Field(
        None,
        repr=False,
        description="What webhooks are signed with, `whsec_...`; without it, one is made.",
    )
    webhook_private_networks: bool = Field(
        False, description="Whether webhooks may lead to this machine and private networks."
    )
    gateways: dict[GatewayName, Gateway] = Field({}, description="The gateways, by name.")
    keys: dict[KeyName, NamedKey] = Field({}, description="Keys of other callers, by name.")

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _gateways_differ(self) -> "Settings":
        names: dict[UUID, str] = {}
        for name, row in self.gateways.items():
            other = names.setdefault(row.taskapigatewayuuid, name)
            if other != name:
                sentence = f"must differ; {other} and {name} have the same taskapigatewayuuid"
                raise refused(type(self), "gateways", sentence)
        return self

    @model_validator(mode="after")
    def _gateways_fall_back_on_others(self) -> "Settings":
        rows = self.all_gateways
        for name, row in rows.items():
            for i, other in enumerate(row.fallback):
                if other in rows and other != name and other not in row.fallback[:i]:
                    continue
                others = ", ".join(known for known in rows if known != name) or "nothing"
                sentence = f"must be other gateways, each once: {other!r} is not; use {others}"
                raise refused(type(self), f"gateways.{name}.fallback", sentence)
        return self

    @model_validator(mode="after")
    def _webhook_may_be_called(self) -> "Settings":
        if is_written_private(self.webhook_url) and not self.webhook_private_networks:
            sentence = "must not lead to a private network, unless webhook_private_networks is true"
            raise refused(type(self), "webhook_url", sentence)
        return self

    @property
    def all_gateways(self) -> dict[str, Gateway]:
        """The gateways by name, with the built-in one unless a row takes its UUID or name."""
        uuids = {gateway.taskapigatewayuuid for gateway in self.gateways.values()}
        if BUILT_IN_GATEWAY in uuids or BUILT_IN in self.gateways:
            return self.gateways
        return {
            BUILT_IN: Gateway(taskapigatewayuuid=BUILT_IN_GATEWAY, engine=self.engine),
            **self.gateways,
        }

    @property
    def has_keys(self) -> bool:
        """Whether callers must show a key."""
        return self.api_key is not None or bool(self.keys)

    @property
    def database(self) -> str:
        """The URL of the database, as SQLAlchemy takes it."""
        if not self.database_url:
            return f"sqlite:///{self.data_dir.resolve() / 'gouache.sqlite'}"
        scheme, _, rest = self.database_url.partition("://")
        return (
            f"postgresql+psycopg://{rest}"
            if scheme in ("postgres", "postgresql")
            else self.database_url
        )

    @property
    def rewriter_key(self) -> SecretStr | None:
        """The key the rewriter wants, from the variable the settings name."""
        key = key_in(self.rewriter_key_env)
        return SecretStr(key) if key else None

    @property
    def address(self) -> str:
        """The address others reach the server by, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then the two files."""
        tables = [
            InitSettingsSource(settings_cls, init_kwargs=table) for _, table in reversed(_tables())
        ]
        return (init_settings, env_settings, *tables)


def read_settings(**given: object) -> Settings:
    """Read the settings; what is given here and not None wins over every other source.

    Raises:
        SettingsError: a value cannot be used, a name is unknown, or a file cannot be read as TOML.
    """
    values = {name: value for name, value in given.items() if value is not None}
    try:
        settings = Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        problem = problems(Settings, error)[0]
        source = _sources(values).get(problem.path.split(".")[0])
        message = f"setting {problem.sentence}" + (f" ({source})" if source else "")
        raise SettingsError(message, param=problem.path) from error
    except pydantic_settings.SettingsError as error:
        name = str(error).partition('"')[2].partition('"')[0]
        message = f"setting {name} must be JSON in the environment ({PREFIX}{name.upper()})"
        raise SettingsError(message, param=name) from error
    settings._sources = _sources(values)
    return settings


def key_in(variable: str) -> str:
    """Return the key that a variable of the environment holds, or "" without a variable or a key."""
    return os.environ.get(variable, "") if variable else ""


def settings_sources(settings: Settings) -> dict[str, str]:
    """Return where each value came from: "given", a variable, a file with its path, or "default"."""
    return {name: settings._sources.get(name, "default") for name in Settings.model_fields}


def shown_settings(settings: Settings) -> dict[str, str]:
    """Return each value for human eyes: without secrets, and gateways by their names."""
    values = {name: str(getattr(settings, name)) for name in Settings.model_fields}
    return values | {
        "database_url": re.sub(r"(://[^:/?#]*:).*@", r"\1***@", settings.database_url),
        "api_key": "(set)" if settings.api_key else "(none)",
        "webhook_url": "(set)" if settings.webhook_url else "(none)",
        "webhook_secret": "(set)"
        if settings.webhook_secret
        else "(gouache webhook-secret prints it)",
        "file_days": "(kept)" if settings.file_days is None else str(settings.file_days),
        "gateways": ", ".join(settings.all_gateways),
        "keys": ", ".join(settings.keys) or "(none)",
    }


def unknown_variables() -> list[str]:
    """Return a sentence for each variable of the environment that looks like a setting and is none."""
    known = {PREFIX + name.upper(): None for name in Settings.model_fields}
    return [
        f"{name} is not the name of a setting and was ignored{resembling(name, known)}"
        for name in sorted(os.environ)
        if name.startswith(PREFIX) and name not in known
    ]


def check_exposure(settings: Settings) -> None:
    """Refuse to be reached by other machines without an API key.

    Raises:
        SettingsError: `host` is not a loopback address, and there is no key.
    """
    if not settings.has_keys and not _is_loopback(settings.host):
        raise SettingsError(
            f"other machines could reach the server on {settings.host or 'every address'}: set an "
            f"api_key ({PREFIX}API_KEY, 16 characters or more), or listen on 127.0.0.1; "
            'python3 -c "import secrets; print(secrets.token_urlsafe())" makes a good key',
            param="api_key",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _sources(given: Mapping[str, object]) -> dict[str, str]:
    """Return where each value that is not the default comes from; rows come from everywhere."""
    steps = [(f"{FILE} ({path})", list(table)) for path, table in _tables()]
    for variable in os.environ:
        if variable.upper().startswith(PREFIX):
            steps.append((f"environment {variable}", [variable[len(PREFIX) :].lower()]))
    found: dict[str, str] = {}
    for source, names in [*steps, ("given", list(given))]:
        for name in names:
            joined = name in ("gateways", "keys") and name in found
            found[name] = f"{found[name]}, {source}" if joined else source
    return found


def _tables() -> list[tuple[Path, dict[str, Any]]]:
    """Return what the files say, each with its path; the later wins.

    Raises:
        SettingsError: one is closed to us, or is not TOML.
    """
    found = []
    for path in (user_config_path("gouache") / FILE, Path(FILE).absolute()):
        try:
            with path.open("rb") as file:
                found.append((path, tomllib.load(file)))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (ValueError, OSError) as error:
            raise SettingsError(f"{FILE} cannot be read: {path}: {error}") from error
    return found

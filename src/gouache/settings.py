"""Every setting: name, default and meaning; gateways are rows of it.

A value comes from the environment (`GOUACHE_<NAME>`), else from `gouache.toml` in the current
directory, else from `gouache.toml` in the user's configuration directory, else from its default.
Read once at the edge by `read_settings` and passed on as a frozen value.
"""

from pathlib import Path
from typing import Annotated
from uuid import UUID

from platformdirs import user_cache_path, user_config_path, user_data_path
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from gouache.contract import BUILT_IN_GATEWAY, TASK_NAME
from gouache.errors import SettingsError

BUILT_IN = "built-in"
GatewayName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,49}$")]


def _default_cache_dir() -> Path:
    return user_cache_path("gouache")


def _default_data_dir() -> Path:
    return user_data_path("gouache")


class Gateway(BaseModel):
    """A row of the gateways: what draws the tasks that name it, and within which limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    taskapigatewayuuid: UUID = Field(description="The UUID by which tasks name it.")
    engine: str = Field("embedded", description="The engine that draws.")
    models: dict[str, str] = Field(
        {}, description="Names tasks may ask for, each with the engine's model for it."
    )
    concurrency: int = Field(1, ge=1, le=1000, description="Tasks at once in one worker.")
    total_concurrency: int | None = Field(
        None, ge=1, description="Tasks at once in all workers together."
    )
    rate_limit: int | None = Field(
        None, ge=1, description="Tries begun per `rate_period_seconds`, in all workers together."
    )
    rate_period_seconds: float = Field(60, gt=0, description="The period of the rate limit.")
    timeout_seconds: float = Field(300, gt=0, description="How long one try may take.")
    tries: int = Field(3, ge=1, le=20, description="Tries before a retryable failure is final.")
    retry_seconds: float = Field(
        2, ge=0, description="The wait before the second try; it doubles each time, to 60 at most."
    )


class Settings(BaseSettings):
    """The settings, frozen."""

    model_config = SettingsConfigDict(env_prefix="GOUACHE_", frozen=True, extra="forbid")

    engine: str = Field("embedded", description="The engine that draws.")
    output_dir: Path = Field(Path(), description="Where pictures are put.")
    cache_dir: Path = Field(
        default_factory=_default_cache_dir,
        description="Where compiled graphs are kept between runs; may be deleted at any time.",
    )
    threads: int = Field(
        0, ge=0, le=1024, description="Processor threads to draw with; 0 means all."
    )
    data_dir: Path = Field(
        default_factory=_default_data_dir, description="Where the database and the files are kept."
    )
    database_url: str = Field(
        "", description="A PostgreSQL database; without one, SQLite in the data folder."
    )
    host: str = Field("127.0.0.1", description="The address the server listens on.")
    port: int = Field(8611, ge=0, le=65535, description="The port the server listens on.")
    public_url: str = Field(
        "", description="How others reach the server; without it, from host and port."
    )
    api_key: SecretStr | None = Field(
        None, min_length=16, description="The key callers must show; required beyond loopback."
    )
    file_url_seconds: int = Field(
        7 * 24 * 3600, ge=1, description="How long a signed link to a file is good for."
    )
    file_days: float | None = Field(
        None, gt=0, description="Days after which files are deleted; without it they are kept."
    )
    max_body_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, description="The largest body the server takes."
    )
    response_action: str = Field(
        "_update_from_generate_image",
        pattern=TASK_NAME,
        description="The action of the stubpost that shows a finished picture.",
    )
    stop_seconds: float = Field(
        10, ge=0, description="How long a stopping server lets running tasks finish."
    )
    gateways: dict[GatewayName, Gateway] = Field({}, description="The gateways, by name.")

    @model_validator(mode="after")
    def _gateways_differ(self) -> "Settings":
        uuids = [gateway.taskapigatewayuuid for gateway in self.gateways.values()]
        if len(set(uuids)) < len(uuids):
            raise ValueError("two gateways have the same taskapigatewayuuid")
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
        files = [user_config_path("gouache") / "gouache.toml", Path("gouache.toml")]
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, toml_file=files),
        )


def read_settings(**given: object) -> Settings:
    """Read the settings; what is given here and not None wins over every other source.

    Raises:
        SettingsError: a value cannot be used, a name is unknown, or a file cannot be read as TOML.
    """
    values = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = str(problem["loc"][0])
        message = f"setting {name}: {problem['msg']}; not {problem['input']!r}"
        raise SettingsError(message, param=name) from error
    except (ValueError, OSError) as error:  # not TOML, or closed to us
        raise SettingsError(f"gouache.toml cannot be read: {error}") from error

"""Every setting: name, default and meaning.

A value comes from the environment (`GOUACHE_<NAME>`), else from `gouache.toml` in the current
directory, else from `gouache.toml` in the user's configuration directory, else from its default.
Read once at the edge by `read_settings` and passed on as a frozen value.
"""

from pathlib import Path

from platformdirs import user_cache_path, user_config_path
from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from gouache.errors import SettingsError


def _default_cache_dir() -> Path:
    return user_cache_path("gouache")


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

"""Who calls: the house by the setting `api_key`, others by the keys that the settings have a row for.

Keys are compared by their digests, each with all there are, in a time that tells nothing of them.
"""

import hashlib
import hmac

from gouache.errors import SettingsError
from gouache.rows import NamedKey
from gouache.settings import Settings, key_in

MIN_CHARACTERS = 16
NOBODY = ""
"""The name of a caller without a key; no key has it, and nothing is theirs."""


class Callers:
    """Knows callers by their keys: None is the house."""

    def __init__(self, settings: Settings) -> None:
        """Read the keys.

        Raises:
            SettingsError: one is too short, or is that of another row too.
        """
        self.is_open = not settings.has_keys
        self._digests: dict[str | None, bytes] = {}
        if settings.api_key is not None:
            self._digests[None] = _digest(settings.api_key.get_secret_value())
        for name, row in settings.keys.items():
            digest = _digest_of(name, row)
            if digest is None:
                continue
            if digest in self._digests.values():
                field = f"keys.{name}"
                raise SettingsError(f"setting {field}: another row has the same key", param=field)
            self._digests[name] = digest

    def of_key(self, key: str) -> str | None:
        """Return whose key this is: None for the house, `NOBODY` where it opens nothing."""
        if not key:
            return NOBODY
        given = _digest(key)
        found: str | None = NOBODY
        for name, digest in self._digests.items():
            if hmac.compare_digest(given, digest):
                found = name
        return found

    def digest_of(self, caller: str | None) -> bytes | None:
        """Return the digest of a caller's key; None where the settings have none for that name."""
        return self._digests.get(caller)


def missing_keys(settings: Settings) -> list[str]:
    """Return the names of the keys that open nothing, because their variable is empty."""
    return [name for name, row in settings.keys.items() if row.key_env and not key_in(row.key_env)]


def _digest_of(name: str, row: NamedKey) -> bytes | None:
    """Return the digest of a row's key, if there is one."""
    if row.sha256:
        return bytes.fromhex(row.sha256)
    key = key_in(row.key_env)
    if key and len(key) < MIN_CHARACTERS:
        field = f"keys.{name}.key_env"
        raise SettingsError(
            f"setting {field}: the key in {row.key_env} must have {MIN_CHARACTERS} characters or more",
            param=field,
        )
    return _digest(key) if key else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="replace")).digest()

"""What follows a try that failed: another one, one on the next gateway of the chain, or nothing.

The chain is that of the gateway that was asked for. It is gone on with when the tries of a row are used
up, or when the next one would have to wait long; only for errors that say nothing of the request, of
keys or of money (`falls_back`). A gateway that cannot do what the request asks for is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gouache.contract import read_request
from gouache.errors import EngineRateLimited, GouacheError, UnsupportedByEngine
from gouache.gateways import Gateways
from gouache.ledger import Row
from gouache.preparing import used_params
from gouache.substitution import is_template

LONGEST_RETRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Following:
    """Another try of a task, after a wait; `changes` are the columns that change for it."""

    wait_seconds: float = 0
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Next:
    """A gateway that can do what is asked for, if there is one, and what is to be said of others."""

    gateway: str | None
    sentences: list[str]


def following(gateways: Gateways, row: Row, error: GouacheError) -> Following | Sequence[str]:
    """Return the try that follows a failed one; where none does, sentences that say why not.

    Raises:
        SettingsError: the gateway is in no setting any more.
    """
    gateway = gateways.row(row.gateway)
    tries = row.attempts - row.attempts_before
    wait = min(gateway.retry_seconds * 2 ** (tries - 1), LONGEST_RETRY_SECONDS)
    if isinstance(error, EngineRateLimited) and error.retry_after_seconds is not None:
        wait = max(wait, error.retry_after_seconds)
    may_try_again = error.retryable and tries < gateway.tries
    if may_try_again and wait <= LONGEST_RETRY_SECONDS:
        return Following(wait)
    found = _next(gateways, row) if error.falls_back else _Next(None, [])
    if found.gateway is not None:
        return Following(changes=_changes(gateways, row, error, found.gateway, found.sentences))
    return Following(wait) if may_try_again else found.sentences


def _next(gateways: Gateways, row: Row) -> _Next:
    """Return the next gateway of a task's chain that can do what it asks for."""
    if row.resolved is None and is_template(row.params):
        return _Next(None, [])  # nobody knows yet what it asks for
    request = read_request(used_params(row))
    sentences = []
    for name in gateways.chain(row.first_gateway or row.gateway, row.gateway):
        try:
            gateways.check(name, gateways.standing_in(name, request))
        except UnsupportedByEngine as error:
            sentences.append(
                f"the gateway {name} was left out: it cannot do what {error.param} asks"
            )
        except GouacheError as error:
            sentences.append(f"the gateway {name} was left out: it cannot be used ({error.code})")
        else:
            return _Next(name, sentences)
    return _Next(None, sentences)


def _changes(
    gateways: Gateways, row: Row, error: GouacheError, name: str, sentences: Sequence[str]
) -> dict[str, Any]:
    """Return the columns of a task that change when another gateway takes over."""
    request = read_request(used_params(row))
    standing_in = gateways.standing_in(name, request)
    assigned = gateways.assigned(name, standing_in, owner=row.owner, seed=row.seed)
    said = [f"the gateway {row.gateway} failed ({error.code}); {name} took over", *sentences]
    if standing_in is not request:
        said.append(f"the gateway {name} has no model {request.model!r}; its default model drew")
    return {
        "gateway": name,
        "first_gateway": row.first_gateway or row.gateway,
        "attempts_before": row.attempts,
        "seed": assigned.seed,
        "cache_key": assigned.cache_key,
        "warnings": [*row.warnings, *said, *assigned.warnings],
    }

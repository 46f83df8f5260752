"""The route of usage: what was spent, and what is left of the budgets."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from gouache.errors import GatewayNotFound, KeyNotFound, RequestError
from gouache.records import UsageReport
from gouache.web.answers import answer
from gouache.web.parameters import TheService, UsagePart
from gouache.web.refusals import described

router = APIRouter(tags=["usage"])


@router.get(
    "/usage",
    operation_id="read_usage",
    response_model=UsageReport,
    response_description="The sums, and the budgets as they are now.",
    responses=described(RequestError, GatewayNotFound, KeyNotFound),
)
def read_usage(service: TheService, part: Annotated[UsagePart, Query()]) -> Response:
    """Read what was spent by day, gateway, model and key, and what is left of the budgets.

    A named key reads of itself only.
    """
    return answer(service.usage(**part.model_dump()))

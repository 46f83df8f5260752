"""The route of usage: what was spent, and what is left of the budgets."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from gouache.errors import GatewayNotFound, RequestError
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
    responses=described(RequestError, GatewayNotFound),
)
def read_usage(service: TheService, part: Annotated[UsagePart, Query()]) -> Response:
    """Read what was spent by day, gateway and model, and what is left of the budgets."""
    return answer(service.spending.report(**part.model_dump()))

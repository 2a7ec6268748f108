"""Build the responses of faults."""

from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from demo.simulator.messages import Answer, ArmRequest

TrueAnswer = Callable[[], Answer]
"""Returns the response of Azure without the fault, after Azure has executed the request."""


def instead(answer: Answer, *, executed: bool) -> Callable[[TrueAnswer, ArmRequest], Answer]:
    """Respond with *answer*. If *executed*, Azure also executes the request."""

    def respond(true_answer: TrueAnswer, _: ArmRequest) -> Answer:
        if executed:
            true_answer()
        return answer

    return respond


def retry_after_text(value: float | str | datetime | None) -> str | None:
    """Format the value of a Retry-After header."""
    match value:
        case None | str():
            return value
        case datetime():
            return format_datetime(value, usegmt=True)
        case _:
            return f"{value:g}"


def merged(onto: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return *onto* with the values of *extra*, also in nested objects."""
    result = dict(onto)
    for name, value in extra.items():
        result[name] = merged(result.get(name) or {}, value) if isinstance(value, Mapping) else value
    return result

"""How an inventory describes a reading that the gate sends in place of a device."""

import json
from typing import Any, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.form_login import FormLogin
from pytest_deploygate.fields.http import HttpRequest, Method, Statuses, Url
from pytest_deploygate.fields.oauth import TokenAccess

#: In texts of `json`, or in `body`: replaced by the reading's own.
ID, VALUE, SENT_AT = "{id}", "{value}", "{sent_at}"


class SentReading(HttpRequest, TokenAccess):
    """A request that sends one reading of a synthetic device. `{id}`, `{value}` and `{sent_at}` in it are filled in."""

    url: Url = Field(description="address that takes readings")
    method: Method = Field(default="POST", description="HTTP method")
    status: Statuses = Field(
        default=[200, 201, 202, 204], description="HTTP status of a reading that was taken, or a list of them"
    )
    form: FormLogin | None = Field(
        default=None, description="a form to log in with, where requests need a session's cookie"
    )

    @model_validator(mode="after")
    def _has_a_place_for_the_value(self) -> Self:
        if VALUE not in (self.sent or ""):
            raise ValueError(
                f"say where the value stands: a text `{VALUE}` in `json`, for example "
                f'{{id: "{ID}", device: synthetic-1, sent_at: "{SENT_AT}", value: "{VALUE}"}}'
            )
        return self

    def filled(self, reading: str, value: float, sent_at: str) -> str:
        """Return the body with a reading. In `json` a text that is only the value becomes a number."""
        texts = {ID: reading, SENT_AT: sent_at}
        if self.json_ is not None:
            return json.dumps(_filled(self.json_, texts, value))
        return str(_in_text(self.body or "", texts, value))


def _filled(node: Any, texts: dict[str, str], value: float) -> Any:
    if isinstance(node, dict):
        return {name: _filled(inner, texts, value) for name, inner in node.items()}
    if isinstance(node, list):
        return [_filled(inner, texts, value) for inner in node]
    if node == VALUE:
        return value
    return _in_text(node, texts, value) if isinstance(node, str) else node


def _in_text(text: str, texts: dict[str, str], value: float) -> str:
    for name, said in (texts | {VALUE: f"{value:g}"}).items():
        text = text.replace(name, said)
    return text

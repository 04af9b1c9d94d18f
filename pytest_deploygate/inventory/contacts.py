"""Who to call: a contact for each role of the change."""

from typing import Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.types import Section


class Contact(Section):
    """How to reach a role. Names are optional, because the report is shared outside the company."""

    role: str = Field(min_length=2, description="role, such as `deployment-lead`")
    name: str = Field(default="", description="person or rota")
    phone: str = Field(default="", description="number in E.164, `+49301234567`")
    mail: str = Field(default="", description="mail address")
    language: str = Field(
        default="", description="language of notices, such as `de`; default: that of `notices`"
    )
    timezone: str = Field(
        default="", description="time zone, such as Europe/Berlin; default: that of `notices`"
    )

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not self.phone and not self.mail:
            raise ValueError(f"the contact of {self.role} has neither `phone` nor `mail`")
        return self

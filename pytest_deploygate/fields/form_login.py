"""How an inventory describes the form of a web page that logs in."""

from pydantic import Field

from pytest_deploygate.fields.http import Url
from pytest_deploygate.fields.types import SecretReference, Section, Text


class FormLogin(Section):
    """A form that is sent to log in; the session's cookies of the answer are used from then on."""

    url: Url = Field(description="address that the form is sent to")
    user: Text = Field(description="name of the user")
    password: SecretReference = Field(description="reference to that user's password")
    user_field: str = Field(default="username", description="name of the form's field for the user")
    password_field: str = Field(default="password", description="name of the form's field for the password")

"""Faults that users meet in their browser: a login that refuses or turns in a circle, a broken page, a broken link."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import platform


def _fault(name: str, what: str, items: tuple[str, ...], says: str, **switches: object) -> Fault:
    return Fault(
        name,
        what,
        dict.fromkeys(items, "fail"),
        lambda lab: platform.change(lab, **switches),
        lambda lab: platform.change(lab, **dict.fromkeys(switches)),
        says,
        needs=(platform.BALANCER,),
        inventory="lab-application",
    )


_LOGIN = ("golive.logins", "crit.login")
LOGIN_BROKEN = _fault(
    "login-broken",
    "the right password of the admin is refused; everybody else can log in",
    _LOGIN,
    "User name or password is wrong",
    login_broken="admin",
)
LOGIN_LOOPS = _fault(
    "login-redirect-loop",
    "after the login of the admin, login and dashboards redirect to each other",
    _LOGIN,
    "ERR_TOO_MANY_REDIRECTS",
    login_loops="admin",
)
PAGE_BROKEN = _fault(
    "page-script-error",
    "a script of the plant's page fails; the page looks as before",
    ("phase3.smoke", "crit.features"),
    "has a script's error",
    page_script_error="operator",
)
STEP_BROKEN = _fault(
    "workflow-step-broken",
    "the link to the report leads nowhere",
    ("golive.workflows", "after.workflows"),
    "status 404",
    report_link_broken=True,
)
ACCESS_REFUSED = _fault(
    "monitoring-access-refused",
    "the operations team's account may not see the dashboard of the plant",
    ("hand.monitoring-access",),
    "status 403",
    dashboard_refused="operations",
)

"""The pages that users see: landing, login, dashboards, alerts, reports."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from pytest_deploygate.lab.application import accounts, api, reports
from pytest_deploygate.lab.application.accounts import COOKIE, User

_HERE = Path(__file__).parent
_TEMPLATES = Jinja2Templates(_HERE / "templates")
Page = Callable[[Request, User], Awaitable[Response]]


def _shown(request: Request, name: str, status: int = 200, **context: object) -> Response:
    state = request.app.state
    common = {"switches": state.switches, "third_party": state.settings.third_party}
    return _TEMPLATES.TemplateResponse(request, name, common | context, status)


def _for_users(page: Page) -> Callable[[Request], Awaitable[Response]]:
    """Show a page to who is logged in; others are sent to the login."""

    @functools.wraps(page)
    async def checked(request: Request) -> Response:
        user = await accounts.by_cookie(request.app.state.store, request)
        if user is None or request.app.state.switches.concerns("login_loops", user.name):
            return RedirectResponse("/login", 303)
        return await page(request, user)

    return checked


async def landing(request: Request) -> Response:
    """Show what there is to everybody."""
    return _shown(request, "landing.html")


async def privacy(request: Request) -> Response:
    """Show what is kept of visitors."""
    return _shown(request, "privacy.html")


async def login_form(request: Request) -> Response:
    """Show the login; who is logged in needs none."""
    user = await accounts.by_cookie(request.app.state.store, request)
    if user is not None and request.app.state.switches.concerns("login_loops", user.name):
        return RedirectResponse("/dashboards", 303)
    return _shown(request, "login.html", wrong=False)


async def login(request: Request) -> Response:
    """Begin a session, and end the one that there may be."""
    form = dict(parse_qsl((await request.body()).decode(errors="replace")))
    state = request.app.state
    user = await accounts.check(state.store, state.switches, form.get("user", ""), form.get("password", ""))
    if user is None or state.switches.concerns("login_broken", user.name):
        return _shown(request, "login.html", 401, wrong=True)
    if before := request.cookies.get(COOKIE):
        await accounts.end(state.store, before)
    answer = RedirectResponse("/dashboards", 303)
    answer.set_cookie(
        COOKIE, await accounts.begin(state.store, user), **accounts.cookie_flags(state.switches)
    )
    return answer


async def logout(request: Request) -> Response:
    """End the session; with the switch `logout_keeps_session` only the cookie goes."""
    state = request.app.state
    value = request.cookies.get(COOKIE)
    if value and not state.switches.on("logout_keeps_session"):
        await accounts.end(state.store, value)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, **accounts.cookie_flags(state.switches))
    return answer


@_for_users
async def dashboards(request: Request, user: User) -> Response:
    """Show which dashboards there are."""
    return _shown(request, "dashboards.html", user=user)


@_for_users
async def plant(request: Request, user: User) -> Response:
    """Show the devices of the tenant with their last values, a chart, and how many readings there were today."""
    store = request.app.state.store
    if request.app.state.switches.concerns("dashboard_refused", user.name):
        raise HTTPException(403, "you may not see this")
    if request.app.state.switches.concerns("page_broken", user.name):
        raise HTTPException(500, "this page cannot be shown")
    devices = await store.rows(
        "SELECT d.*, r.value FROM devices d LEFT JOIN LATERAL (SELECT value FROM readings WHERE device = d.id"
        " ORDER BY sent_at DESC LIMIT 1) AS r ON true WHERE d.tenant = %(tenant)s ORDER BY d.id",
        {"tenant": user.tenant},
    )
    total = await store.row(
        "SELECT count(*) AS n FROM readings r JOIN devices d ON d.id = r.device WHERE d.tenant = %(tenant)s"
        " AND r.sent_at >= date_trunc('day', now(), 'UTC')",
        {"tenant": user.tenant},
    )
    return _shown(request, "plant.html", user=user, devices=devices, total=total["n"])


@_for_users
async def operations(request: Request, user: User) -> Response:
    """Show how many readings come in."""
    counted = await request.app.state.store.row(
        "SELECT count(*) AS n FROM readings r JOIN devices d ON d.id = r.device WHERE d.tenant = %(tenant)s"
        " AND r.received_at > now() - interval '1 minute'",
        {"tenant": user.tenant},
    )
    return _shown(request, "operations.html", user=user, last_minute=counted["n"])


@_for_users
async def operations_series(request: Request, user: User) -> Response:
    """Answer with the readings of each minute; with `operations_blank` there are none."""
    rows = await request.app.state.store.rows(
        "SELECT extract(epoch FROM max(r.received_at))::float8 AS at, count(*) AS n FROM readings r"
        " JOIN devices d ON d.id = r.device WHERE d.tenant = %(tenant)s AND r.received_at > now() - interval '30 minutes'"
        " GROUP BY date_trunc('minute', r.received_at) ORDER BY 1",
        {"tenant": user.tenant},
    )
    blank = request.app.state.switches.on("operations_blank")
    return JSONResponse({"points": [] if blank else [[row["at"], row["n"]] for row in rows]})


@_for_users
async def alerts(request: Request, user: User) -> Response:
    """Show the newest alerts."""
    rows = [api.alert(row) for row in await api.newest_alerts(request.app.state.store, user, 100)]
    return _shown(request, "alerts.html", user=user, alerts=rows)


@_for_users
async def all_reports(request: Request, user: User) -> Response:
    """Show which reports there are."""
    return _shown(request, "reports.html", user=user, today=datetime.now(UTC).date())


@_for_users
async def daily_report(request: Request, user: User) -> Response:
    """Make the report of a day."""
    text = request.query_params.get("day") or datetime.now(UTC).date().isoformat()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise HTTPException(400, "day must be a date such as 2026-01-31") from None
    state, ending = request.app.state, request.path_params["ending"]
    report = await reports.made(state.store, user.tenant, day, int(state.switches.on("report_off_by_one")))
    if ending == "html":
        return _shown(request, "report.html", user=user, report=report)
    if ending not in reports.FORMATS:
        raise HTTPException(404, "there is no such format")
    write, media_type = reports.FORMATS[ending]
    content = write(report)
    if ending == "csv" and state.switches.on("report_csv_cut"):
        content = content[: len(content) // 2]
    name = f"daily-{day.isoformat()}.{ending}"
    return Response(content, 200, {"Content-Disposition": f'attachment; filename="{name}"'}, media_type)


ROUTES = [
    Route("/", landing),
    Route("/privacy", privacy),
    Route("/login", login_form, methods=["GET"]),
    Route("/login", login, methods=["POST"]),
    Route("/logout", logout, methods=["POST"]),
    Route("/dashboards", dashboards),
    Route("/dashboards/plant", plant),
    Route("/dashboards/operations", operations),
    Route("/dashboards/operations/series", operations_series),
    Route("/alerts", alerts),
    Route("/reports", all_reports),
    Route("/reports/daily.{ending}", daily_report),
    Mount("/static", StaticFiles(directory=_HERE / "static")),
]

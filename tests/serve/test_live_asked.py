"""Argo Rollouts and Flagger ask how a change stands: nothing but a valid GO of this change and phase is a yes."""

from __future__ import annotations

import http.client
import json
import shutil
from datetime import timedelta
from pathlib import Path

import jsonpath_ng
import pytest
import yaml
from live_journal import Change, served

from pytest_deploygate.decision.incidents import What
from pytest_deploygate.journal import FILE, utcnow
from pytest_deploygate.model import Verdict
from pytest_deploygate.report.live import asked
from pytest_deploygate.report.live.following import Following
from pytest_deploygate.report.live.stands import Result
from pytest_deploygate.rollback.progress import Mark

TEMPLATES = Path(__file__).parents[2] / "templates"
TOKEN = "a-token-of-some-length"


def answered(folder, *phases, name="CHG-1", later=timedelta()):
    return asked.answer(Following(folder).look(), utcnow() + later, name, phases or ("golive",))


def webhook(folder, *, back=False, **metadata):
    payload = {"name": "app", "namespace": "prod", "phase": "Progressing", "checksum": "85d557f47b",
               "metadata": {"change": "CHG-1", "phase": "golive"} | metadata}  # fmt: skip
    return asked.flagger(Following(folder).look(), utcnow(), json.dumps(payload).encode(), back=back)


def nothing(folder):
    pass


def empty(folder):
    (folder / FILE).touch()


def running(folder):
    change = Change(folder).begin()
    for item in change.items:
        change.finds(item)
    change.writer.close()


def damaged(folder):
    Change(folder).passes()
    raw = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(raw.replace(b"0.2 s", b"0.1 s", 1))


def moved_aside(folder):
    Change(folder).passes()
    shutil.move(folder / FILE, folder / "aside")


def expired(folder):
    Change(folder).passes(valid_s=0.001)


def failed(folder):
    change = Change(folder).begin()
    change.finds(change.items[1], Verdict.FAIL, "db1 lags 9 s, limit 5 s")
    change.ends()


def goes_on_again(folder):
    Change(folder).passes()
    Change(folder).begin("run-2").writer.close()


def part_of_the_phase(folder):
    change = Change(folder)
    change.passes(scope=change.items[:2])


def part_of_a_run(folder):
    change = Change(folder).begin(shard=(2, 2))
    for item in change.items[1::2]:
        change.finds(item)
    change.ends()


def open_incident(folder):
    change = Change(folder).passes().reopened()
    change.incident()
    change.writer.close()


def decided_back(folder):
    change = Change(folder).passes().reopened()
    change.incident()
    change.incident(What.DECIDED, "deployment-lead", "ROLLBACK")
    change.writer.close()


def under_way(folder, *marks):
    change = Change(folder).passes().reopened()
    change.incident()
    change.incident(What.DECIDED, "deployment-lead", "ROLLBACK")
    change.rollback(Mark.BEGUN, said="fence\ndns")
    change.rollback(Mark.INTENT, "fence")
    for mark, step in marks:
        change.rollback(mark, step)
    change.writer.close()


def stopped(folder):
    under_way(folder, (Mark.FAILED, "fence"), (Mark.STOPPED, "fence"))


def rolled_back(folder):
    steps = [(Mark.DONE, "fence"), (Mark.INTENT, "dns"), (Mark.DONE, "dns"), (Mark.ENDED, "")]
    under_way(folder, *steps)


NOT_GO = [
    (nothing, Result.UNKNOWN, "There is no journal"),
    (empty, Result.UNKNOWN, "no run yet"),
    (running, Result.RUNNING, "Nothing is decided yet"),
    (damaged, Result.UNKNOWN, "cannot be trusted"),
    (moved_aside, Result.UNKNOWN, "There is no journal"),
    (expired, Result.EXPIRED, "too old"),
    (failed, Result.HOLD, "golive.item-1"),
    (goes_on_again, Result.RUNNING, "Nothing is decided yet"),
    (part_of_the_phase, Result.UNKNOWN, "not all of golive"),
    (part_of_a_run, Result.UNKNOWN, "SHARD 2/2 GOOD"),
    (open_incident, Result.HOLD, "incident INC-1 is open (assessing)"),
    (decided_back, Result.ROLLBACK, "decided in incident INC-1"),
    (under_way, Result.ROLLING_BACK, "0 of 2 steps done"),
    (stopped, Result.ROLLBACK_FAILED, "could not be verified"),
    (rolled_back, Result.ROLLED_BACK, "Every step of the rollback"),
]
BACK = {decided_back, under_way, stopped, rolled_back}
each = pytest.mark.parametrize(
    ("prepare", "result", "says"), NOT_GO, ids=[case[0].__name__ for case in NOT_GO]
)


@each
def test_what_is_no_go_is_a_no_with_a_sentence(tmp_path, prepare, result, says):
    prepare(tmp_path)
    found = answered(tmp_path)
    assert (found.result, says in found.says) == (result, True), found
    status, text = webhook(tmp_path)
    assert (status, says in text) == (409, True)
    assert webhook(tmp_path, back=True)[0] == (200 if prepare in BACK else 409)


def test_a_go_is_a_yes_until_it_is_too_old_or_of_the_future(tmp_path):
    Change(tmp_path).passes(valid_s=3600.0)
    assert Following(tmp_path).look().notes == ()
    found = answered(tmp_path, "phase2", "golive")
    assert found.result is Result.GO
    assert found.says.startswith("GO for CHG-1 (phase2 or golive). Proceed. Valid until ")
    assert (found.items, found.failed) == (4, 0)
    assert webhook(tmp_path)[0] == 200
    assert webhook(tmp_path, back=True)[0] == 409
    assert answered(tmp_path, later=timedelta(minutes=61)).result is Result.EXPIRED
    assert answered(tmp_path, later=timedelta(minutes=-2)).result is Result.UNKNOWN


@pytest.mark.parametrize(
    ("name", "phases", "says"),
    [
        ("CHG-2", ("golive",), "of the change CHG-1, not of CHG-2"),
        ("", ("golive",), "names no change"),
        ("CHG-1", (), "names no phase"),
        ("CHG-1", ("golife",), "did you mean 'golive'?"),
        ("CHG-1", ("golive", "phase4"), "no phase 'phase4'"),
    ],
)
def test_a_go_of_something_else_is_no_answer(tmp_path, name, phases, says):
    Change(tmp_path).passes()
    found = asked.answer(Following(tmp_path).look(), utcnow(), name, phases)
    assert found.result is Result.UNKNOWN
    assert says in found.says
    status, text = webhook(tmp_path, change=name or "CHG-2", phase=",".join(phases) or "x")
    assert (status, text != "") == (409, True)


def test_go_with_waivers_is_a_result_of_its_own_where_its_exit_code_is(tmp_path):
    change = Change(tmp_path).begin(waived_exit=True)
    for item in change.items:
        change.finds(item, Verdict.WAIVED if item == change.items[0] else Verdict.PASS, "waived until May")
    change.ends()
    assert answered(tmp_path).result is Result.GO_WITH_WAIVERS
    assert webhook(tmp_path)[0] == 409


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"[1]", "not a webhook of Flagger"),
        (b'{"name": "app", "namespace": 1}', "no name and namespace"),
        (b'{"name": "app", "namespace": "prod"}', "no change and no phase"),
        (b'{"name": "app", "namespace": "prod", "metadata": {"change": "CHG-1"}}', "no phase"),
        (b'{"name": "app", "namespace": "prod", "metadata": {"change": 1, "phase": "golive"}}', "not texts"),
        (b'{"name": "app", "namespace": "prod", "metadata": "x"}', "not texts"),
    ],
)
def test_a_payload_that_asks_nothing_is_refused(tmp_path, body, says):
    Change(tmp_path).passes()
    with pytest.raises(asked.PayloadError, match=says):
        asked.flagger(Following(tmp_path).look(), utcnow(), body, back=False)


def request(port, path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers["Content-Type"], text


def test_both_addresses_ask_for_the_token_and_change_nothing(tmp_path):
    Change(tmp_path).passes()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    payload = json.dumps(
        {"name": "app", "namespace": "prod", "metadata": {"change": "CHG-1", "phase": "golive"}}
    )
    with served(tmp_path, TOKEN) as port:
        for path, method in (("/decision.json?change=CHG-1&phase=golive", "GET"), ("/flagger", "POST")):
            assert request(port, path, method, payload if method == "POST" else None)[0] == 401
        status, kind, text = request(
            port, "/decision.json?change=CHG-1&phase=golive", Authorization=f"Bearer {TOKEN}"
        )
        assert (status, kind) == (200, "application/json; charset=utf-8")
        assert json.loads(text)["result"] == "GO"
        assert request(port, f"/flagger?token={TOKEN}", "POST", payload)[0] == 200
        assert request(port, f"/flagger/rollback?token={TOKEN}", "POST", payload)[0] == 409
        assert request(port, f"/flagger?token={TOKEN}", "POST", "{")[0] == 400
        assert request(port, f"/flagger?token={TOKEN}", "POST", "x" * 70_000)[0] == 413
        assert request(port, f"/flagger?token={TOKEN}")[0] == 405
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def documents(name):
    return {one["kind"]: one for one in yaml.safe_load_all((TEMPLATES / name).read_text())}


def measured(metric, answer):
    """What Argo Rollouts makes of an answer: both conditions are evaluated, and neither may be true."""
    path = metric["provider"]["web"]["jsonPath"]
    assert (path[0], path[-1]) == ("{", "}")
    (found,) = jsonpath_ng.parse(path[1:-1]).find(json.loads(answer))
    # Both conditions are written so that they mean the same in Python.
    success, failure = (
        eval(metric[f"{which}Condition"], {"__builtins__": {}}, {"result": found.value})
        for which in ("success", "failure")
    )
    return "Failed" if failure else "Successful" if success else "Inconclusive"


@each
def test_argo_fails_only_for_a_rollback_and_is_unsure_of_the_rest(tmp_path, prepare, result, says):
    prepare(tmp_path)
    (metric,) = documents("argo-rollouts/deploygate.yaml")["AnalysisTemplate"]["spec"]["metrics"]
    expected = "Failed" if prepare in BACK else "Inconclusive"
    assert measured(metric, asked.as_json(answered(tmp_path))) == expected


def test_the_analysis_template_asks_our_address_and_never_ends_unsure_and_successful(tmp_path):
    Change(tmp_path).passes()
    found = documents("argo-rollouts/deploygate.yaml")
    spec = found["AnalysisTemplate"]["spec"]
    (metric,) = spec["metrics"]
    web = metric["provider"]["web"]
    names = [one["name"] for one in spec["args"]]
    address = web["url"]
    for name, value in zip(names, ("CHG-1", "golive", TOKEN), strict=True):
        address = address.replace("{{args." + name + "}}", value)
    path = address.partition(":8642")[2]
    header = {one["key"]: one["value"].replace("{{args.token}}", TOKEN) for one in web["headers"]}
    with served(tmp_path, TOKEN) as port:
        status, _, text = request(port, path, **header)
    assert (status, measured(metric, text)) == (200, "Successful")
    # Its documentation: `count` reached is a success unless `consecutiveSuccessLimit` or `inconclusiveLimit` says no.
    assert metric["inconclusiveLimit"] < metric["count"]
    assert metric["consecutiveSuccessLimit"] == 1
    assert metric["failureLimit"] == 0
    steps = found["Rollout"]["spec"]["strategy"]["canary"]["steps"]
    asking = [step["analysis"] for step in steps if "analysis" in step]
    assert len(asking) == 2
    for one in asking:
        assert one["templates"] == [{"templateName": found["AnalysisTemplate"]["metadata"]["name"]}]
        assert [argument["name"] for argument in one["args"]] == ["change", "phase"]


def test_the_canary_asks_each_question_at_its_address(tmp_path):
    Change(tmp_path).passes()
    hooks = documents("flagger/canary.yaml")["Canary"]["spec"]["analysis"]["webhooks"]
    assert [hook["type"] for hook in hooks] == ["confirm-rollout", "confirm-promotion", "rollback"]
    with served(tmp_path, TOKEN) as port:
        for hook in hooks:
            metadata = hook["metadata"] | {"change": "CHG-1", "phase": "golive"}
            assert metadata.keys() == hook["metadata"].keys()
            payload = json.dumps(
                {
                    "name": "app",
                    "namespace": "prod",
                    "phase": "Waiting",
                    "checksum": "0",
                    "metadata": metadata,
                }
            )
            path = hook["url"].partition(":8642")[2].replace("=TOKEN", f"={TOKEN}")
            status, _, _ = request(port, path, "POST", payload)
            assert status == (409 if hook["type"] == "rollback" else 200)

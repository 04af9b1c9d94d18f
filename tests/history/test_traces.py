"""Runs as OpenTelemetry traces, received over HTTP and decoded: the same each time, and never taken for sent if not."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner, Result
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from receiver import receiving, silent
from recorded_changes import FAILED, Records

from pytest_deploygate import history, journal
from pytest_deploygate.cli import main
from pytest_deploygate.decision.incidents import What
from pytest_deploygate.history import traces
from pytest_deploygate.journal import FILE
from pytest_deploygate.model import Verdict
from pytest_deploygate.redaction import Secret

OK, ERROR, UNSET = 1, 2, 0


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def trace(*words: str) -> Result:
    return CliRunner().invoke(main, ["trace", "--change", "CHG-1", *words], prog_name="deploygate")


def attributes(span: Span) -> dict[str, object]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


def test_a_run_is_a_trace_and_its_items_are_spans(records: Records) -> None:
    records.change("CHG-1").run("phase2").run(
        verdicts=FAILED, seconds=2.5, reason="5 % of answers are errors"
    )
    with receiving() as (there, url):
        done = trace("--endpoint", url)
        assert (done.exit_code, there.paths) == (0, ["/v1/traces"])
        assert "accepted 3 spans" in done.stdout
        root, errors, p99 = there.spans
    assert (root.name, root.parent_span_id, root.status.code) == ("deploygate golive", b"", ERROR)
    assert root.status.message.startswith("HOLD: ")
    assert "1 critical item failed: golive.errors" in root.status.message
    assert {span.parent_span_id for span in (errors, p99)} == {root.span_id}
    assert len({span.trace_id for span in there.spans}) == 1
    assert (errors.status.code, errors.status.message) == (ERROR, "5 % of answers are errors")
    assert (p99.status.code, p99.status.message) == (OK, "")
    assert errors.end_time_unix_nano - errors.start_time_unix_nano == 2_500_000_000
    assert root.start_time_unix_nano <= errors.start_time_unix_nano
    assert p99.end_time_unix_nano <= root.end_time_unix_nano
    assert attributes(errors) == {
        "deploygate.run": "CHG-1-prod-2", "deploygate.change": "CHG-1", "deploygate.inventory": "prod",
        "deploygate.item": "golive.errors", "deploygate.verdict": "fail", "deploygate.target": "db1",
        "deploygate.phase": "golive", "deploygate.confirmed": False, "test.case.name": "test_golive.errors",
    }  # fmt: skip
    of_run = attributes(root)
    assert (of_run["deploygate.decision"], of_run["deploygate.items.fail"]) == ("HOLD", 1)
    assert [event.name for event in root.events] == ["decision"]
    service = {a.key: a.value.string_value for a in there.requests[0].resource_spans[0].resource.attributes}
    assert service["service.name"] == "deploygate"


def test_sent_twice_it_is_the_same_trace(records: Records) -> None:
    records.change("CHG-1").run("phase2").run()
    with receiving() as (there, url):
        assert trace("--endpoint", url, "--all").exit_code == 0
        assert trace("--endpoint", f"{url}/v1/traces", "--all").exit_code == 0
    first, second = there.requests
    assert first == second
    assert len({span.trace_id for span in there.spans}) == 2
    assert len({span.span_id for span in there.spans}) == 6


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict.PASS, OK),
        (Verdict.ATTESTED, OK),
        (Verdict.FAIL, ERROR),
        (Verdict.INCONCLUSIVE, ERROR),
        (Verdict.NOT_COVERED, ERROR),
        (Verdict.WAIVED, UNSET),
        (Verdict.NOT_APPLICABLE, UNSET),
    ],
)
def test_only_what_is_good_is_ok(records: Records, verdict: Verdict, status: int) -> None:
    records.change("CHG-1").run(verdicts={"golive.errors": verdict})
    with receiving() as (there, url):
        assert trace("--endpoint", url).exit_code == 0
    assert there.spans[1].status.code == status


def test_a_run_that_did_not_end_is_no_good_one_and_is_said(records: Records) -> None:
    records.change("CHG-1").run(ends=False)
    with receiving() as (there, url):
        done = trace("--endpoint", url)
    assert "did not end" in done.stdout
    assert there.spans[0].status.code == ERROR
    assert attributes(there.spans[0])["deploygate.decision"] == "none"
    assert attributes(there.spans[0])["deploygate.ended"] is False


def test_incidents_and_rollbacks_are_events_of_the_run_before_them(records: Records) -> None:
    change = records.change("CHG-1").run(verdicts=FAILED).incident(What.OPENED, "HOLD").rollback()
    change.incident(What.ROLLED_BACK)
    with receiving() as (there, url):
        trace("--endpoint", url)
    assert [event.name for event in there.spans[0].events] == [
        "decision", "incident opened", "rollback begun", "incident rolled back",
    ]  # fmt: skip


def test_no_secret_leaves(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    records.change("CHG-1").run(
        verdicts=FAILED, reason="login with hunter2-and-more failed", target="hunter2-and-more"
    )
    Secret("hunter2-and-more", "env:PASSWORD")  # known only now: the journal has it
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t0ken-of-the-collector")
    with receiving() as (there, url):
        assert trace("--endpoint", url).exit_code == 0
        done = trace("--endpoint", url.replace("//", "//someone:pass-of-the-url@"), "--json")
    assert done.exit_code == 0
    assert there.headers[0]["authorization"] == "Bearer t0ken-of-the-collector"
    assert all(b"hunter2" not in request.SerializeToString() for request in there.requests)
    for secret in ("hunter2", "t0ken", "pass-of-the-url"):
        assert secret not in done.output
    assert json.loads(done.stdout)["spans"] == 3


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("rejects some", "rejected 2 spans: too old"),
        ("refuses", "refused the spans with HTTP 401: no token"),
        ("refuses in words", "refused the spans with HTTP 400: bad \ufffd[31m request"),
        ("redirects", "redirects to https://login.example.com/"),
        ("shows a login page", "is no OTLP receiver: it answered with text/html"),
        ("answers nonsense", "is no OTLP receiver: its answer cannot be decoded"),
    ],
)
def test_a_receiver_that_does_not_accept_is_said_with_exit_1(
    records: Records, answer: str, said: str
) -> None:
    records.change("CHG-1").run()
    with receiving() as (there, url):
        there.answer = answer
        done = trace("--endpoint", url)
    assert (done.exit_code, done.stdout) == (1, "")
    assert said in done.stderr
    assert "0 of 3 spans were accepted" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_silent_receiver_and_none_at_all_end_in_time(records: Records) -> None:
    records.change("CHG-1").run()
    with silent() as url:
        done = trace("--endpoint", url, "--timeout", "0.3")
    assert done.exit_code == 1
    assert "did not answer within 0.3 s" in done.stderr
    done = trace("--endpoint", url, "--timeout", "0.3")  # nobody listens there any more
    assert done.exit_code == 1
    assert "cannot be reached: [Errno 111] Connection refused" in done.stderr


def test_what_cannot_be_sent_is_refused_before_anything_is_asked(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    records.change("CHG-1").run()
    assert trace().exit_code == 2
    assert "name the receiver with --endpoint" in trace().stderr
    for url in ("collector:4318", "ftp://collector", "http://", "http://collector:port"):
        assert trace("--endpoint", url).exit_code == 4, url
    wrong = trace("--endpoint", "http://127.0.0.1:1", "--run", "nobody")
    assert (wrong.exit_code, "the last ones are CHG-1-prod-1" in wrong.stderr) == (4, True)
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    off = trace("--endpoint", "http://127.0.0.1:1")
    assert (off.exit_code, "OTEL_SDK_DISABLED is set" in off.stderr) == (1, True)


def test_the_endpoint_of_the_environment_is_a_base(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    records.change("CHG-1").run()
    with receiving() as (there, url):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{url}/tenant/")
        assert trace().exit_code == 0
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{url}/only/traces")
        assert trace().exit_code == 0
    assert there.paths == ["/tenant/v1/traces", "/only/traces"]


def test_without_the_extra_it_says_what_to_install(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    records.change("CHG-1").run()
    monkeypatch.delitem(sys.modules, "pytest_deploygate.history.sending", raising=False)
    monkeypatch.delattr(history, "sending", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    done = trace("--endpoint", "http://127.0.0.1:1")
    assert done.exit_code == 4
    assert "pip install 'pytest-deploygate[otel]'" in done.stderr


def test_a_damaged_journal_is_not_sent(records: Records) -> None:
    records.change("CHG-1").run()
    file = records.out / "CHG-1" / FILE
    file.write_bytes(file.read_bytes().replace(b"as wanted", b"as needed", 1))
    with receiving() as (there, url):
        assert trace("--endpoint", url).exit_code == 25
    assert there.requests == []


def test_many_spans_are_several_requests(records: Records) -> None:
    from pytest_deploygate.history import sending

    change = records.change("CHG-1")
    for _ in range(3):
        change.run("")
    entries, _ = journal.stream(records.out / "CHG-1")
    found = traces.traces(list(entries))
    with receiving() as (there, url):
        before, sending.BATCH = sending.BATCH, 4
        try:
            assert sending.send(found, sending.endpoint(url), 10) == 15
        finally:
            sending.BATCH = before
    assert [len(r.resource_spans[0].scope_spans[0].spans) for r in there.requests] == [4, 4, 4, 3]

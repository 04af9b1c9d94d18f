"""Sends traces with the official OpenTelemetry SDK to an OTLP/HTTP receiver (extra `otel`), in bounded time.

The exporter takes each answer below 400 for success, also a login page. So answers are looked at here as well: they must be
those of the protocol, and reject nothing.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status as RpcStatus
from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace.status import Status as OtelStatus
from opentelemetry.trace.status import StatusCode

from pytest_deploygate import __version__
from pytest_deploygate.history.traces import Span, Status, Trace
from pytest_deploygate.problems import one_line
from pytest_deploygate.redaction import redact

#: Spans of one request, as the SDK's own processor sends them.
BATCH = 512
_PATH = "/v1/traces"
_PROTOBUF = "application/x-protobuf"
_CODES = {Status.UNSET: StatusCode.UNSET, Status.GOOD: StatusCode.OK, Status.BAD: StatusCode.ERROR}
_MOST_OF_ANSWER = 300
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NotSentError(Exception):
    """Not all spans were accepted; the message says where, why, and what was."""


def endpoint(url: str) -> str:
    """Return where traces go: a URL without a path is a receiver's base, as OTEL_EXPORTER_OTLP_ENDPOINT is.

    Raises ValueError for what is no HTTP URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it is not a URL such as http://collector:4318")
    _ = parts.port  # raises ValueError
    return parts._replace(path=_PATH).geturl() if parts.path in ("", "/") else url


def send(found: Sequence[Trace], url: str, timeout_s: float) -> int:
    """Send the spans, and return how many there were; all were accepted.

    Raises NotSentError, at the latest `timeout_s` and a second after a request was begun.
    """
    spans = list(_made(found))
    if len(spans) != sum(1 + len(one.spans) for one in found):
        raise NotSentError("nothing was sent: OTEL_SDK_DISABLED is set")
    answers = _Answers()
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())  # what it says is said here
    exporter = OTLPSpanExporter(endpoint=url, timeout=timeout_s, session=answers)
    try:
        for begin in range(0, len(spans), BATCH):
            if why := _sent(exporter, answers, spans[begin : begin + BATCH], timeout_s):
                raise NotSentError(f"{redact(url)} {why}; {begin} of {len(spans)} spans were accepted")
    finally:
        answers.close()
    return len(spans)


def _sent(
    exporter: OTLPSpanExporter, answers: _Answers, batch: Sequence[ReadableSpan], timeout_s: float
) -> str:
    """Send spans in one request; return why they were not accepted, an empty text if they were."""
    said: list[SpanExportResult] = []
    # The exporter waits anew for each part of an answer, and older versions wait between attempts as long as they like.
    thread = threading.Thread(target=lambda: said.append(exporter.export(batch)), daemon=True)
    thread.start()
    thread.join(timeout_s + 1)
    if not said and thread.is_alive():
        return f"did not answer within {timeout_s:g} s"
    if answers.error is not None:
        return _why(answers.error, timeout_s)
    if answers.answer is None:
        return "was not asked: the spans could not be encoded or are too large"
    return _judged(answers.answer)


class _Answers(requests.Session):
    """Keeps the last answer or error: the exporter says only that it failed."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: requests.Response | None = None
        self.error: Exception | None = None

    def request(self, *args: Any, **options: Any) -> requests.Response:
        """Ask. A redirect is not followed: it would ask another place with GET."""
        self.answer = self.error = None
        try:
            self.answer = super().request(*args, **options | {"allow_redirects": False})
        except Exception as error:
            self.error = error
            raise
        return self.answer


def _why(error: Exception, timeout_s: float) -> str:
    if isinstance(error, requests.Timeout):
        return f"did not answer within {timeout_s:g} s"
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return f"cannot be reached: {one_line(redact(str(cause) or type(cause).__name__))}"


def _judged(answer: requests.Response) -> str:
    """Return why an answer does not say that the spans were accepted; an empty text if it does."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if 300 <= answer.status_code < 400:
        return f"redirects to {one_line(redact(answer.headers.get('Location', 'nowhere')))}: name the receiver itself"
    if answer.status_code >= 400:
        said = _refusal(answer.content) if kind == _PROTOBUF else answer.text
        more = one_line(redact(said.strip()))[:_MOST_OF_ANSWER]
        return f"refused the spans with HTTP {answer.status_code}" + (f": {more}" if more else "")
    if kind != _PROTOBUF and answer.content:
        return (
            f"is no OTLP receiver: it answered with {one_line(kind) or 'something'} where {_PROTOBUF} is due"
        )
    try:
        partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    except DecodeError:
        return "is no OTLP receiver: its answer cannot be decoded"
    if partial.rejected_spans:
        return f"rejected {partial.rejected_spans} spans: {one_line(redact(partial.error_message))}"
    return ""


def _refusal(content: bytes) -> str:
    try:
        return str(RpcStatus.FromString(content).message)
    except DecodeError:
        return ""


class _Ids(IdGenerator):
    """Gives the ids that were computed from the record."""

    def __init__(self) -> None:
        self.trace = self.span = 0

    def generate_trace_id(self) -> int:
        """Return the id of the trace that is made now."""
        return self.trace

    def generate_span_id(self) -> int:
        """Return the id of the span that is made now."""
        return self.span


class _Ended(SpanProcessor):
    """Collects spans as they end."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span."""
        self.spans.append(span)


def _made(found: Sequence[Trace]) -> Iterator[ReadableSpan]:
    """Make spans of the SDK. Parents come first, so that a part of them is a tree, too."""
    ids, ended = _Ids(), _Ended()
    # The SDK would make up another instance each time.
    instance = (
        str(uuid.uuid5(uuid.NAMESPACE_URL, f"deploygate:{found[0].root.attributes['deploygate.change']}"))
        if found
        else ""
    )
    resource = Resource.create(
        {"service.name": "deploygate", "service.version": __version__, "service.instance.id": instance}
    )
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(ended)
    tracer = provider.get_tracer("pytest_deploygate", __version__)
    for one in found:
        ids.trace = one.id
        context = api.SpanContext(one.id, one.root.id, is_remote=False, trace_flags=api.TraceFlags(1))
        parent = api.set_span_in_context(api.NonRecordingSpan(context), Context())
        for span in (one.root, *one.spans):
            ids.span = span.id
            _make(tracer, span, Context() if span is one.root else parent)
    yield from ended.spans


def _make(tracer: api.Tracer, span: Span, context: Context) -> None:
    made = tracer.start_span(
        span.name, context, attributes=span.attributes, start_time=_ns(span.start), record_exception=False
    )
    for event in span.events:
        made.add_event(event.name, event.attributes, timestamp=_ns(event.at))
    made.set_status(OtelStatus(_CODES[span.status], span.said or None))
    made.end(_ns(span.end))


def _ns(at: datetime) -> int:
    """Return nanoseconds since 1970, without the error of a float."""
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000

"""The headers of an HTTPS endpoint, and where plain HTTP redirects."""

from __future__ import annotations

import http.client
import socket
import ssl

from pytest_deploygate.checks.tls.facts import HttpAnswers, Page
from pytest_deploygate.checks.tls.probe.connection import Place
from pytest_deploygate.checks.tls.section.endpoints import Http
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.budget import AGENT
from pytest_deploygate.clients.deadline import Deadline, end
from pytest_deploygate.redaction import shortened

_MOST_BODY = 300_000
_HTTP, _HTTPS = 80, 443


def measure(where: Place, http: Http) -> HttpAnswers:
    """Fetch the page from one address over HTTPS, over HTTP, and as from another origin, with one retry each."""
    page, page_problem, _ = _twice(where, http, tls=True)
    cors, _, _ = _twice(where, http, tls=True, origin=HttpAnswers.ORIGIN) if page else (None, "", False)
    if http.redirect_port == "none":
        # Beside another port, what listens on port 80 is something else.
        beside = where.port == _HTTPS
        plain = _fetch(where, http, tls=False, origin="")[0] if beside and page else None
        return HttpAnswers(page, page_problem, plain, cors=cors)
    plain, plain_problem, refused = _twice(where, http, tls=False)
    return HttpAnswers(page, page_problem, plain, plain_problem, refused, cors)


def _twice(where: Place, http: Http, *, tls: bool, origin: str = "") -> tuple[Page | None, str, bool]:
    page, problem, refused = _fetch(where, http, tls=tls, origin=origin)
    return (page, problem, refused) if page else _fetch(where, http, tls=tls, origin=origin)


def _fetch(where: Place, http: Http, *, tls: bool, origin: str) -> tuple[Page | None, str, bool]:
    port = where.port if tls else _HTTP if http.redirect_port == "none" else http.redirect_port
    connection = AtAddress(where, port, tls=tls)
    kind = "https" if tls else "http"
    try:
        name = where.host if port in (80, 443) else f"{where.host}:{port}"
        headers = {"Host": name, "User-Agent": AGENT, "Accept": "text/html,*/*"}
        with reach.attempt(f"{kind}://{reach.at(where.address, port)}{http.path}"):
            sent = headers | ({"Origin": origin} if origin else {})
            answer, body = connection.fetch(http.path, sent, _MOST_BODY)
        got = tuple((key.lower(), value) for key, value in answer.getheaders())
        return Page(answer.status, got, body.decode(errors="replace")), "", False
    except ConnectionRefusedError:
        return None, f"port {port} refuses connections", True
    except reach.Silent as silent:
        return None, str(silent), False
    except TimeoutError as error:
        return None, f"port {port}: {str(error) or 'no answer in time'}", False
    except OSError as error:
        return None, f"port {port}: {str(error) or type(error).__name__}", False
    except (http_error, ValueError) as error:  # http.client raises ValueError for a chunk of negative size
        said = shortened(" ".join(str(error).split()), 80)
        return (
            None,
            f"port {port}: its answer is no HTTP that can be read ({type(error).__name__}: {said})",
            False,
        )
    finally:
        connection.close()


http_error = http.client.HTTPException


class AtAddress(http.client.HTTPConnection):
    """A connection to one address, regardless of the name in the request; trust is judged elsewhere."""

    def __init__(self, where: Place, port: int, *, tls: bool) -> None:
        super().__init__(where.host, port, timeout=where.timeout_s)
        self._where = where
        self._tls = tls
        self._taken: socket.socket | None = None

    def fetch(self, path: str, headers: dict[str, str], most: int) -> tuple[http.client.HTTPResponse, bytes]:
        """Get a page and at most `most` bytes of its body, all within the place's timeout. Raises OSError, HTTPException.

        A body that ends before the length that the header gives is an error.
        """
        with Deadline(self._where.timeout_s).cutting(lambda: end(self._taken)):
            self.request("GET", path, headers=headers)
            answer = self.getresponse()
            body = answer.read(most)
            if len(body) < most and answer.length:
                raise http.client.IncompleteRead(body, answer.length)
            return answer, body

    def connect(self) -> None:
        """Connect to the address itself."""
        plain = socket.create_connection((self._where.address, self.port), timeout=self._where.timeout_s)
        if not self._tls:
            self.sock = self._taken = plain
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers("ALL:@SECLEVEL=0")
        self.sock = self._taken = context.wrap_socket(plain, server_hostname=self._where.host)

"""What Playwright's recorder wrote, as a journey: a step for each page and each button, and no password."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

#: What fields for passwords are called, in languages that many use.
_PASSWORD = re.compile(
    r"passw|passphrase|passcode|pwd|\bpw\b|\bpin\b|secret|kennwort|mot de passe|contrase|senha|parol|lösen|wachtwoord"
    r"|hasł|heslo|jelsz|salasana|adgangskode|passord|[şs]ifre|пароль|κωδικ|סיסמ|密码|密碼|口令|パスワード|暗証|비밀번호|암호",
    re.IGNORECASE,
)
#: Keys that move about, which say nothing of a journey.
_MOVES = re.compile(r"""\.press\(["'](?:Shift\+)?(?:Tab|CapsLock|Shift|Control|Alt|Meta)["']\)$""")
_TYPES = ("fill", "press_sequentially", "type")
_SENDS = ("click", "press", "tap")
_LATER = '# say what must be seen, e.g. expect(page.get_by_text("…")).to_be_visible()'


class Unreadable(Exception):  # noqa: N818 (it is an answer, not an error)
    """The recording is not what the recorder writes."""


def journey(recording: str, name: str, item: str, user: str, base: str) -> str:
    """Return the source of a test from a recording (`--target python-pytest`). Raises Unreadable.

    From the page with the password on, up to the button after it, everything becomes `journey.login(user)`.
    """
    lines = _statements(recording)
    body = [_relative(line, base) for line in _with_login(lines, user)]
    steps = list(_steps(body))
    if not steps:
        raise Unreadable("nothing was done in the browser, so there is no journey to write")
    source = "\n".join(text for _, texts in steps for text in texts)
    imports = ["import re\n"] if re.search(r"\bre\.", source) else []
    imports += ["import pytest"]
    imports += ["from playwright.sync_api import expect"] if "expect(" in source else []
    function = "test_" + (re.sub(r"\W+", "_", name.lower()).strip("_") or "journey")
    text = [
        *imports,
        "",
        "",
        f"@pytest.mark.item({item!r})".replace("'", '"'),
        f"def {function}(page, journey):",
    ]
    text.append(f'    """{name[:1].upper()}{name[1:]}."""')
    for title, statements in steps:
        if title is None:
            text += [f"    {statement}" for statement in statements]
            continue
        text.append(f"    with journey.step({_quoted(title)}):")
        text += [f"        {statement}" for statement in statements]
    if "expect(" not in source:
        text.append(f"    {_LATER}")
    return "\n".join(text) + "\n"


def _statements(recording: str) -> list[str]:
    """Return the statements of the recorded function, each on one line."""
    try:
        tree = ast.parse(recording)
    except (SyntaxError, ValueError) as error:
        raise Unreadable(f"the recording is not Python: {error}") from None
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test")]
    if not functions:
        raise Unreadable("the recording has no test")
    body = [ast.unparse(statement) for statement in functions[0].body if not isinstance(statement, ast.Pass)]
    return [line for line in body if not _MOVES.search(line)]


def typed_into(source: str) -> list[str]:
    """Return the names of the fields whose contents a journey has."""
    lines = [line.strip() for line in source.splitlines() if re.match(r"\s+page\.", line)]
    return list(dict.fromkeys(_words(line) for line in lines if _method(line) in _TYPES))


def _with_login(lines: Sequence[str], user: str) -> list[str]:
    """Put `journey.login` in the place of what was typed as a password, with the page and the button around it."""
    done = list(lines)
    while (at := next((n for n, line in enumerate(done) if _types_password(line)), None)) is not None:
        first = max((n for n in range(at + 1) if _method(done[n]) == "goto"), default=None)
        if first is None:
            typed = [n for n in range(at + 1) if _method(done[n]) in _TYPES]
            first = min(typed, default=at)
        last = next(
            (n for n in range(at + 1, len(done)) if _sends(done[n])),
            at,
        )
        done[first : last + 1] = [f"journey.login({_quoted(user)})"]
    return done


def _sends(line: str) -> bool:
    """Tell whether a statement ends a login: a button, or Enter in a field; not a click into a field for a password."""
    return _method(line) in _SENDS and (
        not _is_password(line) or bool(re.search(r"\.press\(.Enter.\)$", line))
    )


def _types_password(line: str) -> bool:
    return _method(line) in _TYPES and _is_password(line)


def _is_password(line: str) -> bool:
    """Tell whether a statement is about a field for a password, by where it is: not by what is typed."""
    return _PASSWORD.search(_target(line)) is not None


def _call(line: str) -> ast.Call | None:
    node = ast.parse(line).body[0]
    return node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None


def _method(line: str) -> str:
    """Return what a statement does to the page: `goto`, `click`, `fill` …; empty for anything else, also an expectation."""
    call = _call(line)
    if call is None or not isinstance(call.func, ast.Attribute) or "expect(" in line:
        return ""
    return call.func.attr


def _target(line: str) -> str:
    """Return the source of what a statement does something to."""
    call = _call(line)
    return ast.unparse(call.func.value) if call and isinstance(call.func, ast.Attribute) else ""


def _relative(line: str, base: str) -> str:
    """Write addresses of the platform as paths."""
    parts = urlsplit(base)
    own = f"{parts.scheme}://{parts.netloc}"
    call = _call(line)
    if _method(line) != "goto" or call is None or not call.args:
        return line
    address = call.args[0]
    if isinstance(address, ast.Constant) and str(address.value).startswith(own):
        return f"page.goto({_quoted(str(address.value).removeprefix(own) or '/')})"
    return line


def _steps(lines: Sequence[str]) -> Iterator[tuple[str | None, list[str]]]:
    """Group statements: a page that is opened or a button that is clicked begins or ends a step; a login is one itself."""
    open_: list[str] = []
    title: str | None = None
    for line in lines:
        method = _method(line)
        if line.startswith("journey.login("):
            if open_:
                yield title or "looks at the page", open_
            yield None, [line]
            open_, title = [], None
            continue
        if method == "goto" or (method in _SENDS and title is not None):
            if open_:
                yield title or "types", open_
            open_, title = [], None
        open_.append(line)
        if method == "goto":
            call = _call(line)
            first = call.args[0] if call and call.args else None
            address = str(first.value) if isinstance(first, ast.Constant) else "a page"
            title = f"opens {address}"
        elif method in _SENDS and title is None:
            title = f"clicks {_words(line)}"
    if open_:
        yield title or "looks at the page", open_


def _words(line: str) -> str:
    """Return what is clicked, in words."""
    found = re.search(r"name=(['\"])(.+?)\1", line) or re.search(r"get_by_\w+\((['\"])(.+?)\1", line)
    return found[2] if found else "something"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

"""The templates of notices: in the user's repository, a folder for each language, else the shipped ones.

`LANGUAGE/NAME.txt` is a notice: its first line is `Subject: …`, its text follows an empty line. Its HTML is made from the
text with `layout.html`, or is `LANGUAGE/NAME.html` where that is there. Templates are Jinja's, sandboxed: they see the values
that they are given and nothing else, and a value that is missing is an error. Values in HTML are escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pytest_deploygate.files import bounded, sha256
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.notices import blocks, lacking, placeholders
from pytest_deploygate.problems import Problem, nearest

LAYOUT = "layout.html"
_SUBJECT = "Subject:"
#: RFC 5322, section 2.1.1; longer ones are folded, and cut by most programs.
_MOST_SUBJECT = 200
SHIPPED = ("pre-deployment", "success", "status", "incident", "rollback", "handover")


@dataclass(frozen=True)
class Template:
    """A notice in one language. `html` is None where it is made from the text; `file` is what messages name."""

    name: str
    language: str
    file: str
    text: str
    html_file: str
    html: str | None
    layout_file: str
    layout: str

    @property
    def digest(self) -> str:
        """The SHA-256 of all of it."""
        return sha256("\0".join((self.text, self.html or "", self.layout)).encode())


@dataclass(frozen=True)
class Rendered:
    """A notice for one recipient."""

    subject: str
    text: str
    html: str


class UnrenderableError(ValueError):
    """A template cannot be rendered; `problems` say why, each with its file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def shipped_folder() -> Path:
    """Return the folder of the shipped templates."""
    return Path(str(resources.files("pytest_deploygate.notices") / "shipped"))


def names(folder: Path | None, language: str) -> list[str]:
    """Return the names of the templates that there are in a language."""
    return sorted(path.stem for path in ((folder or shipped_folder()) / language).glob("*.txt"))


def languages(folder: Path | None) -> list[str]:
    """Return the languages that there are templates in."""
    base = folder or shipped_folder()
    return sorted(path.name for path in base.glob("*") if path.is_dir() and any(path.glob("*.txt")))


def load(folder: Path | None, language: str, name: str) -> Template:
    """Read a template; `folder` is None for the shipped ones. Raises UnrenderableError."""
    base = folder or shipped_folder()
    file = base / language / f"{name}.txt"
    text = _read(file)
    if text is None:
        known = languages(folder)
        if language not in known:
            raise UnrenderableError(
                [
                    Problem(
                        str(base / language),
                        0,
                        f"there are no templates in {language!r}{nearest(language, known)}",
                    )
                ]
            )
        raise UnrenderableError(
            [
                Problem(
                    str(file),
                    0,
                    f"there is no template {name!r} in {language!r}{nearest(name, names(folder, language))}",
                )
            ]
        )
    html_file = file.with_suffix(".html")
    layout_file = next(
        path
        for path in (base / language / LAYOUT, base / LAYOUT, shipped_folder() / LAYOUT)
        if path.is_file()
    )
    return Template(
        name,
        language,
        shown(file),
        text,
        shown(html_file),
        _read(html_file),
        shown(layout_file),
        _read(layout_file) or "",
    )


def shown(path: Path) -> str:
    """Return a path as messages name it: relative to where the command runs, if it is below."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(path)


def _read(file: Path) -> str | None:
    try:
        return bounded.text(file).replace("\r\n", "\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnrenderableError([Problem(shown(file), 0, f"cannot be read: {error.strerror}")]) from None
    except bounded.OddTextError as error:
        raise UnrenderableError([Problem(shown(file), error.line, str(error))]) from None


def render(template: Template, values: Mapping[str, Any], add: Mapping[str, str]) -> Rendered:
    """Render a notice. `add` says for values that may be missing what to add where. Raises UnrenderableError.

    All that is wrong with a template is reported at once.
    """
    wrong = [*_left(template), *_missing(template.file, template.text, values, add)]
    if template.html is not None:
        wrong += _missing(template.html_file, template.html, values, add)
    first, _, rest = template.text.partition("\n")
    if not first.startswith(_SUBJECT) or rest.partition("\n")[0].strip():
        wrong.append(
            Problem(template.file, 1, f"the first line must be `{_SUBJECT} …`, and the second one empty")
        )
    if wrong:
        raise UnrenderableError(wrong)
    whole = _rendered(template.file, template.text, values, html=False)
    subject, _, text = whole.partition("\n")
    subject = " ".join(subject.removeprefix(_SUBJECT).split())
    text = _tidy(text)
    if not subject or len(subject) > _MOST_SUBJECT:
        raise UnrenderableError(
            [
                Problem(
                    template.file,
                    1,
                    f"the subject has {len(subject)} characters; 1 to {_MOST_SUBJECT} are possible",
                )
            ]
        )
    if template.html is not None:
        html = _rendered(template.html_file, template.html, {**values, "subject": subject}, html=True)
    else:
        told = {
            "subject": subject,
            "blocks": blocks.of(text),
            "language": template.language,
        }
        html = _rendered(template.layout_file, template.layout, told, html=True)
    lines = f"{subject}\n{text}".splitlines()
    brought = [(lines[n - 1], what) for n, what in placeholders.found(f"{subject}\n{text}")]
    if template.html is not None:
        brought += [(html.splitlines()[n - 1], what) for n, what in placeholders.in_source(html, html=True)]
    if brought:
        raise UnrenderableError(_brought(template, line, what, values) for line, what in brought)
    return Rendered(subject, text, html)


def _left(template: Template) -> list[Problem]:
    parts = [(template.file, template.text, False)]
    if template.html is not None:
        parts.append((template.html_file, template.html, True))
    return [
        Problem(
            file,
            line,
            f"the placeholder {what} is left in the template: write the value itself, or a `{{{{ name }}}}`",
        )
        for file, text, html in parts
        for line, what in placeholders.in_source(text, html=html)
    ]


def _missing(file: str, source: str, values: Mapping[str, Any], add: Mapping[str, str]) -> list[Problem]:
    """Return the values that a template uses and that are missing or empty, each at its first line."""
    environment = _environment(html=False)
    try:
        tree = environment.parse(source)
    except jinja2.TemplateSyntaxError as error:
        return [Problem(file, error.lineno, f"is no template: {error.message}")]
    known = {*values, *environment.globals}
    return [Problem(file, line, what) for line, what in lacking.found(tree, values, known, add)]


def _rendered(file: str, source: str, values: Mapping[str, Any], *, html: bool) -> str:
    environment = _environment(html=html)
    try:
        code = environment.compile(source, file, file)
        template = jinja2.Template.from_code(environment, code, environment.globals)
        return template.render(values)
    except jinja2.TemplateSyntaxError as error:
        raise UnrenderableError([Problem(file, error.lineno, f"is no template: {error.message}")]) from None
    except jinja2.TemplateError as error:
        raise UnrenderableError([Problem(file, _line_of(error, file), str(error.message or error))]) from None
    except Exception as error:  # noqa: BLE001 (an expression of the template may raise anything)
        raise UnrenderableError(
            [Problem(file, _line_of(error, file), f"{type(error).__name__}: {error}")]
        ) from None


def _environment(*, html: bool) -> jinja2.Environment:
    return ImmutableSandboxedEnvironment(
        autoescape=html,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _line_of(error: BaseException, file: str) -> int:
    """Return the line of a template that raised; Jinja gives the frames of templates their own lines."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _brought(template: Template, line: str, what: str, values: Mapping[str, Any]) -> Problem:
    """Return the problem of a placeholder that a value has: at the line that uses the value, as far as one can tell."""
    named = [name for name, value in values.items() if what in str(value)]
    at = lacking.first_line(_environment(html=False).parse(template.text), named[0]) if named else 0
    where = f"; it stands in the value {named[0]!r}" if named else ""
    return Problem(template.file, at, f"the placeholder {what} came in with a value: {_short(line)!r}{where}")


def _short(line: str) -> str:
    return line if len(line) < 80 else f"{line[:77]}…"


def _tidy(text: str) -> str:
    """Return a text without blanks at ends of lines, and with one empty line at most between paragraphs."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    kept = [line for n, line in enumerate(lines) if line or lines[n - 1]]
    return "\n".join(kept) + "\n"

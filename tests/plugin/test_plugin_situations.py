"""A table of decision situations: what the documentation says about each, and what the gate decides.

The expected exit codes and words are from README.md, docs/verdicts.md and docs/manual-items.md. A row is a situation of a
small project with an automated item of each severity in two phases, after which its last run is decided.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import forked
import pytest
from aged import age, rewrite
from project import Project, Ran

CHECKLIST = """\
# Release

## One {#one}
- [ ] Critical {#one.critical .automated .critical}
- [ ] Major {#one.major .automated}
- [ ] Minor {#one.minor .automated .minor}
- [ ] Audit {#one.audit .manual role=security-lead}

## Two {#two}
- [ ] Errors {#two.errors .automated .critical}
"""
#: Each test says what a file says, `pass` without one; `where` has two targets.
SUITE = """
from pathlib import Path
SAYS = Path(__file__).parents[1] / "says"

def said(gate, name):
    file = SAYS / name
    verdict, _, deferred = (file.read_text() if file.exists() else "pass").partition(" ")
    with (SAYS / "asked").open("a") as asked:
        asked.write(name + "\\n")
    gate.judge(lambda m, c: Judgement(Verdict(verdict), name + " says " + verdict, deferred_to=deferred), name, None)

@pytest.mark.item("one.critical")
def test_critical(gate):
    said(gate, "one.critical")

@pytest.mark.item("one.major")
@pytest.mark.parametrize("where", ["a", "b"])
def test_major(gate, where):
    said(gate, "one.major." + where)

@pytest.mark.item("one.minor")
def test_minor(gate):
    said(gate, "one.minor")
"""
OTHER = """
from test_suite import said

@pytest.mark.item("two.errors")
def test_errors(gate):
    said(gate, "two.errors")
"""


class Shop:
    """The project, with steps that change one thing each."""

    def __init__(self, project: Project) -> None:
        self.project, self.path = project, project.path
        (self.path / "suites" / "checklist.md").write_text(CHECKLIST)
        (self.path / "says").mkdir()
        project.suite(SUITE)
        project.suite(OTHER, "test_two.py")
        self.attest()

    @property
    def out(self) -> Path:
        return self.path / "deploygate-out" / "C1"

    def run(self, phase: str, *more: str, change: str = "C1") -> Ran:
        scope = ["-m", phase] if phase else []
        return self.project.run(*scope, "--change", change, *more)

    def says(self, name: str, verdict: str) -> None:
        (self.path / "says" / name).write_text(verdict)

    def asked(self) -> list[str]:
        file = self.path / "says" / "asked"
        found = file.read_text().split() if file.exists() else []
        file.unlink(missing_ok=True)
        return found

    def attest(self, days: float = 30, role: str = "security-lead") -> None:
        (self.path / "attestations").mkdir(exist_ok=True)
        (self.path / "attestations" / "audit.yml").write_text(
            f"item: one.audit\nrole: {role}\nname: Security lead\nat: {moment(-2)}\nvalid_until: {moment(days)}\n"
            "evidence:\n  - note: seen in the meeting\n    file: audit.txt\n    sha256: "
            f"{self._evidence()}\n"
        )

    def _evidence(self) -> str:
        from pytest_deploygate.files import sha256

        (self.path / "audit.txt").write_text("seen\n")
        return sha256(b"seen\n")

    def waive(self, item: str, days: float = 7) -> None:
        (self.path / "waivers").mkdir(exist_ok=True)
        (self.path / "waivers" / f"{item}.yml").write_text(
            f"item: {item}\nowner: Database admin\napprover: Operations\nticket: OPS-1\n"
            f"reason: it is replaced tomorrow\ncreated: {moment(-3)}\nexpires: {moment(days)}\n"
        )

    def checklist(self, before: str, after: str) -> None:
        file = self.path / "suites" / "checklist.md"
        assert before in file.read_text()
        file.write_text(file.read_text().replace(before, after))


def moment(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Row:
    """What happens before the last run, that run's arguments, its exit code, and words of its reasons."""

    name: str
    before: Callable[[Shop], object]
    last: tuple[str, ...]
    code: int
    words: str = ""
    #: Names of what the last run must have asked; None: not looked at.
    asked: tuple[str, ...] | None = None


ALL = ("one.critical", "one.major.a", "one.major.b", "one.minor")


def single() -> Iterator[Row]:
    """One run of one phase: the verdict of one item."""
    #: docs/verdicts.md: a critical or major item that failed (1), is inconclusive or is not covered (21) is HOLD.
    codes = {"pass": 0, "fail": 1, "inconclusive": 21, "not_covered": 21}
    # A verdict that only records may give ends inconclusive.
    codes |= {"waived": 21, "attested": 21, "not_applicable": 21}
    for name, (verdict, code) in itertools.product(ALL, codes.items()):
        weighty = name != "one.minor"
        yield Row(
            f"{name} says {verdict}",
            lambda shop, name=name, verdict=verdict: shop.says(name, verdict),
            ("one",),
            code if weighty else 0,
            "" if code == 0 else name if weighty else "minor and not passed",
        )
        if verdict in ("fail", "inconclusive", "not_covered"):
            item = name.removesuffix(".a").removesuffix(".b")
            for days, waived in ((7, True), (-1, False)):
                yield Row(
                    f"{name} says {verdict}, with a waiver that ends in {days} days",
                    lambda shop, n=name, v=verdict, i=item, d=days: (shop.says(n, v), shop.waive(i, d)),
                    ("one",),
                    0 if waived or not weighty else 1,
                    f"waived: {item}" if waived else "",
                )


def selections() -> Iterator[Row]:
    """A run that leaves out a target of an item is incomplete: 25."""
    suite = "suites/test_suite.py"
    narrow = [
        (f"{suite}::test_major[a]",),
        (f"{suite}::test_critical",),
        (suite, "-k", "critical"),
        ("-k", "not b"),
        ("--deselect", f"{suite}::test_major[b]"),
        ("--deselect", f"{suite}::test_minor"),
        ("suites/test_two.py",),
        ("--ignore", suite),
        ("--items", "one.major", f"{suite}::test_major[a]"),
        ("--items", "one.major", "-k", "a]"),
        ("--items", "one.critical", "--deselect", f"{suite}::test_critical"),
    ]
    for ini, args in itertools.product(("testpaths", "none", "-c"), narrow):
        more = ("-c", "other.ini") if ini == "-c" else ()
        yield Row(
            f"{ini}: {' '.join(args)}", lambda shop, ini=ini: settings(shop, ini), ("one", *args, *more), 25
        )
        if "--items" in args:
            yield Row(
                f"{ini}: all targets of {args[1]}, not {args[-1]}",
                lambda shop, ini=ini: settings(shop, ini),
                ("one", *args[:2], *more),
                0,
            )
    for mark in ("@pytest.mark.item(ITEM)", "@MARK"):
        names = 'ITEM = "one.major"\nMARK = pytest.mark.item("one.major")\n'
        yield Row(
            f"a mark by name: {mark}",
            lambda shop, mark=mark, names=names: shop.project.suite(
                f"{names}\n{mark}\ndef test_more(gate):\n    says(gate)\n", "test_named.py"
            ),
            ("one", suite),
            25,
            "test_named.py",
        )
    yield Row(
        "a mark by a name of another file",
        lambda shop: shop.project.suite(
            "from elsewhere import ITEM\n\n@pytest.mark.item(ITEM)\ndef test_more(gate):\n    says(gate)\n",
            "test_named.py",
        ),
        ("one", suite),
        25,
        "cannot be read from the source",
    )
    yield Row("last failed", last_failed, ("one", "--lf", "-p", "cacheprovider"), 25)
    yield Row(
        "last failed of one item",
        last_failed,
        ("one", "--items", "one.major", "--lf", "-p", "cacheprovider"),
        25,
        "test_major[a]",
    )
    yield Row("other testpaths", nothing, ("one", "-o", "testpaths=suites/test_two.py"), 25)
    yield Row("other python_files", nothing, ("one", "-o", "python_files=test_two.py"), 25)
    yield Row("other python_functions", nothing, ("one", "-o", "python_functions=test_m*"), 25)
    yield Row("a marker with an argument", nothing, ("one(where='a')",), 25)


def settings(shop: Shop, ini: str) -> None:
    text = "[pytest]\naddopts = -p no:cacheprovider\n"
    if ini == "none":
        (shop.path / "pytest.ini").write_text(text)
    if ini == "-c":
        (shop.path / "other.ini").write_text(text)


def last_failed(shop: Shop) -> None:
    (shop.path / "pytest.ini").write_text("[pytest]\ntestpaths = suites\n")
    shop.says("one.major.b", "fail")
    shop.run("one")
    shop.says("one.major.b", "pass")


def chains() -> Iterator[Row]:
    """A later phase rests on the GO of the one before."""

    def after(*steps: Callable[[Shop], object]) -> Callable[[Shop], object]:
        def happens(shop: Shop) -> None:
            assert shop.run("one").code == 0
            for step in steps:
                step(shop)

        return happens

    def items(item: str, name: str, verdict: str) -> Callable[[Shop], object]:
        return lambda shop: (shop.says(name, verdict), shop.run("", "--items", item))

    def waived(*steps: Callable[[Shop], object]) -> Callable[[Shop], object]:
        def happens(shop: Shop) -> None:
            shop.says("one.major.a", "fail")
            shop.waive("one.major")
            assert shop.run("one").code == 0
            for step in steps:
                step(shop)

        return happens

    rows: list[tuple[str, Callable[[Shop], object], int, str]] = [
        ("nothing else", after(), 0, ""),
        ("no run before", nothing, 21, "one has no decision"),
        (
            "one was held",
            lambda shop: (shop.says("one.critical", "fail"), shop.run("one")),
            21,
            "was decided HOLD",
        ),
        ("a GO of 23 h", after(lambda shop: age(shop.out, 23)), 0, ""),
        ("a GO of 25 h", after(lambda shop: age(shop.out, 25)), 21, "older than 24 h"),
        ("a GO in the future", after(lambda shop: age(shop.out, -2)), 21, "in the future"),
        (
            "the clock stepped forward",
            after(lambda shop: age(shop.out, 2, clock_only=True)),
            0,
            "clock stepped forward",
        ),
        (
            "the clock stepped back",
            after(lambda shop: age(shop.out, -2, clock_only=True)),
            21,
            "clock stepped back",
        ),
        (
            "an inventory changed",
            after(lambda shop: shop.project.inventory("name: prod\ndescription: x\n")),
            21,
            "was changed since",
        ),
        (
            "an inventory of another name",
            after(lambda shop: shop.project.inventory("name: other\n")),
            21,
            "for the inventory prod",
        ),
        (
            "a severity raised",
            after(lambda shop: shop.checklist("{#one.minor .automated .minor}", "{#one.minor .automated}")),
            21,
            "one.minor was minor and is major now",
        ),
        (
            "a line added",
            after(lambda shop: shop.checklist("## Two", "- [ ] More {#one.more .automated}\n\n## Two")),
            21,
            "checklist was changed",
        ),
        (
            "another phase's line added",
            after(
                lambda shop: shop.checklist(
                    "- [ ] Errors", "- [ ] More {#two.more .minor .automated}\n- [ ] Errors"
                )
            ),
            21,
            "checklist was changed",
        ),
        ("a folder copied from another change", copied, 21, "runs of the change C0"),
        ("one folder for two changes", shared, 21, "runs of the change C0"),
        (
            "an attestation gone",
            after(lambda shop: (shop.path / "attestations/audit.yml").unlink()),
            21,
            "attests one.audit",
        ),
        ("an attestation over", after(lambda shop: shop.attest(-1)), 21, "attests one.audit"),
        ("an attestation made again", after(lambda shop: shop.attest(60)), 0, ""),
        ("a waiver still there", waived(), 0, ""),
        (
            "a waiver gone",
            waived(lambda shop: (shop.path / "waivers/one.major.yml").unlink()),
            21,
            "one.major was waived in the GO",
        ),
        ("a waiver over", waived(lambda shop: shop.waive("one.major", -1)), 21, "waiver expired"),
        (
            "a waiver for another item",
            waived(lambda shop: ((shop.path / "waivers/one.major.yml").unlink(), shop.waive("one.minor"))),
            21,
            "one.major was waived in the GO",
        ),
        ("a waiver made longer", waived(lambda shop: shop.waive("one.major", 14)), 0, ""),
        ("a run without a decision", after(killed), 21, "ended without a decision"),
    ]
    for name, before, code, words in rows:
        yield Row(f"chain: {name}", before, ("two",), code, words)
    for name, verdict in itertools.product(
        ("one.critical", "one.major.a", "one.minor"), ("fail", "inconclusive", "not_covered")
    ):
        item = name.removesuffix(".a")
        code = 0 if item == "one.minor" else 21
        yield Row(
            f"chain: {name} is {verdict} since",
            after(items(item, name, verdict)),
            ("two",),
            code,
            item if code else "",
        )
        yield Row(
            f"chain: {name} was {verdict} and passes again",
            after(items(item, name, verdict), items(item, name, "pass")),
            ("two",),
            0,
        )
        yield Row(
            f"chain: {name} is {verdict} since, and waived",
            after(items(item, name, verdict), lambda shop, item=item: shop.waive(item)),
            ("two",),
            0,
        )
    yield Row(
        "chain: a failure since is not mended on another inventory",
        after(items("one.major", "one.major.a", "fail"), elsewhere),
        ("two",),
        21,
        "one.major",
    )
    yield Row("chain: a GO on another inventory since", after(elsewhere), ("two",), 0)
    yield Row("both phases at once", nothing, ("one or two",), 0)
    yield Row("without a change id nothing is chained", nothing, ("two", "--change", "local"), 0)


def elsewhere(shop: Shop) -> None:
    """Run the same phase and items on another inventory, where all is good."""
    shop.says("one.major.a", "pass")
    shop.project.inventory("name: staging\n", "staging")
    for scope in (("-m", "one"), ("--items", "one.major")):
        words = (*scope, "--change", "C1", "--inventory", "staging")
        assert shop.project.run(*words, gate=False).code == 0


def nothing(_: Shop) -> None:
    pass


def copied(shop: Shop) -> None:
    assert shop.run("one", change="C0").code == 0
    shutil.copytree(shop.path / "deploygate-out" / "C0", shop.out)


def shared(shop: Shop) -> None:
    assert shop.run("one", "--deploygate-out", str(shop.out), change="C0").code == 0
    shop.run("one")


def killed(shop: Shop) -> None:
    shop.run("one")
    runs = [
        line for line in (shop.out / "journal.jsonl").read_bytes().splitlines() if b'"kind":"run"' in line
    ]
    last = runs[-1].split(b'"run":"')[1].split(b'"')[0].decode()
    lines = (shop.out / "journal.jsonl").read_bytes().splitlines(keepends=True)
    keep = [n for n, line in enumerate(lines) if b'"kind":"decision"' in line and last.encode() in line]
    (shop.out / "journal.jsonl").write_bytes(b"".join(lines[: keep[0]]))


def resumes() -> Iterator[Row]:
    """`--resume` keeps what is as it was; people's records are judged in every run."""

    def after(*steps: Callable[[Shop], object]) -> Callable[[Shop], object]:
        def happens(shop: Shop) -> None:
            shop.run("one")
            for step in steps:
                step(shop)
            shop.asked()

        return happens

    def evidence(shop: Shop, how: Callable[[Path], object]) -> None:
        for file in (shop.out / "evidence").glob("one.critical*"):
            how(file)

    rows: list[tuple[str, Callable[[Shop], object], int, tuple[str, ...]]] = [
        ("at once", after(), 0, ()),
        ("after 23 h", after(lambda shop: age(shop.out, 23)), 0, ()),
        ("after 25 h", after(lambda shop: age(shop.out, 25)), 0, ALL),
        ("from the future", after(lambda shop: age(shop.out, -2)), 0, ALL),
        ("after a step forward", after(lambda shop: age(shop.out, 2, clock_only=True)), 0, ALL),
        ("after a step back", after(lambda shop: age(shop.out, -2, clock_only=True)), 0, ALL),
        (
            "with another inventory",
            after(lambda shop: shop.project.inventory("name: prod\ndescription: x\n")),
            0,
            ALL,
        ),
        ("with another checklist", after(lambda shop: shop.checklist("# Release", "# A release")), 0, ALL),
        ("with another source", after(lambda shop: shop.project.suite(SUITE + "# more\n")), 0, ALL),
        (
            "with another conftest",
            after(lambda shop: (shop.path / "suites/conftest.py").write_text("")),
            0,
            ALL,
        ),
        (
            "with another file's source",
            after(lambda shop: shop.project.suite(OTHER + "# more\n", "test_two.py")),
            0,
            (),
        ),
        ("by another version", after(lambda shop: rewrite(shop.out, of_another_version)), 0, ALL),
        ("without an evidence file", after(lambda shop: evidence(shop, Path.unlink)), 0, ("one.critical",)),
        (
            "with an altered evidence file",
            after(lambda shop: evidence(shop, lambda file: file.write_text("x"))),
            0,
            ("one.critical",),
        ),
        ("an attestation gone", after(lambda shop: (shop.path / "attestations/audit.yml").unlink()), 21, ()),
        ("an attestation over", after(lambda shop: shop.attest(-1)), 1, ()),
        (
            "the evidence of an attestation altered",
            after(lambda shop: (shop.path / "audit.txt").write_text("other")),
            1,
            (),
        ),
    ]
    for name, before, code, asked in rows:
        yield Row(f"resume: {name}", before, ("one", "--resume"), code, "", asked)
    for hours in (20, 40, 60, 80, 100):
        yield Row(
            f"resume: a pass ages over {hours} h",
            lambda shop, hours=hours: aging(shop, hours),
            ("one", "--resume"),
            0 if hours == 20 else 1,
        )
    yield Row(
        "resume: what failed is asked again",
        lambda shop: (
            shop.says("one.critical", "fail"),
            shop.run("one"),
            shop.says("one.critical", "pass"),
            shop.asked(),
        ),
        ("one", "--resume"),
        0,
        "",
        ("one.critical",),
    )
    yield Row("resume: a waiver gone", waiver_gone, ("one", "--resume"), 1, "one.major")
    yield Row("resume: a chain through another inventory", through_another, ("one", "--resume"), 0, "", ALL)


def aging(shop: Shop, hours: int) -> None:
    """Resume every 20 hours; the system is broken from the first day on."""
    shop.run("one")
    shop.says("one.critical", "fail")
    for step in range(20, hours + 1, 20):
        age(shop.out, 20)
        if step < hours:
            shop.run("one", "--resume")


def of_another_version(line: dict[str, object]) -> None:
    if line["kind"] == "run":
        line["versions"] = {**line["versions"], "pytest-deploygate": "0.0.1"}  # type: ignore[dict-item]


def waiver_gone(shop: Shop) -> None:
    shop.says("one.major.a", "fail")
    shop.waive("one.major")
    shop.run("one")
    (shop.path / "waivers/one.major.yml").unlink()


def through_another(shop: Shop) -> None:
    """A run with another inventory keeps nothing; a later one with it keeps nothing of the first either."""
    shop.run("one")
    shop.project.inventory("name: prod\ndescription: x\n")
    shop.run("one", "--resume", "--deselect", "suites/test_suite.py")
    shop.asked()


def deferred() -> Iterator[Row]:
    """An item that waits for a later phase does not hold before it; nothing comes after the last one."""
    for phase, scope, code in (
        ("two", "one", 0),
        ("two", "one or two", 21),
        ("two", "", 21),
        ("one", "one", 0),
        ("three", "one", 21),
    ):
        yield Row(
            f"deferred to {phase}, run of {scope or 'everything'}",
            lambda shop, phase=phase: shop.says("one.critical", f"inconclusive {phase}"),
            (scope,),
            code,
            "one.critical",
        )


ROWS = [*single(), *selections(), *chains(), *resumes(), *deferred()]


def test_there_are_enough_rows() -> None:
    assert len(ROWS) >= 120
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_situation(project: Project, row: Row) -> None:
    shop = Shop(project)
    row.before(shop)
    shop.asked()
    ran = shop.run(*row.last)
    said = " ".join(ran.text.split())
    assert ran.code == row.code, ran.text
    assert ("GO:" in said or "GO with" in said) is (row.code == 0), ran.text
    assert row.words in said, ran.text
    if row.asked is not None:
        assert sorted(name for name in shop.asked() if name in ALL) == sorted(row.asked), ran.text


def test_verify_names_the_change_that_a_folder_was_written_for(project: Project) -> None:
    shop = Shop(project)
    copied(shop)
    said = commanded(project, "verify", "--change", "C1")
    assert said.code == 25
    assert "written for the change C0, not for C1" in said.text
    assert commanded(project, "verify", "--change", "C0").code == 26, "unsigned, and of its change"
    folder = str(shop.out)
    assert commanded(project, "verify", folder, "--change", "C1").code == 25
    assert commanded(project, "verify", folder).code == 26
    decided = commanded(project, "decide", "--change", "C1")
    assert decided.code == 4
    assert "written for the change C0" in decided.text
    shop.run("two")
    said = commanded(project, "verify", folder)
    assert said.code == 25
    assert "runs of 2 changes: C0, C1" in said.text


def commanded(project: Project, *words: str) -> Ran:
    done = forked.run("pytest_deploygate", words, cwd=project.path)
    return Ran(done.returncode, " ".join((done.stdout + done.stderr).split()))


@pytest.mark.parametrize(
    "option",
    [
        "--fixtures",
        "--fixtures-per-test",
        "--markers",
        "--collect-only",
        "--setup-plan",
        "--setup-only",
        "--cache-show",
    ],
)
def test_an_option_that_only_shows_something_records_nothing(project: Project, option: str) -> None:
    shop = Shop(project)
    shop.run("one", option, "-p", "cacheprovider")
    assert not shop.out.exists()


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_values_of_references_are_compared_and_never_written(
    project: Project, workers: tuple[str, ...]
) -> None:
    project.inventory(
        "name: prod\ndatabase:\n  name: x\n  user: y\n  password: env:DB_PASSWORD\n  primary: 127.0.0.1\n"
    )
    shop = Shop(project)

    def run(password: str) -> list[str]:
        shop.asked()
        words = ("-m", "one", "--change", "C1", "--resume", *workers)
        ran = project.run_process(*words, DB_PASSWORD=password)
        assert ran.code == 0, ran.text
        return sorted(name for name in shop.asked() if name in ALL)

    assert run("first-password") == sorted(ALL)
    assert run("first-password") == []
    assert run("other-password") == sorted(ALL)
    text = (shop.out / "journal.jsonl").read_text()
    assert "first-password" not in text
    assert (shop.out / ".key").stat().st_mode & 0o777 == 0o600
    assert (shop.out / ".key").read_bytes().hex() not in text
    (shop.out / ".key").unlink()
    assert run("other-password") == sorted(ALL), "digests of another key say nothing"

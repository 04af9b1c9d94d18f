"""Collects what a judge finds and combines it: wrong before unknown, and a pass only if something was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from pytest_deploygate.judging.sentences import Said, listed
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Verdict, deferred


@dataclass()
class Collector:
    """What is wrong, what is unknown, what is worth a note, and what was read.

    `about` precedes the reason of a failure or unknown. At most `most` sentences are given, None for all of them.
    `confirmed` applies to a failure: the observation was repeated, or need not be.
    """

    about: str = ""
    most: int | None = None
    confirmed: bool = False
    _wrong: list[Said] = field(default_factory=list)
    _unknown: list[tuple[Said, str]] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)
    _readings: list[Reading] = field(default_factory=list)

    def wrong(self, *sentences: str, where: str = "") -> None:
        """Add what is wrong at a place."""
        self._wrong += [(where, text) for text in sentences]

    def unknown(self, *sentences: str, where: str = "", deferred_to: str = "") -> None:
        """Add what could not be determined, at a place; `deferred_to` is the phase after which it can be."""
        self._unknown += [((where, text), deferred_to) for text in sentences]

    def note(self, *sentences: str, where: str = "") -> None:
        """Add warnings that change no verdict."""
        self._notes += [f"{where}: {text}" if where else text for text in sentences]

    def read(self, *readings: Reading) -> None:
        """Add what was read."""
        self._readings += readings

    @property
    def failed(self) -> bool:
        """True once something is wrong."""
        return bool(self._wrong)

    def judgement(self, good: Callable[[], str]) -> Judgement:
        """Fail if anything is wrong, else be inconclusive if anything is unknown or nothing was read, else pass.

        A failure has a reading that is not ok: if none was given, the number of things that are wrong.

        `good` returns the sentence of a pass, and is called only for one. Raises ValueError for an empty one.
        """
        if self._wrong:
            if not any(reading.ok is False for reading in self._readings):
                # Not everything that can be wrong has a reading of its own; a failure without one would show all met.
                number = len({what for _, what in self._wrong})
                self._readings.insert(0, Reading("points not as required", number, limit="0", ok=False))
            return self._judgement(Verdict.FAIL, self._words(self._wrong), confirmed=self.confirmed)
        if self._unknown:
            parts = [Judgement(Verdict.INCONCLUSIVE, "", deferred_to=phase) for _, phase in self._unknown]
            words = self._words([said for said, _ in self._unknown])
            return self._judgement(Verdict.INCONCLUSIVE, words, deferred_to=deferred(parts))
        if not self._readings:
            return self._judgement(Verdict.INCONCLUSIVE, self._words([("", "nothing was measured")]))
        sentence = good()
        if not sentence:
            raise ValueError("a pass needs a sentence that says what was measured")
        return self._judgement(Verdict.PASS, sentence)

    def _words(self, said: list[Said]) -> str:
        words = listed(said, len(said) if self.most is None else self.most)
        return f"{self.about}: {words}" if self.about else words

    def _judgement(
        self, verdict: Verdict, reason: str, *, deferred_to: str = "", confirmed: bool = False
    ) -> Judgement:
        return Judgement(
            verdict,
            reason,
            tuple(self._readings),
            tuple(dict.fromkeys(self._notes)),
            deferred_to=deferred_to,
            confirmed=confirmed,
        )

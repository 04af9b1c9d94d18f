"""Judges, pure: a measurement and a criterion in, a judgement out."""

from __future__ import annotations

from pytest_deploygate.checks.tls.judge.certificates import ExpectedCertificates, judge_certificates
from pytest_deploygate.checks.tls.judge.protocols import ExpectedProtocols, judge_protocols

__all__ = ["ExpectedCertificates", "ExpectedProtocols", "judge_certificates", "judge_protocols"]

"""Content security policies (CSP level 3), read and rated as Mozilla's Observatory does."""

from __future__ import annotations

_BROAD = frozenset(("ftp:", "http:", "https:", "*", "http://*", "http://*.*", "https://*", "https://*.*"))
_UNSAFE = _BROAD | {"'unsafe-inline'", "data:"}
_PASSIVE = ("img-src", "media-src")
_NONCES = ("'nonce-", "'sha256-", "'sha384-", "'sha512-")
_SHORTEST_POLICY = 6

Policy = dict[str, set[str]]


def parsed(text: str) -> Policy | None:
    """Parse one policy; None if it is not one, or if it has a directive twice."""
    found: Policy = {}
    for words in (directive.lower().split() for directive in text.split(";")):
        if not words:
            continue
        name, *sources = words
        if name in found and name not in ("report-uri", "report-to"):
            return None
        empty = {"'none'"} if name.endswith("-src") else set()
        found.setdefault(name, set(sources) or empty)
    return found if len(text.strip()) >= _SHORTEST_POLICY else None


def together(policies: list[Policy]) -> Policy:
    """Merge policies: for each directive, what all policies that have it allow."""
    merged: Policy = {}
    for policy in policies:
        for name, sources in policy.items():
            merged[name] = (merged[name] & sources or {"'none'"}) if name in merged else set(sources)
    return merged


def rated(policy: Policy) -> str:
    """Return the result for a policy that was sent."""
    default = policy.get("default-src", {"*"})
    script, style = set(policy.get("script-src", default)), set(policy.get("style-src", default))
    objects = policy.get("object-src", default)
    for sources in (script, style):
        if _has_nonce(sources):
            sources.discard("'unsafe-inline'")
    if "'strict-dynamic'" in script:
        if not _has_nonce(script):
            return "csp-invalid"
        # Browsers that support it ignore schemes, hosts and 'self' next to it.
        script = {s for s in script if not s.startswith(tuple(_BROAD)) and s != "'self'"}
    if script & _UNSAFE or objects & _BROAD:
        return "csp-unsafe-inline"
    active = set().union(*(s for d, s in policy.items() if d not in (*_PASSIVE, "script-src")), script)
    if any(source.startswith(("http:", "ftp:")) for source in active):
        return "csp-insecure-scheme"
    if "'unsafe-eval'" in script | style:
        return "csp-unsafe-eval"
    passive = set().union(*(policy.get(d, policy.get("default-src", set())) for d in _PASSIVE))
    if any(source.startswith(("http:", "ftp:")) for source in passive):
        return "csp-insecure-scheme-passive"
    if style & _UNSAFE:
        return "csp-unsafe-style-only"
    return "csp-none-by-default" if policy.get("default-src") == {"'none'"} else "csp-without-unsafe"


def _has_nonce(sources: set[str]) -> bool:
    return any(source.startswith(_NONCES) for source in sources)

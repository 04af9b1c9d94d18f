"""What NSEC and NSEC3 records prove: which names and types do not exist (RFC 4035 section 5.4, RFC 5155 section 8)."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any

import dns.dnssec
import dns.exception
import dns.name
import dns.rdatatype
import dns.rrset

Records = Sequence[dns.rrset.RRset]
_OPT_OUT = 1


def lacking(records: Records, name: dns.name.Name, kind: Any, zone: dns.name.Name, *, exists: bool) -> str:
    """Say what signed records do not prove about a question without an answer; empty if they prove all of it.

    `exists`: the answer says that the name is there, only not with this type. Another type of record is not looked at.
    """
    of3 = [r for r in records if r.rdtype == dns.rdatatype.NSEC3]
    if exists:
        proven = (_no_type3 if of3 else _no_type)(of3 or records, name, kind, zone)
        return "" if proven else f"that {name.to_text(omit_final_dot=True)} has no such record"
    proven = (_no_name3 if of3 else _no_name)(of3 or records, name, zone)
    return (
        ""
        if proven
        else f"that neither {name.to_text(omit_final_dot=True)} nor a wildcard in its place is there"
    )


def lacking_before_wildcard(records: Records, name: dns.name.Name, labels: int) -> str:
    """Say that records do not prove that the name of an answer, made of a wildcard, is not there itself; else nothing.

    `labels` are those that the signature counts: the name below which the wildcard is.
    """
    of3 = [r for r in records if r.rdtype == dns.rdatatype.NSEC3]
    closer = dns.name.Name(name.labels[-labels - 2 :])
    proven = _covered3(of3, closer) if of3 else _covered(records, name)
    return "" if proven else f"that {name.to_text(omit_final_dot=True)} is not there itself"


def _nsec(records: Records) -> Iterator[tuple[dns.name.Name, Any]]:
    yield from ((r.name, one) for r in records if r.rdtype == dns.rdatatype.NSEC for one in r)


def _has(record: Any, kind: Any) -> bool:
    """Tell whether a type is in the record's list of those that are there."""
    window, rest = divmod(int(kind), 256)
    for number, bits in record.windows:
        if number == window and rest // 8 < len(bits):
            return bool(bits[rest // 8] & (0x80 >> rest % 8))
    return False


def _without(record: Any, kind: Any) -> bool:
    return not _has(record, kind) and not _has(record, dns.rdatatype.CNAME)


def _covered(records: Records, name: dns.name.Name) -> bool:
    """Tell whether a name lies between an owner and its next name; an owner that is the last is followed by the zone's own."""
    return any(
        owner < name and (name < one.next or not one.next > owner) and not one.next.is_subdomain(name)
        for owner, one in _nsec(records)
    )


def _no_type(records: Records, name: dns.name.Name, kind: Any, zone: dns.name.Name) -> bool:
    if any(owner == name and _without(one, kind) for owner, one in _nsec(records)):
        return True
    if any(owner < name and one.next.is_subdomain(name) for owner, one in _nsec(records)):
        return True  # only names below it are there
    return _covered(records, name) and any(
        owner == _wildcard(above) and _without(one, kind)
        for above in _above(name, zone)
        for owner, one in _nsec(records)
    )


def _no_name(records: Records, name: dns.name.Name, zone: dns.name.Name) -> bool:
    known = {one for owner, record in _nsec(records) for one in (owner, record.next)}
    closest = next((above for above in _above(name, zone) if any(k.is_subdomain(above) for k in known)), zone)
    return _covered(records, name) and _covered(records, _wildcard(closest))


def _above(name: dns.name.Name, zone: dns.name.Name) -> Iterator[dns.name.Name]:
    """Yield the names above a name up to the zone's own, nearest first."""
    while name != zone and name.is_subdomain(zone):
        name = name.parent()
        yield name


def _wildcard(above: dns.name.Name) -> dns.name.Name:
    return dns.name.Name((b"*", *above.labels))


def _hashed(name: dns.name.Name, one: Any) -> str:
    return dns.dnssec.nsec3_hash(name, one.salt, one.iterations, one.algorithm).lower()


def _nsec3(records: Records) -> Iterator[tuple[str, str, Any]]:
    """Yield each record with its own hash and the next one, in the letters that owners have."""
    for rrset in records:
        for one in rrset:
            following = base64.b32hexencode(one.next).decode().lower().rstrip("=")
            yield rrset.name.labels[0].decode().lower(), following, one


def _there3(records: Records, name: dns.name.Name) -> Any | None:
    return next((one for own, _, one in _nsec3(records) if own == _hashed(name, one)), None)


def _covered3(records: Records, name: dns.name.Name) -> bool:
    for own, following, one in _nsec3(records):
        hashed = _hashed(name, one)
        if own < hashed < following or (following <= own and (hashed > own or hashed < following)):
            return True
    return False


def _closest3(
    records: Records, name: dns.name.Name, zone: dns.name.Name
) -> tuple[dns.name.Name, bool] | None:
    """Return the nearest name above that is there, if the one between them is covered; and whether zones there may be unsigned."""
    closer = name
    for above in _above(name, zone):
        if _there3(records, above) is not None:
            opted = any(one.flags & _OPT_OUT for *_, one in _nsec3(records))
            return (above, opted) if _covered3(records, closer) else None
        closer = above
    return None


def _no_type3(records: Records, name: dns.name.Name, kind: Any, zone: dns.name.Name) -> bool:
    found = _there3(records, name)
    if found is not None:
        return _without(found, kind)
    closest = _closest3(records, name, zone)
    if closest is None:
        return False
    wild = _there3(records, _wildcard(closest[0]))
    return closest[1] if wild is None else _without(wild, kind)


def _no_name3(records: Records, name: dns.name.Name, zone: dns.name.Name) -> bool:
    closest = _closest3(records, name, zone)
    return closest is not None and _covered3(records, _wildcard(closest[0]))

"""Who to call: a contact for each role of the change. Subjects below the inventory use it, too (`fields.contacts`)."""

from pytest_deploygate.fields.contacts import Contact

__all__ = ["Contact"]

"""Who is on call: at every time of the window somebody is, and each of them is in the contact list."""

__all__ = ["judge", "probe"]

"""Notices to the people around a deployment: templates, messages, the record of what was sent, and sending.

Only the command line sends (`sending`, `smtp`, `web`): no run of the gate imports these.
"""

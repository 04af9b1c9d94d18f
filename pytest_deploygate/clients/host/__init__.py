"""Access to hosts: a shell here, over SSH, or as another user."""

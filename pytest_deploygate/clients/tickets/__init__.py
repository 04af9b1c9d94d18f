"""Change tickets in ServiceNow, Jira, GitHub and GitLab: attaching to them, and reading what state they are in."""

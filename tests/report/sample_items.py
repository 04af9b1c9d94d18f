"""The 104 items and 12 criteria of the shipped checklist, as the sample record needs them. No tests here."""

from __future__ import annotations

from pytest_deploygate.model import Item, Kind, Phase, Severity

PHASES = (
    Phase("preflight", "Pre-Deployment", "T-7 days"),
    Phase("morning", "Morning", "6:00 AM - 12:00 PM"),
    Phase("phase1", "Deployment Phase 1: Infrastructure", "12:00 PM - 2:00 PM"),
    Phase("phase2", "Deployment Phase 2: Database", "2:00 PM - 4:00 PM"),
    Phase("phase3", "Deployment Phase 3: Application", "4:00 PM - 6:00 PM"),
    Phase("phase4", "Deployment Phase 4: Data Migration", "6:00 PM - 10:00 PM"),
    Phase("golive", "Go-Live", "10:00 PM - 12:00 AM"),
    Phase("postdeploy", "Morning Checks", "6:00 AM - 9:00 AM"),
    Phase("stabilization", "Stabilization", "9:00 AM - 5:00 PM"),
    Phase("handover", "Handover", "5:00 PM - 6:00 PM"),
    Phase("criteria", "Success Criteria"),
)

# phase, area, prefix, then `name=text` joined by |.
LISTS = (
    (
        "preflight",
        "infrastructure",
        "infra",
        (
            "servers=Provision production servers (minimum 3 nodes for HA)|load-balancer=Configure load balancer with health checks"
            "|cdn=Set up CDN for static assets|dns-failover=Configure DNS with failover|certificates=Provision SSL certificates"
            "|monitoring=Set up monitoring infrastructure|backup-system=Configure backup systems"
            "|disaster-recovery=Test disaster recovery procedures"
        ),
    ),
    (
        "preflight",
        "database",
        "db",
        (
            "cluster=Provision TimescaleDB cluster|replication=Configure replication (primary + 2 replicas)"
            "|continuous-backup=Set up continuous backups|restore=Test restore procedures|pooling=Configure connection pooling"
            "|monitoring-queries=Set up monitoring queries|retention=Implement retention policies|partitioning=Verify partition strategy"
        ),
    ),
    (
        "preflight",
        "security",
        "sec",
        (
            "audit=Security audit completed|pentest=Penetration testing passed|tls=SSL/TLS configuration verified"
            "|firewall=Firewall rules configured|waf=WAF rules implemented|ddos=DDoS protection enabled"
            "|secrets=Secrets management configured|access-logs=Access logs enabled"
        ),
    ),
    (
        "preflight",
        "compliance",
        "comp",
        (
            "iso=ISO certification documents ready|gdpr=GDPR compliance verified|dpa=Data processing agreements signed"
            "|privacy-policy=Privacy policy updated|terms=Terms of service reviewed|audit-trail=Audit trail tested"
            "|retention=Retention policies implemented|erasure=Right to erasure tested"
        ),
    ),
    (
        "morning",
        "",
        "day",
        (
            "final-backup=Final backup of existing system|briefing=Deployment team briefing|stakeholders=Communication sent to stakeholders"
            "|dashboards=Monitoring dashboards open|support=Support team on standby|rollback-plan=Rollback plan reviewed"
            "|customers=Customer notifications sent|maintenance-page=Maintenance page ready"
        ),
    ),
    (
        "phase1",
        "infrastructure",
        "phase1",
        (
            "stack=Deploy infrastructure stack|services=Verify all services healthy|connectivity=Test internal connectivity"
            "|monitoring=Verify monitoring working|logs=Check log aggregation|alert-routing=Test alert routing"
            "|backup=Verify backup systems|issues=Document any issues"
        ),
    ),
    (
        "phase2",
        "database",
        "phase2",
        (
            "migrations=Run schema migrations|tables=Verify table structures|indexes=Create indexes"
            "|aggregates=Set up continuous aggregates|partitioning=Configure partitioning|replication=Test replication"
            "|backup-jobs=Verify backup jobs|validation=Run validation queries"
        ),
    ),
    (
        "phase3",
        "application",
        "phase3",
        (
            "containers=Deploy application containers|services=Verify all services started|api=Test API endpoints"
            "|auth=Verify authentication working|pipeline=Test real-time pipeline|alerts=Check alert system"
            "|integrations=Verify integrations|smoke=Run smoke tests"
        ),
    ),
    (
        "phase4",
        "migration",
        "phase4",
        (
            "start=Start data migration|progress=Monitor migration progress|integrity=Verify data integrity"
            "|sample-queries=Test sample queries|calculations=Validate calculations|history=Check historical data"
            "|aggregations=Verify aggregations|discrepancies=Document discrepancies"
        ),
    ),
    (
        "golive",
        "",
        "golive",
        (
            "dns=Switch DNS to new system|traffic=Monitor traffic flow|errors=Watch error rates"
            "|performance=Check performance metrics|logins=Verify user logins|workflows=Test critical workflows"
            "|resources=Monitor system resources|issues=Document any issues"
        ),
    ),
    (
        "postdeploy",
        "",
        "after",
        (
            "overnight=Review overnight metrics|error-logs=Check error logs|backup=Verify backup completed"
            "|performance=Review performance data|alerts=Check alert summary|workflows=Test user workflows"
            "|integrations=Verify integrations|tickets=Review support tickets"
        ),
    ),
    (
        "stabilization",
        "",
        "stab",
        (
            "issues=Address any issues found|slow-queries=Optimize slow queries|resources=Adjust resource allocation"
            "|caching=Fine-tune caching|documentation=Update documentation|support-brief=Brief support team"
            "|status=Communicate status|improvements=Plan improvements"
        ),
    ),
    (
        "handover",
        "",
        "hand",
        (
            "briefing=Operations team briefing|documentation=Documentation handover|runbook=Runbook review"
            "|contacts=Contact list updated|escalation=Escalation procedures confirmed|monitoring-access=Monitoring access verified"
            "|knowledge=Knowledge transfer complete|sign-off=Sign-off obtained"
        ),
    ),
    (
        "criteria",
        "performance",
        "crit",
        (
            "p50=Response time < 200ms (p50)|p99=Response time < 500ms (p99)|data-loss=Zero data loss"
            "|uptime=99.9% uptime in first 24 hours"
        ),
    ),
    (
        "criteria",
        "functionality",
        "crit",
        (
            "features=All critical features working|accuracy=Data accuracy verified|integrations=Integrations functional"
            "|reports=Reports generating correctly"
        ),
    ),
    (
        "criteria",
        "ux",
        "crit",
        "login=Users can log in|dashboards=Dashboards loading|realtime=Real-time data flowing|alerts=Alerts functioning",
    ),
)
CRITICAL = frozenset(
    {
        "infra.certificates",
        "db.replication",
        "db.continuous-backup",
        "db.restore",
        "sec.tls",
        "sec.waf",
        "sec.secrets",
        "sec.pentest",
        "comp.erasure",
        "day.final-backup",
        "day.rollback-plan",
        "phase1.services",
        "phase2.migrations",
        "phase2.tables",
        "phase2.replication",
        "phase3.services",
        "phase3.api",
        "phase3.auth",
        "phase4.integrity",
        "phase4.calculations",
        "golive.dns",
        "golive.errors",
        "golive.performance",
        "golive.logins",
        "golive.workflows",
        "hand.sign-off",
    }
)
MINOR = frozenset(
    {
        "day.briefing",
        "day.support",
        "phase1.issues",
        "stab.documentation",
        "stab.support-brief",
        "stab.improvements",
        "after.tickets",
        "hand.briefing",
        "hand.knowledge",
    }
)


def items() -> tuple[Item, ...]:
    """The 104 items and 12 criteria of the shipped checklist."""
    return tuple(
        Item(f"{prefix}.{name}", text, phase, _severity(f"{prefix}.{name}"), Kind.AUTOMATED, area)
        for phase, area, prefix, entries in LISTS
        for name, _, text in (entry.partition("=") for entry in entries.split("|"))
    )


def _severity(item: str) -> Severity:
    if item in CRITICAL or item.startswith("crit."):
        return Severity.CRITICAL
    return Severity.MINOR if item in MINOR else Severity.MAJOR

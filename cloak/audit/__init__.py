"""The audit: published photos attacked as a scraper would, with figures of what it found. Extra `audit`."""

from cloak.audit.audit import Finding, Settings, Visible, audit, split, visible
from cloak.audit.report import document, headline, table, verdicts
from cloak.audit.shots import Shot, gather
from cloak.audit.treat import LATER, Treatment

__all__ = [
    "LATER",
    "Finding",
    "Settings",
    "Shot",
    "Treatment",
    "Visible",
    "audit",
    "document",
    "gather",
    "headline",
    "split",
    "table",
    "verdicts",
    "visible",
]

"""The answers that the page gives first: is it fresh, judged, whole and up?"""

from __future__ import annotations

from dataclasses import dataclass

from omniledger.report import formats
from omniledger.report.figures import Figures, Gate, HealthFigures, Merge, Runs


@dataclass(frozen=True, slots=True)
class Answer:
    """One question, its answer, and where on the page the reasons are."""

    tone: str
    """`good`, `warn`, `bad` or `none`: the page shows it as a mark, a word and a colour."""
    question: str
    answer: str
    reason: str
    anchor: str


def answers(figures: Figures) -> tuple[Answer, ...]:
    """What a reader wants to know before any picture."""
    return (
        freshness(figures.runs),
        gate(figures.gate),
        merge(figures.merge),
        health(figures.health),
    )


def freshness(runs: Runs) -> Answer:
    """When the figures were published, and whether a later run was refused."""
    question, published = "Fresh", runs.last_published
    if published is None:
        reason = f"The last run: {runs.recent[0].verdict}." if runs.recent else "No run yet."
        return Answer("none", question, "Nothing published yet", reason, "runs")
    at = formats.moment(published.finished_at or published.started_at)
    later = runs.standing_in
    if later is not None:
        reason = f"The run of {formats.moment(later.started_at)} was not: these figures stand."
        return Answer("warn", question, f"Published {at}", reason, "runs")
    return Answer("good", question, f"Published {at}", "No run was refused since.", "runs")


def gate(judged: Gate | None) -> Answer:
    """What the gate's last judgement was."""
    question = "Judged"
    if judged is None:
        return Answer("none", question, "Not judged yet", "The gate has not run.", "gate")
    failed, warnings = judged.count("failed"), judged.count("warning")
    passed = f"{judged.count('passed')} of {formats.plural(len(judged.results), 'expectation')}"
    noted = formats.plural(warnings, "warning") if warnings else "No warning"
    if failed:
        return Answer(
            "bad", question, f"{formats.plural(failed, 'expectation')} failed", f"{noted}.", "gate"
        )
    tone = "warn" if warnings else "good"
    return Answer(tone, question, f"{passed} passed", f"{noted}.", "gate")


def merge(certificate: Merge | None) -> Answer:
    """Whether every row of the old log is accounted for."""
    question, anchor = "Whole", "certificate"
    if certificate is None:
        return Answer("none", question, "No merge", "There were no old rows to merge.", anchor)
    rows = formats.plural(certificate.rows_total, "old row")
    if certificate.holds is None:
        return Answer("warn", question, "Not certified yet", f"{rows} so far.", anchor)
    if not certificate.holds:
        return Answer("bad", question, "The certificate doesn't hold", certificate.detail, anchor)
    kept = formats.count(certificate.rows_quarantined)
    reason = f"{rows} accounted for, {kept} of them in quarantine."
    return Answer("good", question, "The certificate holds", reason, anchor)


def health(figures: HealthFigures | None) -> Answer:
    """The lowest uptime, and how much time nobody knows of."""
    question = "Up"
    if figures is None:
        return Answer("none", question, "No health checks", "No server has reported.", "health")
    known = [s for s in figures.servers if s.uptime_share is not None]
    unknown = sum(server.unknown_seconds for server in figures.servers)
    whole = sum(
        s.up_seconds + s.down_seconds + s.unknown_seconds + s.disabled_seconds
        for s in figures.servers
    )
    reason = f"{formats.part_of(unknown, whole)} of all server time is unknown."
    if not known:
        return Answer("warn", question, "Uptime is not known", reason, "health")
    lowest = min(known, key=lambda server: server.uptime_share or 0)
    tone = "warn" if unknown or any(server.down_seconds for server in known) else "good"
    share = formats.share(lowest.uptime_share)
    answer = f"{share} at the least ({lowest.server})" if len(known) > 1 else share
    return Answer(tone, question, answer, reason, "health")

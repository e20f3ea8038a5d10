"""The answers that the page gives first: within quota, up, fresh, judged and whole?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from omniledger.report import formats
from omniledger.report.collecting import Figures
from omniledger.report.figures import Gate, Merge
from omniledger.report.health import HealthFigures, ServerHealth
from omniledger.report.keeping import Runs
from omniledger.report.quota import QuotaFigures

STALE = "Newer figures are overdue."


@dataclass(frozen=True, slots=True)
class Answer:
    """One question, its answer, and where on the page the reasons are."""

    tone: str
    """`good`, `warn`, `bad` or `none`: the page shows it as a mark, a word and a colour."""
    question: str
    answer: str
    reason: str
    anchor: str
    good_until: datetime | None = None
    """When it is good no more, for a page that is read long after it was built."""


def answers(figures: Figures) -> tuple[Answer, ...]:
    """What a reader wants to know before any picture."""
    return (
        quota(figures.quota),
        health(figures.health),
        freshness(figures.runs, figures.read_at),
        gate(figures.gate),
        merge(figures.merge),
    )


def quota(figures: QuotaFigures | None) -> Answer:
    """What was spent today, and whether anybody is over the limit."""
    question, anchor = "Within quota", "quota"
    if figures is None:
        return Answer("none", question, "Nothing spent yet", "No day is published.", anchor)
    side = figures.of_day
    spent = f"{formats.usd(side.used_usd)} by {formats.plural(side.in_all, 'user')}"
    # A page is a file, read also when that day is over.
    when = f"{'today,' if figures.is_today else 'on'} {formats.day(figures.day)}"
    if side.exceeded:
        over = f"{formats.plural(side.exceeded, 'user')} over the limit {when}"
        reason = f"{spent}; {formats.usd(side.overspend_usd)} beyond limits."
        return Answer("bad", question, over, reason, anchor)
    if not figures.is_today:
        return Answer("warn", question, f"{spent} {when}", "Nothing is published of today.", anchor)
    return Answer("good", question, f"{spent} {when}", "Nobody is over the limit.", anchor)


def freshness(runs: Runs, now: datetime) -> Answer:
    """When the figures were published, how long ago, and whether a later run was refused."""
    question, published = "Fresh", runs.last_published
    if (forced := runs.forced) is not None:
        at = formats.moment(forced.forced_at)
        reason = f"The gate had refused them; {forced.forced_by} said: {forced.why}"
        return Answer("bad", question, f"Published by force {at}", reason, "by-force")
    if published is None:
        reason = f"The last run: {runs.recent[0].verdict}." if runs.recent else "No run yet."
        return Answer("none", question, "Nothing published yet", reason, "runs")
    published_at = published.finished_at or published.started_at
    at, until = formats.moment(published_at), runs.fresh_until
    later = runs.standing_in
    if later is not None:
        reason = f"The run of {formats.moment(later.started_at)} was not: these figures stand."
        return Answer("warn", question, f"Published {at}", reason, "runs")
    if until is not None and now > until:
        return Answer("warn", question, f"Published {at}", STALE, "runs")
    return Answer("good", question, f"Published {at}", "No run was refused since.", "runs", until)


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
    """Whether anything is down, and whether anybody would know."""
    question, anchor = "Up", "health"
    if figures is None:
        return Answer("none", question, "No health checks", "No server has reported.", anchor)
    if not figures.servers_left:
        return Answer("none", question, "No server is left", "All were deleted.", anchor)
    down, unknown = figures.in_state("down"), figures.in_state("unknown")
    reason = _uptime(figures.servers_left)
    if down:
        if unknown:
            reason = f"{_named(unknown)} unchecked. {reason}"
        return Answer("bad", question, f"{_named(down)} down", reason, anchor)
    if unknown:
        return Answer("warn", question, f"{_named(unknown)} unchecked", reason, anchor)
    return Answer("good", question, "Nothing is down", reason, anchor)


def _named(servers: tuple[ServerHealth, ...]) -> str:
    if len(servers) == 1:
        return f"{servers[0].server} is"
    return f"{formats.plural(len(servers), 'server')} are"


def _uptime(servers: tuple[ServerHealth, ...]) -> str:
    unknown = sum(server.unknown_seconds for server in servers)
    whole = sum(
        s.up_seconds + s.down_seconds + s.unknown_seconds + s.disabled_seconds for s in servers
    )
    silence = f"{formats.part_of(unknown, whole)} of all server time is unknown."
    known = [server.uptime_share for server in servers if server.uptime_share is not None]
    return f"Uptime {formats.share(min(known))} at the least; {silence}" if known else silence

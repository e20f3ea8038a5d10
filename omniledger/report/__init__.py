"""The report: read the published figures in one snapshot, and write them as one page."""

from omniledger.report.collecting import Figures, collect, totals
from omniledger.report.rendering import render
from omniledger.report.svg import warm_up

__all__ = ["Figures", "collect", "render", "totals", "warm_up"]

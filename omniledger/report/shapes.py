"""The shapes that charts are drawn in: labelled rows, columns along days, stacks and strips."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from omniledger.report.svg import INK

if TYPE_CHECKING:
    import altair as alt

FEW_DAYS = 3
"""Up to so many days are drawn as labelled rows; more of them as columns along a time axis."""

Record = dict[str, str]
"""One mark: row, series, day, value (a decimal string), known, text, hover."""

_LETTER = 8
"""Room for one letter, px: the page's font may be wider than the compiler's."""

_LONGEST_NAME = 20

_SHORT_NUMBER = "format(datum.value, '~s')"

Words = Callable[[str], tuple[str, str]]
"""What stands below a column: words of its own, and below them what several share, as a year."""


def day_words(day: str) -> tuple[str, str]:
    """The year stands below the first day that is named, and below each of another year."""
    at = date.fromisoformat(day)
    return f"{at.day} {at:%b}", f"{at.year}"


def hour_words(hour: str) -> tuple[str, str]:
    """The day stands below the first hour that is named, and below each of another day."""
    at = datetime.fromisoformat(hour)
    return f"{at:%H}:00", f"{at.day} {at:%b} {at.year}"


def record(row: str, series: str, value: Decimal | int | None, text: str, day: str = "") -> Record:
    """One mark; what isn't known has no length and says so in its text."""
    return {
        "row": row,
        "series": series,
        "day": day,
        "value": f"{Decimal(value or 0):f}",
        "known": "" if value is None else "yes",
        "text": text,
        "hover": ", ".join(part for part in (day or row, series.lower(), text) if part),
    }


def calendar_of(first: date, last: date) -> list[str]:
    """Every day from the first to the last: a day without a request is a gap, not left out."""
    return [(first + timedelta(days=at)).isoformat() for at in range((last - first).days + 1)]


def short_names(names: Iterable[str]) -> list[str]:
    """Names short enough for a chart, and each different, so that no two share a bar."""
    shown: list[str] = []
    for name in names:
        short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        again = sum(other == short or other.startswith(f"{short} (") for other in shown)
        shown.append(f"{short} ({again + 1})" if again else short)
    return shown


def rows(
    records: Sequence[Record], width: int, colors: Mapping[str, str], *, offset: bool = False
) -> alt.LayerChart:
    """One labelled bar a row; with `offset`, a row's series lie under each other."""
    import altair as alt

    names = [*dict.fromkeys(record["row"] for record in records)]
    room = _name_room(names, width)
    scale = _room_for_text(records, width - room)
    base = alt.Chart(_data(records, colors)).encode(
        x=alt.X("value:Q", axis=None, scale=scale),
        y=alt.Y("row:N", sort=names, axis=_name_axis(room)),
    )
    if offset:
        base = base.encode(yOffset=alt.YOffset("series:N", sort=list(colors)))
    bars = base.mark_bar(cornerRadiusEnd=2).encode(
        color=_color(colors, width, legend=offset), description="hover:N"
    )
    # What is below nothing, as a credit, has its text beside its bar.
    end = alt.X("end:Q", axis=None, scale=scale)
    texts = base.transform_calculate(end="max(datum.value, 0)").mark_text(align="left", dx=6)
    texts = texts.encode(x=end, text="text:N")
    height = (18 * len(colors) + 14) * len(names) if offset else 28 * len(names)
    return alt.LayerChart(layer=[bars, texts], width=width - room, height=height)


def columns(
    records: Sequence[Record],
    width: int,
    colors: Mapping[str, str],
    days: Sequence[str],
    *,
    height: int,
    number: str,
) -> alt.LayerChart:
    """One column a day for the first series; a line across it for any other.

    `number` is the d3 format of the figures beside the columns.
    """
    import altair as alt

    axis = alt.Axis(
        labelExpr=f"format(datum.value, '{number}')",
        grid=True,
        tickCount=4 if height > 100 else 2,
        minExtent=44,
    )
    known = [record for record in records if record["known"]]
    base = alt.Chart(_data(known, colors)).encode(
        x=_time_axis(days, width - 58),
        y=alt.Y("value:Q", axis=axis),
        color=_color(colors, width, legend=len(colors) > 1),
        description="hover:N",
    )
    first, *others = colors
    bars = base.mark_bar().transform_filter(alt.datum.series == first)
    line = base.mark_tick(thickness=2.5, opacity=1, width={"band": 1})
    lines = [line.transform_filter(alt.datum.series == other) for other in others]
    return alt.LayerChart(layer=[bars, *lines], width=width - 58, height=height)


def stack(records: Sequence[Record], width: int, colors: Mapping[str, str]) -> alt.Chart:
    """One bar a row, of parts that add up."""
    import altair as alt

    names = [*dict.fromkeys(record["row"] for record in records)]
    room = _name_room(names, width)
    chart = alt.Chart(
        _data(records, colors), width=width - room - 24, height=max(28 * len(names), 34)
    ).mark_bar()
    bars: alt.Chart = chart.encode(
        x=alt.X("value:Q", axis=alt.Axis(labelExpr=_SHORT_NUMBER, tickCount=4, grid=True)),
        y=alt.Y("row:N", sort=names, axis=_name_axis(room) if room else None),
        color=_color(colors, width),
        order=alt.Order("order:Q"),
        description="hover:N",
    )
    return bars


def strips(
    records: Sequence[Record],
    width: int,
    colors: Mapping[str, str],
    names: Sequence[str],
    days: Sequence[str],
    *,
    words: Words = day_words,
    steps: Sequence[int] = (),
) -> alt.FacetChart:
    """A strip a name: few days as rows under each other, more as columns side by side.

    `words` and `steps`, how many columns may be from one with words to the next, are for columns
    that aren't days. Each record has its strip's name in `row`.
    """
    import altair as alt

    bars = alt.Chart(_data(records, colors)).mark_bar()
    if len(days) > FEW_DAYS:
        share = alt.Y("value:Q", stack="normalize", axis=None)
        axis = _time_axis(days, width - 16, words, steps)
        bars = bars.encode(x=axis, y=share).properties(width=width - 16, height=36)
    else:
        scale = alt.Scale(domain=list(days))
        whole = {day: " ".join(words(day)) for day in days}
        beside = alt.Axis(labelExpr=_said(whole), minExtent=84) if len(days) > 1 else None
        parts = alt.Axis(format=".0%", values=[0, 0.5, 1])
        bars = bars.encode(
            x=alt.X("value:Q", stack="normalize", axis=parts),
            y=alt.Y("day:O", axis=beside, scale=scale),
        ).properties(width=width - (106 if beside else 36), height=20 * len(days))
    bars = bars.encode(
        color=_color(colors, width), order=alt.Order("order:Q"), description="hover:N"
    )
    header = alt.Header(labelOrient="top", labelAnchor="start", labelColor=INK, labelPadding=4)
    row = alt.Row("row:N", sort=list(names), header=header)
    chart: alt.FacetChart = bars.facet(row=row, spacing=10)
    return chart


def _time_axis(
    days: Sequence[str], plot: int, words: Words = day_words, steps: Sequence[int] = ()
) -> alt.X:
    """Columns along time, as many of them with words as have room for these on `plot` pixels."""
    import altair as alt

    longest = max(len(line) for day in days for line in words(day))
    most = max(plot // (7 * longest + 12), 1)
    apart = next((step for step in steps or range(1, len(days)) if step * most >= len(days)), None)
    named = days[:: apart or len(days)]
    lines: dict[str, list[str]] = {}
    before = ""
    for day in named:
        own, common = words(day)
        lines[day] = [own] if common == before else [own, common]
        before = common
    # Below the number at the foot of the other axis.
    axis = alt.Axis(values=list(named), labelExpr=_said(lines), labelAngle=0, labelPadding=10)
    return alt.X("day:O", axis=axis, scale=alt.Scale(domain=list(days), paddingInner=0.25))


def _said(labels: Mapping[str, str | list[str]]) -> str:
    """Vega's expression of a label for each value."""
    return f"{json.dumps(labels)}[datum.value]"


def _name_axis(room: int) -> alt.Axis:
    import altair as alt

    return alt.Axis(labelColor=INK, labelLimit=0, minExtent=room, maxExtent=room)


def _name_room(names: Sequence[str], width: int) -> int:
    """Room for the longest name in the widest of common fonts, px."""
    longest = max((len(name) for name in names), default=0)
    return min(_LETTER * longest + 10, width // 2) if longest else 0


def _room_for_text(records: Sequence[Record], plot: int) -> alt.Scale:
    """A scale whose longest bar leaves room for the text at its end."""
    import altair as alt

    widest = max((len(record["text"]) for record in records), default=0)
    text = min(_LETTER * widest + 8, plot * 3 // 4)
    values = [Decimal(0), *(Decimal(record["value"]) for record in records)]
    least, reach = min(values), max(values) - min(values)
    end = f"{least:f} + {reach or 1:f} * {plot} / {plot - text}"
    return alt.Scale(domainMin=alt.ExprRef(f"{least:f}"), domainMax=alt.ExprRef(end), nice=False)


def _color(colors: Mapping[str, str], width: int, *, legend: bool = True) -> alt.Color:
    import altair as alt

    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    columns = len(colors) if width > 400 else 2
    key = alt.Legend(columns=columns) if legend else None
    return alt.Color("series:N", scale=scale, legend=key)


def _data(records: Sequence[Record], colors: Mapping[str, str]) -> alt.InlineData:
    """The records, their series stacked in the order of the legend."""
    import altair as alt

    order = {name: str(at) for at, name in enumerate(colors)}
    values = [record | {"order": order[record["series"]]} for record in records]
    parse = {"value": "number", "order": "number"}
    return alt.InlineData(values=values, format={"parse": parse})

"""What raw rows cost, a second time: by the prices with which a mart says it was built.

A price is a factor, so rows that differ in nothing that it asks are added up before they are
priced. Which model a name means is the mart's to say, in its `model_names`: a name that it has not
stands for itself, and is missing there.
"""

from __future__ import annotations

from expectations.recount import IS_REQUEST, POSSIBLE, TOKENS, TOTAL

ALIKE = (
    "recorded_name",
    "stretch",
    "is_request",
    "has_split",
    "uses_cached",
    "uses_cache_write",
    "has_cost",
    "has_only_total",
)
"""What rows that are priced as one have in common, beside what whoever asks groups them by."""

# Within a stretch no price and no stated model changes. The prices go through a document, which is
# planned as many rows: taken for one, each would be looked through for each group.
INPUTS = """
inputs as (
    select input_name, llm_model, valid_from, valid_to, content
    from analytics_build.build_inputs
    where mart = '{mart}'
),

history as materialized (
    select valid_from, valid_to, content from inputs where input_name = 'model_history'
),

otherwise as materialized (
    select content from inputs where input_name = 'default_model'
),

stretches as (
    select coalesce(array_agg(distinct at order by at), array[]::timestamptz []) as moments
    from inputs
    cross join lateral (values (inputs.valid_from), (inputs.valid_to)) as ends (at)
    where input_name in ('model_prices', 'model_history') and isfinite(at)
),

prices as (
    select
        price.llm_model, price.valid_from, price.valid_to,
        nullif(split_part(price.content, ' ', 1), 'null')::numeric as input_usd,
        nullif(split_part(price.content, ' ', 2), 'null')::numeric as output_usd,
        nullif(split_part(price.content, ' ', 3), 'null')::numeric as cached_usd,
        nullif(split_part(price.content, ' ', 4), 'null')::numeric as cache_write_usd
    from (
        select jsonb_agg(to_jsonb(inputs)) as known
        from inputs
        where input_name = 'model_prices'
    ) as listed
    cross join lateral jsonb_to_recordset(listed.known) as price (
        llm_model text, valid_from timestamptz, valid_to timestamptz, content text
    )
)
"""
"""The CTEs that read what `mart` was built with; `stretches` is for whoever groups rows."""

NAMED = """
select
    alike.*,
    coalesce(alike.recorded_name, stated.content, otherwise.content) as name,
    alike.recorded_name is null and stated.content is null as is_assumed
from alike
left join history as stated
    on
        alike.recorded_name is null
        and alike.first_at >= stated.valid_from
        and alike.first_at < stated.valid_to
left join otherwise on true
"""
"""The SQL of the groups of `alike` with the name of their model."""

WORTH = """
select
    costs.*,
    case
        when not is_request then null
        when has_cost then 'recorded'
        when recomputed_usd is not null then 'computed'
        when of_total_usd is not null then 'estimated'
        else 'unknown'
    end as basis,
    case
        when has_cost then recorded_usd
        else coalesce(recomputed_usd, of_total_usd)
    end as known_usd
from (
    select
        meant.*,
        case
            when has_split then (
                tokens_input * prices.input_usd
                + tokens_output * prices.output_usd
                + case when uses_cached then tokens_cached * prices.cached_usd else 0 end
                + case
                    when uses_cache_write then tokens_cache_write * prices.cache_write_usd else 0
                end
            ) * 0.000001
        end as recomputed_usd,
        case when has_only_total then tokens_total * prices.input_usd * 0.000001 end
            as of_total_usd
    from meant
    left join prices
        on
            meant.llm_model = prices.llm_model
            and meant.first_at >= prices.valid_from
            and meant.first_at < prices.valid_to
) as costs
"""
"""The SQL of the groups of `meant`, each of one `llm_model`, with what they cost and how known."""

HAS_SPLIT = "coalesce({} and {} and coalesce({}, true) and coalesce({}, true), false)".format(
    *(POSSIBLE.format(name) for name in TOKENS)
)
"""The SQL that a raw row says its tokens by kind, as far as a price must know them."""

ROWS_ALIKE = f"""
nullif(btrim(raw.llm_model::text collate "default"), '') as recorded_name,
width_bucket(raw.timestamp, stretches.moments) as stretch,
{IS_REQUEST} as is_request,
{HAS_SPLIT} as has_split,
coalesce(raw.tokens_cached > 0, false) as uses_cached,
coalesce(raw.tokens_cache_write > 0, false) as uses_cache_write,
coalesce({POSSIBLE.format("cost_usd")}, false) as has_cost,
coalesce({POSSIBLE.format("llm_tokens_used")}, false)
and not coalesce(
    {POSSIBLE.format("tokens_input")} and {POSSIBLE.format("tokens_output")}, false
) as has_only_total
"""
"""The SQL of the columns of `ALIKE`, over `raw` and `stretches`."""

_OF_KINDS = ", ".join(
    f"sum(raw.{name}) filter (where {POSSIBLE.format(name)}) as {name}" for name in TOKENS
)

SUMS_ALIKE = f"""
min(raw.timestamp) as first_at,
count(*) as rows,
sum({TOTAL}) as tokens_total,
sum(raw.cost_usd) filter (where {POSSIBLE.format("cost_usd")}) as recorded_usd,
{_OF_KINDS}
"""
"""The SQL of what is added up of them."""

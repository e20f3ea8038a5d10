{# The default model by its one name; a query of its own, so that it is looked up once. #}
{% macro default_model() -%}
    (
        select
            coalesce(
                ledger.canonical_model({{ setting_literal('default_model') }}),
                {{ setting_literal('default_model') }}
            )
    )
{%- endmacro %}


{#
    Of each day and user of a relation: the limit last noted before the day's end, the user's or
    everybody's, and what a million tokens without a cost count as, by the day's beginning.
#}
{% macro quota_terms(user_days, limit_history, model_prices) -%}
    select
        days.usage_date,
        days.user_id,
        coalesce(own.cost_limit_usd, everybody.cost_limit_usd) as cost_limit_usd,
        coalesce(own.limit_basis, everybody.limit_basis) as limit_basis,
        priced_days.unpriced_input_usd
    from (
        select distinct
            usage_date,
            user_id
        from {{ user_days }}
    ) as days
    inner join (
        select
            dates.usage_date,
            dates.ends_at,
            prices.input_usd as unpriced_input_usd
        from (
            select distinct
                usage_date,
                {{ day_starts_at('usage_date') }} as starts_at,
                {{ day_starts_at('usage_date + 1') }} as ends_at
            from {{ user_days }}
        ) as dates
        left join {{ model_prices }} as prices
            on
                prices.llm_model = {{ default_model() }}
                and dates.starts_at >= prices.valid_from
                and dates.starts_at < prices.valid_to
    ) as priced_days on days.usage_date = priced_days.usage_date
    left join lateral (
        select
            limits.cost_limit_usd,
            limits.limit_basis
        from {{ limit_history }} as limits
        where limits.user_id = days.user_id and limits.valid_from < priced_days.ends_at
        order by limits.valid_from desc, limits.cost_limit_usd, limits.limit_basis
        limit 1
    ) as own on true
    left join lateral (
        select
            limits.cost_limit_usd,
            limits.limit_basis
        from {{ limit_history }} as limits
        where limits.user_id is null and limits.valid_from < priced_days.ends_at
        order by limits.valid_from desc, limits.cost_limit_usd, limits.limit_basis
        limit 1
    ) as everybody on true
{%- endmacro %}


{# Days of the quota mart for which another limit or price holds now than when they were built. #}
{% macro days_of_other_terms(limit_history, model_prices) -%}
    {%- if execute and is_incremental() -%}
    select built.usage_date
    from {{ this }} as built
    inner join (
        {{ quota_terms(this, limit_history, model_prices) }}
    ) as terms on built.usage_date = terms.usage_date and built.user_id = terms.user_id
    where
        (built.cost_limit_usd, built.limit_basis, built.unpriced_input_usd)
        is distinct from (terms.cost_limit_usd, terms.limit_basis, terms.unpriced_input_usd)
    {%- endif -%}
{%- endmacro %}

with

model_prices as (

    select * from {{ ref('stg_model_prices') }}

),

bounded as (

    select
        llm_model,
        is_own,
        valid_from,
        -- a later price ends an earlier one, whatever the earlier one says
        least(
            coalesce(valid_to, 'infinity'),
            coalesce(
                lead(valid_from) over (partition by llm_model, is_own order by valid_from),
                'infinity'
            )
        ) as valid_to,
        input_usd,
        output_usd,
        cached_read_usd,
        cache_write_5m_usd,
        cache_write_1h_usd

    from model_prices

),

moments as (

    select
        llm_model,
        valid_from as starts_at
    from bounded

    union

    select
        llm_model,
        valid_to as starts_at
    from bounded
    where valid_to < 'infinity'

),

stretches as (

    select
        llm_model,
        starts_at,
        coalesce(lead(starts_at) over (partition by llm_model order by starts_at), 'infinity')
            as ends_at

    from moments

),

-- in each stretch the operator's own price, else the list's
chosen as (

    select distinct on (stretches.llm_model, stretches.starts_at)
        stretches.llm_model,
        stretches.starts_at as valid_from,
        stretches.ends_at as valid_to,
        bounded.input_usd,
        bounded.output_usd,
        bounded.cached_read_usd,
        bounded.cache_write_5m_usd,
        bounded.cache_write_1h_usd

    from stretches
    inner join bounded
        on
            stretches.llm_model = bounded.llm_model
            and stretches.starts_at >= bounded.valid_from
            and stretches.starts_at < bounded.valid_to
    order by stretches.llm_model asc, stretches.starts_at asc, bounded.is_own desc

),

listed as (

    select * from bounded
    where not is_own

),

-- what it would cost without the operator's price, as far as the list says
final as (

    select
        chosen.*,
        coalesce(listed.input_usd, chosen.input_usd) as list_input_usd,
        coalesce(listed.output_usd, chosen.output_usd) as list_output_usd,
        coalesce(listed.cached_read_usd, chosen.cached_read_usd) as list_cached_read_usd,
        coalesce(listed.cache_write_5m_usd, chosen.cache_write_5m_usd) as list_cache_write_5m_usd,
        coalesce(listed.cache_write_1h_usd, chosen.cache_write_1h_usd) as list_cache_write_1h_usd

    from chosen
    left join listed
        on
            chosen.llm_model = listed.llm_model
            and chosen.valid_from >= listed.valid_from
            and chosen.valid_from < listed.valid_to

)

select * from final

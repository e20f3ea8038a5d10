with

model_prices as (

    select * from {{ ref('stg_model_prices') }}

),

bounded as (

    select
        llm_model,
        valid_from,
        -- a later price ends an earlier one, whatever the earlier one says
        least(
            coalesce(valid_to, 'infinity'),
            coalesce(lead(valid_from) over (partition by llm_model order by valid_from), 'infinity')
        ) as valid_to,
        input_usd,
        output_usd,
        cached_read_usd,
        cache_write_5m_usd

    from model_prices

),

final as (

    select * from bounded
    where valid_from < valid_to

)

select * from final

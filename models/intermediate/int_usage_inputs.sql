with

model_prices as (

    select
        'model_prices' as input_name,
        llm_model,
        valid_from,
        valid_to,
        concat_ws(
            ' ',
            coalesce(cast(trim_scale(input_usd) as text), 'null'),
            coalesce(cast(trim_scale(output_usd) as text), 'null'),
            coalesce(cast(trim_scale(cached_read_usd) as text), 'null'),
            coalesce(cast(trim_scale(cache_write_5m_usd) as text), 'null')
        ) as content

    from {{ ref('int_model_prices') }}

),

model_history as (

    select
        'model_history' as input_name,
        cast(null as text) as llm_model,
        valid_from,
        valid_to,
        llm_model as content

    from {{ ref('int_model_history') }}

),

unioned as (

    select * from model_prices

    union all

    select * from model_history

)

select * from unioned

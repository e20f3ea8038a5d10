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
            coalesce(cast(trim_scale(cache_write_5m_usd) as text), 'null'),
            coalesce(cast(trim_scale(list_input_usd) as text), 'null'),
            coalesce(cast(trim_scale(list_output_usd) as text), 'null'),
            coalesce(cast(trim_scale(list_cached_read_usd) as text), 'null'),
            coalesce(cast(trim_scale(list_cache_write_5m_usd) as text), 'null')
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

-- one digest for all, of no model: which days it changes, the mart's own names say
model_names as (

    select
        'model_names' as input_name,
        '' as llm_model,
        timestamptz '-infinity' as valid_from,
        timestamptz 'infinity' as valid_to,
        md5(coalesce(string_agg(model_name || ' ' || llm_model, ' ' order by model_name), ''))
            as content

    from {{ ref('stg_model_names') }}

),

unioned as (

    select * from model_prices

    union all

    select * from model_history

    union all

    select * from model_names

)

select * from unioned

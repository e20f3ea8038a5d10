with

source as (

    select * from {{ source('ledger', 'model_prices') }}

),

renamed as (

    select
        cast(model as text) as llm_model,
        cast(is_own as boolean) as is_own,
        cast(valid_from as timestamptz) as valid_from,
        cast(valid_to as timestamptz) as valid_to,
        cast(input as numeric) as input_usd,
        cast(output as numeric) as output_usd,
        cast(cached_read as numeric) as cached_read_usd,
        cast(cache_write_5m as numeric) as cache_write_5m_usd,
        cast(cache_write_1h as numeric) as cache_write_1h_usd,
        cast(source as text) as price_source

    from source

)

select * from renamed

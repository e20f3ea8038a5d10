with

source as (

    select * from {{ source('ledger', 'provider_costs') }}

),

renamed as (

    select
        cast(bucket_start as timestamptz) as bucket_start,
        cast(bucket_start at time zone 'UTC' as date) as bill_date,
        cast(model as text) as provider_model,
        cast(cost_type as text) as cost_type,
        cast(token_kind as text) as provider_token_kind,
        cast(amount_usd as numeric) as amount_usd,
        cast(list_amount_usd as numeric) as list_amount_usd,
        cast(service_tier as text) as service_tier

    from source

)

select * from renamed

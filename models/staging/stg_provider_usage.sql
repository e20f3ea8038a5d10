with

source as (

    select * from {{ source('ledger', 'provider_usage') }}

),

renamed as (

    select
        cast(bucket_start as timestamptz) as bucket_start,
        cast(bucket_start at time zone 'UTC' as date) as bill_date,
        cast(model as text) as provider_model,
        cast(token_kind as text) as provider_token_kind,
        cast(quantity as numeric) as quantity,
        cast(service_tier as text) as service_tier

    from source

)

select * from renamed

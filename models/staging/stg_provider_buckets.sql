with

source as (

    select * from {{ source('ledger', 'provider_buckets') }}

),

renamed as (

    select
        cast(fact as text) as fact,
        cast(bucket_start as timestamptz) as bucket_start,
        cast(bucket_end as timestamptz) as bucket_end,
        cast(bucket_start at time zone 'UTC' as date) as bill_date,
        cast(reported_at as timestamptz) as reported_at

    from source

)

select * from renamed

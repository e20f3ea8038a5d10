with

source as (

    select * from {{ source('ledger', 'prunings') }}

),

renamed as (

    select
        cast(pruning_id as bigint) as pruning_id,
        cast(before_date as date) as before_date,
        cast(before_at as timestamptz) as before_at

    from source

)

select * from renamed

with

source as (

    select * from {{ source('ledger', 'limit_history') }}

),

renamed as (

    select
        cast(user_id as integer) as user_id,
        cast(valid_from as timestamptz) as valid_from,
        cast(cost_limit as numeric) as cost_limit_usd,
        cast(basis as text) as limit_basis

    from source

)

select * from renamed

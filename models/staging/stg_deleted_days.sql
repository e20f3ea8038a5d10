with

source as (

    select * from {{ source('ledger', 'deleted_days') }}

),

renamed as (

    select
        cast(source_table as text) as source_table,
        cast(period_start as timestamptz) as period_start,
        cast(change_xid as bigint) as change_xid

    from source

)

select * from renamed

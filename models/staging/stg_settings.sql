with

source as (

    select * from {{ source('ledger', 'settings') }}

),

renamed as (

    select
        cast(name as text) as setting_name,
        cast(value as text) as setting_value

    from source

)

select * from renamed

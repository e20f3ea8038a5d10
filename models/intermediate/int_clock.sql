with

settings as (

    select * from {{ ref('stg_settings') }}
    where setting_name = 'as_of'

),

clock as (

    select
        date_trunc(
            'second', coalesce(max(cast(setting_value as timestamptz)), now())
        ) as as_of_at

    from settings

)

select * from clock

{{
    config(
        incremental_strategy='changed_rows',
        unique_key='user_id',
        full_refresh=false,
    )
}}

with

users as (

    select * from {{ ref('stg_users') }}

),

roles as (

    select * from {{ ref('stg_roles') }}

),

joined as (

    select
        users.user_id,
        users.email,
        coalesce(
            nullif(btrim(users.full_name), ''),
            nullif(btrim(users.username), ''),
            users.email
        ) as display_name,
        roles.role_name,
        roles.cost_limit_daily_usd,
        users.is_active,
        {{ build_stamp() }}

    from users
    left join roles on users.role_id = roles.role_id

)

select * from joined

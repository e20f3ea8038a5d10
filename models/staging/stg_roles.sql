{%- set roles = source('auth_service', 'roles') -%}

with

source as (

    select
        {{ optional_columns(roles, {
            'id': 'integer',
            'name': 'text',
            'cost_limit_daily': 'numeric',
        }) }}

    from {{ optional_relation(roles) }}

),

renamed as (

    select
        id as role_id,
        name as role_name,
        cost_limit_daily as cost_limit_daily_usd

    from source

)

select * from renamed

{%- set users = source('auth_service', 'users') -%}

with

source as (

    select
        {{ optional_columns(users, {
            'id': 'integer',
            'email': 'text',
            'username': 'text',
            'name': 'text',
            'role_id': 'integer',
            'active': 'boolean',
        }) }}

    from {{ optional_relation(users) }}

),

renamed as (

    select
        id as user_id,
        email,
        username,
        name as full_name,
        role_id,
        active as is_active

    from source

)

select * from renamed

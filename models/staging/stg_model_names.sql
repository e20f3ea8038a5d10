with

source as (

    select * from {{ source('ledger', 'model_names') }}

),

renamed as (

    select
        cast(name as text) as model_name,
        cast(model as text) as llm_model

    from source

)

select * from renamed

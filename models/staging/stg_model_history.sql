with

source as (

    select * from {{ source('ledger', 'model_history') }}

),

renamed as (

    select
        cast(valid_from as timestamptz) as valid_from,
        cast(model as text) as llm_model

    from source

)

select * from renamed

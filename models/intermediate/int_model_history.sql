with

model_history as (

    select * from {{ ref('stg_model_history') }}

),

bounded as (

    select
        llm_model,
        valid_from,
        coalesce(lead(valid_from) over (order by valid_from), 'infinity') as valid_to

    from model_history

)

select * from bounded

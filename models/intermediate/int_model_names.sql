with

met as (

    select * from {{ ref('int_met_model_names') }}

),

model_history as (

    select * from {{ ref('int_model_history') }}

),

named as (

    select model_name from met

    union distinct

    select llm_model as model_name from model_history

    union distinct

    select {{ setting_literal('default_model') }} as model_name

),

final as (

    select
        model_name,
        coalesce(ledger.canonical_model(model_name), model_name) as llm_model

    from named

)

select * from final

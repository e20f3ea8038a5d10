with

limits as (

    select
        'limit_history' as input_name,
        md5(
            coalesce(
                string_agg(
                    concat_ws(' ', user_id, valid_from, trim_scale(cost_limit_usd), limit_basis),
                    ',' order by user_id, valid_from
                ),
                ''
            )
        ) as content

    from {{ ref('stg_limit_history') }}

),

prices as (

    select
        'unpriced_price' as input_name,
        md5(
            coalesce(
                string_agg(
                    concat_ws(' ', valid_from, valid_to, trim_scale(input_usd)),
                    ',' order by valid_from
                ),
                ''
            )
        ) as content

    from {{ ref('int_model_prices') }}
    where llm_model = {{ default_model() }}

),

unioned as (

    select * from limits

    union all

    select * from prices

),

final as (

    select
        input_name,
        cast(null as text) as llm_model,
        timestamptz '-infinity' as valid_from,
        timestamptz 'infinity' as valid_to,
        content

    from unioned

)

select * from final

with

settings as (

    select
        {{ setting_literal('reporting_timezone') }} as reporting_timezone,
        {{ setting_literal('default_model') }} as default_model,
        {{ setting_literal('unpriced_tokens') }} as unpriced_tokens,
        {{ setting_literal('health_objective') }} as health_objective,
        {{ setting_literal('health_check_interval_seconds') }} as health_check_interval_seconds,
        {{ setting_literal('health_hold_factor') }} as health_hold_factor,
        {{ setting_literal('health_hourly_days') }} as health_hourly_days

)

select * from settings

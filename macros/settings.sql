{% macro setting(name) -%}
    {%- set defaults = {
        'reporting_timezone': 'UTC',
        'default_model': 'claude-3-5-haiku',
        'unpriced_tokens': 'count',
        'health_objective': '0.995',
        'health_check_interval_seconds': '300',
        'health_hold_factor': '3',
        'health_hourly_days': '7',
    } -%}
    {{ return(var(name, env_var('OMNILEDGER_' ~ name | upper, defaults[name])) | string) }}
{%- endmacro %}


{% macro setting_literal(name) -%}
    '{{ dbt.escape_single_quotes(setting(name)) }}'
{%- endmacro %}


{% macro health_settings() -%}
    {{ return([
        'reporting_timezone',
        'health_objective',
        'health_check_interval_seconds',
        'health_hold_factor',
    ]) }}
{%- endmacro %}

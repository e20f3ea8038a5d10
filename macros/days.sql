{% macro reporting_date(event_at) -%}
    case
        when
            {{ event_at }} >= timestamptz '0001-01-03 00:00+00'
            and {{ event_at }} < timestamptz '9999-12-30 00:00+00'
            then cast({{ event_at }} at time zone {{ setting_literal('reporting_timezone') }} as date)
    end
{%- endmacro %}


{# Where clocks go back over midnight, 00:00 comes twice and PostgreSQL takes the second. #}
{% macro day_starts_at(day) -%}
    {%- set timezone = setting_literal('reporting_timezone') -%}
    {%- set midnight -%}
        (cast({{ day }} as timestamp) at time zone {{ timezone }})
    {%- endset -%}
    case
        when
            cast(({{ midnight }} - interval '1 hour') at time zone {{ timezone }} as date)
            = cast({{ day }} as date)
            then {{ midnight }} - interval '1 hour'
        else {{ midnight }}
    end
{%- endmacro %}

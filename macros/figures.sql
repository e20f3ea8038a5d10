{% macro possible_tokens(tokens) -%}
    case when {{ tokens }} between 0 and 1000000000000 then {{ tokens }} end
{%- endmacro %}


{# NaN sorts above every number, so it is left out as infinity is. #}
{% macro possible_cost(cost) -%}
    case when {{ cost }} between 0 and 1000000000000 then {{ cost }} end
{%- endmacro %}


{% macro share(part, whole) -%}
    trim_scale(round({{ part }} / nullif({{ whole }}, 0), 9))
{%- endmacro %}


{#
    One part of an amount that is dealt out by weight: what the amount comes to up to the part, less
    what it comes to before it.
#}
{% macro share_of_part(
    amount, up_to_here='up_to_here', before_here='before_here', whole='whole', decimals=12
) -%}
    {{ amount_up_to(amount, up_to_here, whole, decimals) }}
    - {{ amount_up_to(amount, before_here, whole, decimals) }}
{%- endmacro %}


{#
    Cut, not rounded, and by `div`, which is exact: so it never falls as the weight grows and never
    exceeds the amount; each part is from zero up, and all add up, however many decimals there are.
#}
{% macro amount_up_to(amount, weight, whole, decimals) -%}
    case
        when {{ weight }} = {{ whole }} then {{ amount }}
        else div({{ amount }} * {{ weight }} * 1e{{ decimals }}, {{ whole }}) * 1e-{{ decimals }}
    end
{%- endmacro %}


{% macro row_key(columns) -%}
    md5(cast(jsonb_build_array({{ columns | join(', ') }}) as text))
{%- endmacro %}


{% macro build_stamp() -%}
    cast(cast(pg_snapshot_xmin(pg_current_snapshot()) as text) as bigint) as built_xmin,
    now() as built_at
{%- endmacro %}

{#
    One name for a model, whoever names it: the provider's bill ("claude-3-5-haiku-20241022"), its
    console ("Claude Haiku 4.5"), other clouds ("us.anthropic.claude-x-v1:0"), the ledger. The one
    place where names of the bill and names of the ledger meet.
#}
{% macro billed_model(model) -%}
    regexp_replace(
        regexp_replace(
            translate(lower(btrim({{ model }})), ' ._', '---'),
            '^.*(claude-)',
            '\1'
        ),
        '(@.*|-latest|-20\d{2}-?\d{2}-?\d{2})?(-v\d+(:\d+)?)?$',
        ''
    )
{%- endmacro %}


{# The ledger knows one kind of cache writes, the provider two. #}
{% macro ledger_token_kind(kind) -%}
    case when {{ kind }} like 'cache_write%' then 'cache_write' else {{ kind }} end
{%- endmacro %}

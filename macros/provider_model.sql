{#
    One name for a model, whoever names it: the provider's bill ("claude-3-5-haiku-20241022"), its
    console ("Claude Haiku 3.5"), other clouds ("us.anthropic.claude-x-v1:0"), the ledger. The one
    place where names of the bill and names of the ledger meet. What the ledger calls it stands
    before what is left of the name: "Claude Sonnet 4" is its `claude-sonnet-4-0`.
#}
{% macro billed_model(model) -%}
    coalesce(
        ledger.canonical_model({{ model }}),
        ledger.canonical_model({{ bare_billed_model(model) }}),
        -- the console has the version of an old model behind its family
        ledger.canonical_model(
            regexp_replace(
                {{ bare_billed_model(model) }}, '^claude-([a-z]+)-(\d+(-\d+)?)$', 'claude-\2-\1'
            )
        ),
        {{ bare_billed_model(model) }}
    )
{%- endmacro %}


{% macro bare_billed_model(model) -%}
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

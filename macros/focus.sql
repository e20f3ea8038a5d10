{#
    The columns of FOCUS 1.2, in the order of its names, each with the SQL of it over one charge
    of fct_focus. The export writes them under the specification's own names.
#}
{% macro focus_columns() -%}
    {{ return({
        "availability_zone": "cast(null as text)",
        "billed_cost": "charge_usd",
        "billing_account_id": "'omniledger'",
        "billing_account_name": "'LLM gateway'",
        "billing_account_type": "'Gateway'",
        "billing_currency": "'USD'",
        "billing_period_end": "(month_start + interval '1 month') at time zone 'UTC'",
        "billing_period_start": "month_start at time zone 'UTC'",
        "capacity_reservation_id": "cast(null as text)",
        "capacity_reservation_status": "cast(null as text)",
        "charge_category": "case when is_priced then 'Usage' else 'Adjustment' end",
        "charge_class": "cast(null as text)",
        "charge_description": "llm_model || ', ' || lower(meter)",
        "charge_frequency": "'Usage-Based'",
        "charge_period_end": "period_end",
        "charge_period_start": "period_start",
        "commitment_discount_category": "cast(null as text)",
        "commitment_discount_id": "cast(null as text)",
        "commitment_discount_name": "cast(null as text)",
        "commitment_discount_quantity": "cast(null as numeric)",
        "commitment_discount_status": "cast(null as text)",
        "commitment_discount_type": "cast(null as text)",
        "commitment_discount_unit": "cast(null as text)",
        "consumed_quantity": "case when is_priced then cast(tokens as numeric) end",
        "consumed_unit": "case when is_priced then 'Tokens' end",
        "contracted_cost": "charge_usd",
        "contracted_unit_price": "unit_price",
        "effective_cost": "charge_usd",
        "invoice_id": "cast(null as text)",
        "invoice_issuer_name": "maker",
        "list_cost": "list_usd",
        "list_unit_price": "list_unit_price",
        "pricing_category": "case when is_priced then 'Standard' end",
        "pricing_currency": "'USD'",
        "pricing_currency_contracted_unit_price": "unit_price",
        "pricing_currency_effective_cost": "charge_usd",
        "pricing_currency_list_unit_price": "list_unit_price",
        "pricing_quantity": "case when is_priced then trim_scale(tokens * 0.000001) end",
        "pricing_unit": "case when is_priced then '1000000 Tokens' end",
        "provider_name": "maker",
        "publisher_name": "maker",
        "region_id": "cast(null as text)",
        "region_name": "cast(null as text)",
        "resource_id": "cast(null as text)",
        "resource_name": "cast(null as text)",
        "resource_type": "cast(null as text)",
        "service_category": "'AI and Machine Learning'",
        "service_name": "maker || ' API'",
        "service_subcategory": "'Generative AI'",
        "sku_id": "case when is_priced then llm_model || '/' || token_kind end",
        "sku_meter": "case when is_priced then meter end",
        "sku_price_details": "cast(null as text)",
        "sku_price_id": "case when is_priced then llm_model || '/' || token_kind end",
        "sub_account_id": "cast(null as text)",
        "sub_account_name": "cast(null as text)",
        "sub_account_type": "cast(null as text)",
        "tags":
            "cast(jsonb_strip_nulls(jsonb_build_object('source_system', source_system, 'user_id', cast(user_id as text))) as text)",
    }) }}
{%- endmacro %}


{% macro model_provider(model) -%}
    case
        when {{ model }} ilike '%claude%' then 'Anthropic'
        when {{ model }} ~* '(^|/)(gpt|o\d|chatgpt|codex|computer-use|davinci|text-)' then 'OpenAI'
        when {{ model }} ~* '(gemini|gemma)' then 'Google'
        when {{ model }} ilike '%deepseek%' then 'DeepSeek'
        when {{ model }} ~* '[sx]tral' then 'Mistral AI'
        when {{ model }} ~* '(^|[./])grok' then 'xAI'
        when {{ model }} ~* '(^|[./])(command|c4ai)' then 'Cohere'
        when {{ model }} ~* '(llama|(^|[./])muse-)' then 'Meta'
        when {{ model }} ~* '(kimi|moonshot)' then 'Moonshot AI'
        when {{ model }} ~* '(^|[./-])glm-' then 'Z.ai'
        when {{ model }} ilike '%minimax%' then 'MiniMax'
        else 'Unknown'
    end
{%- endmacro %}

{% macro code_digest() -%}
    {%- set seen = [] -%}
    {%- set todo = [model.unique_id] -%}
    {%- for _ in range(1000) if todo -%}
        {%- set unique_id = todo.pop() -%}
        {%- set node = graph.nodes.get(unique_id) -%}
        {%- if node and unique_id not in seen -%}
            {%- do seen.append(unique_id) -%}
            {%- do todo.extend(node.depends_on.nodes) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set code = [
        reporting_date('moment'),
        day_starts_at('day'),
        possible_tokens('tokens'),
        possible_cost('cost'),
        possible_response('milliseconds'),
        letters('words'),
        known_state('word'),
        is_check('event_word'),
        stated_interval('seconds'),
        number_of_seconds('text'),
        masked('text'),
        learnt_interval('events', 'server', 'since', 'until'),
        check_interval('stated', 'learnt') | replace(setting('health_check_interval_seconds'), ''),
        share('part', 'whole'),
        share_of_part('amount'),
        row_key(['column']),
        seconds_within_hour('state'),
        quota_terms('user_days', 'limits', 'prices') | replace(default_model(), ''),
        model_provider('model'),
        focus_columns(),
    ] -%}
    {%- for unique_id in seen | sort -%}
        {%- do code.append(graph.nodes[unique_id].raw_code) -%}
    {%- endfor -%}
    {{ return(local_md5(code | join('\n'))) }}
{%- endmacro %}


{# Transaction ids mean nothing in another cluster; not every server lets everybody ask for it. #}
{% macro cluster_identity() -%}
    {%- set may_ask = run_query(
        "select has_function_privilege('pg_control_system()', 'execute')"
    ).rows[0][0] -%}
    {%- if not may_ask -%}
        {{ return('unknown') }}
    {%- endif -%}
    {{ return(run_query(
        "select cast(system_identifier as text) from pg_control_system()"
    ).rows[0][0]) }}
{%- endmacro %}


{# Settings are constants of the views; whoever builds a mart alone must have the same. #}
{% macro require_settings(settings, settings_view) -%}
    {%- if execute -%}
        {%- set made_with = run_query(
            'select ' ~ settings | join(', ') ~ ' from ' ~ settings_view
        ).rows[0] -%}
        {%- for name in settings -%}
            {%- if made_with[name] != setting(name) -%}
                {%- do exceptions.raise_compiler_error(
                    'The views were made with other settings (' ~ name ~ ' was '
                    ~ made_with[name] ~ ', is ' ~ setting(name)
                    ~ '): build them too, as `dbt build` does.'
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}


{% macro build_inputs(settings, inputs=none) -%}
    {%- set values = {'code': code_digest(), 'cluster': cluster_identity()} -%}
    {%- for name in settings -%}
        {%- do values.update({name: setting(name)}) -%}
    {%- endfor -%}
    {%- for name, value in values.items() %}
    select
        '{{ name }}' as input_name,
        cast(null as text) as llm_model,
        timestamptz '-infinity' as valid_from,
        timestamptz 'infinity' as valid_to,
        '{{ dbt.escape_single_quotes(value) }}' as content
    {{ 'union all' if not loop.last }}
    {%- endfor %}
    {%- if inputs %}
    union all
    select
        input_name,
        llm_model,
        valid_from,
        valid_to,
        content
    from {{ inputs }}
    {%- endif %}
{%- endmacro %}


{% macro names_of_changed_inputs(settings, inputs) -%}
    select distinct input_name
    from (
        (
            ({{ build_inputs(settings, inputs) }})
            except
            {{ built_inputs() }}
        )
        union all
        (
            {{ built_inputs() }}
            except
            ({{ build_inputs(settings, inputs) }})
        )
    ) as changed_inputs
    order by 1
{%- endmacro %}


{#
    The days of the mart on which something holds now that did not, or the other way round: so a
    price that only ends earlier changes no day on which it was in force anyway.
#}
{% macro days_of_changed_inputs(day, settings, inputs) -%}
    {%- set then_and_now = [built_inputs(), build_inputs(settings, inputs)] -%}
    select changed_inputs.{{ day }}
    from (
        {%- for one in [0, 1] %}
        (
            {{ inputs_by_day(day, then_and_now[one]) }}
            except
            {{ inputs_by_day(day, then_and_now[1 - one]) }}
        )
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ) as changed_inputs
{%- endmacro %}


{% macro inputs_by_day(day, inputs) -%}
    select
        days.{{ day }},
        inputs.input_name,
        days.llm_model,
        greatest(inputs.valid_from, days.starts_at) as valid_from,
        least(inputs.valid_to, days.ends_at) as valid_to,
        inputs.content
    from (
        select distinct
            {{ day }},
            llm_model,
            {{ day_starts_at(day) }} as starts_at,
            {{ day_starts_at(day ~ ' + 1') }} as ends_at
        from {{ this }}
    ) as days
    inner join ({{ inputs }}) as inputs
        on
            days.llm_model = coalesce(inputs.llm_model, days.llm_model)
            and inputs.valid_from < days.ends_at
            and inputs.valid_to > days.starts_at
{%- endmacro %}


{% macro built_inputs() -%}
    select
        input_name,
        llm_model,
        valid_from,
        valid_to,
        content
    from {{ build_table('build_inputs') }}
    where mart = '{{ this.identifier }}'
{%- endmacro %}


{% macro remember_build_inputs(settings, inputs=none) -%}
    {%- if execute %}
    delete from {{ build_table('build_inputs') }}
    where mart = '{{ this.identifier }}';

    insert into {{ build_table('build_inputs') }} (
        mart, input_name, llm_model, valid_from, valid_to, content
    )
    select
        '{{ this.identifier }}' as mart,
        current_inputs.*
    from ({{ build_inputs(settings, inputs) }}) as current_inputs;
    {%- endif %}
{%- endmacro %}

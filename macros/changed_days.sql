{% macro find_changed_days(
    events,
    deletions,
    source_table,
    settings,
    settings_view,
    inputs=none,
    inputs_by_model=true,
    told_otherwise=none,
    held_seconds=none,
    grid=none,
    grid_columns=[],
    taught_by=none,
    also_pruned=false
) -%}
    {%- set prunings = ref('stg_prunings') -%}
    {%- do require_settings(settings, settings_view) -%}
    {%- if execute and is_incremental() -%}
        {%- set since = built_since(deletions, source_table, settings, inputs, prunings) -%}
        {%- set day = config.get('unique_key') -%}

    create temporary table changed_days on commit drop as
    select
        changed_date,
        -- a little more than the day, as days of 23 and 25 hours may overlap it
        {{ day_starts_at('changed_date') }} - interval '2 hours' as search_from,
        {{ day_starts_at('changed_date + 1') }} + interval '2 hours' as search_to
    from (
        {%- if since.is_everything %}
        select {{ day }} as changed_date from {{ this }}
        {%- if not grid %}
        union
        select {{ reporting_date('event_at') }}
        from {{ events }}
        {%- endif %}
        {%- else %}
        {%- set dates_touched -%}
        select {{ reporting_date('source_rows.event_at') }} as changed_date
        from {{ events }} as source_rows
        where
            source_rows.change_xid >= {{ since.built_xmin }}
            and source_rows.change_xid < {{ since.next_xid }}
        union
        select {{ reporting_date('(left_from.period_start + seconds_later)') }}
        from {{ deletions }} as left_from
        cross join (
            values (interval '0'), (interval '899 seconds')
        ) as ends_of_quarter (seconds_later)
        where
            left_from.source_table = '{{ source_table }}'
            and left_from.change_xid >= {{ since.built_xmin }}
            and left_from.change_xid < {{ since.next_xid }}
        {%- endset %}
        {%- if not held_seconds %}
        {{ dates_touched }}
        {%- else %}
        -- a check teaches its day and the next, and what is noted there holds on
        select cast(held.midnight as date) as changed_date
        from (
        {{ dates_touched }}
        ) as touched
        cross join lateral (
            select {{ reporting_date(day_starts_at('touched.changed_date + 1')) }} as next_date
        ) as taught
        cross join lateral
        {{ days_held_into('touched.changed_date', 'taught.next_date', held_seconds) }}
        {%- endif %}
        {%- endif %}
        {%- if since.has_changed_inputs and not since.is_everything %}
        {%- if inputs_by_model %}
        union
        {{ days_of_changed_inputs(day, settings, inputs) }}
        {%- endif %}
        {%- if told_otherwise %}
        union
        {{ told_otherwise }}
        {%- endif %}
        {%- endif %}
        {%- if taught_by %}
        union
        select taught.{{ day }}
        from (
            select cast(held.midnight as date) as {{ day }}, max(lessons.newest_xmin) as newest_xmin
            from (
                select {{ day }}, max(built_xmin) as newest_xmin
                from {{ taught_by }}
                group by 1
            ) as lessons
            cross join lateral
            {{ days_held_into('lessons.' ~ day, 'lessons.' ~ day, held_seconds) }}
            group by 1
        ) as taught
        inner join (
            select {{ day }}, min(built_xmin) as oldest_xmin
            from {{ this }}
            group by 1
        ) as built on taught.{{ day }} = built.{{ day }}
        where taught.newest_xmin > built.oldest_xmin
        {%- endif %}
        {%- if grid %}
        {%- set columns = grid_columns | join(', ') %}
        union
        select {{ day }}
        from (
            (
                select {{ columns }} from {{ grid }}
                except
                select {{ columns }} from {{ this }}
            )
            union all
            (
                select {{ columns }} from {{ this }}
                except
                select {{ columns }} from {{ grid }}
            )
        ) as other_cells
        {%- endif %}
    ) as dates
    where
        changed_date is not null
        {%- if not also_pruned %}
        and not ({{ is_pruned('changed_date', prunings) }})
        {%- endif %};

    create unique index on pg_temp.changed_days (changed_date);

    analyze pg_temp.changed_days;
    {%- endif -%}
{%- endmacro %}


{# The days from one on to that into which a state of another can hold at most. #}
{% macro days_held_into(first_date, last_date, held_seconds) -%}
    generate_series(
        cast({{ first_date }} as timestamp),
        cast({{ reporting_date(
            '(' ~ day_starts_at(last_date ~ ' + 1')
            ~ " + interval '1 second' * (" ~ held_seconds ~ ' - 1))'
        ) }} as timestamp),
        interval '1 day'
    ) as held (midnight)
{%- endmacro %}


{# What pruned days were built with says nothing any more: it may be of another cluster. #}
{% macro built_since(deletions, source_table, settings, inputs, prunings) -%}
    {%- set built = run_query(
        "select max(built_xmin), cast(cast(pg_snapshot_xmax(pg_current_snapshot()) as text) as bigint)"
        ~ " from " ~ this ~ " where not (" ~ is_pruned(config.get('unique_key'), prunings) ~ ")"
    ).rows[0] -%}
    {%- set reasons = [] -%}
    {%- set changed_inputs = [] -%}
    {%- if built[0] is not none -%}
        {%- if built[0] > built[1] -%}
            {%- do reasons.append('it was built in another cluster') -%}
        {%- endif -%}
        {%- set emptied = run_query(
            "select 1 from " ~ deletions
            ~ " where source_table = '" ~ source_table ~ "' and period_start = '-infinity'"
            ~ " and change_xid >= " ~ built[0] ~ " and change_xid < " ~ built[1] ~ " limit 1"
        ) -%}
        {%- if emptied.rows | length -%}
            {%- do reasons.append(source_table ~ ' was emptied') -%}
        {%- endif -%}
        {%- for row in run_query(names_of_changed_inputs(settings, inputs)).rows -%}
            {%- do changed_inputs.append(row[0]) -%}
        {%- endfor -%}
        {%- for name in settings + ['cluster'] if name in changed_inputs -%}
            {%- do reasons.append('its ' ~ name ~ ' changed') -%}
        {%- endfor -%}
        {%- if 'code' in changed_inputs and not reasons -%}
            {%- do reasons.append('its code changed') -%}
        {%- endif -%}
        {%- if reasons -%}
            {%- do log(
                this.identifier ~ ': every day is built again, because ' ~ reasons | join(' and ') ~ '.',
                info=true
            ) -%}
        {%- endif -%}
    {%- endif -%}
    {{ return({
        'built_xmin': built[0],
        'next_xid': built[1],
        'is_everything': built[0] is none or reasons | length > 0,
        'has_changed_inputs': changed_inputs | length > 0,
    }) }}
{%- endmacro %}


{#
    All events, or those of the changed days. `offset 0` keeps the range with the events, so that
    an index finds them before anything is joined to them.
#}
{% macro changed_events(events) -%}
    {%- if not is_incremental() -%}
    select * from {{ events }}
    {%- else -%}
    select events.*
    from pg_temp.changed_days
    cross join lateral (
        select *
        from {{ events }}
        where event_at >= changed_days.search_from and event_at < changed_days.search_to
        offset 0
    ) as events
    where events.event_date = changed_days.changed_date
    {%- endif -%}
{%- endmacro %}


{# An array, not a join: the planner carries it into views that have windows. #}
{% macro where_day_changed(day) -%}
    {%- if is_incremental() -%}
    where {{ day }} = any(array(select changed_date from pg_temp.changed_days))
    {%- endif -%}
{%- endmacro %}


{% macro get_incremental_changed_days_sql(arguments) -%}
    {%- set target = arguments['target_relation'] -%}
    {%- set columns = get_quoted_csv(arguments['dest_columns'] | map(attribute='name')) -%}

    delete from {{ target }}
    where {{ arguments['unique_key'] }} in (select changed_date from pg_temp.changed_days);

    insert into {{ target }} ({{ columns }})
    select {{ columns }}
    from {{ arguments['temp_relation'] }};
{%- endmacro %}


{#
    The transaction from which on a table that gathers has not seen all rows. What it saw in
    another cluster says nothing.
#}
{% macro seen_until() -%}
    {%- if not execute or not is_built('build_inputs') -%}
        {{ return(0) }}
    {%- endif -%}
    {{ return(run_query(
        "select coalesce(max(seen_until), 0) from ("
        ~ " select case when mart = '" ~ this.identifier ~ "' then cast(content as bigint) end"
        ~ " as seen_until from " ~ build_table('build_inputs')
        ~ ") as marks"
        ~ " where seen_until <= cast(cast(pg_snapshot_xmax(pg_current_snapshot()) as text) as bigint)"
    ).rows[0][0]) }}
{%- endmacro %}


{% macro remember_what_was_seen() -%}
    delete from {{ build_table('build_inputs') }}
    where mart = '{{ this.identifier }}';

    insert into {{ build_table('build_inputs') }} (
        mart, input_name, valid_from, valid_to, content
    )
    values (
        '{{ this.identifier }}',
        'seen_until',
        '-infinity',
        'infinity',
        cast(pg_snapshot_xmin(pg_current_snapshot()) as text)
    );
{%- endmacro %}


{# For a table that views read: it is emptied where all is built anew, and not dropped. #}
{% macro begin_anew() -%}
    {%- if execute and is_incremental() and flags.FULL_REFRESH -%}
    delete from {{ this }}
    {%- endif -%}
{%- endmacro %}


{# What the marts of priced requests have in common: what changes a day of theirs. #}
{% macro find_changed_usage(told_otherwise) -%}
    {{ find_changed_days(
        events=ref('stg_audit_logs'),
        deletions=ref('stg_deleted_days'),
        source_table='audit_logs',
        settings=['reporting_timezone', 'default_model'],
        settings_view=ref('int_settings'),
        inputs=ref('int_usage_inputs'),
        told_otherwise=told_otherwise,
    ) }}
{%- endmacro %}


{% macro remember_usage_inputs() -%}
    {{ remember_build_inputs(
        settings=['reporting_timezone', 'default_model'],
        inputs=ref('int_usage_inputs'),
    ) }}
{%- endmacro %}

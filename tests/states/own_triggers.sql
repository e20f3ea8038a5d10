-- Triggers of every kind that can be carried: one that sees the old row, one with a condition, one
-- on some columns, one that refuses a delete, one that keeps a history.

alter table public.audit_logs add updated_at timestamp with time zone, add version integer default 1;

create table public.audit_history (
    what text, request integer, old_status text, new_status text, who text
);

create function public.count_version() returns trigger
language plpgsql
as $$
begin
    new.version := old.version + 1;
    return new;
end
$$;

create trigger a_version before update on public.audit_logs
for each row execute function public.count_version();

create function public.touch() returns trigger
language plpgsql
as $$
begin
    new.updated_at := '2026-03-01 00:00+00';
    return new;
end
$$;

create trigger b_touch before update on public.audit_logs
for each row when (old.* is distinct from new.*) execute function public.touch();

create function public.keep_errors() returns trigger
language plpgsql
as $$
begin
    if old.status = 'error' then
        return null;
    end if;
    return old;
end
$$;

create trigger c_keep before delete on public.audit_logs
for each row execute function public.keep_errors();

create function public.note_history() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'DELETE' then
        insert into public.audit_history values (tg_argv[0], old.id, old.status, null, current_user);
    elsif tg_op = 'UPDATE' then
        insert into public.audit_history
        values (tg_argv[0], new.id, old.status, new.status, current_user);
    else
        insert into public.audit_history values (tg_argv[0], new.id, null, new.status, current_user);
    end if;
    return null;
end
$$;

create trigger d_history after insert or update of status or delete on public.audit_logs
for each row execute function public.note_history('it''s');

create function public.skip_noise() returns trigger
language plpgsql
as $$
begin
    if new.message = 'noise' then
        return null;
    end if;
    return new;
end
$$;

create trigger e_skip before insert on public.audit_logs
for each row execute function public.skip_noise();

insert into public.audit_logs (message, status, created_at) values
('kept', 'success', '2026-02-10 10:00+00'), ('an error', 'error', '2026-02-10 11:00+00');

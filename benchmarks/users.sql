-- 1,000 users of both systems, who number them otherwise, on top of samples/gateway.sql.

insert into auth_service.roles (id, name) values (1, 'user');

insert into public.users (email, name)
select 'user' || i || '@example.com', 'User ' || i
from generate_series(1, 1000) as i;

insert into auth_service.users (username, email, role_id)
select 'user' || i, 'user' || i || '@example.com', 1
from generate_series(1000, 1, -1) as i;

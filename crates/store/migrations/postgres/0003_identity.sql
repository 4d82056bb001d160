-- As on SQLite. Here an append still looks up the identity: nodes append to lanes that are not theirs.
create table identity (
    event_at bigint not null,
    lane smallint not null,
    digest bytea not null,
    inbox bytea not null,
    primary key (lane, event_at, digest)
);
insert into identity (event_at, lane, digest, inbox)
select event_at, lane, digest, id from inbox where verdict is null or verdict in (1, 2);
drop index inbox_identity;

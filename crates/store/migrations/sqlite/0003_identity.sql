-- What an event is (I2) moves out of the inbox: an append then writes only to the inbox's end, and the owner of the
-- lane, who has many rows at hand, writes the scattered rest. docs/adr/0002-identity-at-applying.md has the figures.
create table identity (
    event_at bigint not null,
    lane integer not null,
    digest blob not null,
    inbox blob not null,
    primary key (event_at, lane, digest)
) without rowid;
insert into identity (event_at, lane, digest, inbox)
select event_at, lane, digest, id from inbox where verdict in (1, 2) order by 1, 2, 3;
drop index inbox_identity;
drop index inbox_pending;
create index inbox_pending on inbox (id) where verdict is null;

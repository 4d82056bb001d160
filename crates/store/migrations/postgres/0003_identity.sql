-- What an event is (I2), apart from the inbox: docs/adr/0002-identity-at-applying.md.
create table identity (
    event_at bigint not null,
    lane smallint not null,
    digest bytea not null,
    inbox bytea not null,
    primary key (lane, event_at, digest)
);

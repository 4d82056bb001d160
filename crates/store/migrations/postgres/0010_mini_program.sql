-- What the mini program reported last of each person and template: docs/adr/0008-the-mini-program.md. Events of WeChat's say it
-- better; this is for whoever gets none, and for not asking again too soon.
create table reported (
    lane smallint not null,
    template bigint not null,
    openid text collate "C" not null,
    accepted boolean not null,
    -- When the person decided.
    at bigint not null,
    primary key (lane, template, openid)
);

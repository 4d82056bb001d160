-- The console: docs/adr/0007-the-console.md.
create table operator (
    number integer not null primary key autoincrement,
    name text not null unique,
    -- argon2id, as a PHC string.
    password text not null,
    -- {"*": "viewer", "wx…": "sender"}: a role for every app, and others for some.
    roles text not null,
    created_by text not null,
    created_at bigint not null,
    signed_in_at bigint
);

-- Who is signed in: only a digest of what the browser holds.
create table session (
    digest blob not null primary key,
    operator bigint not null,
    created_at bigint not null,
    seen_at bigint not null,
    expires_at bigint not null
) without rowid;

-- What people and keys did.
create table audit (
    number integer not null primary key autoincrement,
    at bigint not null,
    principal text not null,
    app bigint,
    act text not null,
    target text
);

-- What happened in an hour, counted in the commit in which it happened. Template 0: of the app. A shard is whoever counts, so
-- that several may count at once.
create table happened (
    app bigint not null,
    hour bigint not null,
    template bigint not null,
    what smallint not null,
    shard smallint not null,
    n bigint not null,
    primary key (app, hour, template, what, shard)
) without rowid;

-- Group robots are webhooks of another form; what their address holds is a secret.
alter table webhook add column form text not null default 'standard';
alter table webhook add column sealed_url blob;

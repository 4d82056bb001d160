-- Callback keys: whose AppID stands in the trailer where it is not the app's own, and what was valid before a change.
alter table app add column platform_appid text;
-- Where the access token comes from, sealed (it holds a credential); null: from WeChat.
alter table app add column token_source blob;

create table previous_keys (
    id integer not null primary key autoincrement,
    app bigint not null,
    callback_token blob not null,
    aes_key blob,
    callback_mode text not null,
    platform_appid text,
    retired_at bigint not null,
    expires_at bigint not null
);

-- Callbacks on their way to a team's other server. A row is written in the commit of its inbox row; its content is sealed
-- and goes when it was delivered or given up. The identity is its own: a re-pushed event must not be passed on twice,
-- also where the first push was not applied yet.
create table relay (
    inbox blob not null primary key,
    lane integer not null,
    app bigint not null,
    event_at bigint not null,
    digest blob not null,
    state smallint not null,
    attempts bigint not null,
    due_at bigint not null,
    last_at bigint,
    last_status bigint,
    last_error text,
    content blob
) without rowid;
create unique index relay_identity on relay (event_at, lane, digest);
create index relay_waiting on relay (app, inbox) where state = 1;

-- Who is to be erased, until it is done. The openid is sealed; it goes with the last look.
create table erasure (
    id blob not null primary key,
    lane integer not null,
    app bigint not null,
    openid blob,
    what text not null,
    inbox blob,
    asked_at bigint not null,
    due_at bigint not null,
    looks bigint not null,
    done_at bigint,
    counts text
) without rowid;
create index erasure_due on erasure (due_at) where done_at is null;

create index inbox_quarantined on inbox (app, id) where verdict = 3;

-- The shape is explained in docs/adr/0001-the-shape-of-the-store.md; its figures come from the benches.
-- Times are milliseconds UTC, ids are 16 bytes (UUIDv7 with the lane inside) or 64-bit numbers.

create table meta (
    key text not null primary key,
    value text not null
);

create table lane (
    id integer not null primary key,
    owner text not null,
    epoch bigint not null,
    lease_until bigint not null
);

-- Numbers are never given twice: messages and ledger of a removed app stay, and must not become another's.
create table app (
    id integer not null primary key autoincrement,
    app_id text not null unique,
    name text not null,
    original_id text,
    secret blob not null,
    callback_token blob not null,
    aes_key blob,
    callback_mode text not null,
    callback_format text not null,
    api_base_url text not null,
    alias text unique,
    settings text not null,
    created_at bigint not null,
    updated_at bigint not null
);

create table api_key (
    id integer not null primary key autoincrement,
    name text not null,
    digest blob not null unique,
    app bigint,
    scopes text not null,
    created_at bigint not null,
    revoked_at bigint
);

create table access_token (
    app bigint not null primary key,
    token blob not null,
    version bigint not null,
    obtained_at bigint not null,
    expires_at bigint not null,
    forced_at bigint not null,
    forced_day bigint not null,
    forced_count bigint not null
);

create table gate (
    app bigint not null primary key,
    reason text not null,
    errcode bigint not null,
    detail text not null,
    closed_at bigint not null,
    retry_at bigint not null
);

create table template (
    id integer not null primary key,
    app bigint not null,
    template_id text not null,
    title text not null,
    kind smallint not null,
    content text not null,
    example text not null,
    fields text not null,
    synced_at bigint,
    gone_at bigint,
    unique (app, template_id)
);

create table inbox (
    id blob not null primary key,
    lane integer not null,
    app bigint not null,
    event_at bigint not null,
    digest blob not null,
    received_at bigint not null,
    kind text not null,
    openid text not null,
    pushes bigint not null,
    verdict smallint,
    reason text,
    effects text,
    applied_at bigint,
    body text not null
) without rowid;
create unique index inbox_identity on inbox (event_at, lane, digest);
create index inbox_pending on inbox (lane, id) where verdict is null;

create table subscription (
    lane integer not null,
    template bigint not null,
    openid text not null,
    status smallint not null,
    status_at bigint not null,
    balance bigint not null,
    known boolean not null,
    last_grant_at bigint not null,
    refused_at bigint not null,
    found_open bigint not null,
    last_entry bigint,
    last_sent blob,
    primary key (lane, template, openid)
) without rowid;

create table ledger (
    id integer not null primary key,
    lane integer not null,
    template bigint not null,
    openid text not null,
    kind smallint not null,
    reason smallint not null,
    delta bigint not null,
    balance bigint not null,
    act_at bigint not null,
    written_at bigint not null,
    reference blob,
    note text,
    previous bigint
);

create table message (
    id blob not null primary key,
    lane integer not null,
    app bigint not null,
    template bigint not null,
    openid text not null,
    queue bigint not null,
    data text not null,
    page text,
    version text not null,
    lang text not null,
    expire_at bigint not null
) without rowid;

create table message_state (
    id blob not null primary key,
    lane integer not null,
    state smallint not null,
    outcome smallint,
    receipt smallint,
    cancel_requested boolean not null,
    linked boolean not null,
    attempts bigint not null,
    due_at bigint not null,
    attempt_at bigint,
    errcode bigint,
    errmsg text,
    msgid bigint,
    receipt_at bigint,
    receipt_code bigint,
    receipt_status text,
    previous_sent blob
) without rowid;

create table attempt (
    lane integer not null,
    message blob not null,
    number bigint not null,
    at bigint not null,
    errcode bigint,
    errmsg text,
    ambiguous boolean not null,
    primary key (message, number)
) without rowid;

create table ready (
    lane integer not null,
    queue bigint not null,
    due_at bigint not null,
    id blob not null,
    expire_at bigint not null,
    primary key (lane, queue, due_at, id)
) without rowid;

create table reserved (
    lane integer not null,
    template bigint not null,
    openid text not null,
    id blob not null,
    primary key (lane, template, openid, id)
) without rowid;

create table in_flight (
    lane integer not null,
    id blob not null,
    attempt bigint not null,
    epoch bigint not null,
    primary key (lane, id)
) without rowid;

create table idempotency (
    lane integer not null,
    app bigint not null,
    key text not null,
    message blob not null,
    digest blob not null,
    created_at bigint not null,
    primary key (lane, app, key)
) without rowid;
